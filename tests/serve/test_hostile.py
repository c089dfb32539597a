"""Whoever sends what should not be sent gets one sentence, and the service lives on."""

import errno
import json
import socket
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from kgclip.engine import apart_process
from kgclip.serve import server
from kgclip.serve.job import safe_name
from kgclip.serve.service import Sizes
from kgclip.serving import Limits
from tests.serve.conftest import Running, Starter

HEAD = b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: video/mp4\r\n"
SLOW_S = 20.0


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + SLOW_S
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def failure(running: Running, name: str, content: Any) -> tuple[str, int, str]:
    """The last event of a clip, and status and sentence in place of its explanation."""
    client = running.client()
    sent = client.send(name, content)
    assert sent.status == 202, sent.body
    *_, (last, view) = client.events(sent.json())
    answer = client.ask("GET", view["explanation"])
    assert answer.json()["error"] == view["error"]
    return last, answer.status, view["error"]


def test_files_that_are_no_videos(served: Running, clips: list[Path]):
    sentence = "noise.mp4: truncated or not a video"
    last, status, error = failure(served, "noise.mp4", b"nothing" * 100)
    assert (last, status) == ("failed", 422)
    assert error.startswith(sentence)
    half = clips[0].read_bytes()
    last, status, error = failure(served, "half.mp4", half[: len(half) // 3])
    assert (last, status) == ("failed", 422)
    assert error.startswith("half.mp4: ")
    for text in (sentence, error):
        assert str(served.service.uploads) not in text
    assert served.uploads() == []


def test_a_video_that_is_too_long(start: Starter, clips: list[Path]):
    short = start(Limits(length_s=0.1))
    last, status, error = failure(short, "long.mp4", clips[0].read_bytes())
    assert (last, status) == ("failed", 422)
    assert "up to 0.1 s are taken here; cut it" in error


def test_what_is_too_large_or_empty(served: Running):
    client = served.client()
    large = bytes(2**20 + 1)
    sentence = "big.mp4: is larger than the 1 MB that are taken here; make it smaller"
    for content in (large, (large[start : start + 2**16] for start in range(0, len(large), 2**16))):
        answer = served.client().send("big.mp4", content)
        assert (answer.status, answer.json()["error"]) == (413, sentence)
    empty = client.send("none.mp4", b"")
    assert (empty.status, empty.json()["error"][:18]) == (422, "none.mp4: is empty")
    assert served.uploads() == []


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data", "application/json", "", "videos"])
def test_bodies_of_another_type(served: Running, kind: str):
    answer = served.client().ask("POST", "/v1/jobs", b"x", Content_Type=kind)
    assert answer.status == 415
    assert "expected video/… or application/octet-stream" in answer.json()["error"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\clip.mp4", "clip.mp4"),
        ("..", "clip"),
        ("a/..", "clip"),
        ("", "clip"),
        ("\x1b[31mred\n.mp4", "\\x1b[31mred\\n.mp4"),
        ("a\u202eb", "a\\u202eb"),
        ("#t=1,2", "#t=1,2"),
        ("x" * 999, "x" * 120),
    ],
)
def test_names(served: Running, name: str, shown: str):
    assert safe_name(name) == shown
    client = served.client()
    job = client.send(name, b"no video").json()
    assert job["file"] == shown
    *_, (_, view) = client.events(job)
    assert view["error"].startswith(shown)
    assert served.uploads() == []


def test_names_of_requests(served: Running, caplog: pytest.LogCaptureFixture):
    client = served.client()
    caplog.set_level("INFO", "kgclip.serve")
    answer = client.ask("GET", "/v1/jobs/none", X_Request_ID="mine-1")
    assert answer.headers["x-request-id"] == answer.json()["request"] == "mine-1"
    until(lambda: "request mine-1: GET /v1/jobs/{id} 404" in caplog.text)
    for evil in ("a b", "x" * 65, "<script>", "é"):
        given = client.ask("GET", "/health", X_Request_ID=evil).headers["x-request-id"]
        assert given != evil
        assert len(given) == 16
    assert answer.headers["x-content-type-options"] == "nosniff"


def said(running: Running, text: bytes) -> bytes:
    """All that is answered to bytes, until the service hangs up."""
    with running.connection() as connection:
        found = b""
        # What was not read makes the end of a connection a reset, perhaps before all is sent.
        with suppress(OSError):
            connection.sendall(text)
        with suppress(ConnectionResetError):
            while part := connection.recv(65536):
                found += part
    return found


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"GET /health HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", b"400"),
        (b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 200_000 + b"\r\n\r\n", b"400"),
        (b"GET /health HTTP/1.1\r\nHost: localhost\r\nBad Header: 1\r\n\r\n", b"400"),
        (b"GET / nonsense\r\n\r\n", b"400"),
        (HEAD + b"Content-Length: -5\r\n\r\n", b"400"),
        (HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n", b"400"),
        (HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", b"400"),
        (HEAD + b"Content-Length: 99999999999999999999\r\nConnection: close\r\n\r\n", b"413"),
        (b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + b"X: a\r\n" * 200 + b"Connection: close\r\n\r\n", b"400"),
        (b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", b"400"),
        (b"GET /health HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n", b"400"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"400"),
        (b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", b"404"),
        (b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", b"404"),
        (b"GET /v1/jobs/..%2f..%2fetc/page HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", b"404"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFFFFFFFF\r\n", b"400"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nno size\r\n", b"400"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5;" + b"x" * 200_000, b"400"),
    ],
)
def test_heads_of_requests(served: Running, text: bytes, status: bytes):
    found = said(served, text)
    # A reset may overtake the answer to a head that was not read to its end.
    assert found.startswith(b"HTTP/1.1 " + status) or (len(text) > 65536 and not found)
    assert served.client().ask("GET", "/health").status == 200
    # A refused body ends its connection before the clip that it began is dropped.
    until(lambda: served.service.unfinished == 0)


@pytest.mark.parametrize("how", [b"Content-Length: 1000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\nff\r\n"])
@pytest.mark.parametrize("reset", [False, True])
def test_uploads_that_end_early(served: Running, how: bytes, reset: bool):
    with served.connection() as connection:
        connection.sendall(HEAD + how + b"half of it")
        until(lambda: served.service.unfinished == 1)
        until(lambda: len(served.uploads()) == 1)
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    until(lambda: served.service.unfinished == 0)
    assert served.uploads() == []


def test_who_goes_away_holds_up_nobody(served: Running, clips: list[Path]):
    job = served.client().send("left.mp4", clips[0].read_bytes()).json()
    with served.connection() as connection:
        connection.sendall(f"GET {job['events']} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    until(lambda: served.service.unfinished == 0)
    assert served.client().ask("GET", job["explanation"]).status == 200


def drip(connection: socket.socket) -> bytes:
    """What is answered while bytes come now and then."""
    connection.settimeout(0.05)
    answer, end = b"", time.monotonic() + SLOW_S
    while time.monotonic() < end:
        with suppress(TimeoutError):
            part = connection.recv(65536)
            answer += part
            if not part or answer.endswith(b"}"):
                return answer
        with suppress(BrokenPipeError):
            connection.sendall(b"x")
    raise AssertionError("no end")


def test_uploads_that_take_long(start: Starter):
    slow = start(Limits(wait_s=0.5))
    with slow.connection() as connection:
        connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\nhalf of it")
        answer = drip(connection)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"clip: was not sent within 0.5 s; send a smaller file" in answer
    assert slow.uploads() == []
    assert slow.service.unfinished == 0


def test_heads_that_take_long(start: Starter, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(server, "HEAD_S", 0.5)
    running = start()
    with running.connection() as connection:
        connection.sendall(b"GET /health HTT")
        assert drip(connection) == b""


@pytest.mark.parametrize("count", [1, 500])
def test_answers_that_nobody_takes(start: Starter, count: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(server, "HEAD_S", 0.2)
    monkeypatch.setattr(server, "TAKE_S", 0.5)
    running = start()
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    connection.connect(running.place)
    with connection:
        connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * count)
        until(lambda: len(running.server.server_state.connections) == 1)
        until(lambda: not running.server.server_state.connections)
    assert running.client().ask("GET", "/health").status == 200


def test_a_service_outlives_its_readers(start: Starter, clips: list[Path], monkeypatch: pytest.MonkeyPatch):
    running = start()
    client = running.client()
    with monkeypatch.context() as patch:
        ends = "import os, sys; print('{}', flush=True); sys.stdin.readline(); os._exit(1)"
        patch.setattr(apart_process, "COMMAND", (sys.executable, "-c", ends))
        running.service.videos.close()
        *_, (last, view) = client.events(client.send("evil.mp4", b"evil").json())
    assert last == "failed"
    assert view["error"] == "evil.mp4: ended its reader (exit code 1); convert it or leave it out"
    *_, (last, _) = client.events(client.send("good.mp4", clips[0].read_bytes()).json())
    assert last == "done"
    assert "kgclip_readers_replaced_total 1.0" in client.ask("GET", "/metrics").body.decode()


def test_a_full_queue(start: Starter, clips: list[Path]):
    small = start(sizes=Sizes(queue=1, readers=1))
    client = small.client()
    with small.connection() as connection:
        connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\nhalf of it")
        until(lambda: small.service.unfinished == 1)
        answer = client.send("second.mp4", clips[0].read_bytes())
        assert answer.status == 429
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        assert answer.json()["error"].startswith("1 clips are waiting already; try again in")
    until(lambda: small.service.unfinished == 0)
    assert client.send("second.mp4", clips[0].read_bytes()).status == 202


def test_a_job_that_is_taken_back(served: Running, clips: list[Path]):
    client = served.client()
    job = client.send("mine.mp4", clips[0].read_bytes()).json()
    assert client.ask("DELETE", f"/v1/jobs/{job['id']}").status == 204
    assert client.ask("GET", f"/v1/jobs/{job['id']}").status == 404
    until(lambda: served.service.unfinished == 0)


def test_the_token(start: Starter):
    token = "0123456789abcdef"
    guarded = start(token=token)
    for wrong in (None, "0123456789abcdeg", token[:-1], token + "0"):
        answer = guarded.client(wrong).ask("GET", "/openapi.json")
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert token not in answer.body.decode()
        assert guarded.client(wrong).send("a.mp4", b"x").status == 401
        assert guarded.client(wrong).ask("GET", "/metrics").status == 401
        assert guarded.client(wrong).ask("GET", "/ready").status == 200
    assert guarded.client(token).ask("GET", "/openapi.json").status == 200


@pytest.fixture
def folders(kg_model: Path, served: Running) -> tuple[str, ...]:
    """Places of the server that no answer may name."""
    return (str(served.service.uploads), str(kg_model), str(kg_model.parent), str(Path.home()), str(Path.cwd()))


def test_no_answer_names_a_place_of_the_server(served: Running, clips: list[Path], folders: tuple[str, ...]):
    client = served.client()
    answers = [
        client.ask("GET", path).body.decode() for path in ("/health", "/ready", "/metrics", "/openapi.json", "/x")
    ]
    for name, content in (("good.mp4", clips[0].read_bytes()), ("bad.mp4", b"bad" * 999)):
        job = client.send(name, content, page=True).json()
        answers += [json.dumps(job), *(json.dumps(view) for _, view in client.events(job))]
        answers += [client.ask("GET", job[what]).body.decode() for what in ("explanation", "page")]
    assert len(answers) == 18
    for text in answers:
        assert not [folder for folder in folders if len(folder) > 2 and folder in text]


def test_a_disk_that_is_full(served: Running, monkeypatch: pytest.MonkeyPatch):
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "open", full)
    answer = served.client().send("a.mp4", b"x")
    assert (answer.status, answer.headers["retry-after"]) == (503, "30")
    assert answer.json()["error"] == "a.mp4: the service has no room for it now; try again later"
    assert served.service.unfinished == 0
