"""From clips to scores: both halves, path evidence and their fusion, for evaluation and prediction alike."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kgclip.data.loader import Batch
from kgclip.engine.checkpoint import Checkpoint, check_device
from kgclip.engine.step import embed_names
from kgclip.models.kgclip import KGCLIP, Frames
from kgclip.models.path import action_weights, discriminant_weights, fuse, part_softmax, path_evidence


@dataclass(frozen=True)
class Embedded:
    """Clips as the model sees them.

    Attributes:
        clips: unit-length embeddings.
        shares: estimated share of each movement, by the readout.
    """

    clips: Float[Tensor, "B D"]
    shares: Float[Tensor, "B M"]


@dataclass(frozen=True)
class Scores:
    """What a model says of clips.

    Attributes:
        mm, tri: the halves, cosines; tri is None for a model without graph.
        output: S_output, of the halves.
        path: path evidence, None where it is not used.
        fused: what ranks the actions; logits are τ times this.
        evidence: of each movement, as the path takes it (cosine, probability within its part, or estimated share).
        factor: what path evidence is multiplied by in ``fused``.
    """

    mm: Float[Tensor, "B K"]
    tri: Float[Tensor, "B K"] | None
    output: Float[Tensor, "B K"]
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
        check_device(device)
        self.model: KGCLIP = checkpoint.model.to(device)
        self.device = torch.device(device)
        self.path_weight, self.temperature = checkpoint.path_weight, checkpoint.temperature
        self.use_path = checkpoint.config.fusion.path is not None and checkpoint.path_weight > 0
        self.parts = checkpoint.parts().to(device)
        shares, shown = checkpoint.shares().to(device), checkpoint.shown().to(device)
        # Without path in the fusion the movements are still read, for the explanation. Where no clip is annotated
        # (a graph of written definitions alone) there is no readout, and the names' embeddings must do.
        self.form = (checkpoint.config.fusion.path or "shares") if len(shown) > 1 else "log"
        # The share that a movement has in the average clip is evidence for nothing.
        self.baseline = torch.zeros_like(shares[0])
        if self.form == "shares":
            self.weights = discriminant_weights(shares, shown)
            self.baseline = shown.mean(dim=0) if len(shown) else self.baseline
        else:
            self.weights = action_weights(shares, self.form)
        # Where the readout speaks for the movements, their names need not be encoded.
        named = () if self.form == "shares" else checkpoint.movements
        with torch.no_grad():
            self.actions, self.movements = embed_names(self.model, checkpoint.config.prompts, checkpoint.actions, named)
            self.lengths = self.model.lengths(self.actions)

    @torch.no_grad()
    def embed(self, frames: Frames) -> Embedded:
        """Clips given as preprocessed pixels or features of frames."""
        embeddings = self.model.frame_embeddings(frames.to(self.device))
        return Embedded(self.model.embed_clips(embeddings), self.model.readout(embeddings))

    def embed_batches(self, batches: Iterable[Batch]) -> Embedded:
        """All clips of some batches, in their order."""
        parts = [self.embed(batch.frames) for batch in batches]
        return Embedded(torch.cat([p.clips for p in parts]), torch.cat([p.shares for p in parts]))

    @torch.no_grad()
    def score(self, embedded: Embedded) -> Scores:
        """Scores of embedded clips."""
        halves = self.model.halves(embedded.clips, self.actions, self.lengths)
        output, evidence = halves.output, self.movement_evidence(embedded)
        if not self.use_path:
            nothing = torch.zeros(len(output), 1, device=self.device)
            return Scores(halves.mm, halves.tri, output, None, output, evidence, nothing)
        path = path_evidence(evidence - self.baseline, self.weights)
        fused, factor = fuse(output, path, self.path_weight)
        return Scores(halves.mm, halves.tri, output, path, fused, evidence, factor)

    @torch.no_grad()
    def movement_evidence(self, embedded: Embedded) -> Float[Tensor, "B M"]:
        """How much each clip shows each movement, as the path takes it."""
        if self.form == "shares":
            return embedded.shares
        cosine = self.model.shows_cosine(embedded.clips, self.movements)
        return cosine if self.form == "plain" else part_softmax(self.model.scale() * cosine, self.parts)

    def contributions(self, scores: Scores, action: int) -> Float[Tensor, "B M"]:
        """What each movement adds to the path evidence of an action, or, where path is fused, to its value there."""
        contribution = (scores.evidence - self.baseline) * self.weights[action]
        return contribution if scores.path is None else contribution * scores.factor

    def probability(self, fused: Float[Tensor, "B K"]) -> Float[Tensor, "B K"]:
        """``softmax(τ S / T)`` over the actions, T the temperature that the validation clips gave."""
        return (self.model.scale().detach() * fused / self.temperature).softmax(dim=1)
