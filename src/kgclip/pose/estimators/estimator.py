"""The contract of pose estimators, and which of them an option names."""

import importlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol, runtime_checkable

from jaxtyping import UInt8
from numpy import ndarray

from kgclip.pose.skeleton import People


@runtime_checkable
class Estimator(Protocol):
    """Finds people in the frames of one clip."""

    def __call__(self, frames: Iterable[UInt8[ndarray, "H W 3"]]) -> Iterator[People]:
        """The people of each frame of a clip, in pixels of that frame.

        Args:
            frames: RGB, 0 to 255, in the order of time; an estimator may follow people from one to the next.
        """
        ...


# Kind → module and the function that opens it; modules are imported when they are wanted, as their packages are large.
ESTIMATORS: dict[str, tuple[str, str]] = {
    "movenet": ("kgclip.pose.estimators.movenet", "open_movenet"),
    "vitpose": ("kgclip.pose.estimators.vitpose", "open_vitpose"),
}


def kind_of(pose: str) -> str:
    """The kind of estimator that `--pose` names: MoveNet for a .tflite file, else ViTPose by name or folder."""
    return "movenet" if Path(pose).suffix == ".tflite" else "vitpose"


def open_estimator(pose: str, detector: str | None = None) -> Estimator:
    """Load the estimator that `--pose` names.

    Args:
        pose: a .tflite file, or the name or folder of a ViTPose model.
        detector: the name or folder of the person detector of a ViTPose model; None takes the usual one.

    Raises:
        KgclipError: a file is missing or of another kind, or a package is not installed.
    """
    module, function = ESTIMATORS[kind_of(pose)]
    return getattr(importlib.import_module(module), function)(pose, detector)
