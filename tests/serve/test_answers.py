"""A clip that is sent is answered as the recognizer answers it, and nothing of the server is told."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kgclip.engine.predict import Recognizer
from kgclip.serve.answers import without_places
from tests.serve.conftest import Running


def expected(recognizer: Recognizer, clip: Path, folder: Path) -> Any:
    """What the recognizer says of the same file, by the name alone."""
    explanation = without_places(recognizer.predict(clip))
    values = json.loads(json.dumps(explanation.to_json()))
    return values | {"file": clip.name}


def pieces(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), 1000):
        yield content[start : start + 1000]


def test_from_chunks_over_events_to_the_explanation(
    served: Running, recognizer: Recognizer, clips: list[Path], tmp_path: Path
):
    client = served.client()
    sent = client.send(clips[0].name, pieces(clips[0].read_bytes()))
    assert sent.status == 202
    events = list(client.events(sent.json()))
    assert [name for name, _ in events] == ["waiting", "reading", "recognizing", "done"]
    assert {view["state"] for _, view in events} == {"waiting", "reading", "recognizing", "done"}
    job = client.ask("GET", f"/v1/jobs/{sent.json()['id']}").json()
    assert job == events[-1][1]
    answer = client.ask("GET", job["explanation"])
    assert answer.json() == expected(recognizer, clips[0], tmp_path)
    assert served.uploads() == []
    assert client.ask("GET", f"/v1/jobs/{job['id']}/page").status == 404
    assert client.ask("DELETE", f"/v1/jobs/{job['id']}").status == 204
    assert client.ask("GET", job["explanation"]).status == 404
