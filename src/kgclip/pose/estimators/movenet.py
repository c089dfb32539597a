"""MoveNet SinglePose: one person a frame, followed by a crop that moves with the body."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch.nn.functional import interpolate, pad

from kgclip.errors import KgclipError
from kgclip.pose.skeleton import HIPS, OTHER_SIDE, SHOULDERS, People

SEEN = 0.2
"""A joint of this score helps to place the next crop (MoveNet's own threshold)."""
LEAST_MEAN_SCORE = 0.15
"""Below this mean score over the joints there is no person."""
TORSO_MARGIN, BODY_MARGIN = 1.9, 1.2
"""Half of a crop's side in distances from the hips to the farthest joint of the torso, and to the farthest seen."""
POINTS_MARGIN = 1.5
"""The same in half extents of the seen joints, where no hip is seen."""
SMALLEST_HALF = 16.0
"""A person of fewer pixels is lost."""
REFINEMENTS = 2
"""How often a new person's crop is placed again."""

Pose = Float32[np.ndarray, "17 3"]
Frame = UInt8[np.ndarray, "H W 3"]


@dataclass(frozen=True)
class Square:
    """A square of a frame, which may reach beyond it: center and half its side, in pixels."""

    x: float
    y: float
    half: float


def open_movenet(pose: str, detector: str | None = None) -> "MoveNet":
    """Load a MoveNet SinglePose model from a .tflite file.

    Raises:
        KgclipError: the file is missing or no MoveNet, ai-edge-litert is not installed, or a detector is named.
    """
    if detector is not None:
        raise KgclipError(f"--detector {detector}: {pose} finds people without one; leave the option out")
    path = Path(pose)
    if not path.is_file():
        raise KgclipError(f"{path}: no such file; expected a MoveNet SinglePose model as .tflite")
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        raise KgclipError(
            f"{path}: reading it needs ai-edge-litert, which is not installed; pip install 'kgclip[pose]'"
        ) from None
    try:
        interpreter = Interpreter(str(path), num_threads=1)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise KgclipError(f"{path}: is no TensorFlow Lite model; download MoveNet SinglePose again") from error
    given, made = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    shape = tuple(int(side) for side in given["shape"])
    if len(shape) != 4 or shape[1] != shape[2] or shape[3] != 3 or tuple(made["shape"]) != (1, 1, 17, 3):
        raise KgclipError(
            f"{path}: takes {shape} and gives {tuple(made['shape'])}, expected a square of RGB and (1, 1, 17, 3); "
            "give a MoveNet SinglePose model"
        )

    def run(image: UInt8[np.ndarray, "S S 3"]) -> Pose:
        interpreter.set_tensor(given["index"], image[None].astype(given["dtype"]))
        interpreter.invoke()
        return interpreter.get_tensor(made["index"])[0, 0]

    return MoveNet(run, shape[1])


class MoveNet:
    """The joints of the person that is seen best, frame by frame."""

    def __init__(self, network: Callable[[UInt8[np.ndarray, "S S 3"]], Pose], side: int):
        """Follow people by a network that is called on squares.

        Args:
            network: gives y and x as shares of its square, and a score, for each joint.
            side: of the square it takes, in pixels.
        """
        self.network = network
        self.side = side

    def __call__(self, frames: Iterable[Frame]) -> Iterator[People]:
        """The person of each frame, or nobody; see `Estimator`."""
        person = None
        for frame in frames:
            person = self._follow(frame, person) if person is not None else None
            if person is None:
                person = self._find(frame)
            yield np.empty((0, 17, 3), np.float32) if person is None else person[None]

    def _follow(self, frame: Frame, before: Pose) -> Pose | None:
        square = crop_around(before, frame.shape[0], frame.shape[1])
        if square is None:
            return None
        pose = self._infer(frame, square)
        return pose if is_person(pose) else None

    def _find(self, frame: Frame) -> Pose | None:
        """Look at the whole frame and at its squares, then closer at the best."""
        height, width = frame.shape[:2]
        best = max((self._infer(frame, square) for square in first_squares(height, width)), key=_mean_score)
        for _ in range(REFINEMENTS):
            square = crop_around(best, height, width) if is_person(best) else None
            closer = None if square is None else self._infer(frame, square)
            if closer is None or _mean_score(closer) <= _mean_score(best):
                break
            best = closer
        return best if is_person(best) else None

    def _infer(self, frame: Frame, square: Square) -> Pose:
        """The pose in a square: of the picture and of its mirror image, averaged by score."""
        image = cut(frame, square, self.side)
        poses = np.stack([self.network(image), self.network(np.ascontiguousarray(image[:, ::-1]))])
        poses[1, :, 1] = 1 - poses[1, :, 1]
        poses[1] = poses[1, OTHER_SIDE]
        weights = poses[:, :, 2:] + 1e-3
        y, x = ((poses[:, :, :2] * weights).sum(0) / weights.sum(0)).T
        corner_x, corner_y, side = square.x - square.half, square.y - square.half, 2 * square.half
        return np.stack([corner_x + x * side, corner_y + y * side, poses[:, :, 2].mean(0)], axis=1, dtype=np.float32)


def is_person(pose: Pose) -> bool:
    """Whether a shoulder is seen and the joints as a whole are likely."""
    return bool(pose[SHOULDERS, 2].max() > SEEN and _mean_score(pose) > LEAST_MEAN_SCORE)


def crop_around(pose: Pose, height: int, width: int) -> Square | None:
    """The square to look at next; None where the person is lost.

    As in MoveNet's own example: around the hips, `TORSO_MARGIN` times the farthest torso joint or `BODY_MARGIN` times
    the farthest seen joint. Where no hip is seen, around the seen joints.
    """
    seen = pose[:, 2] > SEEN
    hips = [joint for joint in HIPS if seen[joint]]
    if hips:
        center = pose[hips, :2].mean(0)
        torso = [joint for joint in (*SHOULDERS, *HIPS) if seen[joint]]
        farthest, farthest_torso = (np.abs(pose[joints, :2] - center).max() for joints in (seen, torso))
        half = max(TORSO_MARGIN * farthest_torso, BODY_MARGIN * farthest)
    elif seen.any():
        low, high = pose[seen, :2].min(0), pose[seen, :2].max(0)
        center, half = (low + high) / 2, POINTS_MARGIN * (high - low).max() / 2
    else:
        return None
    x, y = (float(c) for c in center)
    half = min(float(half), max(x, width - x, y, height - y))
    if half < SMALLEST_HALF:
        return None
    return whole_frame(height, width) if 2 * half > max(height, width) else Square(x, y, half)


def whole_frame(height: int, width: int) -> Square:
    """The frame, padded to a square."""
    return Square(width / 2, height / 2, max(height, width) / 2)


def first_squares(height: int, width: int) -> list[Square]:
    """The whole frame, and the largest squares at its two ends and its middle."""
    half = min(height, width) / 2
    squares = [whole_frame(height, width)]
    if width > height:
        squares += [Square(x, half, half) for x in (half, width / 2, width - half)]
    elif height > width:
        squares += [Square(half, y, half) for y in (half, height / 2, height - half)]
    return squares


def cut(frame: Frame, square: Square, side: int) -> UInt8[np.ndarray, "S S 3"]:
    """A square of a frame at `side` by `side` pixels, black beyond the frame."""
    height, width = frame.shape[:2]
    left, top = round(square.x - square.half), round(square.y - square.half)
    size = max(round(2 * square.half), 1)
    inside = frame[max(top, 0) : max(top + size, 0), max(left, 0) : max(left + size, 0)]
    pixels = torch.from_numpy(np.ascontiguousarray(inside)).permute(2, 0, 1)[None]
    margins = (max(-left, 0), max(left + size - width, 0), max(-top, 0), max(top + size - height, 0))
    pixels = interpolate(pad(pixels, margins), (side, side), mode="bilinear", antialias=True)
    return pixels[0].permute(1, 2, 0).numpy()


def _mean_score(pose: Pose) -> float:
    return float(pose[:, 2].mean())
