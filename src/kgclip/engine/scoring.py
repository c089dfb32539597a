"""From clips to scores: both halves, path evidence and their fusion, for evaluation and prediction alike."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kgclip.data.loader import Batch
from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.step import embed_names
from kgclip.models.kgclip import KGCLIP, Frames
from kgclip.models.path import PathForm, action_weights, fuse, movement_evidence, path_evidence


@dataclass(frozen=True)
class Scores:
    """What a model says of clips.

    Attributes:
        mm, tri: the halves, cosines; tri is None for a model without graph.
        path: path evidence, None where it is not used.
        fused: what ranks the actions; logits are τ times this.
        evidence: of each movement, as the path takes it (probability within its part, or cosine).
        factor: what path evidence is multiplied by in ``fused``.
    """

    mm: Float[Tensor, "B K"]
    tri: Float[Tensor, "B K"] | None
    path: Float[Tensor, "B K"] | None
    fused: Float[Tensor, "B K"]
    evidence: Float[Tensor, "B M"]
    factor: Float[Tensor, "B 1"]


class Scorer:
    """A model with its actions and movements already encoded.

    Args:
        checkpoint: the model and its graph.
        device: where it runs.
    """

    def __init__(self, checkpoint: Checkpoint, device: torch.device | str = "cpu"):
        self.model: KGCLIP = checkpoint.model.to(device)
        self.device = torch.device(device)
        self.path_weight = checkpoint.path_weight
        # Without path in the fusion the movements are still read, as probabilities within their part.
        self.form: PathForm = checkpoint.config.fusion.path or "log"
        self.use_path = checkpoint.config.fusion.path is not None and checkpoint.path_weight > 0
        self.parts = checkpoint.parts().to(device)
        self.weights = action_weights(checkpoint.shares().to(device), self.form)
        with torch.no_grad():
            self.actions, self.movements = embed_names(
                self.model, checkpoint.config.prompts, checkpoint.actions, checkpoint.movements
            )

    @torch.no_grad()
    def embed(self, batches: Iterable[Batch]) -> Float[Tensor, "B D"]:
        """Clip embeddings, in the order of the batches."""
        return torch.cat([self.model.embed_clips(batch.frames.to(self.device)) for batch in batches])

    @torch.no_grad()
    def score(self, clips: Float[Tensor, "B D"]) -> Scores:
        """Scores of embedded clips."""
        halves = self.model.halves(clips, self.actions)
        evidence = self.movement_evidence(clips)
        if not self.use_path:
            return Scores(halves.mm, halves.tri, None, halves.output, evidence, torch.zeros(len(clips), 1))
        path = path_evidence(evidence, self.weights)
        fused, factor = fuse(halves.output, path, self.path_weight)
        return Scores(halves.mm, halves.tri, path, fused, evidence, factor)

    @torch.no_grad()
    def movement_evidence(self, clips: Float[Tensor, "B D"]) -> Float[Tensor, "B M"]:
        """How much each clip shows each movement."""
        cosine = self.model.shows_cosine(clips, self.movements)
        return movement_evidence(cosine, self.parts, self.model.scale(), self.form)

    def probability(self, fused: Float[Tensor, "B K"]) -> Float[Tensor, "B K"]:
        """``softmax(τ S)`` over the actions."""
        return (self.model.scale() * fused).softmax(dim=1)

    def embed_frames(self, frames: Frames) -> Float[Tensor, "B D"]:
        """Embeddings of clips given as tensors."""
        with torch.no_grad():
            return self.model.embed_clips(frames.to(self.device))
