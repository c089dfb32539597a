"""One training step: the clips of a batch against the names of the graph."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from kgclip.config import PromptConfig
from kgclip.engine import processes
from kgclip.engine.prepare import GraphTargets
from kgclip.kg.schema import RELATIONS, Relation
from kgclip.models.backbones.base import Backbone
from kgclip.models.gradient import GradientHead
from kgclip.models.kgclip import Frames, embed_texts, frame_embeddings
from kgclip.models.options import LossWeights


class TrainingStep(nn.Module):
    """From a batch to the terms of the loss (Eq. 8): the clips against the names of the graph, each encoded once.

    With `every_text` all names are encoded each step, rather than those of the step's clips.
    """

    def __init__(
        self,
        backbone: Backbone,
        head: GradientHead,
        targets: GraphTargets,
        prompts: PromptConfig,
        weights: LossWeights,
        *,
        every_text: bool,
    ):
        super().__init__()
        self.backbone, self.head = backbone, head
        self.targets, self.prompts, self.weights, self.every_text = targets, prompts, weights, every_text
        self.fixed: dict[str, tuple[Tensor, Tensor]] | None = None

    def fix_texts(self) -> None:
        """Encode all texts once and for all, for a text tower that does not train."""
        with torch.no_grad():
            self.fixed = self._texts({})

    def _texts(self, wanted: dict[str, Bool[Tensor, " N"]]) -> dict[str, tuple[Tensor, Tensor]]:
        """Embeddings of the names of each kind and their positions; those wanted, or all."""
        kinds = [kind for kind in ("action", "movement") if self.targets.names[kind]]
        rows = {kind: torch.arange(len(self.targets.names[kind])) for kind in kinds}
        if wanted and not self.every_text:
            rows = {kind: wanted[kind].nonzero()[:, 0].cpu() for kind in kinds}
        names = [[self.targets.names[kind][i] for i in rows[kind].tolist()] for kind in kinds]
        prompts = [self.prompts.around(kind, few) for kind, few in zip(kinds, names, strict=True)]
        embeddings = embed_texts(self.backbone, [text for few in prompts for text in few])
        parts = embeddings.split([len(few) for few in names])
        return {kind: (part, rows[kind]) for kind, part in zip(kinds, parts, strict=True)}

    def embed(self, embeddings: Float[Tensor, "B T F"]) -> Float[Tensor, "B D"]:
        """Unit-length embeddings of clips from those of their frames."""
        return self.head.embed(embeddings)

    def forward(
        self, index: Int[Tensor, " B"], frames: Frames, flipped: Bool[Tensor, " B"], count: int | None = None
    ) -> dict[str, Tensor]:
        """The weighed terms of the loss for clips at ``index`` of the targets, with those of all other processes.

        Every process computes the same loss of all clips of the step, so that the mean of their gradients is its own.

        Args:
            index, frames, flipped: of this process's clips.
            count: clips of all processes, without those that fill up the last ones' parts; None takes all.
        """
        clips = processes.gathered(self.embed(frame_embeddings(self.backbone, frames)))[:count]
        # On GPUs DDP has moved them there; the graph stays here.
        mine = torch.stack([index, flipped.long()], dim=1)
        index, mirrored = processes.gathered(mine)[:count].cpu().unbind(dim=1)
        flipped = mirrored.bool()
        of_clips = {r.name: self._of_clips(r, index, flipped) for r in RELATIONS if r.head == "video"}
        wanted: dict[str, Bool[Tensor, " N"]] = {}
        for relation in RELATIONS:
            if relation.head == "video":
                seen = of_clips[relation.name].any(dim=0)
                wanted[relation.tail] = seen | wanted.get(relation.tail, seen)
        texts = self.fixed or self._texts(wanted)
        edges = {}
        for relation in RELATIONS:
            if relation.tail not in texts or (relation.head != "video" and relation.head not in texts):
                continue
            if relation.head == "video":
                rows = of_clips[relation.name]
            else:
                rows = self.targets.edges[relation.name][texts[relation.head][1]]
            edges[relation.name] = rows[:, texts[relation.tail][1]].to(frames.device)
        entities = {"video": clips} | {kind: embedded for kind, (embedded, _) in texts.items()}
        return self.head.loss(entities, edges, self.weights)

    def _of_clips(
        self, relation: Relation, index: Int[Tensor, " B"], flipped: Bool[Tensor, " B"]
    ) -> Float[Tensor, "B _"]:
        """Edges of the step's clips; what flipped clips show is mirrored."""
        rows = self.targets.edges[relation.name][index]
        if relation.tail == "movement" and flipped.any():
            return torch.where(flipped[:, None], self.targets.flipped(rows), rows)
        return rows
