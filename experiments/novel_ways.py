"""Ways to know an action without clips: by its name, by its movements as text, and by its parsing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Bool, Float
from kgclip.models.path import discriminant_weights
from torch import Tensor

from experiments.setting import Setting
from kgclip.models.backbones.base import Backbone
from kgclip.models.backbones.registry import load_backbone
from kgclip.synthetic.actions import actions as scripts

# From this share on somebody who knows the action would mention the movement.
WRITTEN_SHARE = 0.1
# Movements in a description: a sentence encoder blurs longer lists.
DESCRIBED_MOVEMENTS = 12
# Ridge penalty on similarities of names, in units of a name's own; 0.1 to 10 differ by a point on both data sets.
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
        captions: unit-length text embeddings of each action's movements without its name.
        mean_caption: of the training clips' captions.
    """

    base: Bool[Tensor, " K"]
    names: Float[Tensor, "K D"]
    descriptions: Float[Tensor, "K D"]
    shares: Float[Tensor, "K M"]
    written: Bool[Tensor, "K M"]
    shown: Float[Tensor, "N M"]
    captions: Float[Tensor, "K D"]
    mean_caption: Float[Tensor, " D"]


@dataclass(frozen=True)
class Readings:
    """What is read from the frames of clips: base actions, movements, and the caption that lists the movements."""

    looks: Float[Tensor, "B Kb"]
    shares: Float[Tensor, "B M"]
    captions: Float[Tensor, "B D"]


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


def by_captions(readings: Readings, known: Known) -> Float[Tensor, "B Kn"]:
    """Cosine between a clip's estimated caption and that of an action, both less the mean: movements as text only."""
    clips = torch.nn.functional.normalize(readings.captions - known.mean_caption, dim=-1)
    return clips @ torch.nn.functional.normalize(known.captions[~known.base] - known.mean_caption, dim=-1).T


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


def known_of(setting: Setting) -> tuple[Known, Float[Tensor, "N D"]]:
    """What the setting's graph and names say of its actions, and the embedded captions of the training clips.

    For figures' actions the written parsing is the script. A clip that shows no movement has a caption of zeros.
    """
    targets, movements = setting.targets, setting.targets.movements
    written = targets.consists_of >= WRITTEN_SHARE
    for row, action in enumerate(setting.actions):
        if action in scripts():
            script = scripts()[action].items()
            listed = {" ".join(filter(None, (part, *doing))) for part, doing in script}
            written[row] = torch.tensor([movement in listed for movement in movements], dtype=torch.bool)
    names = setting.config.prompts.actions(setting.actions)
    lists = listings(targets.consists_of, movements)
    clip_lists = listings(targets.shows, movements)
    actions = [setting.config.prompts.movement.format(name=text) for text in lists]
    clips = [setting.config.prompts.movement.format(name=text) for text in clip_lists]
    described = [f"{name}: {text}" if text else name for name, text in zip(names, lists, strict=True)]
    parts = [_embed(setting, texts) for texts in (names, described, actions, clips)]
    shows_some = targets.shows.any(dim=1)
    captions = parts[3] * shows_some[:, None]
    base = torch.tensor([action not in setting.novel for action in setting.actions])
    mean_caption = captions[shows_some].mean(dim=0)
    shown = targets.shows[shows_some]
    return Known(base, parts[0], parts[1], targets.consists_of, written, shown, parts[2], mean_caption), captions


@torch.no_grad()
def _embed(setting: Setting, texts: Sequence[str]) -> Float[Tensor, "P D"]:
    """Unit-length embeddings by the model's text tower; each distinct text is encoded once."""
    model = setting.config.model
    return torch.stack([_embed_one(model.backbone, model.text, text) for text in texts])


@lru_cache(maxsize=20_000)
def _embed_one(backbone: str, text_tower: str | None, text: str) -> Float[Tensor, " D"]:
    return torch.nn.functional.normalize(_texts_of(backbone, text_tower).encode_text([text])[0], dim=-1)


def listings(shares: Float[Tensor, "P M"], movements: tuple[str, ...]) -> list[str]:
    """For each row the movements that somebody would mention, the most frequent first, joined by commas."""
    lists = []
    for row in shares:
        order = row.argsort(descending=True, stable=True)[:DESCRIBED_MOVEMENTS].tolist()
        lists.append(", ".join(movements[index] for index in order if row[index] >= WRITTEN_SHARE))
    return lists
