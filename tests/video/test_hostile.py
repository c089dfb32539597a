"""Files that would open others, take all memory, or confuse their reader: one sentence each, and quickly."""

import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from kgclip.errors import KgclipError
from kgclip.video import container
from kgclip.video.decode import open_video, probe, read_frames

IN_OPEN = 0x20
PLAYLISTS = {
    "x.m3u8?x.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nother.mp4\n#EXT-X-ENDLIST\n",
    "list.mp4": "ffconcat version 1.0\nfile other.mp4\n",
    "session.mp4": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    "manifest.mp4": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period/></MPD>',
    "screen.txt": "plain text\n" * 100,
}


@pytest.fixture
def other(encode, tmp_path: Path) -> Iterator[Callable[[], bool]]:
    """A video named ``other.mp4``; the function tells whether anybody has opened it since it was last asked."""
    if not sys.platform.startswith("linux"):
        pytest.skip("watches by inotify")
    path = tmp_path / "other.mp4"
    path.write_bytes(encode("plain.mp4").read_bytes())
    libc = ctypes.CDLL(None)
    watch = libc.inotify_init1(os.O_NONBLOCK)
    assert libc.inotify_add_watch(watch, bytes(path), IN_OPEN) > 0

    def was_opened() -> bool:
        try:
            return bool(os.read(watch, 4096))
        except BlockingIOError:
            return False

    yield was_opened
    os.close(watch)


def test_the_watch_sees_a_reader(other: Callable[[], bool], tmp_path: Path) -> None:
    assert not other()
    probe(tmp_path / "other.mp4")
    assert other()


@pytest.mark.parametrize("name", PLAYLISTS)
def test_a_list_of_files_is_no_video(name: str, other: Callable[[], bool], tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(PLAYLISTS[name])
    with pytest.raises(KgclipError, match="not a video") as error:
        probe(path)
    assert str(error.value).startswith(str(path))
    assert not other()


def test_an_mp4_whose_samples_lie_elsewhere(encode, other: Callable[[], bool], tmp_path: Path) -> None:
    """An alias as data reference (QuickTime File Format, `dref`), by name in the same folder."""
    data = bytearray(encode("plain.mp4").read_bytes())
    name = b"other.mp4"
    alias = bytes(10) + b"\x01" + b"v".ljust(27, b"\0") + bytes(12) + bytes([len(name)]) + name.ljust(63, b"\0")
    alias += bytes(16) + b"\0\x01\0\x01" + bytes(16) + b"\0\x02\0\x0a/" + name + b"\xff\xff\0\0"
    entry = (12 + len(alias)).to_bytes(4, "big") + b"alis" + bytes(4) + alias
    start = data.index(b"dref") + 12
    for box in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        size = data.index(box) - 4
        grown = int.from_bytes(data[size : size + 4], "big") + len(entry) - 12
        data[size : size + 4] = grown.to_bytes(4, "big")
    data[start : start + 12] = entry
    path = tmp_path / "elsewhere.mp4"
    path.write_bytes(data)
    with pytest.raises(KgclipError, match=r"elsewhere\.mp4"):
        read_frames(path, [0])
    assert not other()
    with av.open(str(path), container_options={"enable_drefs": "1"}):
        assert other()  # the alias leads there


def test_a_title_in_latin_1(encode, tmp_path: Path) -> None:
    path = tmp_path / "titled.avi"
    with av.open(str(encode("plain.avi", codec="mpeg4"))) as source, av.open(str(path), "w") as target:
        target.metadata["title"] = "xxxxxxxx"
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    data = path.read_bytes()
    assert b"xxxxxxxx" in data
    path.write_bytes(data.replace(b"xxxxxxxx", "Fußgröße".encode("latin-1")))
    with pytest.raises(UnicodeDecodeError):
        av.open(str(path))
    assert probe(path).num_frames == 60


def write_gif(path: Path, width: int, height: int) -> Path:
    """One pixel on a canvas of that size."""
    canvas = width.to_bytes(2, "little") + height.to_bytes(2, "little")
    path.write_bytes(b"GIF89a" + canvas + b"\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;")
    return path


def test_frames_of_odd_sizes_are_refused_before_they_are_decoded(tmp_path: Path, monkeypatch) -> None:
    assert probe(write_gif(tmp_path / "fair.gif", 320, 10)).width == 320
    monkeypatch.setattr(container.VideoFile, "decode", lambda self, packet: pytest.fail("decoded"))
    for width, height in ((65535, 1), (1, 65535), (330, 10), (12000, 6000)):
        with pytest.raises(KgclipError, match=f"has frames of {width}x{height}, expected at most 67,108,864 pixels"):
            probe(write_gif(tmp_path / "odd.gif", width, height))


def test_frames_that_grow_on_the_way_are_not_decoded(encode, tmp_path: Path, monkeypatch) -> None:
    small, large = encode("small.h264", num_frames=10), encode("large.h264", num_frames=10, size=(640, 480))
    path = tmp_path / "grows.h264"
    path.write_bytes(small.read_bytes() + large.read_bytes())
    assert probe(path).num_frames == 20
    monkeypatch.setattr(container, "MAX_PIXELS", 64 * 64)
    with pytest.raises(KgclipError, match=r"grows\.h264"):
        read_frames(path, [15])


@pytest.mark.parametrize(
    "fault",
    [MemoryError(), ValueError("odd"), OverflowError("odd\nand odder"), UnicodeDecodeError("ascii", b"x", 0, 1, "odd")],
)
@pytest.mark.parametrize("place", ["packets", "decode"])
def test_whatever_the_reader_raises_is_the_files_sentence(fault: Exception, place: str, encode, monkeypatch) -> None:
    path = encode("clip.mp4")

    def fail(*_: object) -> None:
        raise fault

    monkeypatch.setattr(container.VideoFile, place, fail)
    with pytest.raises(KgclipError, match="memory" if isinstance(fault, MemoryError) else "odd") as error:
        probe(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)
    assert error.value.__cause__ is fault


def test_what_the_caller_raises_is_its_own(encode) -> None:
    with pytest.raises(ValueError, match="mine"), open_video(encode("clip.mp4")):
        raise ValueError("mine")


def test_helpers_open_files_as_carefully(encode, monkeypatch) -> None:
    path = encode("clip.mp4", options={"g": "6", "sc_threshold": "0"})
    options: list[object] = []
    original = av.open
    monkeypatch.setattr(av, "open", lambda *args, **kwargs: options.append(kwargs) or original(*args, **kwargs))
    with open_video(path, threads=2) as video:
        assert np.array_equal(video.read(range(0, 60, 6)), read_frames(path, range(0, 60, 6)))
        list(video.file.decode_all())
    assert len(options) >= 4
    expected = {"container_options": container.OPTIONS, "metadata_errors": "replace", "timeout": container.MOST_S}
    assert all(given == expected for given in options)
