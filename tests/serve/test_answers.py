"""A clip that is sent is answered as the recognizer answers it, and nothing of the server is told."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from jaxtyping import Float, UInt8

from kgclip.engine.encoder import FrameEncoder
from kgclip.engine.predict import Recognizer
from kgclip.engine.together import encode_together
from kgclip.errors import KgclipError
from kgclip.identity import Identity
from kgclip.serve import service
from kgclip.video import container
from kgclip.video.frames import ClipFrames
from tests.serve.conftest import WAIT_S, Running, Starter


def expected(recognizer: Recognizer, clip: Path) -> Any:
    """What the recognizer says of the same file, named without its folder, and so its data."""
    values = json.loads(json.dumps(recognizer.predict(clip).to_json()))
    values["provenance"]["data"] = Path(values["provenance"]["data"]).name
    return values | {"file": clip.name}


def pieces(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), 1000):
        yield content[start : start + 1000]


def test_from_chunks_over_events_to_the_explanation(served: Running, recognizer: Recognizer, clips: list[Path]):
    client = served.client()
    sent = client.send(clips[0].name, pieces(clips[0].read_bytes()))
    assert sent.status == 202
    events = list(client.events(sent.json()))
    assert [name for name, _ in events] == ["waiting", "reading", "recognizing", "done"]
    assert [view["state"] for _, view in events] == [name for name, _ in events]
    job = client.ask("GET", f"/v1/jobs/{sent.json()['id']}").json()
    assert job == events[-1][1]
    assert client.ask("GET", job["explanation"]).json() == expected(recognizer, clips[0])
    assert served.uploads() == []
    assert client.ask("GET", f"/v1/jobs/{job['id']}/page").status == 404
    assert client.ask("DELETE", f"/v1/jobs/{job['id']}").status == 204
    assert client.ask("GET", job["explanation"]).status == 404


def test_a_page(served: Running, clips: list[Path]):
    client = served.client()
    job = client.send(clips[1].name, clips[1].read_bytes(), page=True).json()
    assert [name for name, _ in client.events(job)][-1] == "done"
    page = client.ask("GET", job["page"])
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"].endswith(";sandbox allow-scripts")
    text = page.body.decode()
    assert f'"file":"{clips[1].name}"' in text
    assert "data:video/mp4;base64," in text
    assert str(served.service.uploads.parent) not in text


def test_clips_of_many_clients(served: Running, recognizer: Recognizer, clips: list[Path]):
    def ask(clip: Path) -> Any:
        client = served.client()
        job = client.send(clip.name, clip.read_bytes()).json()
        list(client.events(job))
        return client.ask("GET", job["explanation"]).json()

    with ThreadPoolExecutor(6) as pool:
        for clip, got in zip(clips[:6], pool.map(ask, clips[:6]), strict=True):
            want = expected(recognizer, clip)
            assert got["file"] == clip.name
            assert got["answer"]["action"] == want["answer"]["action"]
            for row, other in zip(got["actions"], want["actions"], strict=True):
                assert row["probability"] == pytest.approx(other["probability"], abs=2e-4)


@pytest.mark.parametrize("limit", ["KEPT", "KEPT_BYTES"])
def test_few_answers_are_kept(served: Running, clips: list[Path], limit: str, monkeypatch: pytest.MonkeyPatch):
    client, content = served.client(), clips[0].read_bytes()
    monkeypatch.setattr(service, limit, 1)
    jobs = []
    for _ in range(3):
        jobs.append(client.send("clip.mp4", content).json())
        list(client.events(jobs[-1]))
    assert [client.ask("GET", job["explanation"]).status for job in jobs] == [404, 404, 200]


def test_freed_memory_is_given_back_between_batches(start: Starter, monkeypatch: pytest.MonkeyPatch):
    given = threading.Event()
    monkeypatch.setattr(service, "TIDY_S", 0.01)
    monkeypatch.setattr(service, "give_back_freed_memory", given.set)
    start()
    assert given.wait(WAIT_S)


def test_files_are_opened_by_processes_apart(served: Running, clips: list[Path], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(container.av, "open", lambda *_, **__: pytest.fail("opened in this process"))
    client = served.client()
    job = client.send(clips[0].name, clips[0].read_bytes(), page=True).json()
    assert [name for name, _ in client.events(job)][-1] == "done"


def test_metrics_count(served: Running, clips: list[Path]):
    client = served.client()
    list(client.events(client.send("counted.mp4", clips[0].read_bytes()).json()))
    text = client.ask("GET", "/metrics").body.decode()
    assert 'kgclip_jobs_total{outcome="done"}' in text
    assert 'kgclip_requests_total{method="POST",route="/v1/jobs",status="202"}' in text
    assert "kgclip_jobs_unfinished 0.0" in text
    assert "process_resident_memory_bytes" in text


def frames(number: int, size: int) -> ClipFrames:
    images = np.full((2, size, size, 3), number, np.uint8)
    return ClipFrames(images, np.arange(2), np.array([0.0, 0.1]), 0.2, 10.0, 2)


def test_frames_of_one_size_are_encoded_at_once():
    calls = []

    def encode(images: UInt8[np.ndarray, "T H W 3"]) -> Float[torch.Tensor, "T F"]:
        calls.append(len(images))
        means = torch.from_numpy(images).float().mean((1, 2))
        return means.masked_fill(means == 9, torch.nan)

    encoder = FrameEncoder(Identity(name="mean", weights="", preprocessing=""), encode)
    found = encode_together(encoder, [frames(1, 4), frames(2, 6), frames(3, 4)])
    assert sorted(calls) == [2, 4]
    assert [float(each[0, 0]) for each in found if not isinstance(each, KgclipError)] == [1, 2, 3]
    bad = encode_together(encoder, [frames(1, 4), frames(9, 4), frames(9, 6)])
    assert [isinstance(each, KgclipError) for each in bad] == [False, True, True]
