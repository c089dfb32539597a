"""Frames of a film at a rate, and of live sources that stall and drop."""

import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from kgclip.errors import KgclipError
from kgclip.video.live import MOST_WAITING, Patience, connection, read_live
from kgclip.video.stream import Pace, StreamFrame, is_live, read_film, shown_name

SOON = Patience(stall_s=0.2, first_wait_s=0.01, longest_wait_s=0.02, attempts=3)
IMAGE = np.zeros((4, 4, 3), np.uint8)


def test_a_pace_takes_the_first_frame_of_each_step():
    pace = Pace(4.0)
    assert [i for i in range(30) if pace.due(i / 25)] == [0, 7, 13, 19, 25]
    slow = Pace(100.0)
    assert all(slow.due(i / 25) for i in range(10))


def test_a_film_is_read_in_order_of_time(encode: Callable[..., Path], read_numbers: Callable[..., list[int]]):
    frames = list(read_film(encode("film.mp4", 60), 5.0))
    assert read_numbers(np.stack([frame.image for frame in frames])) == list(range(0, 60, 5))
    assert [frame.time_s for frame in frames] == pytest.approx([i / 5 for i in range(12)])
    every = list(read_film(encode("shifted.mkv", 12, stamps=[10 + 2 * i for i in range(12)]), 100.0))
    assert [frame.time_s for frame in every] == pytest.approx([2 * i / 25 for i in range(12)], abs=1e-3)


def test_what_is_no_film_is_one_sentence(tmp_path: Path):
    (tmp_path / "a.mp4").write_text("text")
    with pytest.raises(KgclipError, match="not a video"):
        next(read_film(tmp_path / "a.mp4", 5.0))
    with pytest.raises(KgclipError, match="no such file"):
        next(read_film(tmp_path / "b.mp4", 5.0))


def test_sources_are_files_cameras_or_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert [is_live(name) for name in ("0", "/dev/video1", "rtsp://camera/1", "a.mp4", "c:film.mp4")] == [
        *(True, True, True),
        *(False, False),
    ]
    monkeypatch.chdir(tmp_path)
    Path("0").write_text("")
    assert not is_live("0")
    assert shown_name("rtsp://user:secret@camera:554/1") == "rtsp://camera:554/1"
    assert shown_name("film@home.mp4") == "film@home.mp4"


class Source:
    """A fake source: each connection gives the frames of its script, "stall" hangs, "drop" fails, the end ends."""

    def __init__(self, *scripts: list[float | str]):
        self.scripts, self.opened = iter(scripts), 0
        self.release = threading.Event()

    def __call__(self) -> Iterator[StreamFrame]:
        self.opened += 1
        for step in next(self.scripts, ["drop"]):
            if step == "stall":
                self.release.wait()
            elif step == "drop":
                raise OSError("no route to the camera")
            else:
                assert isinstance(step, float)
                yield StreamFrame(IMAGE, step)


def test_a_source_that_stalls_and_drops_is_opened_again():
    source = Source([0.0, 0.1, "stall"], [0.0, 0.1, "drop"], ["drop"], [0.0, 0.1])
    started = time.monotonic()
    times = [frame.time_s for frame in read_live("camera", source, SOON)]
    source.release.set()
    assert len(times) == 6
    assert source.opened == 4
    assert all(later > earlier for earlier, later in itertools.pairwise(times))
    # The time that the source was away has passed.
    assert times[2] - times[0] >= SOON.stall_s
    assert time.monotonic() - started < 5


def test_a_source_that_never_comes_back_is_given_up():
    source = Source([0.0, "drop"])
    with pytest.raises(
        KgclipError, match=r"camera: dropped \(no route to the camera\), also when opened again 3 times"
    ):
        list(read_live("camera", source, SOON))
    assert source.opened == 1 + SOON.attempts
    with pytest.raises(KgclipError, match=r"camera: gave no frame for 0\.2 s; check the address"):
        list(read_live("camera", Source(["stall"]), SOON))


def test_of_a_source_that_is_too_fast_old_frames_are_left_out():
    source = Source([float(i) for i in range(1000)])
    frames = read_live("camera", source, SOON)
    next(frames)
    time.sleep(0.3)
    assert len(list(frames)) <= MOST_WAITING


def test_a_stream_over_the_network_is_read_and_opened_again(encode: Callable[..., Path]):
    """A server that closes the connection after each copy of a transport stream."""
    data = encode("film.ts", 50).read_bytes()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for _ in range(2):
                connection, _ = server.accept()
                with connection:
                    connection.sendall(data)

        thread = threading.Thread(target=serve)
        thread.start()
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        frames = read_live(address, connection(address, 5.0, SOON), Patience(2.0, 0.01, 0.02, 1))
        seen = list(itertools.islice(frames, 14))
        thread.join()
    assert seen[0].image.shape == (48, 64, 3)
    with pytest.raises(KgclipError, match="dropped"):
        list(frames)


def test_an_address_that_does_not_answer_is_one_sentence():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(KgclipError, match=r"gave no frame|dropped"):
            next(read_live(address, connection(address, 5.0, SOON), SOON))
