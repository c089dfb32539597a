"""Ways to know an action without clips: by its name, by its movements as text, and by its parsing."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kgclip.data.puppet.actions import actions as scripts
from kgclip.experiments.setting import Setting
from kgclip.models.backbone import Backbone, load_backbone
from kgclip.models.path import discriminant_weights

# From this share on somebody who knows the action would mention the movement.
WRITTEN_SHARE = 0.1
# Movements in a description: a sentence encoder blurs longer lists.
DESCRIBED_MOVEMENTS = 12
# Ridge penalty on similarities of names, in units of a name's own; 0.1 to 10 differ by a point (JHMDB-TPS, puppets).
NAME_PENALTY = 1.0


@dataclass(frozen=True)
class Known:
    """What is known of the actions, without a look at a novel clip.

    Attributes:
        base: which of the K actions have training clips.
        names, descriptions: unit-length text embeddings: of the name, and of the name with its movements.
        shares: of each movement in each action, by the graph.
        written: which movements a written parsing of the action lists.
        shown: shares of each movement in the annotated training clips.
    """

    base: Bool[Tensor, " K"]
    names: Float[Tensor, "K D"]
    descriptions: Float[Tensor, "K D"]
    shares: Float[Tensor, "K M"]
    written: Bool[Tensor, "K M"]
    shown: Float[Tensor, "N M"]


@dataclass(frozen=True)
class Readings:
    """What is read from the frames of clips: how much each performs the base actions, and shows the movements."""

    looks: Float[Tensor, "B Kb"]
    shares: Float[Tensor, "B M"]


Describe = Callable[[Readings, Known], Float[Tensor, "B Kn"]]
"""Values of the novel actions, by what is known of them."""


def by_text(readings: Readings, known: Known, *, described: bool) -> Float[Tensor, "B Kn"]:
    """Ridge regression from clips to text embeddings (DeViSE, NIPS 2013, in closed form as in ESZSL, ICML 2015).

    With text embeddings centered on the base actions, ``looks · (B Bᵀ + λ I)⁻¹ B nᵀ``.
    """
    texts = known.descriptions if described else known.names
    texts = torch.nn.functional.normalize(texts - texts[known.base].mean(dim=0), dim=-1)
    base, novel = texts[known.base], texts[~known.base]
    return readings.looks @ torch.linalg.solve(base @ base.T + NAME_PENALTY * torch.eye(len(base)), base @ novel.T)


def by_attributes(readings: Readings, known: Known) -> Float[Tensor, "B Kn"]:
    """Direct attribute prediction (Lampert et al., CVPR 2009): movements as independent yes-no attributes.

    ``Σ_m log p(b_am | v) / p(b_am)`` with b the written parsing and p its frequency among the base actions.
    """
    written = known.written.float()
    prior = written[known.base].mean(dim=0).clamp(0.05, 0.95)
    present = (readings.shares.clamp(0.01, 0.99) / prior).log()
    absent = ((1 - readings.shares.clamp(0.01, 0.99)) / (1 - prior)).log()
    novel = written[~known.base]
    return present @ novel.T + absent @ (1 - novel).T


def by_path(readings: Readings, known: Known, *, written: bool = False) -> Float[Tensor, "B Kn"]:
    """Path evidence (Eq. 7 of docs/method.md) over the movements that some training clip shows: others are not read."""
    read = known.shown.any(dim=0)
    shares = typical_shares(known) if written else known.shares
    weights = discriminant_weights(shares[:, read], known.shown[:, read])[~known.base]
    return (readings.shares - known.shown.mean(dim=0))[:, read] @ weights.T


def typical_shares(known: Known) -> Float[Tensor, "K M"]:
    """The shares that parsings without numbers stand for, learned from the base actions.

    A movement has the mean share of the base actions whose parsing lists it, or else of those whose parsing does not,
    each drawn towards the mean of all movements as if by two more actions.
    """
    shares, listed = known.shares[known.base], known.written[known.base].float()

    def mean_where(chosen: Float[Tensor, "Kb M"]) -> Float[Tensor, " M"]:
        overall = (shares * chosen).sum() / chosen.sum().clamp(min=1)
        return ((shares * chosen).sum(dim=0) + 2 * overall) / (chosen.sum(dim=0) + 2)

    return torch.where(known.written, mean_where(listed), mean_where(1 - listed))


@lru_cache(maxsize=2)
def _texts_of(backbone: str, text: str | None) -> Backbone:
    return load_backbone(backbone, text)


def known_of(setting: Setting) -> Known:
    """What the setting's graph and names say of its actions; for puppets' actions the written parsing is the script."""
    targets, movements = setting.targets, setting.targets.movements
    written = targets.consists_of >= WRITTEN_SHARE
    for row, action in enumerate(setting.actions):
        if action in scripts():
            script = scripts()[action].items()
            listed = {" ".join(filter(None, (part, *doing))) for part, doing in script}
            written[row] = torch.tensor([movement in listed for movement in movements], dtype=torch.bool)
    texts = [*setting.config.prompts.actions(setting.actions), *_descriptions(setting)]
    with torch.no_grad():
        model = setting.config.model
        embeddings = torch.nn.functional.normalize(_texts_of(model.backbone, model.text).encode_text(texts), dim=-1)
    num = len(setting.actions)
    base = torch.tensor([action not in setting.novel for action in setting.actions])
    shown = targets.shows[targets.shows.any(dim=1)]
    return Known(base, embeddings[:num], embeddings[num:], targets.consists_of, written, shown)


def _descriptions(setting: Setting) -> list[str]:
    """The prompt of each action, followed by its movements from the most frequent on."""
    sentences = []
    for prompt, shares in zip(
        setting.config.prompts.actions(setting.actions), setting.targets.consists_of, strict=True
    ):
        order = shares.argsort(descending=True, stable=True)[:DESCRIBED_MOVEMENTS].tolist()
        listed = [setting.targets.movements[index] for index in order if shares[index] >= WRITTEN_SHARE]
        sentences.append(f"{prompt}: {', '.join(listed)}" if listed else prompt)
    return sentences
