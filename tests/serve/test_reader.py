"""A file that kills or holds the process that reads it costs that process alone."""

import sys
from pathlib import Path

import pytest

from kgclip.errors import KgclipError
from kgclip.pose.annotate import PoseSource, observe
from kgclip.serve import child
from kgclip.serve.child import Request
from kgclip.serve.reader import Reader, _pose
from tests.serve.conftest import Starter

READY = "import sys, time, os; print('{\"ready\": true}', flush=True); line = sys.stdin.readline(); "


def fake(what: str) -> tuple[str, ...]:
    """A process that does so in place of reading."""
    return (sys.executable, "-c", READY + what)


def request(path: Path) -> Request:
    return Request(str(path), "sent.mp4", "sent", 4, 20.0)


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("os.kill(os.getpid(), 9)", "cannot be read, the process that tried died"),
        ("print('no JSON', flush=True)", "cannot be read, the process that tried died"),
        ("print('{\"shape\": [4, 99999, 99999, 3]}', flush=True)", "cannot be read, the process that tried died"),
        ("print('{\"shape\": [4, 9, 9, 3]}', flush=True)", "cannot be read, the process that tried died"),
        ("time.sleep(60)", "was not read within 1 s"),
    ],
)
def test_processes_that_fail_are_replaced(what: str, sentence: str, clips: list[Path]):
    died = []
    reader = Reader(lambda: died.append(1), fake(what))
    try:
        with pytest.raises(KgclipError, match=f"^sent.mp4: {sentence}; re-encode it or make it smaller"):
            reader.read(request(clips[0]), 1.0)
        assert died == [1]
        reader.start()
    finally:
        reader.close()


def test_a_service_outlives_its_readers(start: Starter, clips: list[Path]):
    running = start()
    reader = running.service._readers[0]
    usual, reader._command = reader._command, fake("os._exit(1)")
    reader.close()
    client = running.client()
    *_, (last, view) = client.events(client.send("evil.mp4", b"evil").json())
    assert last == "failed"
    assert view["error"].startswith("evil.mp4: cannot be read, the process that tried died")
    reader._command = usual
    *_, (last, _) = client.events(client.send("good.mp4", clips[0].read_bytes()).json())
    assert last == "done"
    assert "kgclip_readers_replaced_total 1.0" in client.ask("GET", "/metrics").body.decode()


def test_poses_come_through_the_pipe(figures: Path, clips: list[Path]):
    clip = clips[0]
    source = PoseSource(str(figures / "keypoints.parquet"))
    name = str(clip.relative_to(clip.parents[1]).with_suffix(""))
    for given in (clip.stem, name):
        try:
            pose = observe(given, clip, source)
            break
        except KgclipError:
            continue
    asked = Request(str(clip), clip.name, given, 4, 20.0, pose={"pose": source.pose})
    again = _pose(child._pose(asked))
    assert again is not None
    assert (again.width, again.height) == (pose.width, pose.height)
    assert (again.frame_index == pose.frame_index).all()
    assert all((a.keypoints == b.keypoints).all() for a, b in zip(again.tracks, pose.tracks, strict=True))
