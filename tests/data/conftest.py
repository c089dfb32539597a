"""Tiny data sets on disk; their videos are stand-ins, which only decoding would notice."""

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

WORDS = {
    "body_part": "head\nhip\nleft_arm\nright_arm\nleft_hand\nright_hand\nleft_leg\nright_leg\nleft_foot\nright_foot\n",
    "part_stat": "bend\nunbend\nhold\nstep_on\nnone\nothers\n",
    "object": "barbell\nlittle_ball\nnone\n",
}


@pytest.fixture
def videos() -> Callable[[Path, Iterable[str]], None]:
    """Writes stand-ins for videos of different content: ``videos(root, ["lunge/a.mp4"])``."""

    def write(root: Path, names: Iterable[str]) -> None:
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(os.fsencode(name))

    return write


@pytest.fixture
def annotate() -> Callable[[Path, str, Any], Path]:
    """Writes one frame: ``annotate(root, "lunge/a/a/img_00001.json", humans)``; text and bytes as they are."""

    def write(root: Path, name: str, content: Any) -> Path:
        path = root / "train_annotations" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(json.dumps({"humans": content} if isinstance(content, list) else content))
        return path

    return write


@pytest.fixture
def tps(tmp_path: Path, videos: Callable, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Kinetics-TPS root with three clips and a vocabulary, without annotations yet."""
    root = tmp_path / "tps"
    videos(root, ["train_videos/push_up/a.mp4", "train_videos/push_up/b.mp4", "train_videos/lunge/-c.mp4"])
    (root / "list").mkdir()
    for name, words in WORDS.items():
        (root / "list" / f"{name}.txt").write_text(words)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return root
