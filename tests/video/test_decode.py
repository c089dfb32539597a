"""What is read is what plain PyAV decodes from the start, frame by frame, in every container and codec."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kgclip.video import decode, indexing
from kgclip.video.decode import VideoInfo, open_video, probe, read_frames

OPEN_GOP = {"g": "12", "x264-params": "open-gop=1:bframes=3"}
FORMATS = {
    "h264.mp4": {},
    "all_b.mp4": {"options": {"g": "250", "bf": "8", "b_strategy": "0"}},
    "gop12.mp4": {"options": OPEN_GOP},
    "no_b.mp4": {"options": {"g": "10", "bf": "0"}},
    "fragmented.mp4": {
        "options": {"g": "12"},
        "container_options": {"movflags": "frag_keyframe+empty_moov"},
    },
    "hevc.mp4": {"codec": "libx265", "options": {"x265-params": "keyint=12:open-gop=1:log-level=none"}},
    "h264.mkv": {"options": OPEN_GOP},
    "odd.mkv": {"codec": "ffv1", "size": (51, 37), "pix_fmt": "bgr0"},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"g": "20", "auto-alt-ref": "1", "lag-in-frames": "10"}},
    "mpeg4.avi": {"codec": "mpeg4", "options": {"g": "12"}},
    "mpeg4_b.avi": {"codec": "mpeg4", "options": {"g": "12", "bf": "2"}},
    "h264.avi": {"options": {"g": "12"}},
    "mjpeg.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p", "size": (51, 37)},
    "pal.gif": {"codec": "gif", "pix_fmt": "rgb8"},
    "h264.ts": {"options": {"g": "12"}},
    "mpeg2.mpg": {"codec": "mpeg2video", "options": {"bf": "2", "g": "12"}},
    "h264.flv": {"options": {"g": "12"}},
    "wmv2.wmv": {"codec": "wmv2", "options": {"g": "12"}},
    "raw.h264": {"options": {"g": "12"}},
    "ten_bit.mkv": {"codec": "ffv1", "pix_fmt": "yuv422p10le"},
}
# In these FFmpeg knows no presentation times: they are decoded from the start.
WITHOUT_INDEX = {"h264.avi", "raw.h264"}


@pytest.fixture(scope="module", params=FORMATS)
def video(request, encode, decode_all) -> tuple[Path, np.ndarray]:
    path = encode(request.param, **FORMATS[request.param])
    return path, decode_all(path)


@settings(max_examples=16, deadline=None, suppress_health_check=list(HealthCheck))
@given(indices=st.lists(st.integers(0, 59), min_size=1, max_size=12), threads=st.sampled_from([1, 2, 3]))
def test_any_frames_equal_sequential_decoding(video, indices: list[int], threads: int) -> None:
    path, expected = video
    assert np.array_equal(read_frames(path, indices, threads=threads), expected[indices])


def test_frames_are_in_display_order(video, read_numbers) -> None:
    path, _ = video
    with open_video(path) as opened:
        assert opened.num_frames == 60
        assert read_numbers(opened.read(range(60))) == list(range(60))
        assert read_numbers(opened.read([59, 3, 3, 30])) == [59, 3, 3, 30]


def test_every_index_is_found_by_seeking_where_there_are_time_stamps(video, monkeypatch) -> None:
    path, expected = video
    if path.name in WITHOUT_INDEX:
        pytest.skip("no time stamps: read from the start")
    monkeypatch.setattr(decode.Video, "_read_through", lambda self, wanted: pytest.fail("decoded from the start"))
    for index in range(0, 60, 7):
        assert np.array_equal(read_frames(path, [index])[0], expected[index])


def test_probe_knows_size_and_rate(video) -> None:
    path, expected = video
    info = probe(path)
    assert (info.num_frames, info.height, info.width) == expected.shape[:3]
    assert info.fps == pytest.approx(25, rel=0.01)
    assert info.duration_s == pytest.approx(2.4, rel=0.01)
    assert info.rotation_deg == 0


@pytest.mark.parametrize("name", ["h264.mp4", "all_b.mp4", "gop12.mp4", "no_b.mp4", "hevc.mp4"])
def test_the_sample_table_gives_the_same_frames(name: str, encode, decode_all, monkeypatch) -> None:
    path = encode(name, **FORMATS[name])
    expected = decode_all(path)
    monkeypatch.setattr(indexing, "LARGE_FILE_BYTES", 0)
    monkeypatch.setattr(indexing, "index_from_packets", lambda file: pytest.fail("read all packets"))
    monkeypatch.setattr(decode.Video, "_read_through", lambda self, wanted: pytest.fail("decoded from the start"))
    assert probe(path) == VideoInfo(60, 2.4, 25.0, 64, 48, 0)
    for indices in ([59], [11, 12, 13], [0, 31, 7], list(range(60))):
        assert np.array_equal(read_frames(path, indices), expected[indices])


def count_decoded(path: Path, indices: list[int]) -> int:
    with open_video(path) as opened:
        opened.read(indices)
        return opened.file.num_decoded


def test_only_the_needed_frames_are_decoded(encode) -> None:
    short = encode("short.mp4", num_frames=120, options={"g": "12", "bf": "0", "sc_threshold": "0"})
    assert [count_decoded(short, [index]) for index in (0, 11, 12, 119)] == [1, 12, 1, 12]
    assert count_decoded(short, [5, 110]) == 6 + 3
    assert count_decoded(short, [3, 3, 9, 4]) == 10
    assert count_decoded(short, [11, 12]) <= 13
    long = encode("long.mp4", num_frames=120, options={"g": "250", "bf": "0", "sc_threshold": "0"})
    assert count_decoded(long, [0, 60]) == 61
    assert count_decoded(encode("intra.avi", codec="mjpeg", pix_fmt="yuvj420p"), [7, 20, 40]) == 3


def test_unwanted_frames_that_nothing_refers_to_are_skipped(encode) -> None:
    path = encode("b.mp4", num_frames=120, options={"g": "250", "bf": "3", "b_strategy": "0", "sc_threshold": "0"})
    assert count_decoded(path, [100]) < 75


def test_a_file_is_sought_in_no_more_often_than_needed(encode, monkeypatch) -> None:
    path = encode("gop12.mp4", options={"g": "12", "bf": "0", "sc_threshold": "0"})
    starts: list[int] = []
    original = decode.Video._packets_from
    monkeypatch.setattr(
        decode.Video, "_packets_from", lambda self, index, gop: starts.append(gop) or original(self, index, gop)
    )
    with open_video(path) as opened:
        for indices, gops in (([1, 5, 9], [0]), ([10, 13], [0]), ([5, 13], [0, 1]), (range(60), [0])):
            starts.clear()
            opened.read(indices)
            assert starts == gops


@pytest.mark.parametrize("name", ["vfr.mp4", "vfr.mkv"])
@pytest.mark.parametrize("large_file_bytes", [0, 2**40])
def test_variable_frame_rate(
    name: str, large_file_bytes: int, encode: Callable[..., Path], read_numbers, monkeypatch
) -> None:
    monkeypatch.setattr(indexing, "LARGE_FILE_BYTES", large_file_bytes)
    gaps = np.random.default_rng(0).choice([10, 20, 33, 400], 50)
    stamps = [int(stamp) for stamp in np.cumsum(gaps)]
    path = encode(name, num_frames=50, stamps=stamps, time_base=Fraction(1, 1000), options={"g": "12"})
    with open_video(path) as opened:
        assert opened.num_frames == 50
        assert read_numbers(opened.read([49, 0, 25, 26, 12])) == [49, 0, 25, 26, 12]
    assert probe(path).fps == pytest.approx(49_000 / (stamps[-1] - stamps[0]), rel=0.02)


def set_display_matrix(path: Path, a: int, b: int, c: int, d: int) -> None:
    """Write a matrix into the track header of an mp4 (ISO 14496-12, 8.3.2)."""
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40
    for place, entry in zip((0, 1, 3, 4), (a, b, c, d), strict=True):
        data[matrix + 4 * place : matrix + 4 * place + 4] = (entry * 65536).to_bytes(4, "big", signed=True)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("matrix", "turn", "rotation_deg"),
    [
        ((0, 1, -1, 0), lambda frames: np.rot90(frames, -1, (1, 2)), 90),
        ((-1, 0, 0, -1), lambda frames: np.rot90(frames, 2, (1, 2)), 180),
        ((0, -1, 1, 0), lambda frames: np.rot90(frames, 1, (1, 2)), 270),
        ((-1, 0, 0, 1), lambda frames: frames[:, :, ::-1], 0),
        ((1, 0, 0, -1), lambda frames: frames[:, ::-1], 0),
    ],
)
def test_frames_come_out_upright(matrix, turn, rotation_deg: int, encode, decode_all) -> None:
    path = encode("turned.mp4", num_frames=10)
    set_display_matrix(path, *matrix)
    expected = turn(decode_all(path))
    assert np.array_equal(read_frames(path, [7, 2]), expected[[7, 2]])
    info = probe(path)
    assert (info.height, info.width, info.rotation_deg) == (*expected.shape[1:3], rotation_deg)


def test_ffmpegs_own_rotation_tag_is_understood(tmp_path: Path, encode) -> None:
    """FFmpeg turns counterclockwise by the angle it writes."""
    path = tmp_path / "turned.mp4"
    with av.open(str(encode("plain.mp4"))) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        stream.set_display_rotation(90)
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    assert probe(path).rotation_deg == 270


def test_file_names_with_colons_and_percents(encode, tmp_path: Path) -> None:
    path = tmp_path / "http:clip %03d [1].mp4"
    path.write_bytes(encode("plain.mp4").read_bytes())
    assert probe(path).num_frames == 60
    assert read_frames(str(path), np.array([1, 2])).shape == (2, 48, 64, 3)


def test_reading_twice_gives_the_same(encode) -> None:
    with open_video(encode("plain.mp4", options=OPEN_GOP)) as opened:
        first = opened.read([40, 2])
        assert np.array_equal(opened.read([2, 40]), first[::-1])
        assert np.array_equal(opened.read([40, 2]), first)
