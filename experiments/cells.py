"""Cells of an experiment: one arm on one setting each, measured once and kept as a file."""

import dataclasses
import hashlib
import json
import re
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from experiments.arms import ARMS
from experiments.data import CELL, OpenData, open_setting, published_split
from experiments.measure import cell_metrics
from experiments.protocol import Point
from experiments.setting import Fitted, Setting
from kgclip.engine.checkpoint import choose_device
from kgclip.engine.code_version import code_version
from kgclip.errors import KgclipError
from kgclip.files import atomic_path, read_json

# Raise it when a cell measures something else.
FORMAT = 2


@dataclass(frozen=True)
class Cell:
    """What is run once.

    Attributes:
        data: of its seed.
        point: of the protocol.
        arm: a name in :data:`experiments.arms.ARMS`.
        seed: of the split, initialization and order.
        fold: which fold is the test part.
    """

    data: OpenData
    point: Point
    arm: str
    seed: int
    fold: int

    def __str__(self) -> str:
        return f"{self.data.spec.name}, {self.point.name}, {self.arm}, seed {self.seed}, fold {self.fold}"

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Everything that its figures depend on, as JSON values; names of points and experiments are not among it."""
        point = {key: value for key, value in dataclasses.asdict(self.point).items() if key not in ("name", "x")}
        return {
            "format": FORMAT,
            "version": version("kgclip"),
            "data": self.data.hash,
            "backbone": self.data.backbone,
            "text": self.data.spec.text,
            "pixels": self.data.spec.pixels,
            "folds": 0 if self.point.published else self.data.spec.folds,
            "point": point | {"test_frames": list(self.point.test_frames)},
            "arm": self.arm,
            "seed": self.seed,
            "fold": self.fold,
        } | ({} if self.point.published is None else {"split": published_split(self.data.spec, self.point).hash})

    def file(self, store: Path) -> Path:
        """Where its result lies under ``store``; cells of several experiments may be the same one."""
        digest = hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()[:16]
        arm = re.sub(r"[^a-z0-9]+", "-", self.arm.lower()).strip("-")
        return store / arm / f"seed-{self.seed}-fold-{self.fold}-{digest}.json"

    def result(self, store: Path) -> dict[str, Any] | None:
        """Its result, None before it was run.

        Raises:
            KgclipError: the file is damaged.
        """
        file = self.file(store)
        if not file.exists():
            return None
        result = read_json(file)
        if not isinstance(result, dict) or result.get("cell") != self.identity:
            raise KgclipError(f"{file}: is not the result of the cell that its name says; remove the file")
        return result


def run_cells(cells: Sequence[Cell], store: Path, scratch: Path) -> None:
    """Run the arms of one setting and keep what each gives: ``frames`` with the metrics at every T, and counts.

    Args:
        cells: of one point, seed and fold.
        store: the folder of results.
        scratch: where the arms may write; removed afterwards.

    Raises:
        KgclipError: the data cannot be cut so, or an arm refuses it; the sentence names the cell.
    """
    cell = cells[0]
    try:
        setting = open_setting(cell.data, cell.point, cell.seed, cell.fold, scratch)
        for cell in cells:
            _run_cell(cell, setting, store)
            shutil.rmtree(scratch / CELL, ignore_errors=True)
    except KgclipError as error:
        raise KgclipError(f"{cell}: {error}") from error
    except Exception as error:
        error.add_note(f"in the cell: {cell}")
        raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _run_cell(cell: Cell, setting: Setting, store: Path) -> None:
    started = time.monotonic()
    torch.manual_seed(cell.seed)
    fitted = ARMS[cell.arm](setting)
    frames = {str(num_frames): _measure(setting, fitted, num_frames) for num_frames in cell.point.test_frames}
    result = {
        "cell": cell.identity,
        "num_test": len(setting.prepared.split.test),
        "wall_s": round(time.monotonic() - started, 3),
        "made": made_by(setting),
        "frames": frames,
    }
    with atomic_path(cell.file(store)) as temporary:
        temporary.write_text(json.dumps(result, indent=1) + "\n")


def made_by(setting: Setting) -> dict[str, str | None]:
    """What makes a cell: the commit of the code, PyTorch's version, and the GPU, if any."""
    gpu = choose_device(setting.config.device).startswith("cuda")
    return {
        "commit": code_version()["commit"],
        "torch": torch.__version__,
        "gpu": torch.cuda.get_device_name() if gpu else None,
    }


def _measure(setting: Setting, fitted: Fitted, num_frames: int) -> dict[str, float]:
    """The metrics at T, and on cached features the time of scoring: milliseconds a clip, all test clips at once."""
    metrics = cell_metrics(setting, fitted, num_frames)
    if setting.config.features is None:
        return metrics
    clips = setting.prepared.split.test
    started = time.perf_counter()
    fitted.scores(clips, num_frames)
    return metrics | {"latency_ms": 1000 * (time.perf_counter() - started) / len(clips)}
