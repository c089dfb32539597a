"""Videos opened by a process apart: as they are read here, within limits, and one sentence where these end it."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kgclip.engine import apart_process
from kgclip.engine.apart import Apart
from kgclip.engine.apart_process import Limits
from kgclip.engine.videos import Videos
from kgclip.errors import KgclipError
from kgclip.pose.annotate import PoseSource
from kgclip.video.cut import Cut
from kgclip.video.decode import probe
from kgclip.video.encode import write_video

READY = "import os, sys, time; print('{}', flush=True); sys.stdin.readline(); "


@pytest.fixture(scope="module")
def apart() -> Iterator[Apart]:
    videos = Apart()
    yield videos
    videos.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of 60 frames of noise, which an mp4 of 600 kB cannot hold."""
    path = tmp_path_factory.mktemp("apart") / "clip.mp4"
    write_video(path, np.random.default_rng(0).integers(0, 255, (60, 96, 128, 3), np.uint8), 25)
    return path


@pytest.fixture
def large(tmp_path: Path) -> Path:
    write_video(tmp_path / "large.mp4", np.zeros((30, 720, 1280, 3), np.uint8), 25)
    return tmp_path / "large.mp4"


def processes(videos: Apart) -> list[Any]:
    return [each._process for each in videos._pool._all]


def test_all_is_the_same(file: Path, apart: Apart):
    here = Videos()
    for video in (file, Cut(file, 0.4, 1.2)):
        clip, again = here.read_clip(video, 4), apart.read_clip(video, 4)
        for name in ("images", "indices", "times_s", "duration_s", "fps", "num_frames"):
            np.testing.assert_array_equal(getattr(again, name), getattr(clip, name), strict=True)
        assert again.images.flags.writeable
        assert apart.probe(video) == here.probe(video)
        assert apart.preview(video) == here.preview(video)


def test_poses_are_the_same(figures: Path):
    source = PoseSource(str(figures / "keypoints.parquet"))
    videos, clip = Apart(source), next(figures.glob("test_videos/*/*.mp4"))
    name = f"{clip.parent.name}/{clip.stem}"
    here, there = Videos(source).observe(name, clip), videos.observe(name, clip)
    videos.close()
    assert (there.width, there.height, len(there.tracks)) == (here.width, here.height, len(here.tracks))
    for pair in zip((here, *here.tracks), (there, *there.tracks), strict=True):
        for name in ("frame_index", "time_s", "rows", "keypoints"):
            values = [getattr(each, name, None) for each in pair]
            np.testing.assert_array_equal(*values, strict=values[0] is not None)


def test_an_estimator_that_is_none_is_its_sentence(tmp_path: Path):
    videos = Apart(PoseSource(str(tmp_path / "none.parquet")))
    with pytest.raises(KgclipError, match=r"none\.parquet"):
        videos.start()
    assert processes(videos) == []


@pytest.mark.parametrize("content", [b"", b"no video", b"#EXTM3U\n#EXTINF:5,\nother.mp4\n", b"ffconcat version 1.0\n"])
def test_what_cannot_be_read_is_the_same_sentence(content: bytes, apart: Apart, tmp_path: Path):
    file = tmp_path / "odd\udcff.mp4"
    file.write_bytes(content)
    with pytest.raises(KgclipError) as here:
        probe(file)
    with pytest.raises(KgclipError) as there:
        apart.probe(file)
    assert str(there.value) == str(here.value)


def test_a_file_beyond_the_memory_is_one_sentence(large: Path):
    small = Apart(limits=Limits(memory=2**24))
    with pytest.raises(KgclipError, match=r"large\.mp4: (takes more memory|ended its reader|truncated)") as error:
        small.read_clip(large, 16)
    assert "\n" not in str(error.value)
    small.close()


def test_no_file_can_be_written(large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "writer.py").write_text(
        "import os, runpy\nfrom kgclip.video import preview\n"
        "from pathlib import Path\n"
        f"preview.preview = lambda path: Path({str(tmp_path / 'made')!r}).write_bytes(b'x')\n"
        "runpy.run_module('kgclip.engine.apart_child', run_name='__main__')\n"
    )
    monkeypatch.setattr(apart_process, "COMMAND", (sys.executable, str(tmp_path / "writer.py")))
    videos = Apart()
    with pytest.raises(KgclipError, match="File too large"):
        videos.preview(large)
    videos.close()
    assert (tmp_path / "made").read_bytes() == b""


def test_a_file_beyond_the_time_is_one_sentence(large: Path):
    died, slow = [], Apart(limits=Limits(wait_s=0.01), died=lambda: died.append(1))
    with pytest.raises(KgclipError, match=r"large\.mp4: took longer than 0\.01 s to read; convert it or leave it out"):
        slow.read_clip(large, 16)
    assert died == [1]
    assert processes(slow) == []
    with pytest.raises(KgclipError, match=r"took longer than .* to read"):
        Apart().within(0.01).within(60.0).read_clip(large, 16)


def test_questions_within_a_time_share_it(file: Path, apart: Apart):
    within = apart.within(0.3)
    within.probe(file)
    time.sleep(0.3)
    with pytest.raises(KgclipError, match=r"took longer than 0 s"):
        within.read_clip(file, 8)
    assert apart.probe(file).num_frames == 60


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("os.kill(os.getpid(), 24)", "took more than 60 s of the processor"),
        ("os.kill(os.getpid(), 11)", r"ended its reader \(SIGSEGV\)"),
        ("os._exit(3)", r"ended its reader \(exit code 3\)"),
    ],
)
def test_a_reader_that_died_is_one_sentence_and_the_next_file_is_read(
    end: str, said: str, file: Path, monkeypatch: pytest.MonkeyPatch
):
    died, videos = [], Apart(died=lambda: died.append(1))
    with monkeypatch.context() as patch:
        patch.setattr(apart_process, "COMMAND", (sys.executable, "-c", READY + end))
        with pytest.raises(KgclipError, match=rf"clip\.mp4: {said}"):
            videos.probe(file)
    assert died == [1]
    assert videos.probe(file).num_frames == 60
    # One that ended while nothing was asked is no file's fault.
    (process,) = processes(videos)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert videos.probe(file).num_frames == 60
    assert died == [1]
    (process,) = processes(videos)
    videos.close()
    assert process.returncode == -signal.SIGKILL


def test_a_process_is_replaced_after_many_questions(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(apart_process, "MOST_QUESTIONS", 3)
    died, videos = [], Apart(died=lambda: died.append(1))
    videos.start()
    (first,) = processes(videos)
    videos.probe(file)
    with pytest.raises(KgclipError, match="no such file"):
        videos.probe(tmp_path / "none.mp4")
    assert processes(videos) == [first]
    assert videos.probe(file).num_frames == 60
    assert first.returncode == 0
    assert videos.probe(file).num_frames == 60
    (second,) = processes(videos)
    assert second.pid != first.pid
    assert died == []
    videos.close()


def test_processes_end_with_who_asks(file: Path):
    videos = Apart()
    videos.start(2)
    started = processes(videos)
    assert len(started) == 2
    del videos
    assert all(process.returncode is not None for process in started)


CLIP = '{"indices": [0, 1], "times_s": [0, 1], "duration_s": 1, "fps": 1, "num_frames": 2, "shape": '


@pytest.mark.parametrize(
    "said",
    [
        '{"num_bytes": 900000000000}',
        '{"num_bytes": -1}',
        '{"num_bytes": 12, "facts": ' + CLIP + "[2, 1, 2, 3]}}",
        '{"num_bytes": 6, "facts": ' + CLIP + "[2, 1, 2, 3]}}\\n123456",
        '{"num_bytes": 6, "facts": ' + CLIP + "[2, 1, -1, 3]}}\\n123456789",
        '{"num_bytes": 6, "facts": ' + CLIP + "[2, 3, 1, 1]}}\\n123456",
        '{"num_bytes": 6, "facts": null}\\n123456',
        "[" * 100,
        "no json",
    ],
)
def test_an_answer_is_not_believed(said: str, file: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(apart_process, "COMMAND", (sys.executable, "-c", READY + f"print('{said}')"))
    with pytest.raises(KgclipError, match=r"clip\.mp4: ended its reader"):
        Apart().read_clip(file, 2)


def test_a_process_that_does_not_start(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(apart_process, "COMMAND", (sys.executable, "-c", "print('no')"))
    with pytest.raises(KgclipError, match=r"does not start; check the installation"):
        Apart().start()
