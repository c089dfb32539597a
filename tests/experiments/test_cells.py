"""A cell is run once, and its file says of what it is."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from experiments.cells import Cell, run_cells
from experiments.data import OpenData
from experiments.protocol import Point
from kgclip.errors import KgclipError

POINT = Point("both", x=1, frames=4, test_frames=(2, 4))


@pytest.fixture
def cell(tiny_data: OpenData) -> Cell:
    return Cell(tiny_data, POINT, "good", seed=0, fold=0)


def test_a_result(cell: Cell, fake_arms, tmp_path: Path):
    store, scratch = tmp_path / "cells", tmp_path / "scratch"
    assert cell.result(store) is None
    run_cells([cell, replace(cell, arm="bad")], store, scratch)
    result = cell.result(store)
    assert result is not None
    assert set(result["frames"]) == {"2", "4"}
    for metrics in result["frames"].values():
        assert metrics["top1"] == 0.75
        assert metrics["latency_ms"] > 0
    assert result["num_test"] == 24
    assert result["wall_s"] > 0
    assert set(result["made"]) == {"commit", "torch", "gpu"}
    assert result["made"]["torch"] == torch.__version__
    assert not scratch.exists()
    bad = replace(cell, arm="bad").result(store)
    assert bad is not None
    assert bad["frames"]["4"]["top1"] == 0.25
    assert fake_arms.settings[1] is fake_arms.settings[0]


def test_whatever_changes_its_figures_changes_its_file(cell: Cell, tmp_path: Path):
    point, data = cell.point, cell.data
    others = [
        replace(cell, seed=1),
        replace(cell, fold=1),
        replace(cell, arm="bad"),
        replace(cell, data=replace(data, hash="0")),
        replace(cell, data=replace(data, backbone="features:3")),
        replace(cell, data=replace(data, spec=replace(data.spec, folds=5))),
        *(
            replace(cell, point=replace(point, **change))
            for change in (
                {"label_fraction": 0.5},
                {"train_fraction": 0.5},
                {"shots": 2},
                {"frames": 8},
                {"test_frames": (2,)},
                {"novel_fraction": 0.5},
            )
        ),
    ]
    files = {c.file(tmp_path) for c in (cell, *others)}
    assert len(files) == 1 + len(others)
    renamed = replace(cell, point=replace(point, name="other", x=None))
    assert renamed.file(tmp_path) == cell.file(tmp_path)


def test_a_failed_cell_leaves_nothing(cell: Cell, fake_arms, tmp_path: Path):
    fake_arms.fail[1] = KgclipError("no")
    with pytest.raises(KgclipError, match="tiny, both, good, seed 0, fold 0: no"):
        run_cells([cell], tmp_path / "cells", tmp_path / "scratch")
    assert cell.result(tmp_path / "cells") is None
    assert not (tmp_path / "cells").exists()


def test_a_file_that_is_not_its_result(cell: Cell, fake_arms, tmp_path: Path):
    run_cells([cell], tmp_path, tmp_path / "scratch")
    file = cell.file(tmp_path)
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | {"cell": {}}))
    with pytest.raises(KgclipError, match="remove the file"):
        cell.result(tmp_path)
    file.write_text("{")
    with pytest.raises(KgclipError, match="cannot be read as JSON"):
        cell.result(tmp_path)
