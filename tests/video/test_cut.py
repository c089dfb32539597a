"""A cut is read as if it were a file of its own."""

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgclip.data.clip import id_of_file
from kgclip.errors import KgclipError
from kgclip.video import indexing
from kgclip.video.cut import Cut, cut_id, interval_of, name_of, video_at
from kgclip.video.decode import open_video, probe, read_frames
from kgclip.video.frames import read_clip, typical_duration_s
from kgclip.video.preview import preview


@pytest.fixture(scope="module", params=["film.mp4", "film.mkv", "film.avi"])
def film(encode: Callable[..., Path], request: pytest.FixtureRequest) -> Path:
    """60 frames, 25 a second."""
    codec = "mpeg4" if request.param.endswith("avi") else "libx264"
    return encode(request.param, codec=codec, options={"g": "12"})


@pytest.mark.parametrize("large_file_bytes", [0, 2**40])
def test_frames_and_times_are_those_of_the_cut(film, large_file_bytes, read_numbers, monkeypatch):
    monkeypatch.setattr(indexing, "LARGE_FILE_BYTES", large_file_bytes)
    clip = read_clip(Cut(film, 0.4, 1.2), 5)
    assert read_numbers(clip.images) == [12, 16, 20, 24, 28]
    assert clip.indices.tolist() == [2, 6, 10, 14, 18]
    assert clip.times_s == pytest.approx([0.08, 0.24, 0.4, 0.56, 0.72])
    assert (clip.num_frames, clip.fps) == (20, pytest.approx(25))
    assert clip.duration_s == pytest.approx(0.8)


def test_neighboring_cuts_share_the_frames_out(film, read_numbers):
    # 0.44 s is frame 11, written as it may be rounded.
    times = [0.0, 0.4404, 1.0, 2.4]
    cuts = [Cut(film, start, end) for start, end in pairwise(times)]
    numbers = [read_numbers(read_frames(cut, range(probe(cut).num_frames))) for cut in cuts]
    assert [number for part in numbers for number in part] == list(range(60))
    assert [len(part) for part in numbers] == [11, 14, 35]


def test_a_cut_that_reaches_past_the_end_ends_with_the_film(film):
    info = probe(Cut(film, 2.0, 99.0))
    assert (info.num_frames, info.duration_s) == (10, pytest.approx(0.4, abs=0.05))
    assert typical_duration_s([Cut(film, 0.0, 1.0), Cut(film, 0.0, 1.0), film]) == pytest.approx(1)


def test_a_variable_rate_is_cut_by_time(encode):
    stamps = [40 * i for i in range(10)] + [4400 + 20 * i for i in range(40)]
    path = encode("vfr.mp4", num_frames=50, stamps=stamps, time_base=Fraction(1, 1000))
    with open_video(Cut(path, 4.5, 5.0)) as video:
        assert video.num_frames == 25
        assert video.times_s(range(25)) == pytest.approx(0.02 * np.arange(25), abs=2e-3)
        assert video.fps == pytest.approx(50, rel=1e-2)


def test_frames_outside_of_a_cut_are_refused(film):
    with pytest.raises(KgclipError, match="frames 0 to 25 were asked for, it has frames 0 to 24"):
        read_frames(Cut(film, 0.0, 1.0), [0, 25])


def test_the_preview_of_a_cut_shows_it_alone(film, tmp_path):
    (tmp_path / "cut.mp4").write_bytes(preview(Cut(film, 0.4, 1.2)))
    assert probe(tmp_path / "cut.mp4").num_frames == 20


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (3.0, 4.0, r"film\.\w+: shows no frame from 3 to 4 s, it lasts 2.4 s; correct the times"),
        (1.0, 1.0, "from 1 to 1 s is no interval; expected seconds from 0, the end after the start"),
        (-1.0, 1.0, "is no interval"),
        (0.0, float("inf"), "is no interval"),
        (0.0001, 0.0002, "has less than 1 ms"),
    ],
)
def test_times_that_cannot_be(film, start, end, message):
    with pytest.raises(KgclipError, match=message):
        probe(Cut(film, start, end))


def test_a_cut_is_no_path():
    with pytest.raises(TypeError):
        Path(Cut(Path("a.mp4"), 0.0, 1.0))  # pyright: ignore[reportArgumentType]


times = st.tuples(st.integers(0, 10**7), st.integers(1, 10**7)).map(lambda t: (t[0] / 1000, (t[0] + t[1]) / 1000))


@given(times)
def test_names_of_cuts_tell_their_times(interval):
    cut = Cut(Path("films/a b.mp4"), *interval)
    assert video_at(str(cut)) == cut
    assert interval_of(cut_id("films/a b", cut)) == ("films/a b", cut.start_s, cut.end_s)
    assert name_of(cut) == cut_id("a b", cut)


def test_a_file_with_such_a_name_is_that_file(tmp_path):
    file = tmp_path / "a.mp4#t=1,2"
    file.touch()
    assert video_at(str(file)) == file
    assert video_at("a.mp4#t=1,2") == Cut(Path("a.mp4"), 1.0, 2.0)
    assert video_at("a.mp4#t=1") == Path("a.mp4#t=1")


@pytest.mark.parametrize(
    ("path", "clip"),
    [
        ("/a.mp4", "a"),
        ("/x/golf/here/../a.mp4", "golf/a"),
        ("/x/golf/a.mp4#t=1,2.5", "golf/a@1.000-2.500"),
    ],
)
def test_the_id_of_a_video_is_its_folder_and_its_name(path: str, clip: str):
    assert id_of_file(video_at(path)) == clip
