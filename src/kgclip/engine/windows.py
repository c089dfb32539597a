"""The windows of a film: a buffer of frames, each encoded once, from which every window takes its own."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from kgclip.engine.film_pose import POSE_RATE, PosedFrame, SeenPeople, people_at, pose_between, pose_of_frames
from kgclip.engine.predict import Recognizer
from kgclip.engine.spans import Window
from kgclip.engine.views import View, ViewBox, view_boxes, view_of
from kgclip.pose.keypoints import ClipPose
from kgclip.pose.tracks import Tracker
from kgclip.video.sampling import segment_indices
from kgclip.video.stream import Pace
from kgclip.video.transforms import shrunk

PICTURE_WIDTH = 640
"""Of frames that are held to be shown, in pixels."""


@dataclass(frozen=True)
class WindowPlan:
    """How windows lie in a film.

    Attributes:
        window_s, step_s: length, and the distance from one to the next, in seconds.
        frames: T, that each is read at.
        rate: frames a second that the film gives.
        batch: frames that are encoded together; with 1, live video is read without delay.
        pictures: whether frames are held as pictures.
        people: how many at most are read in each window, one by one; with 1, whoever moves most in it.
    """

    window_s: float
    step_s: float
    frames: int
    rate: float
    batch: int = 8
    pictures: bool = False
    people: int = 1


class HeldFrame(NamedTuple):
    """A frame in the buffer.

    Attributes:
        time_s: presentation time.
        size: width and height in pixels.
        features: None where no window needs them.
        seen: its people; None where they were not looked for.
        views: of each of several people, where windows need features.
        picture: at most PICTURE_WIDTH pixels wide; None where none are held.
    """

    time_s: float
    size: tuple[int, int]
    features: Float[Tensor, " F"] | None
    seen: SeenPeople | None
    views: dict[int, View]
    picture: UInt8[np.ndarray, "H W 3"] | None


class WindowContent(NamedTuple):
    """What a window was read from: frames, their times, the frame in the middle, and the pose of whom.

    Attributes:
        person: the subject of the pose, by the number in the film; None where nobody lasts in the window, or nobody is
            looked for.
        box: the part of the middle frame around this person that was read; None where all of it was.
    """

    features: Float[Tensor, "T F"]
    times_s: tuple[float, ...]
    middle: HeldFrame
    pose: ClipPose | None
    person: int | None
    box: ViewBox | None = None


FilmWindow = Window[WindowContent]


class FilmWindows:
    """Reads windows of one film; of its frames no more are held than a window and a batch have.

    Args:
        recognizer: reads windows.
        plan: where they lie.
        chosen: the candidates; None are all actions.
        pose: of the whole film, where its keypoints are brought; else frames bring their people.
        leaves: is given every frame once the windows around it are read, in order of time.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        plan: WindowPlan,
        chosen: Bool[Tensor, " K"] | None,
        pose: ClipPose | None,
        leaves: Callable[[HeldFrame], None],
    ):
        self.recognizer, self.plan = recognizer, plan
        self._chosen, self._pose, self._leaves = chosen, pose, leaves

    def of(self, stretch: Iterable[PosedFrame]) -> Iterator[FilmWindow]:
        """The windows of frames without a gap between them: from the first on, a step apart, and one at the end.

        Where several people last in a window, it comes once for each of them, with what is seen around them.
        """
        plan = self.plan
        held: deque[HeldFrame] = deque()
        start_s, number = None, 0
        for frame in self._encoded(stretch):
            start_s = frame.time_s if start_s is None else start_s
            while frame.time_s >= (at_s := start_s + number * plan.step_s) + plan.window_s - 1e-6:
                yield from self._window(held, at_s, at_s + plan.window_s)
                number += 1
                while held and held[0].time_s < at_s:
                    self._leaves(held.popleft())
            held.append(frame)
        if start_s is None:
            return
        end_s = held[-1].time_s + 1 / plan.rate
        read_to_s = start_s + (number - 1) * plan.step_s + plan.window_s
        if not number or end_s - read_to_s > plan.step_s / 2:
            yield from self._window(held, max(start_s, end_s - plan.window_s), end_s)
        for frame in held:
            self._leaves(frame)

    def _encoded(self, stretch: Iterable[PosedFrame]) -> Iterator[HeldFrame]:
        """The frames with the features of those that windows need."""
        pace, frames = Pace(self.plan.frames / self.plan.window_s), iter(stretch)
        tracker, latest = Tracker(), None
        while batch := list(islice(frames, self.plan.batch)):
            due = [pace.due(frame.time_s) for frame in batch]
            images = [frame.image for frame, is_due in zip(batch, due, strict=True) if is_due]
            features = iter(self.recognizer.encoder.encode(np.stack(images)) if images else ())
            seen = [self._people_of(frame, tracker) for frame in batch]
            around = []
            for frame, found, is_due in zip(batch, seen, due, strict=True):
                latest = found or latest
                near = latest is not None and frame.time_s - latest.time_s <= 2 / POSE_RATE
                around.append(latest if near and is_due else None)
            views = self._views(batch, around)
            for row, frame in enumerate(batch):
                height, width = frame.image.shape[:2]
                picture = shrunk(frame.image, PICTURE_WIDTH) if self.plan.pictures else None
                features_of = next(features) if due[row] else None
                yield HeldFrame(frame.time_s, (width, height), features_of, seen[row], views[row], picture)

    def _people_of(self, frame: PosedFrame, tracker: Tracker) -> SeenPeople | None:
        """The people of a frame and who they are; None where they were not looked for."""
        if self._pose is not None:
            return people_at(self._pose, frame.time_s)
        if frame.people is None:
            return None
        return SeenPeople(frame.time_s, frame.people, tracker.numbers(frame.people, frame.time_s))

    def _views(self, batch: Sequence[PosedFrame], around: Sequence[SeenPeople | None]) -> list[dict[int, View]]:
        """The views of several people in each frame, where they are given."""
        boxes: list[dict[int, ViewBox]] = [{} for _ in batch]
        if self.plan.people > 1:
            for row, people in enumerate(around):
                if people is not None:
                    height, width = batch[row].image.shape[:2]
                    boxes[row] = view_boxes(people, width, height, self.plan.people)
        images = [view_of(batch[row].image, box) for row, found in enumerate(boxes) for box in found.values()]
        features = iter(self.recognizer.encoder.encode(np.stack(images)) if images else ())
        return [{number: View(next(features), box) for number, box in found.items()} for found in boxes]

    def _window(self, held: Sequence[HeldFrame], start_s: float, end_s: float) -> Iterator[FilmWindow]:
        """The window of these frames; none where no frame of it was encoded, as a source may give few."""
        inside = [frame for frame in held if start_s - 1e-6 <= frame.time_s < end_s - 1e-6]
        encoded = [frame for frame in inside if frame.features is not None]
        if not encoded:
            return
        if self._pose is None:
            found = pose_of_frames([frame.seen for frame in inside if frame.seen is not None], *encoded[0].size)
        else:
            found = pose_between(self._pose, start_s, end_s)
        people = () if found is None or self.plan.people < 2 else found.lasting(self.plan.people)
        for person in people or (None,):
            pose = None if found is None else found.pose if person is None else found.of(person)
            content = self._content(encoded, person if len(people) > 1 else None)._replace(pose=pose, person=person)
            yield Window(start_s, end_s, self.recognizer.probabilities(content.features, self._chosen, pose), content)

    def _content(self, encoded: Sequence[HeldFrame], around: int | None) -> WindowContent:
        """What a window is read from: frames, or what is seen around one of several people where that was encoded."""
        views = [] if around is None else [frame for frame in encoded if around in frame.views]
        chosen = views or encoded
        read = [chosen[i] for i in segment_indices(len(chosen), self.plan.frames).tolist()]
        middle, times_s = read[len(read) // 2], tuple(frame.time_s for frame in read)
        if not views or around is None:
            features = torch.stack([frame.features for frame in read if frame.features is not None])
            return WindowContent(features, times_s, middle, None, None)
        features = torch.stack([frame.views[around].features for frame in read])
        return WindowContent(features, times_s, middle, None, None, middle.views[around].box)


def stretches(frames: Iterable[PosedFrame], most_s: float) -> Iterator[Iterator[PosedFrame]]:
    """Frames cut where more than that time passes between two of them, or where their size changes."""
    number, before = 0, None

    def number_of(frame: PosedFrame) -> int:
        nonlocal number, before
        now = frame.time_s, frame.image.shape
        if before is not None and (now[0] - before[0] > most_s or now[1] != before[1]):
            number += 1
        before = now
        return number

    for _, stretch in groupby(frames, number_of):
        yield stretch
