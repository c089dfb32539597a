"""The KG-CLIP model: clips, actions and movements in one space, and the triplets between them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from kgclip.models.backbones.base import Backbone
from kgclip.models.losses import triplet_loss, two_sided
from kgclip.models.options import Epsilon, LossWeights, PoolingKind, Subspace
from kgclip.models.readout import MovementReadout
from kgclip.models.temporal import TemporalPooling
from kgclip.models.triplet import TripletEncoder

PERFORMS, SHOWS, CONSISTS_OF = 0, 1, 2
NUM_RELATIONS = 3
MAX_SCALE = 100.0

Frames = Float[Tensor, "B T C H W"] | Float[Tensor, "B T F"]


@dataclass(frozen=True)
class Adjacency:
    """The graph's edges between the entities of a step, as weights (shares in (0, 1]; 0 = no edge).

    Attributes:
        performs: clips × actions.
        shows: clips × movements.
        consists_of: actions × movements.
    """

    performs: Float[Tensor, "B K"]
    shows: Float[Tensor, "B M"]
    consists_of: Float[Tensor, "K M"]


@dataclass(frozen=True)
class Halves:
    """The two halves of the output for every clip and action (cosines in [-1, 1]); ``tri`` is None without a graph."""

    mm: Float[Tensor, "B K"]
    tri: Float[Tensor, "B K"] | None

    @property
    def output(self) -> Float[Tensor, "B K"]:
        """``S_output = ½ (S_mm + S_tri)`` (Eq. 6), or S_mm alone without a graph."""
        return self.mm if self.tri is None else 0.5 * (self.mm + self.tri)


class KGCLIP(nn.Module):
    """A video-language model trained on video–text pairs and on the triplets of a graph of body movements.

    Args:
        backbone: image and text towers.
        pooling: how frames become a clip.
        subspace: form of the triplet encoder; None leaves the encoder out (CLIP only).
        epsilon: the deviation compensation.
        dropout: of the pooled statistics, see :class:`TemporalPooling`.
        num_movements: M, of the graph, for the readout.
    """

    text_map: Tensor

    def __init__(
        self,
        backbone: Backbone,
        pooling: PoolingKind = "mean",
        subspace: Subspace | None = "diagonal",
        epsilon: Epsilon = "relation",
        dropout: float = 0.0,
        num_movements: int = 0,
    ):
        super().__init__()
        self.backbone = backbone
        self.pooling = TemporalPooling(backbone.frame_dim, backbone.embedding_dim, pooling, dropout)
        self.triplet = None
        if subspace is not None:
            self.triplet = TripletEncoder(backbone.embedding_dim, NUM_RELATIONS, subspace, epsilon)
        # A linear map after the text tower; the closed-form start makes the names' embeddings orthonormal by it.
        self.register_buffer("text_map", torch.eye(backbone.embedding_dim))
        self.readout = MovementReadout(backbone.frame_dim, num_movements)
        self.logit_scale = nn.Parameter(torch.tensor(float(backbone.logit_scale_init)))

    def scale(self) -> Float[Tensor, ""]:
        """τ, the factor from cosine to logit: ``exp(logit_scale)``, at most 100."""
        return self.logit_scale.exp().clamp(max=MAX_SCALE)

    def frame_embeddings(self, frames: Frames) -> Float[Tensor, "B T F"]:
        """Embeddings of single frames; features pass as they are."""
        if frames.ndim == 3:
            return frames
        embeddings = self.backbone.embed_images(frames.flatten(0, 1))
        return embeddings.view(*frames.shape[:2], -1)

    def embed_clips(self, frames: Frames) -> Float[Tensor, "B D"]:
        """Unit-length embeddings of clips from pixels (preprocessed) or from features of their frames."""
        return F.normalize(self.pooling(self.frame_embeddings(frames)), dim=-1)

    def embed_texts(self, texts: Sequence[str]) -> Float[Tensor, "N D"]:
        """Unit-length embeddings of prompts."""
        return F.normalize(self.backbone.encode_text(texts) @ self.text_map, dim=-1)

    def lengths(self, actions: Float[Tensor, "K D"]) -> Float[Tensor, "2 K"] | None:
        """What :meth:`halves` needs to know of the actions, for when they stay the same; None without a graph."""
        return None if self.triplet is None else self.triplet.lengths(PERFORMS, actions)

    @torch.no_grad()
    def halves(
        self,
        clips: Float[Tensor, "B D"],
        actions: Float[Tensor, "K D"],
        lengths: Float[Tensor, "2 K"] | None = None,
    ) -> Halves:
        """S_mm and S_tri of every clip with every action (Eq. 6), for evaluation: no gradients.

        Args:
            clips, actions: of unit length.
            lengths: of the actions, by :meth:`lengths`; None computes them.
        """
        if self.triplet is None:
            return Halves(clips @ actions.T, None)
        return Halves(*self.triplet.halves(clips, PERFORMS, actions, lengths))

    @torch.no_grad()
    def shows_cosine(self, clips: Float[Tensor, "B D"], movements: Float[Tensor, "M D"]) -> Float[Tensor, "B M"]:
        """How much each clip looks like showing each movement: the mean of both halves for ``shows``, a cosine."""
        if self.triplet is None:
            return clips @ movements.T
        return self.triplet.halves(clips, SHOWS, movements).mean(dim=0)

    def loss(
        self,
        clips: Float[Tensor, "B D"],
        actions: Float[Tensor, "K D"],
        movements: Float[Tensor, "M D"],
        edges: Adjacency,
        weights: LossWeights,
    ) -> dict[str, Float[Tensor, ""]]:
        """The terms of ``L = Σ_g w_g ( L_tri(g) + λ L_mm(g) )`` (Eq. 5), already weighed; their sum is L.

        Every embedding is computed once by the caller and serves all relations. Relations of weight 0 are left out.
        """
        scale = self.scale()
        terms = {}
        relations = (
            ("performs", PERFORMS, (clips, actions), edges.performs, weights.performs),
            ("shows", SHOWS, (clips, movements), edges.shows, weights.shows),
            ("consists_of", CONSISTS_OF, (actions, movements), edges.consists_of, weights.consists_of),
        )
        for name, relation, (heads, tails), adjacency, weight in relations:
            if weight == 0:
                continue
            if weights.mm:
                terms[f"mm_{name}"] = weight * weights.mm * two_sided(heads @ tails.T, adjacency, scale)
            if self.triplet is not None:
                tri = triplet_loss(self.triplet, relation, (heads, tails), adjacency, scale, weights.margin)
                terms[f"tri_{name}"] = weight * tri
        return terms
