"""A reader of files that are no videos: what is read is written in them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from kgclip.errors import KgclipError
from kgclip.search.rows import Reading, Seen

ACTIONS = ["push up", "clean and jerk"]
MOVEMENTS = ["left arm raise", "right leg kick", "head turn", "hip bend"]


@dataclass
class WrittenReader:
    """Stands in for :class:`kgclip.search.reading.ClipReader`.

    Attributes:
        model: its hash.
        read_files: of every call.
    """

    model: str = "a" * 64
    read_files: list[str] = field(default_factory=list)

    @property
    def identity(self) -> dict[str, Any]:
        return {"model": self.model, "pose": None}

    def vocabulary(self) -> dict[str, Any]:
        told, definitions = [True, True, True, False], [[0, 2], [1]]
        return {"actions": ACTIONS, "movements": MOVEMENTS, "told": told, "definitions": definitions, "text": True}

    def read(self, path: Path) -> list[Reading]:
        self.read_files.append(path.name)
        try:
            rows = orjson.loads(path.read_bytes())
        except orjson.JSONDecodeError:
            raise KgclipError(f"{path}: is damaged") from None
        readings = []
        for number, row in enumerate(rows):
            vector = np.array(row["vector"], np.float32)
            vector /= np.linalg.norm(vector)
            probability = np.array(row.get("probability", [0.5, 0.5]), np.float32)
            picture = np.array(row.get("sketch", [0, 0, 0, 0]), np.uint8)
            seen = tuple(Seen(*item) for item in row.get("seen", []))
            readings.append(Reading(float(number), number + 1.0, vector, probability, picture, seen))
        return readings

    def text_vector(self, text: str) -> np.ndarray:
        return np.array([1, 0] if "first" in text else [0, 1], np.float32)


@pytest.fixture
def reader() -> WrittenReader:
    return WrittenReader()


def write_clip(path: Path, *rows: dict[str, Any]) -> Path:
    """A file for :class:`WrittenReader`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(orjson.dumps(list(rows)))
    return path


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Four clips; the last has two stretches."""
    folder = tmp_path / "videos"
    clips: dict[str, Sequence[dict[str, Any]]] = {
        "a.mp4": [{"vector": [1, 0], "probability": [0.9, 0.1], "seen": [[0, 0.1, 0.3, 0.9], [1, 0.5, 0.8, 0.6]]}],
        "b.mp4": [{"vector": [1, 1], "probability": [0.2, 0.8], "seen": [[1, 0.0, 0.2, 0.7], [0, 0.4, 0.9, 0.8]]}],
        "in/c.mp4": [{"vector": [0, 1], "probability": [0.6, 0.4], "seen": [[0, 0.0, 0.5, 0.7], [1, 0.3, 0.7, 0.7]]}],
        "in/d.mp4": [
            {"vector": [1, 0.1], "seen": [[2, 0.2, 0.4, 0.5]]},
            {"vector": [-1, 0.2], "probability": [0.7, 0.3], "seen": [[0, 1.1, 1.4, 0.8]]},
        ],
    }
    for name, rows in clips.items():
        write_clip(folder / name, *rows)
    return folder
