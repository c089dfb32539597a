"""The model as one function of tensors, whose drawing (ONNX) takes clips of any number and of several lengths."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kgclip.models.closed_form import ClosedForm, Solved, powered_statistics
from kgclip.models.evidence import PathEvidence
from kgclip.models.kgclip import KGCLIP, Frames
from kgclip.models.pooling import nearest_count


class EveryCount(ClosedForm):
    """The solved head whose number of frames is not known before it runs.

    Every solution is computed, which costs little beside an image tower, and a table of the numbers of frames picks
    one. More frames than the table has are no drawing's: :func:`kgclip.models.pooling.interleaved_statistics` would
    take them apart in parts whose number is not known.

    Args:
        head: with at least one solution.
    """

    place: Tensor

    def __init__(self, head: ClosedForm):
        nn.Module.__init__(self)
        self.solutions = head.solutions
        lengths = range(1, self.counts[-1] + 1)
        places = [self.counts.index(nearest_count(length, self.counts)) for length in lengths]
        self.register_buffer("place", torch.tensor(places))

    def forward(self, embeddings: Float[Tensor, "B T F"]) -> Solved:
        """As of the solution for that number of frames."""
        statistics = powered_statistics(embeddings, self.counts[-1])
        solved = [self.solution(count)(statistics) for count in self.counts]
        place = self.place[embeddings.shape[1] - 1]

        def picked(parts: list[Tensor]) -> Tensor:
            return torch.stack(parts).index_select(0, place[None])[0]

        tri = [one.tri for one in solved if one.tri is not None]
        shares = picked([one.shares for one in solved])
        return Solved(picked([one.mm for one in solved]), picked(tri) if tri else None, shares)


class KnownPath(PathEvidence):
    """Path evidence of which it is settled, before anything is drawn, whether movements can be read."""

    def __init__(self, path: PathEvidence):
        super().__init__(*path.definitions.shape)
        self.load_state_dict(path.state_dict())
        self._readable = path.readable

    @property
    def readable(self) -> bool:
        """See :attr:`PathEvidence.readable`."""
        return self._readable


class Portable(nn.Module):
    """Frames, and pose numbers where the model reads pose, to everything that a prediction is made of, by name.

    Args:
        model: with a solved head, which one that is trained by gradient has too, for its movements; used as it is,
            but computed in float32.
    """

    def __init__(self, model: KGCLIP):
        super().__init__()
        solved, path = EveryCount(model.solved), KnownPath(model.path)
        self.model = KGCLIP(model.backbone, solved, path, model.gradient, len(model.path.weights), model.pose)
        self.model.action_embeddings = model.action_embeddings
        self.model.pose_weight.copy_(model.pose_weight)
        self.model.temperature.copy_(model.temperature)
        self.most_frames = solved.counts[-1]
        self.eval()

    def forward(self, frames: Frames, numbers: Float[Tensor, "B S"] | None = None) -> dict[str, Tensor]:
        """The parts of :class:`kgclip.models.kgclip.Score` that there are, the probabilities and the contributions.

        ``contributions`` [B, K, M] holds what each movement adds to the score of each action.
        """
        score = self.model(frames, numbers)
        parts = {"s_mm": score.mm, "s_tri": score.tri, "s_pose": score.pose, "s_path": score.path}
        parts |= {"s_output": score.output, "score": score.total, "probability": self.model.probability(score)}
        if score.shares.shape[1]:
            parts["shares"] = score.shares
        if score.path is not None:
            excess = score.shares - self.model.path.baseline
            parts["contributions"] = self.model.movement_weights() * excess[:, None]
        return {name: tensor for name, tensor in parts.items() if tensor is not None}
