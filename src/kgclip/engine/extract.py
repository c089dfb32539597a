"""Features of frames: computed once by a backbone or by a user's own encoder, cached for head-only training."""

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from kgclip.data.features import write_features
from kgclip.data.loader import Pixels
from kgclip.errors import KgclipError
from kgclip.models.backbones.base import Backbone
from kgclip.progress import progress_bar
from kgclip.video.frames import read_clips
from kgclip.video.transforms import preprocess


@dataclass(frozen=True)
class FrameEncoder:
    """Anything that turns frames into features.

    Attributes:
        name: says which encoder it was, in the feature file.
        encode: from uint8 RGB frames [T, H, W, 3] to features [T, F].
    """

    name: str
    encode: Callable[[UInt8[np.ndarray, "T H W 3"]], Float[Tensor, "T F"]]


def pixels_of(backbone: Backbone) -> Pixels:
    """What the image tower of a backbone takes."""
    return Pixels(backbone.image_size, backbone.mean, backbone.std)


def backbone_encoder(backbone: Backbone) -> FrameEncoder:
    """The image tower of a backbone as an encoder of frames."""
    pixels = pixels_of(backbone)
    device = next(backbone.parameters()).device

    def encode(frames: UInt8[np.ndarray, "T H W 3"]) -> Float[Tensor, "T F"]:
        clip = preprocess(torch.from_numpy(frames), pixels.image_size, pixels.mean, pixels.std)
        with torch.no_grad():
            return backbone.embed_images(clip.to(device)).cpu()

    return FrameEncoder(str(backbone.spec.get("kind")), encode)


def load_encoder(spec: str, weights: Path | None = None) -> FrameEncoder:
    """A user's own encoder: ``FILE.py:NAME``, a class or function in a Python file.

    It is called with the path of its weights (or with nothing when there is none) and returns a callable from uint8
    RGB frames [T, H, W, 3] to features [T, F].

    Raises:
        KgclipError: the file or the name in it does not exist.
    """
    file, _, name = spec.rpartition(":")
    path = Path(file)
    if not file or not path.is_file():
        raise KgclipError(f"--encoder {spec}: there is no file {file or spec!r}; give FILE.py:NAME")
    module_spec = importlib.util.spec_from_file_location(path.stem, path)
    if module_spec is None or module_spec.loader is None:
        raise KgclipError(f"--encoder {spec}: {path} is not a Python file; give FILE.py:NAME")
    module = importlib.util.module_from_spec(module_spec)
    try:
        module_spec.loader.exec_module(module)
    except Exception as error:
        raise KgclipError(f"--encoder {spec}: {path} cannot be imported ({error}); mend the file") from error
    factory = getattr(module, name, None)
    if factory is None:
        raise KgclipError(f"--encoder {spec}: {path} defines no {name!r}; give FILE.py:NAME")
    return FrameEncoder(name, factory() if weights is None else factory(weights))


def extract_features(
    encoder: FrameEncoder,
    paths: Mapping[str, Path],
    num_frames: int,
    out: Path,
    *,
    workers: int = 2,
    progress: bool = True,
) -> None:
    """Encode up to ``num_frames`` frames of every clip and write them as one feature file, in one step.

    Args:
        encoder: of single frames.
        paths: video file of each clip.
        num_frames: from equal segments, at their centers.
        out: the safetensors file to write.
        workers: threads that decode.
        progress: a bar on stderr.

    Raises:
        KgclipError: a video cannot be read; nothing is written then.
    """

    def encoded() -> Iterator[tuple[str, Tensor, np.ndarray]]:
        with progress_bar("encoding frames", len(paths), "clips", show=progress) as advance:
            for clip, result in read_clips(paths, num_frames, max(1, workers)):
                if isinstance(result, KgclipError):
                    raise result
                # A clip of few frames repeats them; each is encoded and stored once.
                frames = result.distinct()
                yield clip, encoder.encode(frames.images), frames.indices
                advance(1)

    write_features(out, encoded(), encoder=encoder.name)
