"""Numpy finds the nearest rows; usearch nearly all of them, also when rows come and go."""

import sys
from pathlib import Path

import numpy as np
import pytest

from kgclip.errors import KgclipError
from kgclip.search.nearest import Graph, build_graph, nearest_exact, recall, unit_rows

RNG = np.random.default_rng(0)
ROWS, QUERIES = (unit_rows(RNG.standard_normal((count, 16)).astype(np.float32)) for count in (400, 20))


def test_numpy_is_exact():
    rows, cosines = nearest_exact(ROWS, QUERIES[0], 5)
    every = ROWS.astype(np.float64) @ QUERIES[0]
    assert rows.tolist() == np.argsort(-every)[:5].tolist()
    assert cosines == pytest.approx(every[rows], abs=1e-6)
    assert len(nearest_exact(ROWS[:3], QUERIES[0], 5)[0]) == 3


def found(path: Path, ids: np.ndarray, rows: np.ndarray) -> float:
    graph = Graph(path, ids, 16)
    exact = [nearest_exact(rows, query, 10)[0].tolist() for query in QUERIES]
    return recall([graph.nearest(query, 10)[0].tolist() for query in QUERIES], exact)


def test_a_graph_finds_nearly_all_also_after_rows_have_come_and_gone(tmp_path: Path):
    ids = np.arange(300)
    build_graph(ROWS[:300], ids, tmp_path / "first")
    assert found(tmp_path / "first", ids, ROWS[:300]) > 0.95
    keep = np.r_[100:400]
    build_graph(ROWS[keep], keep, tmp_path / "second", tmp_path / "first")
    assert found(tmp_path / "second", keep, ROWS[keep]) > 0.95
    rows, cosines = Graph(tmp_path / "second", keep, 16).nearest(ROWS[350], 1)
    assert rows.tolist() == [250]
    assert cosines == pytest.approx([1], abs=0.02)


def test_without_usearch_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    with pytest.raises(KgclipError, match=r"usearch: is not installed.*pip install 'kgclip\[search\]'"):
        build_graph(ROWS, np.arange(400), tmp_path / "graph")
