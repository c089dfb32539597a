"""Link prediction: at which rank a graph's true edges stand among all others of their relation."""

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

HITS = (1, 3, 10)


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
    tails = _ranks_in_rows(scores, true)[edges]
    heads = _ranks_in_rows(scores.T, true.T).T[edges]
    return torch.cat([tails, heads])


def _ranks_in_rows(
    scores: Float[Tensor, "rows columns"], true: Bool[Tensor, "rows columns"]
) -> Float[Tensor, "rows columns"]:
    """The rank that each pair has among itself and the untrue pairs of its row."""
    scores = scores.contiguous()
    rivals = scores.masked_fill(true, -torch.inf).sort(dim=1).values
    num = scores.shape[1]
    above = num - torch.searchsorted(rivals, scores, right=True)
    at_least = num - torch.searchsorted(rivals, scores)
    return 1 + (above + at_least).double() / 2


def ranking_metrics(ranks: Float64[Tensor, " ranks"]) -> dict[str, float]:
    """MRR, the mean of 1 / rank, and Hits@k, the share of ranks that are at most k; in [0, 1]."""
    hits = {f"hits{k}": float((ranks <= k).double().mean()) for k in HITS}
    return {"mrr": float((1 / ranks).mean()), **hits}
