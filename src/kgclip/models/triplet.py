"""The triplet encoder: every relation its own subspace, with deviation compensation."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from kgclip.models.options import Epsilon, Subspace

# Entities are taken that many at a time where there may be a million: what is computed of them then stays in the
# processor's cache until it is used, and memory does not grow with them.
CACHED_ROWS = 1024
# Squared distances below this share of the squared lengths lose too many digits in the difference of Eq. 5's product
# form, and are taken again from the difference of the vectors.
NEAR = 1e-2


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

    def _deviation(self, relation: int) -> Float[Tensor, " D"] | float:
        if self.epsilon is None:
            return 0.0
        return self.epsilon[relation if len(self.epsilon) > 1 else 0]

    def project_heads(self, heads: Float[Tensor, "N D"], relation: int) -> Float[Tensor, "N D"]:
        """``h'`` for unit-length heads of ``relation`` (0 … 2R−1)."""
        if self.subspace == "matrix":
            projected = heads @ self.matrix[relation].T + self.translation[relation]
        elif self.subspace == "context":
            projected = self.context(heads, self.head[relation])
        else:
            projected = heads * self.head[relation]
        # No gradient needs the value before, so that memory need not hold it.
        projected -= self._deviation(relation)
        return projected

    def project_tails(self, tails: Float[Tensor, "N D"], relation: int) -> Float[Tensor, "N D"]:
        """``t'`` for unit-length tails of ``relation`` (0 … 2R−1)."""
        if self.subspace == "matrix":
            return tails @ self.matrix[relation].T
        if self.subspace == "context":
            return self.context(tails, self.tail[relation])
        return tails * self.tail[relation]

    def forward(self, heads: Float[Tensor, "H D"], relation: int, tails: Float[Tensor, "T D"]) -> Projected:
        """Both sides of ``relation`` in its subspace; compare them with ``cosine()`` or ``distance()``."""
        return Projected(self.project_heads(heads, relation), self.project_tails(tails, relation))

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

    @torch.no_grad()
    def lengths(self, relation: int, tails: Float[Tensor, "T D"]) -> Float[Tensor, "2 T"]:
        """``‖t'‖`` of each tail of ``relation``, and of the same entity as a head of its inverse."""
        out = tails.new_empty(2, len(tails))
        for start in range(0, len(tails), CACHED_ROWS):
            some = tails[start : start + CACHED_ROWS]
            columns = slice(start, start + len(some))
            out[0, columns] = self.project_tails(some, relation).norm(dim=1)
            out[1, columns] = self.project_heads(some, self.inverse(relation)).norm(dim=1)
        return out.clamp_(min=1e-12)

    @torch.no_grad()
    def halves(
        self,
        heads: Float[Tensor, "H D"],
        relation: int,
        tails: Float[Tensor, "T D"],
        lengths: Float[Tensor, "2 T"] | None = None,
    ) -> Float[Tensor, "2 H T"]:
        """``cos(h, t)`` and :meth:`cosine_both_ways` of every head with every tail; no gradients.

        A projection of tails that is linear is left to the heads: ``ĥ' · (t ∘ r) = (ĥ' ∘ r) · t``. So tails of any
        number are compared as they are, and only the lengths of their projections are needed besides.

        Args:
            heads, tails: of unit length.
            relation: 0 … R−1.
            lengths: of the tails, from :meth:`lengths`, where the same tails are compared again and again.
        """
        if self.subspace == "context":
            parts = [self.cosine_both_ways(heads, relation, some) for some in tails.split(CACHED_ROWS)]
            return torch.stack([heads @ tails.T, torch.cat(parts, dim=1)])
        lengths = self.lengths(relation, tails) if lengths is None else lengths
        folded, offset = self._fold(heads, relation)
        products = heads.new_empty(3, len(heads), len(tails))
        plain, projected = products[0], products[1:].flatten(0, 1)
        for start in range(0, len(tails), CACHED_ROWS):
            some, columns = tails[start : start + CACHED_ROWS].T, slice(start, start + CACHED_ROWS)
            torch.mm(heads, some, out=plain[:, columns])
            torch.mm(folded.flatten(0, 1), some, out=projected[:, columns])
        forward, backward = products[1], products[2]
        forward /= lengths[0]
        backward += offset[:, None]
        backward /= lengths[1]
        forward += backward
        forward *= 0.5
        return products[:2]

    def _fold(self, heads: Float[Tensor, "H D"], relation: int) -> tuple[Float[Tensor, "2 H D"], Float[Tensor, " H"]]:
        """Heads whose product with unprojected tails is ``ĥ' · t'``, and for the inverse is that but for an offset."""
        both = [relation, self.inverse(relation)]
        shift = heads.new_zeros(self.dim) - self._deviation(both[1])
        if self.subspace == "matrix":
            folded = heads @ self.matrix[both].mT
            folded[0] += self.translation[relation]
            shift += self.translation[both[1]]
        else:
            folded = heads * torch.stack([self.head[relation], self.tail[both[1]]])[:, None]
        folded[0] -= self._deviation(relation)
        folded /= folded.norm(dim=2, keepdim=True).clamp(min=1e-12)
        offset = folded[1] @ shift
        if self.subspace == "matrix":
            return folded @ self.matrix[both], offset
        folded *= torch.stack([self.tail[relation], self.head[both[1]]])[:, None]
        return folded, offset

    @torch.no_grad()
    def distances(
        self, heads: Float[Tensor, "H D"], relation: int, tails: Float[Tensor, "T D"]
    ) -> Float[Tensor, "H T"]:
        """``d_r(h, t)`` of every head with every tail, for ranking all entities; no gradients.

        ``‖h' − t'‖² = ‖h'‖² + ‖t'‖² − 2 h'·t'``, a matrix product, with near pairs computed again.
        """
        projected = self.project_heads(heads, relation)
        out = projected.new_empty(len(heads), len(tails))
        lengths = projected.square().sum(dim=1, keepdim=True)
        for start in range(0, len(tails), CACHED_ROWS):
            some = self.project_tails(tails[start : start + CACHED_ROWS], relation)
            both = lengths + some.square().sum(dim=1)
            squared = torch.addmm(both, projected, some.T, alpha=-2)
            near = (squared < NEAR * both).nonzero()
            exact = (projected[near[:, 0]] - some[near[:, 1]]).square().sum(dim=1)
            squared[near[:, 0], near[:, 1]] = exact
            out[:, start : start + len(some)] = squared.sqrt()
        return out


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
