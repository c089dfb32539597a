"""Videos read by a process apart: as they are read here, within limits, and one sentence where these end it."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from kgclip.errors import KgclipError
from kgclip.video.apart import Apart, ReaderLimits
from kgclip.video.cut import Cut
from kgclip.video.decode import probe
from kgclip.video.frames import read_clip


@pytest.fixture(scope="module")
def apart() -> Iterator[Apart]:
    reader = Apart()
    yield reader
    reader.close()


def test_a_clip_is_the_same(encode, apart: Apart) -> None:
    file = encode("clip.mp4")
    for video in (file, Cut(file, 0.4, 1.2)):
        here, there = read_clip(video, 4), apart.read_clip(video, 4)
        for name in ("images", "indices", "times_s", "duration_s", "fps", "num_frames"):
            np.testing.assert_array_equal(getattr(there, name), getattr(here, name), strict=True)
        assert there.images.flags.writeable
        assert apart.probe(video) == probe(video)


@pytest.mark.parametrize("content", [b"", b"no video", b"#EXTM3U\n#EXTINF:5,\nother.mp4\n", b"ffconcat version 1.0\n"])
def test_what_cannot_be_read_is_the_same_sentence(content: bytes, apart: Apart, tmp_path: Path) -> None:
    file = tmp_path / "odd\udcff.mp4"
    file.write_bytes(content)
    with pytest.raises(KgclipError) as here:
        probe(file)
    with pytest.raises(KgclipError) as there:
        apart.probe(file)
    assert str(there.value) == str(here.value)


def test_a_file_beyond_a_limit_is_one_sentence(encode) -> None:
    file = encode("large.mp4", num_frames=30, size=(1280, 720))
    small = Apart(ReaderLimits(memory=2**24))
    with pytest.raises(KgclipError, match=r"large\.mp4: (takes more memory|ended its reader|truncated)") as error:
        small.read_clip(file, 16)
    assert "\n" not in str(error.value)
    small.close()
    slow = Apart(ReaderLimits(wait_s=0.01))
    with pytest.raises(KgclipError, match=r"large\.mp4: took longer than 0\.01 s to read; convert it or leave it out"):
        slow.probe(file)


@pytest.mark.parametrize(
    ("sent", "said"),
    [(signal.SIGXCPU, "took more than 60 s of the processor"), (signal.SIGSEGV, r"ended its reader \(SIGSEGV\)")],
)
def test_a_reader_that_died_is_one_sentence_and_the_next_file_is_read(sent, said, encode, monkeypatch) -> None:
    file, started, reader = encode("clip.mp4"), [], Apart()
    original = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: started.append(original(*a, **k)) or started[-1])
    reader.probe(file)
    os.kill(started[0].pid, sent)
    with pytest.raises(KgclipError, match=rf"clip\.mp4: {said}"):
        reader.probe(file)
    assert reader.probe(file).num_frames == 60
    assert len(started) == 2
    reader.close()
    assert started[1].returncode is not None


def test_an_answer_is_not_believed(encode, monkeypatch) -> None:
    file, original = encode("clip.mp4"), subprocess.Popen
    line = '{"shape": [4, 100000, 100000, 3], "indices": [0, 1, 2, 3], "times_s": [0, 1, 2, 3]}'
    for said in (line, "[" * 100, "no json"):
        monkeypatch.setattr(
            subprocess, "Popen", lambda *_, said=said, **pipes: original(["sh", "-c", f"echo '{said}'"], **pipes)
        )
        with pytest.raises(KgclipError, match=r"clip\.mp4: ended its reader"):
            Apart().read_clip(file, 4)
