"""The poses of a run's clips, as numbers, from a file of keypoints."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kgclip.errors import KgclipError
from kgclip.files import digest
from kgclip.pose.annotate import PoseSource
from kgclip.pose.brought import is_keypoints
from kgclip.pose.keypoints import ClipPose, pose_of, read_keypoints
from kgclip.pose.numbers import clip_numbers, number_names


class Poses:
    """The keypoints of many clips, and where they come from.

    Args:
        file: Parquet that `kgclip annotate` wrote.

    Raises:
        KgclipError: the file is missing, damaged, or of another kind.
    """

    def __init__(self, file: Path):
        self.file = file
        self.clips, self.origin = read_keypoints(file)
        self._numbers: dict[str, Float[Tensor, " S"]] = {}

    def of(self, clip: str) -> ClipPose | None:
        """The pose of a clip, by its id or else its file name; None where there is none."""
        return pose_of(self.clips, clip)

    def numbers(self, clips: Sequence[str]) -> Float[Tensor, "B S"]:
        """Pose numbers of these clips, rows of NaN for those without keypoints; computed once."""
        new = {clip: pose for clip in clips if clip not in self._numbers and (pose := self.of(clip)) is not None}
        if new:
            self._numbers |= dict(zip(new, numbers_of(list(new.values())), strict=True))
        nobody = torch.full((width(),), torch.nan)
        return torch.stack([self._numbers.get(clip, nobody) for clip in clips])

    def check(self, clips: Sequence[str]) -> None:
        """Refuse keypoints of other clips.

        Raises:
            KgclipError: no clip has any.
        """
        if not any(pose.tracks for clip in clips if (pose := self.of(clip)) is not None):
            raise KgclipError(
                f"{self.file}: shows nobody in any of {len(clips)} clips, such as {clips[0]}; give the keypoints that "
                "`kgclip annotate` wrote for these clips"
            )

    def check_origin(self, origin: Mapping[str, Any]) -> None:
        """Refuse keypoints of another estimator than a model was trained on.

        Raises:
            KgclipError: they are.
        """
        # Distances between observed frames and files that were brought may differ.
        differs = [key for key in ("pose", "sha256") if self.origin.get(key) != origin.get(key)]
        if differs and "every" in self.origin and "every" in origin:
            raise KgclipError(
                f"{self.file}: holds keypoints by {self.origin['pose']}, the model was trained on those by "
                f"{origin['pose']}; annotate these clips with that estimator"
            )


def numbers_of(poses: Sequence[ClipPose]) -> Float[Tensor, "B S"]:
    """Pose numbers of the subjects of clips."""
    return torch.from_numpy(clip_numbers([pose.body() for pose in poses])[0])


def width() -> int:
    """S, numbers of a clip."""
    return len(number_names())


def pose_source(origin: Mapping[str, Any] | None, given: str | None, folder: Path | None) -> PoseSource | None:
    """Where a model's poses of new clips come from.

    Args:
        origin: of the keypoints that the model was trained on; None for a model that reads no pose.
        given: an estimator or keypoints (see :class:`kgclip.pose.annotate.PoseSource`); "none" leaves pose out.
        folder: of the model, which may hold the estimator.

    Raises:
        KgclipError: the estimator is not the model's, or none is given and it cannot be found.
    """
    if origin is None:
        if given is not None:
            raise KgclipError(f"{given}: this model reads no pose; leave the option out")
        return None
    if given == "none":
        return None
    name, every = str(origin["pose"]), origin.get("every", PoseSource.every)
    if given is None:
        given = _own_estimator(name, origin, folder)
    if is_keypoints(given):
        return PoseSource(given)
    path = Path(given)
    if "sha256" in origin and "every" in origin:
        if not path.is_file():
            raise KgclipError(f"--pose {given}: there is no such file; the model was trained on poses by {name}")
        if digest(path) != origin["sha256"]:
            raise KgclipError(f"--pose {given}: is not the file {name} that the model was trained on poses of")
    elif (path.name if path.exists() else given) != name:
        raise KgclipError(f"--pose {given}: the model was trained on poses by {name}; give that")
    return PoseSource(given, origin.get("detector"), every)


def own_files(origin: Mapping[str, Any] | None, folder: Path) -> tuple[Path, ...]:
    """The estimator that a model's folder holds, which goes where the model goes."""
    name = "" if origin is None else str(origin.get("pose"))
    # A model from elsewhere may name a file of this machine, which would go to where the model goes.
    return (folder / name,) if name and Path(name).name == name and (folder / name).is_file() else ()


def _own_estimator(name: str, origin: Mapping[str, Any], folder: Path | None) -> str:
    """The estimator that a model's folder holds, or its name where a hub knows it."""
    own = () if folder is None else own_files(origin, folder)
    if own:
        return str(own[0])
    if "sha256" not in origin and "every" in origin:
        return name
    raise KgclipError(
        f"--pose: this model reads pose by {name}, which is not in its folder; give that file, keypoints of the clips, "
        "or --pose none to do without"
    )
