"""Link prediction: at which rank a graph's true edges stand among all others of their relation."""

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

HITS = (1, 3, 10)
# Scores that are looked at together, so that what is computed of them stays small beside a large matrix.
PIECE = 1 << 20


def filtered_ranks(
    scores: Float[Tensor, "heads tails"],
    edges: Bool[Tensor, "heads tails"],
    known: Bool[Tensor, "heads tails"] | None = None,
) -> Float64[Tensor, " ranks"]:
    """Ranks of the true edges of one relation: first among the tails of their head, then among the heads of their tail.

    Filtered: other true edges of the same head (tail) are no rivals. A rank is the mean of the best and the worst
    that an order of equal scores gives ("realistic", arXiv 2002.06914), so that a constant score gains nothing.
    Memory is linear in the matrix.

    Args:
        scores: of every pair; higher is more likely.
        edges: the edges to rank.
        known: further true edges that are not ranked, such as those of training.

    Returns:
        Two ranks an edge, from 1.

    Raises:
        ValueError: a score is not finite.
    """
    if not scores.isfinite().all():
        raise ValueError("ranks need finite scores")
    true = edges if known is None else edges | known
    heads, tails = edges.nonzero(as_tuple=True)
    return torch.cat([_ranks(scores, true, heads, tails), _ranks(scores.T, true.T, tails, heads)])


def _ranks(
    scores: Float[Tensor, "rows columns"],
    true: Bool[Tensor, "rows columns"],
    row: Int64[Tensor, " ranks"],
    column: Int64[Tensor, " ranks"],
) -> Float64[Tensor, " ranks"]:
    """The rank that each of some pairs has among itself and the untrue pairs of its row."""
    rows, position, counts = row.unique(return_inverse=True, return_counts=True)
    # The pairs of a row stand side by side, in the order of their scores, and every rival is placed among them.
    order = position.argsort(stable=True)
    place = torch.empty_like(position)
    place[order] = torch.arange(len(row), device=row.device) - (counts.cumsum(0) - counts)[position[order]]
    wanted = scores.new_full((len(rows), int(counts.max()) if len(row) else 0), torch.inf)
    wanted[position, place] = scores[row, column]
    wanted, sorting = wanted.sort(dim=1)
    ranks = torch.ones(wanted.shape, dtype=torch.float64, device=row.device)
    step = max(1, PIECE // max(1, scores.shape[1]))
    for start in range(0, len(rows), step):
        some = slice(start, start + step)
        rivals = scores[rows[some]].masked_fill_(true[rows[some]], -torch.inf)
        for right in (False, True):
            ranks[some] += _exceeded(wanted[some], rivals, right=right) / 2
    return ranks.gather(1, sorting.argsort(dim=1))[position, place]


def _exceeded(
    wanted: Float[Tensor, "rows places"], rivals: Float[Tensor, "rows columns"], *, right: bool
) -> Int64[Tensor, "rows places"]:
    """How many rivals of its row are above each value (``right``: above or equal); the values come sorted."""
    place = torch.searchsorted(wanted, rivals, right=right)
    counts = place.new_zeros(len(wanted), wanted.shape[1] + 1)
    counts.scatter_add_(1, place, place.new_ones(()).expand_as(place))
    return counts.flip(1).cumsum(1).flip(1)[:, 1:]


def ranking_metrics(ranks: Float64[Tensor, " ranks"]) -> dict[str, float]:
    """MRR, the mean of 1 / rank, and Hits@k, the share of ranks that are at most k; in [0, 1]."""
    hits = {f"hits{k}": float((ranks <= k).double().mean()) for k in HITS}
    return {"mrr": float((1 / ranks).mean()), **hits}
