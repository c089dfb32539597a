"""One training step: the clips of a batch against the texts of the graph, every text and clip encoded once."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from kgclip.config import PromptConfig
from kgclip.engine.prepare import GraphTargets
from kgclip.models.kgclip import KGCLIP, Adjacency, Frames
from kgclip.models.options import LossWeights


@dataclass(frozen=True)
class Texts:
    """Unit-length embeddings of the actions and movements of a step, and which ones these are.

    Attributes:
        actions, movements: embeddings.
        action_index, movement_index: positions among the graph's actions and movements.
    """

    actions: Float[Tensor, "K D"]
    movements: Float[Tensor, "M D"]
    action_index: Int[Tensor, " K"]
    movement_index: Int[Tensor, " M"]


def embed_names(
    model: KGCLIP, prompts: PromptConfig, actions: tuple[str, ...], movements: tuple[str, ...]
) -> tuple[Float[Tensor, "K D"], Float[Tensor, "M D"]]:
    """Unit-length embeddings of actions and movements, in one pass of the text tower."""
    embeddings = model.embed_texts(prompts.actions(actions) + prompts.movements(movements))
    return embeddings[: len(actions)], embeddings[len(actions) :]


class TrainingStep(nn.Module):
    """From a batch to the terms of the loss (Eq. 5 of docs/method.md).

    Args:
        model: the model that trains.
        targets: the graph over the training clips.
        prompts: the sentences around names.
        weights: of the loss terms.
        every_text: encode all actions and movements each step, rather than those of the step's clips.
    """

    def __init__(
        self, model: KGCLIP, targets: GraphTargets, prompts: PromptConfig, weights: LossWeights, *, every_text: bool
    ):
        super().__init__()
        self.model, self.targets, self.prompts, self.weights = model, targets, prompts, weights
        self.every_text = every_text
        # CLIP only has no use for movements, whatever the graph holds.
        self.use_movements = bool(weights.shows or weights.consists_of)
        self.fixed_texts = None

    def fix_texts(self) -> None:
        """Encode all texts once and for all, for a text tower that does not train."""
        with torch.no_grad():
            self.fixed_texts = self._encode(
                torch.arange(len(self.targets.actions)), torch.arange(len(self.targets.movements))
            )

    def _encode(self, action_index: Tensor, movement_index: Tensor) -> Texts:
        if not self.use_movements:
            movement_index = movement_index[:0]
        actions = tuple(self.targets.actions[i] for i in action_index.tolist())
        movements = tuple(self.targets.movements[i] for i in movement_index.tolist())
        return Texts(*embed_names(self.model, self.prompts, actions, movements), action_index, movement_index)

    def _texts(self, performs: Float[Tensor, "B K"], shows: Float[Tensor, "B M"]) -> Texts:
        if self.fixed_texts is not None:
            return self.fixed_texts
        if self.every_text:
            return self._encode(torch.arange(performs.shape[1]), torch.arange(shows.shape[1]))
        return self._encode(performs.any(dim=0).nonzero()[:, 0].cpu(), shows.any(dim=0).nonzero()[:, 0].cpu())

    def forward(self, index: Int[Tensor, " B"], frames: Frames, flipped: Bool[Tensor, " B"]) -> dict[str, Tensor]:
        """The weighed terms of the loss for clips at ``index`` of the targets."""
        performs, shows = self.targets.performs[index], self.targets.shows[index]
        if flipped.any():
            shows = torch.where(flipped[:, None], self.targets.flipped_shows(shows), shows)
        texts = self._texts(performs, shows)
        device = frames.device
        consists_of = self.targets.consists_of[texts.action_index][:, texts.movement_index]
        edges = Adjacency(
            performs[:, texts.action_index].to(device),
            shows[:, texts.movement_index].to(device),
            consists_of.to(device),
        )
        clips = self.model.embed_clips(frames)
        return self.model.loss(clips, texts.actions, texts.movements, edges, self.weights)
