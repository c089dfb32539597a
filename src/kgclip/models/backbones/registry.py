"""The backbones by name and by kind: each is a module of its own, here or in any package that declares one.

Another package adds a backbone by an entry point of the group ``kgclip.backbones`` that names such a module.
"""

import re
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from typing import Any, Protocol

from kgclip.errors import KgclipError
from kgclip.models.backbones import efficientnet, features, synthetic, transformers
from kgclip.models.backbones.base import Backbone
from kgclip.models.backbones.sentence import SentenceBackbone, SentenceTower, load_sentence_tower
from kgclip.models.backbones.small_text import SmallTextBackbone

GROUP = "kgclip.backbones"
_OWN_TEXT = (
    "{} has a text tower of its own; leave --model.text out, or use the backbone synthetic, efficientnet-lite0 or "
    "features:DIM"
)


class BackboneModule(Protocol):
    """What a module must have to be a backbone."""

    @property
    def NAMES(self) -> str:  # noqa: N802 (a constant of a module)
        """Regular expression of the whole names that it loads."""
        ...

    @property
    def KINDS(self) -> tuple[str, ...]:  # noqa: N802
        """Values of `spec["kind"]` that it builds."""
        ...

    def load(self, name: str) -> Backbone:
        """Load a backbone with its weights, in evaluation mode."""
        ...

    def build(self, spec: Mapping[str, Any], *, empty: bool = False) -> Backbone:
        """Make the module of a spec; `empty` allows parameters without memory, for a checkpoint's to be assigned."""
        ...


# The last takes any name for a folder or a published model.
BUILT_IN: tuple[BackboneModule, ...] = (synthetic, features, efficientnet, transformers)


def modules() -> Iterator[BackboneModule]:
    """All backbones, other packages' first."""
    for entry in entry_points(group=GROUP):
        yield entry.load()
    yield from BUILT_IN


def load_backbone(name: str, text: str | None = None) -> Backbone:
    """Load a backbone with its weights, in evaluation mode.

    Args:
        name: "synthetic" (ships with the package); "efficientnet-lite0"; "features:512" for ready-made features of
            512 dimensions; a name of another package's; or a folder or hub name of a CLIP or fixed-resolution SigLIP2
            model in the layout of transformers.
        text: folder of a sentence encoder that takes the place of the text tower; None keeps the backbone's own.

    Raises:
        KgclipError: what is named is missing, damaged or of another kind; or the backbone has a pre-trained text tower
            that belongs to its image tower, and `text` would replace it.
    """
    module = next(module for module in modules() if re.fullmatch(module.NAMES, name))
    if text is None:
        return module.load(name)
    if module is transformers:  # before anything is fetched
        raise KgclipError(_OWN_TEXT.format(f"--model.text {text}: the backbone {name}"))
    return _with_sentences(module.load(name), load_sentence_tower(text))


def build_backbone(spec: Mapping[str, Any], *, empty: bool = False) -> Backbone:
    """Build the module that `spec` describes, with random weights.

    Args:
        spec: of a `Backbone`.
        empty: leave the parameters of published kinds of model without memory: a checkpoint's are then assigned.

    Raises:
        KgclipError: no backbone is of this kind.
    """
    kind = spec.get("kind")
    if kind == "sentence":
        return _with_sentences(build_backbone(spec["frames"]), SentenceTower(spec["sentence"], empty=empty))
    known = {kind: module for module in modules() for kind in module.KINDS}
    if kind not in known:
        raise KgclipError(f"unknown kind of backbone {kind!r}, expected {', '.join(known)} or sentence; train it again")
    return known[kind].build(spec, empty=empty)


def _with_sentences(frames: Backbone, sentence: SentenceTower) -> SentenceBackbone:
    if not isinstance(frames, SmallTextBackbone):
        raise KgclipError(_OWN_TEXT.format(f"a sentence encoder: the backbone {frames.spec['kind']}"))
    return SentenceBackbone(frames, sentence).eval()
