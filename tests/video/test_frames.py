"""Clips of T frames and their times, from files of constant and variable rate, one at a time and many ahead."""

import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from kgclip.errors import KgclipError
from kgclip.video import indexing
from kgclip.video.decode import open_video, probe, read_frames
from kgclip.video.frames import ClipFrames, read_clip, read_clips
from kgclip.video.sampling import segment_indices

MS = Fraction(1, 1000)


def test_segment_centers_with_their_times(encode) -> None:
    path = encode("clip.mp4")
    clip = read_clip(path, 8)
    assert clip.indices.tolist() == segment_indices(60, 8).tolist() == [3, 11, 18, 26, 33, 41, 48, 56]
    assert np.array_equal(clip.images, read_frames(path, clip.indices))
    assert clip.times_s == pytest.approx(clip.indices / 25)
    assert (clip.num_frames, clip.fps, clip.duration_s) == (60, pytest.approx(25), pytest.approx(2.4))


def test_random_frames_are_those_of_the_generator(encode) -> None:
    path = encode("clip.mp4")
    clip = read_clip(path, 8, rng=np.random.default_rng(7), threads=2)
    assert clip.indices.tolist() == segment_indices(60, 8, rng=np.random.default_rng(7)).tolist()
    assert np.array_equal(clip.images, read_frames(path, clip.indices))


def test_a_clip_of_few_frames_repeats_them(encode, read_numbers) -> None:
    clip = read_clip(encode("short.mp4", num_frames=3), 8)
    assert clip.indices.tolist() == [0, 0, 0, 1, 1, 2, 2, 2]
    assert read_numbers(clip.images) == [0, 0, 0, 1, 1, 2, 2, 2]
    assert clip.times_s == pytest.approx(clip.indices / 25)
    once = clip.distinct()
    assert once.indices.tolist() == read_numbers(once.images) == [0, 1, 2]
    assert once.times_s == pytest.approx([0, 0.04, 0.08])
    assert (once.num_frames, once.duration_s) == (3, pytest.approx(0.12))


@pytest.mark.parametrize("name", ["vfr.mp4", "vfr.mkv", "vfr.ts", "vfr.flv"])
@pytest.mark.parametrize("large_file_bytes", [0, 2**40])
def test_times_of_a_variable_frame_rate_are_those_written(
    name: str, large_file_bytes: int, encode: Callable[..., Path], monkeypatch
) -> None:
    monkeypatch.setattr(indexing, "LARGE_FILE_BYTES", large_file_bytes)
    # Ten frames of 40 ms, a still of 4 s, forty frames of 20 ms: index / mean rate is off by up to 3.3 s.
    stamps = [5000 + 40 * i for i in range(10)] + [9400 + 20 * i for i in range(40)]
    path = encode(name, num_frames=50, stamps=stamps, time_base=MS, options={"g": "12"})
    expected_s = (np.array(stamps) - 5000) / 1000
    clip = read_clip(path, 50)
    assert clip.times_s == pytest.approx(expected_s, abs=2e-3)
    assert np.abs(expected_s - np.arange(50) / clip.fps).max() > 3
    assert read_clip(path, 4).times_s == pytest.approx(expected_s[[6, 18, 31, 43]], abs=2e-3)
    last_s = clip.duration_s - expected_s[-1]
    assert 0.015 < last_s < 0.15  # FLV and the last frame of Matroska tell no duration: the mean stands in
    assert clip.fps == pytest.approx(49 / expected_s[-1], rel=1e-3)
    info = probe(path)
    assert (info.duration_s, info.fps) == (clip.duration_s, clip.fps)


@pytest.mark.parametrize("large_file_bytes", [0, 2**40])
def test_the_last_frame_lasts_as_long_as_the_file_tells(
    large_file_bytes: int, encode, remux, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(indexing, "LARGE_FILE_BYTES", large_file_bytes)

    def hold(number: int, packet: av.Packet) -> av.Packet:
        if number == 3:
            packet.duration = round(1 / packet.time_base)
        return packet

    path = remux(encode("plain.mp4", num_frames=4, options={"bf": "0"}), tmp_path / "held.mp4", hold)
    assert probe(path).duration_s == pytest.approx(3 / 25 + 1)
    assert read_clip(path, 4).times_s == pytest.approx([0, 0.04, 0.08, 0.12])


def test_files_without_presentation_times_count_frames(encode) -> None:
    clip = read_clip(encode("raw.h264"), 6)
    assert clip.times_s == pytest.approx(clip.indices / 25)
    assert clip.duration_s == pytest.approx(2.4)


@pytest.mark.parametrize("workers", [1, 3])
def test_many_clips_come_in_order_with_their_faults(workers: int, encode, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video")
    good = [encode(f"clip {number}.mp4", num_frames=5 + number) for number in range(6)]
    paths = {"a": good[0], "b": broken, **{f"c{n}": path for n, path in enumerate(good[1:])}, "d": tmp_path / "gone"}
    results = dict(read_clips(paths, 4, workers))
    assert list(results) == list(paths)
    for clip, result in results.items():
        if clip in ("b", "d"):
            assert isinstance(result, KgclipError)
            assert str(result).startswith(str(paths[clip]))
        else:
            assert isinstance(result, ClipFrames)
            assert np.array_equal(result.images, read_clip(paths[clip], 4).images)
    assert list(read_clips({}, 4, workers)) == []


def test_sentences_that_are_held_hold_no_file_open(tmp_path: Path) -> None:
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        pytest.skip("counts open files by /proc")
    broken = tmp_path / "broken.gif"
    broken.write_bytes(b"GIF89a\xff\xff\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;")  # 65535 x 1 pixels
    before = len(list(folder.iterdir()))
    held = list(read_clips({str(number): broken for number in range(20)}, 4, 2))
    assert all(isinstance(fault, KgclipError) and fault.__traceback__ is None for _, fault in held)
    assert len(list(folder.iterdir())) <= before


def test_reading_ahead_is_bounded_and_ends_with_its_reader(encode) -> None:
    path = encode("clip.mp4", num_frames=5)
    started: list[Path] = []
    lock = threading.Lock()

    def read(path: Path, num_frames: int) -> ClipFrames:
        with lock:
            started.append(path)
        return read_clip(path, num_frames)

    before = threading.active_count()  # other tests of the process may have left some
    clips = read_clips({str(number): path for number in range(50)}, 2, 2, read)
    for _ in range(10):
        next(clips)
    clips.close()
    assert 10 <= len(started) <= 10 + 2 * 2
    assert threading.active_count() <= before


def test_asked_in_any_order_times_belong_to_their_frames(encode) -> None:
    with open_video(encode("clip.mp4")) as video:
        assert video.times_s([59, 0, 7, 7]) == pytest.approx([2.36, 0, 0.28, 0.28])


def test_clips_that_nobody_reads_to_their_end_may_be_closed_by_a_thread_that_decodes() -> None:
    """Where it collected what an error had left behind, it waited for itself."""
    started, closed = threading.Event(), threading.Event()
    seen: list[BaseException] = []

    def read(path: object, num_frames: int) -> ClipFrames:
        if str(path) == "b":
            started.wait(10)
            try:
                clips.close()
            except BaseException as error:  # noqa: BLE001 (whatever it is)
                seen.append(error)
            closed.set()
        raise KgclipError(f"{path}: is no video")

    clips = read_clips({name: Path(name) for name in "abcd"}, 1, 1, read)
    next(clips)
    started.set()
    assert closed.wait(10)
    assert not seen
