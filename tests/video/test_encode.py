from pathlib import Path

import av
import numpy as np
import pytest

from kgclip.errors import KgclipError
from kgclip.video.encode import write_video, writing_frames


def _frames(count: int) -> np.ndarray:
    ramp = np.linspace(20, 220, 64, dtype=np.uint8)
    still = np.broadcast_to(ramp[None, :, None], (48, 64, 3))
    return np.stack([np.roll(still, 2 * shift, axis=1) for shift in range(count)])


@pytest.mark.parametrize("fps", [15, 24, 25, 30])
def test_what_is_written_can_be_read(tmp_path: Path, fps: int):
    frames = _frames(20)
    write_video(tmp_path / "clip.mp4", frames, fps)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == fps
        read = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(stream)])
    assert read.shape == frames.shape
    assert np.abs(read.astype(int) - frames).mean() < 4
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


def test_the_same_frames_give_the_same_bytes(tmp_path: Path):
    write_video(tmp_path / "a.mp4", _frames(9), 25)
    write_video(tmp_path / "b.mp4", _frames(9), 25)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


@pytest.mark.parametrize("shape", [(0, 48, 64, 3), (3, 47, 64, 3), (3, 48, 63, 3)])
def test_what_h264_cannot_hold_is_refused(tmp_path: Path, shape: tuple[int, ...]):
    with pytest.raises(KgclipError, match="expected at least one and even sizes"):
        write_video(tmp_path / "clip.mp4", np.zeros(shape, dtype=np.uint8), 25)
    assert not list(tmp_path.iterdir())


def test_frames_are_written_as_they_come_at_their_times(tmp_path: Path):
    times = [0.0, 0.1, 0.1, 2.0, 2.04]
    frames = [*_frames(4), np.zeros((32, 32, 3), np.uint8)]
    with writing_frames(tmp_path / "film.mp4", 12.5) as writer:
        for image, time_s in zip(frames, times, strict=True):
            writer.write(image, time_s)
    with av.open(str(tmp_path / "film.mp4")) as container:
        read = [(float(frame.time or 0), frame.width) for frame in container.decode(video=0)]
    assert read == [(pytest.approx(time_s, abs=2e-3), 64) for time_s in times]
    with pytest.raises(KgclipError, match="got no frame"), writing_frames(tmp_path / "none.mp4", 25.0):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]
