"""Features of a data set: nothing encoded is lost, nothing that is there is replaced, what was skipped is reported."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from kgclip.data.features import FeatureFile
from kgclip.engine.encoder import FrameEncoder
from kgclip.engine.extract import extract_features, let_go
from kgclip.errors import KgclipError
from kgclip.identity import Identity
from kgclip.locks import lock
from kgclip.video.encode import write_video

COLOR = Identity(name="color", weights="ab" * 32, preprocessing="none")


class Color:
    """Encodes a frame as its mean color, and counts the clips."""

    def __init__(self):
        self.calls = 0

    def __call__(self, frames: np.ndarray) -> torch.Tensor:
        self.calls += 1
        return torch.from_numpy(frames).float().mean(dim=(1, 2))


@pytest.fixture
def paths(tmp_path: Path) -> dict[str, Path]:
    """Four videos, the third of which is none."""
    (tmp_path / "clips").mkdir()
    rng = np.random.default_rng(0)
    for name in ("a", "b", "d"):
        write_video(tmp_path / "clips" / f"{name}.mp4", rng.integers(0, 255, (6, 32, 32, 3), np.uint8), 12)
    (tmp_path / "clips" / "c.mp4").write_bytes(b"no video")
    return {name: tmp_path / "clips" / f"{name}.mp4" for name in "abcd"}


def sound(paths: dict[str, Path]) -> dict[str, Path]:
    return {name: path for name, path in paths.items() if name != "c"}


def extract(paths: dict[str, Path], out: Path, color: Color, **options):
    return extract_features(FrameEncoder(COLOR, color), paths, 3, out, workers=1, progress=False, **options)


def test_a_run_that_met_a_broken_clip_goes_on_where_it_stopped(paths: dict[str, Path], tmp_path: Path):
    out, color = tmp_path / "f.safetensors", Color()
    with pytest.raises(KgclipError, match=r"c\.mp4: .*; 2 of 4 clips are encoded; correct or remove it and run again"):
        extract(paths, out, color)
    assert not out.exists()
    write_video(paths["c"], np.zeros((6, 32, 32, 3), np.uint8), 12)
    done = extract(paths, out, color)
    assert color.calls == 4
    assert (done.clips, done.encoded, done.skipped) == (4, 2, {})
    whole = tmp_path / "whole.safetensors"
    extract(paths, whole, Color())
    assert out.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clips", "f.safetensors", "whole.safetensors"]


def test_broken_clips_are_left_out_and_reported(paths: dict[str, Path], tmp_path: Path):
    done = extract(paths, tmp_path / "f.safetensors", Color(), keep_going=True)
    assert (done.clips, done.encoded, list(done.skipped)) == (3, 3, ["c"])
    assert "c.mp4" in done.skipped["c"]
    features = FeatureFile(tmp_path / "f.safetensors")
    assert features.clips == ("a", "b", "d")
    assert features.skipped == done.skipped


def test_clips_on_which_the_encoder_fails_are_left_out_too(paths: dict[str, Path], tmp_path: Path):
    color = Color()

    def fails_once(frames: np.ndarray) -> torch.Tensor:
        features = color(frames)
        return features * float("nan") if color.calls == 2 else features

    done = extract_features(
        FrameEncoder(COLOR, fails_once),
        sound(paths),
        3,
        tmp_path / "f.safetensors",
        workers=1,
        keep_going=True,
        progress=False,
    )
    assert done.skipped == {
        "b": "the encoder color returns numbers that are not finite; look for NaN or overflow in it"
    }


def test_a_whole_file_is_not_made_again(paths: dict[str, Path], tmp_path: Path):
    out, color = tmp_path / "f.safetensors", Color()
    extract(paths, out, color, keep_going=True)
    before = out.stat()
    done = extract(paths, out, color)
    assert color.calls == 3
    assert (done.clips, done.encoded, list(done.skipped)) == (3, 0, ["c"])
    assert out.stat().st_mtime_ns == before.st_mtime_ns


def test_what_is_there_is_never_replaced(paths: dict[str, Path], tmp_path: Path):
    out = tmp_path / "f.safetensors"
    out.write_text("my notes")
    with pytest.raises(KgclipError, match=r"f\.safetensors: is no whole safetensors file"):
        extract(sound(paths), out, Color())
    assert out.read_text() == "my notes"
    out.unlink()
    extract(sound(paths), out, Color())
    before = out.read_bytes()
    other = FrameEncoder(COLOR | {"weights": "cd" * 32}, Color())
    with pytest.raises(KgclipError, match=r"holds features by color \(abababab; none\), not by color \(cdcd"):
        extract_features(other, sound(paths), 3, out, workers=1, progress=False)
    with pytest.raises(KgclipError, match="features of 3 frames a clip, not 2; choose another --out, or remove it"):
        extract_features(FrameEncoder(COLOR, Color()), sound(paths), 2, out, workers=1, progress=False)
    with pytest.raises(KgclipError, match="holds features of other clips; choose another --out"):
        extract({"a": paths["a"]}, out, Color())
    assert out.read_bytes() == before


def test_clips_that_are_gone_do_not_come_back_with_a_run_that_goes_on(paths: dict[str, Path], tmp_path: Path):
    out, color = tmp_path / "f.safetensors", Color()
    with pytest.raises(KgclipError, match="2 of 4 clips are encoded"):
        extract(paths, out, color)
    left = {"b": paths["b"], "d": paths["d"]}
    assert extract(left, out, color).encoded == 1
    assert color.calls == 3
    whole = tmp_path / "whole.safetensors"
    extract(left, whole, Color())
    assert out.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("whole", [False, True])
def test_only_clips_that_have_changed_are_encoded_again(whole: bool, paths: dict[str, Path], tmp_path: Path):
    out, color = tmp_path / "f.safetensors", Color()
    if whole:
        extract(sound(paths), out, color)
    else:
        with pytest.raises(KgclipError, match="2 of 4 clips are encoded"):
            extract(paths, out, color)
    calls = color.calls
    write_video(paths["a"], np.full((6, 32, 32, 3), 200, np.uint8), 12)
    encoder = FrameEncoder(COLOR, color)
    let_go(encoder, sound(paths), 3, out, {"b", "c", "d"})
    let_go(encoder, sound(paths), 3, out, {"a", "b", "c", "d"})  # killed before anything was encoded
    extract(sound(paths), out, color)
    assert color.calls == calls + (1 if whole else 2)
    features = FeatureFile(out)
    assert set(features.clips) == {"a", "b", "d"}
    assert float(features["a"][0].mean()) == pytest.approx(200, abs=5)
    let_go(encoder, sound(paths), 3, out, {"a", "b", "d"})  # nothing to do
    assert out.is_file()
    with pytest.raises(KgclipError, match="features of 3 frames a clip, not 2"):
        let_go(encoder, sound(paths), 2, out, {"b"})
    assert set(FeatureFile(out).clips) == {"a", "b", "d"}


def test_one_process_at_a_time_writes_a_file(paths: dict[str, Path], tmp_path: Path):
    out = tmp_path / "f.safetensors"
    with lock(out), pytest.raises(KgclipError, match=f"process {os.getpid()} is writing it"):
        extract(sound(paths), out, Color())
    extract(sound(paths), out, Color())


KILLED = """
import sys, time
from pathlib import Path
import torch
from kgclip.engine.encoder import FrameEncoder
from kgclip.engine.extract import extract_features
identity = {"name": "color", "weights": "ab" * 32, "preprocessing": "none"}
folder, calls = Path(sys.argv[1]), []
def encode(frames):
    calls.append(1)
    if len(calls) == 3:
        (folder / "two").touch()
        time.sleep(60)
    return torch.from_numpy(frames).float().mean(dim=(1, 2))
paths = {name: folder / "clips" / f"{name}.mp4" for name in "abd"}
extract_features(FrameEncoder(identity, encode), paths, 3, folder / "f.safetensors", workers=1, progress=False)
"""


def test_a_killed_process_loses_no_clip(paths: dict[str, Path], tmp_path: Path):
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)])
    end = time.monotonic() + 60
    while not (tmp_path / "two").exists() and time.monotonic() < end:
        time.sleep(0.05)
    process.kill()
    process.wait()
    color = Color()
    done = extract(sound(paths), tmp_path / "f.safetensors", color)
    assert (done.clips, done.encoded, color.calls) == (3, 1, 1)
