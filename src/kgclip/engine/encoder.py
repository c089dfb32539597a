"""Encoders of frames: the image tower of a backbone, or a user's own, checked before anything depends on it."""

import importlib.util
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from kgclip.data.loader import Pixels
from kgclip.errors import KgclipError
from kgclip.files import digest
from kgclip.identity import Identity, describe, is_same
from kgclip.models.backbones.base import Backbone
from kgclip.models.backbones.registry import load_backbone
from kgclip.video.transforms import preprocess

# Two frames that every encoder must take: not square, not gray.
_PROBE = np.random.default_rng(0).integers(0, 256, (2, 48, 64, 3), np.uint8)


@dataclass(frozen=True)
class FrameEncoder:
    """Anything that turns frames into features.

    Attributes:
        identity: which encoder it is, as feature files and models know it.
        function: from uint8 RGB frames [T, H, W, 3] to features [T, F], of torch or numpy.
    """

    identity: Identity
    function: Callable[[UInt8[np.ndarray, "T H W 3"]], Any]

    def encode(self, frames: UInt8[np.ndarray, "T H W 3"]) -> Float[Tensor, "T F"]:
        """Features of each frame, float16 or float32 on the CPU.

        Raises:
            KgclipError: the function fails, or does not return one finite row of numbers for each frame.
        """
        where = f"the encoder {self.identity['name']}"
        try:
            features = self.function(frames)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}".partition("\n")[0]
            raise KgclipError(f"{where} fails on frames {list(frames.shape)} ({reason}); correct it") from error
        if isinstance(features, np.ndarray):
            features = torch.from_numpy(features)
        if not isinstance(features, Tensor) or not features.is_floating_point():
            got = str(features.dtype) if isinstance(features, Tensor) else type(features).__name__
            raise KgclipError(f"{where} returns {got}; return features as floating-point numbers of torch or numpy")
        if features.ndim != 2 or len(features) != len(frames) or not features.shape[1]:
            raise KgclipError(
                f"{where} returns features {list(features.shape)} of {len(frames)} frames; return one row a frame, "
                f"[{len(frames)}, F]"
            )
        features = features.detach().cpu()
        if not torch.isfinite(features).all():
            raise KgclipError(f"{where} returns numbers that are not finite; look for NaN or overflow in it")
        return features if features.dtype == torch.float16 else features.float()


@dataclass(frozen=True)
class EncoderSource:
    """Where an encoder comes from, so that each of many processes can open it.

    Attributes:
        backbone: whose image tower encodes; None for a user's own encoder.
        encoder: the user's own, ``FILE.py:NAME``.
        weights: file given to it.
        device: where a backbone runs.
    """

    backbone: str | None = None
    encoder: str | None = None
    weights: Path | None = None
    device: str = "cpu"

    def absolute(self) -> "EncoderSource":
        """The same for processes that work in another folder."""
        backbone, encoder = self.backbone, self.encoder
        if backbone is not None and Path(backbone).exists():
            backbone = str(Path(backbone).absolute())
        if encoder is not None:
            encoder = str(Path(encoder).absolute())
        weights = None if self.weights is None else self.weights.absolute()
        return EncoderSource(backbone, encoder, weights, self.device)


def open_encoder(source: EncoderSource) -> FrameEncoder:
    """Open an encoder.

    Raises:
        KgclipError: it cannot be loaded.
    """
    if source.encoder is not None:
        return load_encoder(source.encoder, source.weights)
    return backbone_encoder(load_backbone(source.backbone or "synthetic").to(source.device))


def pixels_of(backbone: Backbone) -> Pixels:
    """What the image tower of a backbone takes.

    Raises:
        KgclipError: it has none.
    """
    if "image" not in backbone.towers():
        raise KgclipError(
            f"features:{backbone.frame_dim}: takes features of frames, not pixels; give --features FILE (see `kgclip "
            "data features`), to predict the --encoder that made them, or a backbone with an image encoder"
        )
    return Pixels(backbone.image_size, backbone.mean, backbone.std)


def backbone_encoder(backbone: Backbone) -> FrameEncoder:
    """The image tower of a backbone as an encoder of frames.

    Raises:
        KgclipError: it has none.
    """
    pixels, identity = pixels_of(backbone), backbone.image_identity
    assert identity is not None
    device = next(backbone.parameters()).device

    def encode(frames: UInt8[np.ndarray, "T H W 3"]) -> Float[Tensor, "T F"]:
        clip = preprocess(torch.from_numpy(frames), pixels.image_size, pixels.mean, pixels.std)
        with torch.no_grad():
            return backbone.embed_images(clip.to(device))

    return FrameEncoder(identity, encode)


def load_encoder(spec: str, weights: Path | None = None) -> FrameEncoder:
    """A user's own encoder: ``FILE.py:NAME``, a class or function in a Python file.

    It is called with the path of its weights (or with nothing when there is none) and returns a callable from uint8
    RGB frames [T, H, W, 3] to features [T, F]. Two frames are encoded here, so that mistakes show at once. Its
    identity is the content of both files.

    Raises:
        KgclipError: a file or the name does not exist, or what it makes is no such callable.
    """
    file, _, name = spec.rpartition(":")
    path, where = Path(file), f"--encoder {spec}"
    if not file or not path.is_file():
        what = f"there is no file {file or spec!r}" if not Path(spec).is_file() else "does not name what is in the file"
        raise KgclipError(f"{where}: {what}; give FILE.py:NAME")
    if weights is not None and not weights.is_file():
        raise KgclipError(f"--encoder-weights {weights}: there is no such file; correct the path")
    factory = _import(path, name, where)
    arguments = () if weights is None else (weights,)
    _check_arguments(factory, arguments, where)
    try:
        function = factory(*arguments)
    except Exception as error:
        raise KgclipError(f"{where}: fails when it is made ({type(error).__name__}: {error}); correct it") from error
    if not callable(function):
        raise KgclipError(
            f"{where}: makes {type(function).__name__}, which cannot be called; return a function of frames"
        )
    identity = Identity(name=name, weights=digest(weights or path), preprocessing=f"code {digest(path)}")
    encoder = FrameEncoder(identity, function)
    encoder.encode(_PROBE.copy())
    return encoder


def check_encoder(encoder: FrameEncoder, backbone: Backbone) -> None:
    """Refuse an encoder whose features a model was not trained on.

    Raises:
        KgclipError: it is another encoder, or its features have another width.
    """
    known = backbone.image_identity
    if known is not None and not is_same(encoder.identity, known):
        raise KgclipError(
            f"--encoder: is {describe(encoder.identity)}, the model was trained on features by {describe(known)}; "
            "give that encoder with the same weights"
        )
    width = encoder.encode(_PROBE.copy()).shape[1]
    if width != backbone.frame_dim:
        raise KgclipError(
            f"--encoder: makes {width} features a frame, the model takes {backbone.frame_dim}; "
            "give the encoder it was trained with"
        )


def _import(path: Path, name: str, where: str) -> Callable[..., Any]:
    module_spec = importlib.util.spec_from_file_location(path.stem, path)
    if module_spec is None or module_spec.loader is None:
        raise KgclipError(f"{where}: {path} is not a Python file; give FILE.py:NAME")
    module = importlib.util.module_from_spec(module_spec)
    try:
        module_spec.loader.exec_module(module)
    except Exception as error:
        raise KgclipError(f"{where}: {path} cannot be imported ({error}); correct the file") from error
    factory = getattr(module, name, None)
    if not callable(factory):
        raise KgclipError(f"{where}: {path} defines no function or class {name!r}; give FILE.py:NAME")
    return factory


def _check_arguments(factory: Callable[..., Any], arguments: tuple[Path, ...], where: str) -> None:
    try:
        inspect.signature(factory).bind(*arguments)
    except TypeError as error:
        wish = "takes no weights; leave --encoder-weights out" if arguments else "needs weights; give --encoder-weights"
        raise KgclipError(f"{where}: {wish}") from error
    except ValueError:  # of some classes written in C
        return
