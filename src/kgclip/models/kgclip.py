"""The KG-CLIP model: from frames to a score of every action, in parts that add up."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from kgclip.models.backbones.base import Backbone
from kgclip.models.closed_form import ClosedForm, HeadShape
from kgclip.models.evidence import PathEvidence
from kgclip.models.gradient import GradientHead
from kgclip.models.pose_stream import PoseSolution, has_pose, pose_output

Frames = Float[Tensor, "B T C H W"] | Float[Tensor, "B T F"]


@dataclass(frozen=True)
class Score:
    """The score of every clip and action, with its parts: ``total = output + g · path`` (Eq. 11).

    Attributes:
        mm: S_mm, of the video–text part.
        tri: S_tri, of the triplet encoder; None without a graph.
        pose: S_pose, of the pose numbers, zeros for clips without a pose; None where the model reads no pose.
        output: S_output = ½ (S_mm + S_tri), or S_mm alone, plus u S_pose; of an action known by its definition alone,
            its path evidence in the unit of the others.
        path: S_path, evidence over the movements; None where no movement can be read.
        total: what ranks the actions.
        shares: estimated share of each movement in the clip.
    """

    mm: Float[Tensor, "B K"]
    tri: Float[Tensor, "B K"] | None
    pose: Float[Tensor, "B K"] | None
    output: Float[Tensor, "B K"]
    path: Float[Tensor, "B K"] | None
    total: Float[Tensor, "B K"]
    shares: Float[Tensor, "B M"]


class KGCLIP(nn.Module):
    """Recognizes actions in clips by how they look, by the graph's relations, and by the movements they show.

    Args:
        backbone: image and text towers.
        solved: S_mm, S_tri and the movements in closed form.
        path: what the movements say of the actions.
        gradient: S_mm and S_tri of a head that is trained by gradient, in place of the solved ones.
        num_actions: K.
        pose: the second stream, of pose numbers.
    """

    action_embeddings: Tensor
    pose_weight: Tensor
    temperature: Tensor

    def __init__(
        self,
        backbone: Backbone,
        solved: ClosedForm,
        path: PathEvidence,
        gradient: GradientHead | None,
        num_actions: int,
        pose: PoseSolution | None = None,
    ):
        super().__init__()
        self.backbone, self.solved, self.path, self.gradient = backbone, solved, path, gradient
        self.pose = pose
        dim = 0 if gradient is None else backbone.embedding_dim
        self.register_buffer("action_embeddings", torch.zeros(num_actions, dim))
        # u, of S_pose beside ½ (S_mm + S_tri).
        self.register_buffer("pose_weight", torch.ones(()))
        # What scores are divided by before they become probabilities.
        self.register_buffer("temperature", torch.ones(()))

    def forward(self, frames: Frames, numbers: Float[Tensor, "B S"] | None = None) -> Score:
        """The score of every action, from preprocessed pixels or from embeddings of the frames.

        Args:
            frames: of the clips.
            numbers: pose numbers of the clips, NaN where unknown; None of a model that reads pose leaves pose out.
        """
        embeddings = frame_embeddings(self.backbone, frames)
        solved = self.solved(embeddings)
        mm, tri = solved.mm, solved.tri
        if self.gradient is not None:
            mm, tri = self.gradient(embeddings, self.action_embeddings)
        if self.pose is None:
            return self.join(mm, tri, solved.shares)
        given = mm.new_full((len(mm), len(self.pose.center)), torch.nan) if numbers is None else numbers
        poses, known = self.pose(given), has_pose(given)
        return self.join(mm, tri, self.pose.shares_of(poses, known, solved.shares), pose_output(poses, known))

    def join(
        self,
        mm: Float[Tensor, "B K"],
        tri: Float[Tensor, "B K"] | None,
        shares: Float[Tensor, "B M"],
        pose: Float[Tensor, "B K"] | None = None,
        evidence: Float[Tensor, "B K"] | None = None,
    ) -> Score:
        """S_output of the parts (Eq. 9) and path evidence beside it (Eq. 11), that of the shares unless it is given."""
        output = mm if tri is None else 0.5 * (mm + tri)
        if pose is not None:
            output = output + self.pose_weight * pose
        if not self.path.readable:
            return Score(mm, tri, pose, output, None, output, shares)
        path = self.path(shares) if evidence is None else evidence
        output = self.path.with_defined(output, path)
        return Score(mm, tri, pose, output, path, output + self.path.weight * path, shares)

    def probability(self, score: Score, chosen: Bool[Tensor, " K"] | None = None) -> Float[Tensor, "B K"]:
        """``softmax(S / T)`` over the actions, or over those chosen; the others have 0."""
        logits = score.total / self.temperature
        return (logits if chosen is None else logits.masked_fill(~chosen, -torch.inf)).softmax(dim=1)

    def contributions(self, score: Score, action: int) -> Float[Tensor, "B M"] | None:
        """What each movement adds to the score of an action; None where movements add nothing to it.

        They sum to what the path adds to S_output; for an action known by its definition alone, to its score but for a
        constant.
        """
        weights = self.movement_weights()[action]
        if score.path is None or not weights.any():
            return None
        return weights * (score.shares - self.path.baseline)

    def movement_weights(self) -> Float[Tensor, "K M"]:
        """What a whole share of each movement more would add to the score of each action."""
        return (self.path.weight + self.path.gain)[:, None] * self.path.weights


def unsolved_model(backbone: Backbone, head: GradientHead, actions: Float[Tensor, "K D"]) -> KGCLIP:
    """The model of a trained head alone, which reads no movements, for actions of these unit-length embeddings."""
    solved = ClosedForm(backbone.frame_dim, {}, HeadShape(0, 0, 0))
    model = KGCLIP(backbone, solved, PathEvidence(len(actions), 0), head, len(actions))
    model.action_embeddings = actions
    return model.eval()


def embed_texts(backbone: Backbone, texts: Sequence[str]) -> Float[Tensor, "N D"]:
    """Unit-length embeddings of prompts."""
    return F.normalize(backbone.encode_text(texts), dim=-1)


def frame_embeddings(backbone: Backbone, frames: Frames) -> Float[Tensor, "B T F"]:
    """Embeddings of single frames by the image tower; features pass as they are."""
    if frames.ndim == 3:
        return frames
    return backbone.embed_images(frames.flatten(0, 1)).view(*frames.shape[:2], -1)
