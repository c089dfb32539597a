"""Damaged, misleading and wrong files: one clear sentence, or the right frames the slow way."""

import os
from pathlib import Path

import av
import numpy as np
import pytest

from kgclip.errors import KgclipError
from kgclip.video import decode, indexing
from kgclip.video.decode import open_video, probe, read_frames
from kgclip.video.index import IndexFaultError


def write_audio(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def cut(path: Path, share: float, folder: Path) -> Path:
    data = path.read_bytes()
    target = folder / f"cut_{path.name}"
    target.write_bytes(data[: int(share * len(data))])
    return target


def assert_refused(path: Path, words: str) -> None:
    for call in (probe, lambda p: read_frames(p, [0])):
        with pytest.raises(KgclipError, match=words) as error:
            call(path)
        assert str(error.value).startswith(str(path))
        assert "\n" not in str(error.value)


def test_files_that_are_no_video(tmp_path: Path) -> None:
    assert_refused(tmp_path / "missing.mp4", "no such file")
    assert_refused(tmp_path, "is a folder without a video, or a device")
    empty = tmp_path / "empty.mp4"
    empty.touch()
    assert_refused(empty, r"is empty \(0 bytes\)")
    for name in ("notes.mp4", "notes.txt"):
        text = tmp_path / name
        text.write_text("not a video\n" * 100)
        assert_refused(text, "not a video|holds no video")
    noise = tmp_path / "noise.mp4"
    noise.write_bytes(np.random.default_rng(0).bytes(10_000))
    assert_refused(noise, "truncated or not a video")
    for name in ("sound.mp4", "sound.mkv"):
        assert_refused(write_audio(tmp_path / name), "holds no video, only audio")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(encode) -> None:
    path = encode("clip.mp4")
    path.chmod(0)
    assert_refused(path, "may not be read")


def test_truncated_files(encode, tmp_path: Path) -> None:
    assert_refused(cut(encode("tail.mp4"), 0.6, tmp_path), "truncated or not a video")
    fast = encode("front.mp4", container_options={"movflags": "faststart"})
    assert_refused(cut(fast, 0.6, tmp_path), r"is truncated, \d+ of at least \d+ bytes")
    for name in ("clip.mkv", "clip.webm", "clip.avi"):
        path = encode(name, codec="libvpx-vp9" if name.endswith("webm") else "mpeg4")
        assert_refused(cut(path, 0.6, tmp_path), r"is truncated, \d+ of at least \d+ bytes")


def test_frames_outside_the_video(encode) -> None:
    path = encode("clip.mp4", num_frames=20)
    for indices, words in (([3, 20], "frames 3 to 20 were"), ([-1], "frames -1 to -1 were"), ([], "no frame was")):
        with pytest.raises(KgclipError, match=f"{words} asked for, it has frames 0 to 19"):
            read_frames(path, indices)


def test_frames_that_do_not_decode_are_counted(encode, remux, tmp_path: Path) -> None:
    source = encode("clip.mkv", options={"g": "12", "bf": "0", "sc_threshold": "0"})

    def spoil(number: int, packet: av.Packet) -> av.Packet:
        if number != 30:
            return packet
        spoilt = av.Packet(b"\x00\x00\x00\x02\x09\xf0")
        spoilt.pts, spoilt.dts, spoilt.time_base = packet.pts, packet.dts, packet.time_base
        return spoilt

    path = remux(source, tmp_path / "spoilt.mkv", spoil)
    assert read_frames(path, [5, 50]).shape[0] == 2
    with pytest.raises(KgclipError, match="is damaged, 59 of its 60 frames can be decoded"):
        read_frames(path, [30])


@pytest.mark.parametrize("threads", [1, 2])
def test_damage_inside_a_frame_stays_in_its_gop_and_quiet(
    threads: int, encode, decode_all, tmp_path: Path, capfd
) -> None:
    """What FFmpeg paints over the damage depends on the frame decoded before, so there no two ways agree."""
    source = encode("clip.mp4", size=(320, 240), options={"g": "25", "bf": "0", "sc_threshold": "0"})
    data = bytearray(source.read_bytes())
    with av.open(str(source)) as container:
        packet = next(p for p in container.demux(video=0) if p.is_keyframe and p.pts)
    for place in range(packet.pos + packet.size // 2, packet.pos + packet.size // 2 + 30):
        data[place] ^= 0xA5
    path = tmp_path / "damaged.mp4"
    path.write_bytes(data)
    expected = decode_all(source)
    assert not np.array_equal(decode_all(path), expected)
    with open_video(path, threads=threads) as video:
        assert video.read([25, 40]).shape == (2, 240, 320, 3)
        sound = [*range(25), *range(50, 60)]
        assert np.array_equal(video.read(sound), expected[sound])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("threads", [1, 2])
def test_a_wrong_index_is_not_believed(threads: int, encode, decode_all, monkeypatch) -> None:
    path = encode("clip.mp4", options={"g": "12"})
    expected = decode_all(path)

    def fault(self, index, gop):
        raise IndexFaultError

    monkeypatch.setattr(decode.Video, "_packets_from", fault)
    assert np.array_equal(read_frames(path, [44, 2], threads=threads), expected[[44, 2]])


@pytest.mark.parametrize("large_file_bytes", [0, 2**40])
def test_every_sample_marked_as_key_frame(large_file_bytes: int, encode, decode_all, monkeypatch) -> None:
    monkeypatch.setattr(indexing, "LARGE_FILE_BYTES", large_file_bytes)
    path = encode("clip.mp4", options={"g": "30"})
    expected = decode_all(path)
    path.write_bytes(path.read_bytes().replace(b"stss", b"free"))
    for indices in ([10], [59, 31], [0]):
        assert np.array_equal(read_frames(path, indices), expected[indices])


@pytest.mark.parametrize("large_file_bytes", [0, 2**40])
def test_an_edit_list_hides_the_first_frames(large_file_bytes: int, encode, decode_all, monkeypatch) -> None:
    monkeypatch.setattr(indexing, "LARGE_FILE_BYTES", large_file_bytes)
    path = encode("clip.mp4", options={"g": "30"})
    data = bytearray(path.read_bytes())
    entry = data.index(b"elst") + 4 + 8  # after the version and the number of entries: duration, then start
    start = int.from_bytes(data[entry + 4 : entry + 8], "big")
    data[entry + 4 : entry + 8] = (start + 17 * 512).to_bytes(4, "big")
    path.write_bytes(data)
    expected = decode_all(path)
    with open_video(path) as video:
        assert video.num_frames == len(expected) == 43
        for indices in ([0], [42, 13, 12], [30]):
            assert np.array_equal(video.read(indices), expected[indices])


@pytest.mark.parametrize(("source", "name"), [("whole.mp4", "clip.mkv"), ("whole.ts", "clip.ts")])
@pytest.mark.parametrize("num_cut", [12, 5, 1])
def test_a_stream_cut_inside_a_gop(
    source: str, name: str, num_cut: int, encode, decode_all, remux, tmp_path: Path
) -> None:
    options = {"g": "12", "x264-params": "open-gop=1:bframes=3:b-adapt=0"}
    path = tmp_path / name
    remux(encode(source, options=options), path, lambda number, packet: packet if number >= num_cut else None)
    expected = decode_all(path)
    with open_video(path) as video:
        assert video.num_frames == len(expected)
        for indices in ([0], [1, 2, 30], [len(expected) - 1]):
            assert np.array_equal(video.read(indices), expected[indices])


def test_packed_b_frames(encode, decode_all, tmp_path: Path) -> None:
    """DivX put a P and a B frame into one packet and an empty frame into the next."""
    source = encode("plain.avi", num_frames=61, codec="mpeg4", options={"g": "12", "bf": "1", "b_strategy": "0"})
    with av.open(str(source)) as container:
        packets = [(bytes(p), p.is_keyframe) for p in container.demux(video=0) if p.size]
    is_b = [data[data.index(b"\x00\x00\x01\xb6") + 4] >> 6 == 2 for data, _ in packets] + [False]
    packed: list[tuple[bytes, bool]] = []
    for (data, is_key), b_follows, b_here in zip(packets, is_b[1:], is_b[:-1], strict=True):
        if b_here:
            packed[-1] = (packed[-1][0] + data, packed[-1][1])
            packed.append((b"\x00\x00\x01\xb6\x50\x5f\xff", False))
        else:
            packed.append((data, is_key))
        assert not (b_here and b_follows)
    packed[0] = (b"\x00\x00\x01\xb2DivX503b1393p" + packed[0][0], True)
    path = tmp_path / "packed.avi"
    with av.open(str(source)) as read, av.open(str(path), "w") as write:
        stream = write.add_stream_from_template(read.streams.video[0])
        for number, (data, is_key) in enumerate(packed):
            packet = av.Packet(data)
            packet.pts = packet.dts = number
            packet.time_base, packet.is_keyframe, packet.stream = read.streams.video[0].time_base, is_key, stream
            write.mux(packet)
    expected = decode_all(path)
    assert len(expected) == 61
    assert np.array_equal(expected, decode_all(source))
    assert np.array_equal(read_frames(path, [60, 0, 31]), expected[[60, 0, 31]])


def test_a_size_that_changes_on_the_way(encode, tmp_path: Path) -> None:
    path = tmp_path / "sizes.h264"
    small, large = encode("small.h264", num_frames=10), encode("large.h264", num_frames=10, size=(128, 96))
    path.write_bytes(small.read_bytes() + large.read_bytes())
    frames = read_frames(path, [2, 15])
    assert frames.shape == (2, 48, 64, 3)
    assert np.abs(frames[1].astype(int) - read_frames(small, [5])[0]).mean() < 10


def test_a_cover_picture_is_no_video(encode, tmp_path: Path) -> None:
    path = tmp_path / "song.mp4"
    with av.open(str(write_audio(tmp_path / "sound.mp4"))) as sound, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(sound.streams.audio[0])
        cover = target.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        picture = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "rgb24")
        target.mux(cover.encode(picture))
        target.mux(cover.encode())
        for packet in sound.demux(sound.streams.audio[0]):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    assert_refused(path, "holds no video, only audio")


def test_several_videos_in_one_file_give_the_first(encode, read_numbers, tmp_path: Path) -> None:
    path = tmp_path / "two.mkv"
    first, second = encode("first.mkv"), encode("second.mkv", num_frames=20)
    with av.open(str(path), "w") as target, av.open(str(first)) as one, av.open(str(second)) as two:
        streams = [target.add_stream_from_template(source.streams.video[0]) for source in (one, two)]
        for source, stream in zip((one, two), streams, strict=True):
            for packet in source.demux(source.streams.video[0]):
                if packet.size:
                    packet.stream = stream
                    target.mux(packet)
    assert probe(path).num_frames == 60
    assert read_numbers(read_frames(path, [50, 1])) == [50, 1]
