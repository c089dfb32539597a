"""Golden ranks for experiments.ranking from pykeen 1.11.1: `python benchmarks/pykeen_ranks.py ranks.json`.

Random scores of heads × tails with many ties, edges to rank and further known edges that are filtered. pykeen's own
evaluation of a batch runs; only the model is replaced by the matrix, so that the candidates are those of the relation.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pykeen.evaluation import RankBasedEvaluator  # pyright: ignore[reportMissingImports]
from pykeen.evaluation.evaluator import _evaluate_batch  # pyright: ignore[reportMissingImports]
from torch import Tensor

# Heads, tails, number of distinct scores, share of edges that are ranked, share that is known.
CASES = ((6, 5, 3, 0.2, 0.2), (12, 9, 4, 0.3, 0.2), (20, 30, 50, 0.1, 0.1), (15, 8, 1, 0.2, 0.3), (9, 14, 6, 0.4, 0.0))
METRICS = {"mrr": "inverse_harmonic_mean_rank", "hits1": "hits_at_1", "hits3": "hits_at_3", "hits10": "hits_at_10"}


class Matrix:
    """A model whose scores are given."""

    def __init__(self, scores: Tensor) -> None:
        self.scores = scores

    def predict(self, hrt_batch: Tensor, target: str, **_: Any) -> Tensor:
        """The scores of all tails (heads) of each triple's head (tail)."""
        return self.scores[hrt_batch[:, 0]] if target == "tail" else self.scores.T[hrt_batch[:, 2]]


def triples(edges: np.ndarray) -> Tensor:
    """The edges of a boolean matrix as (head, 0, tail)."""
    heads, tails = torch.from_numpy(edges).nonzero(as_tuple=True)
    return torch.stack([heads, torch.zeros_like(heads), tails], dim=1)


def case(seed: int, heads: int, tails: int, distinct: int, ranked: float, known: float) -> dict[str, Any]:
    """One matrix of scores and what pykeen makes of it."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(distinct, size=(heads, tails)) / 4 - 1
    chance = rng.random((heads, tails))
    edges, others = chance < ranked, (chance >= ranked) & (chance < ranked + known)
    evaluator = RankBasedEvaluator(filtered=True, clear_on_finalize=False)
    matrix, batch = Matrix(torch.from_numpy(scores).float()), triples(edges)
    for target in ("tail", "head"):
        positives = torch.cat([batch, triples(others)])
        _evaluate_batch(batch, matrix, target, evaluator, None, positives, None, None, mode=None)
    result = evaluator.finalize()
    return {
        "scores": scores.tolist(),
        "edges": edges.tolist(),
        "known": others.tolist(),
        **{f"{side}_ranks": evaluator.ranks[side, "realistic"][0].tolist() for side in ("tail", "head")},
        **{name: float(result.get_metric(f"both.realistic.{metric}")) for name, metric in METRICS.items()},
    }


if __name__ == "__main__":
    cases = [case(seed, *options) for seed, options in enumerate(CASES)]
    Path(sys.argv[1]).write_text(json.dumps({"pykeen": "1.11.1", "cases": cases}) + "\n")
