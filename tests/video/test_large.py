"""Large, odd and disguised videos: little memory, and the film itself."""

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from kgclip.errors import KgclipError
from kgclip.video import frames as reading
from kgclip.video.decode import open_video, probe
from kgclip.video.frames import MOST_PIXELS, ClipFrames, read_clip, read_clips
from kgclip.video.preview import preview
from kgclip.video.stream import read_film


def write_black(path: Path, size: tuple[int, int], num_frames: int, time_base: Fraction = Fraction(1, 25)) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height = size
        stream.pix_fmt, stream.codec_context.time_base = "yuv420p", time_base
        frame = av.VideoFrame.from_ndarray(np.zeros((size[1] * 3 // 2, size[0]), np.uint8), format="yuv420p")
        for index in range(num_frames):
            frame.pts, frame.time_base = index, time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


MEASURED = """
import pathlib, re, sys
from kgclip.video.frames import read_clips
for name, clip in read_clips({n: pathlib.Path(sys.argv[1]) for n in "abc"}, 8, 2):
    pass
# Not getrusage, whose peak begins with that of the process which started this one.
peak = re.search(r"VmHWM:\\s+(\\d+) kB", pathlib.Path("/proc/self/status").read_text())[1]
print(int(peak) // 1024, clip.images.shape)
"""


def test_clips_of_8k_take_little_memory(tmp_path: Path) -> None:
    path = write_black(tmp_path / "8k.mp4", (7680, 4320), 8)
    command = [sys.executable, "-c", MEASURED, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    mebibytes, shape = done.stdout.split(" ", 1)
    assert shape == "(8, 1084, 1927, 3)\n"
    assert int(mebibytes) < 1500  # 3,500 as they are


def test_large_frames_are_scaled_and_others_are_as_they_were(encode, tmp_path: Path) -> None:
    path = write_black(tmp_path / "4k.mp4", (3840, 2160), 2)
    height, width = read_clip(path, 2).images.shape[1:3]
    assert width * height <= 1.001 * MOST_PIXELS
    assert width / height == pytest.approx(16 / 9, rel=1e-3)
    assert (probe(path).width, probe(path).height) == (3840, 2160)  # what keypoints are measured in
    small = encode("small.mp4")
    with open_video(small) as video:
        assert np.array_equal(read_clip(small, 4).images, video.read([7, 22, 37, 52]))


def test_fewer_clips_are_read_ahead_where_they_are_large(encode, monkeypatch: pytest.MonkeyPatch) -> None:
    path = encode("clip.mp4")
    begun: list[Path] = []

    def count(path: Path, num_frames: int) -> ClipFrames:
        begun.append(path)
        return read_clip(path, num_frames)

    monkeypatch.setattr(reading, "MOST_BYTES_AHEAD", 1)
    for number, (_, clip) in enumerate(read_clips(dict.fromkeys("abcdef", path), 4, 4, count), start=1):
        assert isinstance(clip, ClipFrames)
        assert len(begun) <= number + 1
    assert len(begun) == 6


def test_a_preview_of_large_frames_is_small(tmp_path: Path) -> None:
    path = write_black(tmp_path / "4k.avi", (3840, 2160), 3)
    (tmp_path / "preview.mp4").write_bytes(preview(path))
    assert probe(tmp_path / "preview.mp4").width == 384


def test_a_picture_that_comes_first_is_not_the_film(tmp_path: Path) -> None:
    path = tmp_path / "cover.mov"
    with av.open(str(path), "w") as container:
        cover, film = container.add_stream("png", rate=25), container.add_stream("mpeg4", rate=25)
        cover.width, cover.height, cover.pix_fmt = 32, 32, "rgb24"
        film.width, film.height, film.pix_fmt = 64, 48, "yuv420p"
        container.mux(cover.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")))
        for index in range(10):
            frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
            frame.pts = index
            container.mux(film.encode(frame))
        container.mux(film.encode(None))
    assert (probe(path).num_frames, probe(path).width) == (10, 64)


def test_times_that_hide_frames_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_black(tmp_path / "hidden.mp4", (64, 48), 2000, Fraction(1, 60_000))
    assert len(list(read_film(path, 5.0))) == 1
    assert "its times hide frames: 0 of 2000 have no time of their own, the others lie within 0.03 s" in caplog.text
    caplog.clear()
    list(read_film(write_black(tmp_path / "sound.mp4", (64, 48), 50), 5.0))
    assert caplog.text == ""


def test_a_film_of_nothing_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "x.mp4").mkdir()
    with pytest.raises(KgclipError, match="is a folder without a video, or a device"):
        list(read_film(tmp_path / "x.mp4", 5.0))
