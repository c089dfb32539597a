"""The triplet encoder: every relation its own subspace, with deviation compensation."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from kgclip.models.options import Epsilon, Subspace


@dataclass(frozen=True)
class Projected:
    """Heads and tails of one relation in that relation's subspace (not normalized)."""

    heads: Float[Tensor, "H D"]
    tails: Float[Tensor, "T D"]

    def cosine(self) -> Float[Tensor, "H T"]:
        """``cos(h', t')`` of every head with every tail, in [-1, 1]."""
        return F.normalize(self.heads, dim=-1) @ F.normalize(self.tails, dim=-1).T

    def distance(self) -> Float[Tensor, "H T"]:
        """``‖h' − t'‖`` of every head with every tail, ≥ 0."""
        # The matrix product that cdist takes for more than 25 rows loses small distances (0 becomes 5e-4).
        return torch.cdist(self.heads, self.tails, compute_mode="donot_use_mm_for_euclid_dist")


class TripletEncoder(nn.Module):
    """Projects heads and tails of a relation into its subspace (Eq. 5 of docs/method.md).

    ``diagonal``: ``h' = h ∘ r_head − ε_r`` and ``t' = t ∘ r_tail`` (after PairRE, arXiv 2011.03798, whose ``‖h∘r_H −
    t∘r_T‖`` is this with ε = 0). ``matrix``: ``h' = M_r h + r − ε_r`` and ``t' = M_r t`` (after TransR, AAAI 2015).
    ``context``: a one-layer transformer over ``[h, r_head]`` and over ``[t, r_tail]``, separately, so that a pair's
    value depends on that pair alone.

    It starts at the identity (``r_head = r_tail = 1``, ``ε = 0``, ``M = I``), so that training starts exactly at the
    cosine of the embeddings. Relation ``r`` of R has its learned inverse at ``r + R``.

    Args:
        dim: D, the embedding dimension.
        num_relations: R, without the inverses.
        subspace: the form of the projection.
        epsilon: a deviation ε per relation, one shared by all, or none.
    """

    def __init__(self, dim: int, num_relations: int, subspace: Subspace = "diagonal", epsilon: Epsilon = "relation"):
        super().__init__()
        self.dim, self.num_relations, self.subspace = dim, num_relations, subspace
        total = 2 * num_relations
        if subspace == "matrix":
            self.matrix = nn.Parameter(torch.eye(dim).repeat(total, 1, 1))
            self.translation = nn.Parameter(torch.zeros(total, dim))
        else:
            self.head = nn.Parameter(torch.ones(total, dim))
            self.tail = nn.Parameter(torch.ones(total, dim))
        if subspace == "context":
            self.context = ContextLayer(dim)
        if epsilon == "none":
            self.register_parameter("epsilon", None)
        else:
            self.epsilon = nn.Parameter(torch.zeros(total if epsilon == "relation" else 1, dim))

    def forward(self, heads: Float[Tensor, "H D"], relation: int, tails: Float[Tensor, "T D"]) -> Projected:
        """Heads and tails of unit length in the subspace of ``relation`` (0 … 2R−1)."""
        if self.subspace == "matrix":
            matrix = self.matrix[relation].T
            projected = Projected(heads @ matrix + self.translation[relation], tails @ matrix)
        elif self.subspace == "context":
            projected = Projected(self.context(heads, self.head[relation]), self.context(tails, self.tail[relation]))
        else:
            projected = Projected(heads * self.head[relation], tails * self.tail[relation])
        if self.epsilon is not None:
            # In place: no gradient needs the value before, so that memory need not hold it.
            projected.heads.sub_(self.epsilon[relation if len(self.epsilon) > 1 else 0])
        return projected

    def inverse(self, relation: int) -> int:
        """The index of the learned inverse of ``relation`` (tail → head)."""
        return relation + self.num_relations

    def cosines(
        self, heads: Float[Tensor, "H D"], relation: int, tails: Float[Tensor, "T D"]
    ) -> Float[Tensor, "2 H T"]:
        """``s_r(h, t)`` and ``s_r⁻¹(t, h)`` of every head with every tail."""
        forward = self(heads, relation, tails).cosine()
        backward = self(tails, self.inverse(relation), heads).cosine()
        return torch.stack([forward, backward.T])

    def cosine_both_ways(
        self, heads: Float[Tensor, "H D"], relation: int, tails: Float[Tensor, "T D"]
    ) -> Float[Tensor, "H T"]:
        """``½ [ s_r(h, t) + s_r⁻¹(t, h) ]``: S_tri when the relation is ``performs``."""
        return self.cosines(heads, relation, tails).mean(dim=0)


class ContextLayer(nn.Module):
    """One pre-norm transformer layer over the two tokens [entity, relation]; returns the entity's token.

    Its output projections start at zero, so that the layer starts at the identity times the relation vector's one.
    """

    def __init__(self, dim: int):
        super().__init__()
        heads = next(n for n in (8, 4, 2, 1) if dim % n == 0)
        self.norm_attention, self.norm_mlp = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))
        last = self.mlp[2]
        for layer in (self.attention.out_proj, last):
            nn.init.zeros_(layer.weight)  # pyright: ignore[reportArgumentType]
            nn.init.zeros_(layer.bias)  # pyright: ignore[reportArgumentType]

    def forward(self, entities: Float[Tensor, "N D"], relation: Float[Tensor, " D"]) -> Float[Tensor, "N D"]:
        """Entities in the context of the relation, each independent of the others."""
        tokens = torch.stack([entities, relation.expand_as(entities)], dim=1)
        normed = self.norm_attention(tokens)
        tokens = tokens + self.attention(normed[:, :1], normed, normed, need_weights=False)[0]
        return (tokens + self.mlp(self.norm_mlp(tokens)))[:, 0]
