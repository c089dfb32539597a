"""Ranks against pykeen's on the same scores, against counting, and by hand."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from experiments import ranking
from experiments.ranking import filtered_ranks, ranking_metrics

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "ranks.json").read_text())


@pytest.mark.parametrize("case", GOLDEN["cases"])
def test_ranks_equal_pykeens(case: dict[str, Any]):
    """Made by benchmarks/pykeen_ranks.py; scores with ties, filtered by further known edges."""
    edges, known = torch.tensor(case["edges"]), torch.tensor(case["known"])
    ranks = filtered_ranks(torch.tensor(case["scores"]), edges, known)
    assert ranks.tolist() == case["tail_ranks"] + case["head_ranks"]
    for name, value in ranking_metrics(ranks).items():
        assert value == pytest.approx(case[name], rel=1e-6), name  # pykeen takes means in float32


def counted_rank(scores: Tensor, true: Tensor, position: int) -> float:
    """The mean of the best and the worst place of one candidate among itself and the untrue ones."""
    rivals = [float(s) for s, t in zip(scores, true, strict=True) if not t]
    mine = float(scores[position])
    return 1 + (sum(r > mine for r in rivals) + sum(r >= mine for r in rivals)) / 2


@given(st.integers(0, 1000), st.integers(1, 7), st.integers(1, 7), st.integers(1, 5))
def test_ranks_equal_counting(seed: int, heads: int, tails: int, distinct: int):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randint(distinct, (heads, tails), generator=generator).float()
    edges, known = (torch.rand(heads, tails, generator=generator) < 0.3 for _ in range(2))
    true = edges | known
    pairs = edges.nonzero().tolist()
    expected = [counted_rank(scores[h], true[h], t) for h, t in pairs]
    expected += [counted_rank(scores[:, t], true[:, t], h) for h, t in pairs]
    assert filtered_ranks(scores, edges, known).tolist() == expected


@pytest.mark.parametrize("piece", [1, 40])
def test_ranks_are_the_same_in_pieces(piece: int, monkeypatch: pytest.MonkeyPatch):
    generator = torch.Generator().manual_seed(0)
    scores = torch.randint(9, (12, 17), generator=generator).float()
    edges = torch.rand(12, 17, generator=generator) < 0.2
    whole = filtered_ranks(scores, edges)
    monkeypatch.setattr(ranking, "PIECE", piece)
    assert torch.equal(filtered_ranks(scores, edges), whole)


def test_no_edges_have_no_ranks():
    assert filtered_ranks(torch.zeros(2, 3), torch.zeros(2, 3, dtype=torch.bool)).shape == (0,)


def test_by_hand():
    scores = torch.tensor([[3.0, 2.0, 1.0], [0.0, 2.0, 2.0]])
    edges = torch.tensor([[False, True, False], [False, False, True]])
    # (0, 1): 3 is above it among the tails; the 2 of head 1 ties, so that its rank there is 1.5.
    # (1, 2): it ties with a 2 among the tails, and is first among the heads.
    ranks = filtered_ranks(scores, edges)
    assert ranks.tolist() == [2, 1.5, 1.5, 1]
    metrics = ranking_metrics(ranks)
    assert metrics["mrr"] == pytest.approx((1 / 2 + 2 / 3 + 2 / 3 + 1) / 4)
    assert (metrics["hits1"], metrics["hits3"], metrics["hits10"]) == (0.25, 1, 1)
    # With (0, 0) known, nothing is above (0, 1) among the tails any more.
    known = torch.zeros_like(edges)
    known[0, 0] = True
    assert filtered_ranks(scores, edges, known).tolist() == [1, 1.5, 1.5, 1]


def test_a_constant_score_gains_nothing():
    edges = torch.zeros(1, 21, dtype=torch.bool)
    edges[0, 7] = True
    assert filtered_ranks(torch.zeros(1, 21), edges).tolist() == [11, 1]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_scores_that_are_no_numbers_have_no_ranks(bad: float):
    with pytest.raises(ValueError, match="finite"):
        filtered_ranks(torch.tensor([[1.0, bad]]), torch.tensor([[True, False]]))
