"""The head that is trained by gradient: clips and names in one space, the graph's triplets between them."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from kgclip.kg.schema import RELATIONS, relation_id
from kgclip.models.losses import triplet_loss, two_sided
from kgclip.models.options import Epsilon, LossWeights, PoolingKind, Subspace
from kgclip.models.pooling import TemporalPooling
from kgclip.models.triplet import TripletEncoder

MAX_SCALE = 100.0


@dataclass(frozen=True)
class HeadOptions:
    """What a trained head is made of.

    Attributes:
        pooling: how frames become a clip.
        subspace: form of the triplet encoder; None leaves it out.
        epsilon: the deviation compensation.
    """

    pooling: PoolingKind = "mean"
    subspace: Subspace | None = "diagonal"
    epsilon: Epsilon = "relation"


class GradientHead(nn.Module):
    """S_mm and S_tri as cosines of embeddings (section 5 of docs/method.md), and their loss (Eq. 8).

    Args:
        frame_dim, dim: F of a frame's embedding, D of clips and names.
        logit_scale: log of the scale on cosines at which training starts.
    """

    def __init__(self, frame_dim: int, dim: int, logit_scale: float, options: HeadOptions):
        super().__init__()
        self.pooling = TemporalPooling(frame_dim, dim, options.pooling)
        self.triplet = None
        if options.subspace is not None:
            self.triplet = TripletEncoder(dim, len(RELATIONS), options.subspace, options.epsilon)
        self.logit_scale = nn.Parameter(torch.tensor(float(logit_scale)))

    def scale(self) -> Float[Tensor, ""]:
        """τ, the factor from cosine to logit: ``exp(logit_scale)``, at most 100."""
        return self.logit_scale.exp().clamp(max=MAX_SCALE)

    def embed(self, embeddings: Float[Tensor, "B T F"]) -> Float[Tensor, "B D"]:
        """Unit-length embeddings of clips from those of their frames (Eq. 3)."""
        return F.normalize(self.pooling(embeddings), dim=-1)

    @torch.no_grad()
    def forward(
        self, embeddings: Float[Tensor, "B T F"], actions: Float[Tensor, "K D"]
    ) -> tuple[Float[Tensor, "B K"], Float[Tensor, "B K"] | None]:
        """S_mm and S_tri of every clip with every action, cosines; S_tri is None without a triplet encoder.

        Args:
            embeddings: of the clips' frames.
            actions: of unit length.
        """
        clips = self.embed(embeddings)
        mm = clips @ actions.T
        if self.triplet is None:
            return mm, None
        return mm, self.triplet.cosine_both_ways(clips, relation_id("performs"), actions)

    def loss(
        self,
        entities: Mapping[str, Float[Tensor, "_ D"]],
        edges: Mapping[str, Float[Tensor, "_ _"]],
        weights: LossWeights,
    ) -> dict[str, Float[Tensor, ""]]:
        """The terms of ``L = Σ_g w_g ( L_tri(g) + λ L_mm(g) )`` (Eq. 8), already weighed; their sum is L.

        Every embedding is computed once by the caller and serves all relations. Relations of weight 0 are left out.

        Args:
            entities: unit-length embeddings of the step's entities by kind.
            edges: of each relation the graph's edges between them, as shares in [0, 1]; 0 where there is none.
            weights: of relations and terms.
        """
        scale, terms = self.scale(), {}
        for index, relation in enumerate(RELATIONS):
            weight = getattr(weights, relation.name)
            if weight == 0:
                continue
            heads, tails, adjacency = entities[relation.head], entities[relation.tail], edges[relation.name]
            if weights.mm:
                terms[f"mm_{relation.name}"] = weight * weights.mm * two_sided(heads @ tails.T, adjacency, scale)
            if self.triplet is not None:
                tri = triplet_loss(self.triplet, index, (heads, tails), adjacency, scale, weights.margin)
                terms[f"tri_{relation.name}"] = weight * tri
        return terms
