"""Arms for actions without clips: base actions by a classifier of their clips, novel ones by what is known of them.

All arms but KG-CLIP itself score base actions alike, by ridge regression from frame statistics, and with pose by the
mean of that and one from pose numbers, which then gives the movements, too; they differ in how they know a novel one.
Values of a novel action are z-scored over the training clips first: an action that is near every clip (a hub, arXiv
1412.6568) would win everywhere otherwise. Where all actions are candidates, novel ones are shifted until they would
take as many training clips from the base actions as KG-CLIP lets them (:func:`kgclip.models.evidence.may_take`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from experiments.baselines import Linear, Vectors, left_out, ridge
from experiments.setting import Arm, Fitted, Setting
from kgclip.errors import KgclipError
from kgclip.models.backbones.base import Backbone
from kgclip.models.backbones.registry import load_backbone
from kgclip.models.evidence import may_take, path_weights
from kgclip.models.pose_stream import has_pose, known_scales, standardized

# From this share on somebody who knows the action would mention the movement.
WRITTEN_SHARE = 0.1
# Movements in a description: a sentence encoder blurs longer lists.
DESCRIBED_MOVEMENTS = 12
# Ridge penalty on similarities of names, in units of a name's own.
NAME_PENALTY = 1.0
# A novel z-score beside the base actions' ridge values, which aim at 0 and 1.
NOVEL_SCALE = 0.1


@dataclass(frozen=True)
class Known:
    """What is known of the actions, without a look at a novel clip.

    Attributes:
        base: which of the K actions have training clips.
        names, descriptions, captions: unit-length text embeddings: of the name, of the name with its movements, and of
            the movements alone.
        shares: of each movement in each action, by the graph.
        written: which movements a written definition of the action lists.
        shown: shares of each movement in the annotated training clips.
    """

    base: Bool[Tensor, " K"]
    names: Float[Tensor, "K D"]
    descriptions: Float[Tensor, "K D"]
    captions: Float[Tensor, "K D"]
    shares: Float[Tensor, "K M"]
    written: Bool[Tensor, "K M"]
    shown: Float[Tensor, "N M"]


@dataclass(frozen=True)
class Readings:
    """What is read from clips: base actions and shares of movements."""

    looks: Float[Tensor, "B Kb"]
    shares: Float[Tensor, "B M"]


Describe = Callable[[Readings, Known], Float[Tensor, "B Kn"]]
"""Values of the novel actions, by what is known of them."""


def by_text(readings: Readings, known: Known, *, described: bool) -> Float[Tensor, "B Kn"]:
    """Ridge regression from clips to text embeddings (DeViSE, NIPS 2013, in closed form as in ESZSL, ICML 2015).

    With text embeddings centered on the base actions, ``looks · (B Bᵀ + λ I)⁻¹ B nᵀ``.
    """
    texts = known.descriptions if described else known.names
    texts = F.normalize(texts - texts[known.base].mean(dim=0), dim=-1)
    base, novel = texts[known.base], texts[~known.base]
    return readings.looks @ torch.linalg.solve(base @ base.T + NAME_PENALTY * torch.eye(len(base)), base @ novel.T)


def by_captions(readings: Readings, known: Known) -> Float[Tensor, "B Kn"]:
    """The same with texts that list an action's movements without its name: movements as text only."""
    return by_text(readings, replace(known, names=known.captions), described=False)


def by_attributes(readings: Readings, known: Known) -> Float[Tensor, "B Kn"]:
    """Direct attribute prediction (Lampert et al., CVPR 2009): movements as independent yes-no attributes.

    ``Σ_m log p(b_am | v) / p(b_am)`` with b the written definition and p its frequency among the base actions.
    """
    written = known.written.float()
    prior = written[known.base].mean(dim=0).clamp(0.05, 0.95)
    present = (readings.shares.clamp(0.01, 0.99) / prior).log()
    absent = ((1 - readings.shares.clamp(0.01, 0.99)) / (1 - prior)).log()
    novel = written[~known.base]
    return present @ novel.T + absent @ (1 - novel).T


def by_path(readings: Readings, known: Known, *, written: bool = False) -> Float[Tensor, "B Kn"]:
    """Path evidence (docs/method.md) over the movements that a training clip shows: others cannot be read."""
    read = known.shown.any(dim=0)
    shares = typical_shares(known) if written else known.shares
    weights = path_weights(shares[:, read], known.shown[:, read], known.shown[:, read])[~known.base]
    return (readings.shares - known.shown.mean(dim=0))[:, read] @ weights.T


def typical_shares(known: Known) -> Float[Tensor, "K M"]:
    """The shares that definitions without numbers stand for, learned from the base actions.

    A movement has the mean share of the base actions whose definition lists it, or else of those whose definition does
    not, each drawn towards the mean of all movements as if by two more actions.
    """
    shares, listed = known.shares[known.base], known.written[known.base].float()

    def mean_where(chosen: Float[Tensor, "Kb M"]) -> Float[Tensor, " M"]:
        overall = (shares * chosen).sum() / chosen.sum().clamp(min=1)
        return ((shares * chosen).sum(dim=0) + 2 * overall) / (chosen.sum(dim=0) + 2)

    return torch.where(known.written, mean_where(listed), mean_where(1 - listed))


def known_of(setting: Setting) -> Known:
    """What the setting's graph, names and definitions say of its actions.

    The written definition of an action is that of the data, if any; else the movements that the graph gives it a
    noticeable share of.
    """
    targets, movements = setting.targets, setting.targets.movements
    written = targets.edges["consists_of"] >= WRITTEN_SHARE
    for row, action in enumerate(setting.actions):
        if action in setting.definitions:
            listed = setting.definitions[action]
            written[row] = torch.tensor([movement in listed for movement in movements], dtype=torch.bool)
    names = setting.config.prompts.around("action", setting.actions)
    lists = listings(targets.edges["consists_of"], movements)
    described = [f"{name}: {text}" if text else name for name, text in zip(names, lists, strict=True)]
    captions = setting.config.prompts.around("movement", lists)
    name, description, caption = (_embed(setting, texts) for texts in (names, described, captions))
    base = torch.tensor([action not in setting.novel for action in setting.actions])
    shown = targets.edges["shows"][targets.edges["shows"].any(dim=1)]
    return Known(base, name, description, caption, targets.edges["consists_of"], written, shown)


def listings(shares: Float[Tensor, "P M"], movements: tuple[str, ...]) -> list[str]:
    """For each row the movements that somebody would mention, the most frequent first, joined by commas."""
    lists = []
    for row in shares:
        order = row.argsort(descending=True, stable=True)[:DESCRIBED_MOVEMENTS].tolist()
        lists.append(", ".join(movements[index] for index in order if row[index] >= WRITTEN_SHARE))
    return lists


@lru_cache(maxsize=2)
def _texts_of(backbone: str, text: str | None) -> Backbone:
    return load_backbone(backbone, text)


@torch.no_grad()
def _embed(setting: Setting, texts: Sequence[str]) -> Float[Tensor, "P D"]:
    """Unit-length embeddings by the model's text tower."""
    model = setting.config.model
    return F.normalize(_texts_of(model.backbone, model.text).encode_text(texts), dim=-1)


@dataclass(frozen=True)
class View:
    """Base actions and movements as ridge regression reads them from the frames of clips, or from their pose.

    Attributes:
        vectors: of clips, and which clips have any.
        actions, movements: linear maps of these.
        left_out: what training clips are given by maps that did not learn from them.
        known: which training clips the maps were learned from.
    """

    vectors: Callable[[tuple[str, ...]], tuple[Float[Tensor, "B S"], Bool[Tensor, " B"]]]
    actions: Linear
    movements: Linear
    left_out: Readings
    known: Bool[Tensor, " N"]

    @classmethod
    def fit(
        cls,
        vectors: Callable[[tuple[str, ...]], tuple[Float[Tensor, "B S"], Bool[Tensor, " B"]]],
        train: tuple[str, ...],
        performs: Float[Tensor, "N Kb"],
        shows: Float[Tensor, "N M"],
        sources: Int[Tensor, " N"],
    ) -> "View":
        """Learn from training clips, their base actions, the shares of their movements and their sources."""
        x, known = vectors(train)
        held = Readings(torch.zeros_like(performs), torch.zeros_like(shows))
        for values, goal in ((held.looks, performs), (held.shares, shows)):
            values[known] = left_out(x[known], goal[known], sources[known])
        return cls(vectors, ridge(x[known], performs[known]), ridge(x[known], shows[known]), held, known)

    def read(self, clips: tuple[str, ...]) -> tuple[Readings, Bool[Tensor, " B"]]:
        """What clips are given, and which have anything to read."""
        x, known = self.vectors(clips)
        return Readings(F.linear(x, *self.actions), F.linear(x, *self.movements)), known


def with_pose(frames: Readings, pose: Readings, known: Bool[Tensor, " B"]) -> Readings:
    """Looks by both alike, movements by pose alone, as KG-CLIP reads them; by frames where there is no pose."""
    looks = torch.where(known[:, None], (frames.looks + pose.looks) / 2, frames.looks)
    return Readings(looks, torch.where(known[:, None], pose.shares, frames.shares))


class UnseenFit:
    """A recognizer of base and novel actions; see the top of this file.

    Args:
        setting: with novel actions.
        describe: how a novel action is known.
        shuffled: give the novel actions each other's definitions, none its own: a control.
        pose: read pose numbers beside the frames; needs keypoints.
    """

    def __init__(self, setting: Setting, describe: Describe, *, shuffled: bool = False, pose: bool = False):
        if not setting.novel or setting.features is None or not setting.targets.edges["shows"].any():
            raise KgclipError(
                f"{setting.config.data}: arms for unseen actions need novel actions, cached features and annotated "
                "training clips; use a point with novel_fraction and data with part annotations"
            )
        self.describe, self.known = describe, known_of(setting)
        if shuffled:
            rows = torch.arange(len(self.known.base))
            rows[~self.known.base] = rows[~self.known.base].roll(1)
            self.known = replace(self.known, shares=self.known.shares[rows], written=self.known.written[rows])
        frames = Vectors(setting, setting.config.frames)
        train = setting.prepared.split.train
        performs, shows = setting.targets.edges["performs"][:, self.known.base], setting.targets.edges["shows"]
        learned = train, performs, shows, setting.targets.sources
        self.frames = View.fit(lambda clips: (frames(clips), torch.ones(len(clips)).bool()), *learned)
        self.pose: View | None = None
        training = self.frames.left_out
        if pose:
            scales = known_scales(setting.numbers(train))

            def numbers(clips: tuple[str, ...]) -> tuple[Float[Tensor, "B S"], Bool[Tensor, " B"]]:
                return standardized(setting.numbers(clips), *scales), has_pose(setting.numbers(clips))

            self.pose = View.fit(numbers, *learned)
            training = with_pose(training, self.pose.left_out, self.pose.known)
        values = describe(training, self.known)
        self.mean, self.scale = values.mean(dim=0), values.std(dim=0, correction=0).clamp(min=1e-6)
        ahead = NOVEL_SCALE * self._novel(training).max(dim=1).values - training.looks.max(dim=1).values
        self.offset = -float(ahead.quantile(1 - may_take(len(setting.novel), len(self.known.base))))

    def _read(self, clips: tuple[str, ...]) -> Readings:
        frames, _ = self.frames.read(clips)
        return frames if self.pose is None else with_pose(frames, *self.pose.read(clips))

    def _novel(self, readings: Readings) -> Float[Tensor, "B Kn"]:
        return (self.describe(readings, self.known) - self.mean) / self.scale

    def scores(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B K"]:
        """See :class:`experiments.setting.Fitted`."""
        readings = self._read(clips)
        scores = torch.zeros(len(clips), len(self.known.base))
        scores[:, self.known.base] = readings.looks
        scores[:, ~self.known.base] = NOVEL_SCALE * self._novel(readings) + self.offset
        return scores

    def movements(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B M"]:
        """See :class:`experiments.setting.Fitted`."""
        return self._read(clips).shares


def _arm(describe: Describe, *, shuffled: bool = False, pose: bool = False) -> Arm:
    def fit(setting: Setting) -> Fitted:
        return UnseenFit(setting, describe, shuffled=shuffled, pose=pose)

    return fit


BY_PATH = "by path"
_WITHOUT_GRAPH: dict[str, Describe] = {
    "by name": partial(by_text, described=False),
    "by name and movements": partial(by_text, described=True),
    "by caption": by_captions,
    "by attributes": by_attributes,
}
UNSEEN_BASELINES: dict[str, Arm] = {name: _arm(describe) for name, describe in _WITHOUT_GRAPH.items()}
"""Without the graph: name, name and movements as one text, a text that lists movements, yes-no attributes."""
UNSEEN_POSE_BASELINES: dict[str, Arm] = {
    f"{name}, with pose": _arm(describe, pose=True) for name, describe in _WITHOUT_GRAPH.items()
}
"""The same for clips with keypoints."""
UNSEEN: dict[str, Arm] = UNSEEN_BASELINES | {
    "by path, written definition": _arm(partial(by_path, written=True)),
    BY_PATH: _arm(by_path),
    "by path, shuffled": _arm(by_path, shuffled=True),
}
"""With the graph: definitions without numbers, with shares, and, as a control, those of other actions."""
