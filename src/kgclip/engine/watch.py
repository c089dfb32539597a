"""Actions in long and live video: windows joined to spans, each with the movements that speak for it."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8

from kgclip.engine.explanation import SEEN, ClipFacts, Explanation, rounded
from kgclip.engine.film_pose import POSE_RATE, PosedFrame
from kgclip.engine.predict import Recognizer
from kgclip.engine.rows import FilmSpan, PersonRows
from kgclip.engine.spans import SpanRule
from kgclip.engine.windows import FilmWindow, FilmWindows, HeldFrame, WindowContent, WindowPlan, stretches
from kgclip.errors import KgclipError
from kgclip.pose.keypoints import ClipPose
from kgclip.pose.skeleton import People

# Of a window, as a share of the usual training clip: shorter ones than clips find more of an action's edges. This and
# the shares below were chosen on films of left-out training clips of synthetic figures.
WINDOW = 0.7
# Where training did not say how long its clips are.
DEFAULT_WINDOW_S = 2.0
MOST_WINDOW_S = 600.0
LEAST_STEP_S = 0.01
STEPS_A_WINDOW = 8
# Of a model without a threshold of "unknown".
DEFAULT_ENTER = 0.5
# Probability below which a span ends, as a share of that from which it starts.
LEAVE = 0.5
# Gaps that are closed and spans that are dropped, as shares of a window.
MERGE, LEAST = 0.25, 0.5
# A gap between frames of more than this share of a window cuts the film.
GAP = 0.5
MOST_MOVEMENTS = 5
MOST_PEOPLE = 4


@dataclass(frozen=True)
class WatchOptions:
    """How a film is watched; None takes what fits the model.

    Attributes:
        window_s, step_s: length of a window, and the distance from one to the next, in seconds.
        enter, leave: probability from which on an action starts, and below which it ends.
        actions: the only candidates; none takes all actions of the model.
        people: of how many people at most each has a row of spans, where poses are read; with 1, there is one row, of
            whoever moves most in each window.
    """

    window_s: float | None = None
    step_s: float | None = None
    enter: float | None = None
    leave: float | None = None
    actions: tuple[str, ...] = ()
    people: int = MOST_PEOPLE


@dataclass(frozen=True)
class SpanMovement:
    """A movement that speaks for a span's action, by the explanation of its strongest window.

    Attributes:
        movement: its name.
        contribution: what it adds to the action's score.
        share, average: of this window and of the average training clip.
        spans: when it was seen in this window, in seconds of the film.
    """

    movement: str
    contribution: float
    share: float
    average: float
    spans: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class ActionSpan:
    """A stretch of a film that shows an action.

    Attributes:
        start_s, end_s: seconds from the first frame.
        action: its name.
        probability: stated, of its strongest window.
        window_s: where this window lies.
        movements: that speak for the action, those that add most first.
        reasons: clauses of a sentence, as of a prediction.
        person: whose it is, by the number in the film; None where nobody was told apart.
        picture: the frame in the middle of this window, where pictures are held.
    """

    start_s: float
    end_s: float
    action: str
    probability: float
    window_s: tuple[float, float]
    movements: tuple[SpanMovement, ...]
    reasons: tuple[str, ...]
    person: int | None = None
    picture: UInt8[np.ndarray, "H W 3"] | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, without the picture."""
        values = asdict(self)
        values.pop("picture")
        return rounded(values)


class Label(NamedTuple):
    """What a person is said to do; None is nobody in particular."""

    person: int | None
    action: str
    probability: float


class Shown(NamedTuple):
    """A frame and what was read around it.

    Attributes:
        image: a picture of it.
        time_s: presentation time.
        labels: of the last windows whose middle it has passed.
        people: who was seen last, in pixels of the picture.
        numbers: of these people.
    """

    image: UInt8[np.ndarray, "H W 3"]
    time_s: float
    labels: tuple[Label, ...]
    people: People
    numbers: tuple[int, ...] = ()


class Watcher:
    """Finds actions in one film.

    Args:
        recognizer: of the actions.
        options: how it is watched.
        name: of the film, for explanations.
        pose: of the whole film, where its keypoints are brought.
        posed: whether frames bring their people.
        rate: frames a second that are wanted, if more than windows need.
        live: whether every frame is read as it comes, not with others.
        show: is given every frame once the windows around it are read.
        pictures: whether spans are given a picture.

    Attributes:
        plan: where windows lie, and how many frames a second the film is to give.
        rule: when spans start and end.
        watched_s: up to where the film was read.

    Raises:
        KgclipError: an option cannot be.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        options: WatchOptions | None = None,
        *,
        name: str = "film",
        pose: ClipPose | None = None,
        posed: bool = False,
        rate: float = 0.0,
        live: bool = False,
        show: Callable[[Shown], None] | None = None,
        pictures: bool = False,
    ):
        options, checkpoint = options or WatchOptions(), recognizer.checkpoint
        self.recognizer, self.name, self._options = recognizer, name, options
        self._show, self._pictures = show, pictures
        clip_s = checkpoint.summary.get("clip_s")
        usual_s = WINDOW * clip_s if clip_s else DEFAULT_WINDOW_S
        window_s = usual_s if options.window_s is None else options.window_s
        usual_step_s = min(window_s, max(LEAST_STEP_S, window_s / STEPS_A_WINDOW))
        step_s = usual_step_s if options.step_s is None else options.step_s
        if not (LEAST_STEP_S <= step_s <= window_s < MOST_WINDOW_S):
            raise KgclipError(
                f"--window-s {window_s:g} and --step-s {step_s:g}: windows of less than {MOST_WINDOW_S:g} s are read, "
                f"each from {LEAST_STEP_S:g} s to a window after the one before; give such a step"
            )
        least_rate = checkpoint.config.frames / window_s
        rate = max(rate, least_rate, POSE_RATE if posed else 0.0)
        held = pictures or show is not None
        if options.people < 1:
            raise KgclipError(f"--people {options.people}: is too small; give 1 or more")
        batch = 1 if live else 8
        self.plan = WindowPlan(window_s, step_s, checkpoint.config.frames, rate, batch, held, options.people)
        self.rule = _rule(recognizer, options, window_s)
        self._windows = FilmWindows(
            recognizer, self.plan, recognizer.candidates(options.actions), pose, self._frame_leaves
        )
        # What windows said at their middles: the newest that a frame has passed is said of it.
        self._labels: deque[tuple[float, tuple[Label, ...]]] = deque()
        self.watched_s = 0.0
        self._people: People = np.empty((0, 17, 3), np.float32)
        self._numbers: tuple[int, ...] = ()

    def spans(self, frames: Iterable[PosedFrame]) -> Iterator[ActionSpan]:
        """The spans of the film, each as soon as it has ended.

        Args:
            frames: in order of time, ``plan.rate`` a second.
        """
        for stretch in stretches(frames, GAP * self.plan.window_s):
            rows = PersonRows(self.rule, self.plan.step_s)
            for window in self._windows.of(stretch):
                yield from map(self._explained, rows.add(window))
                self._label(window, rows.actions)
                self.watched_s = window.end_s
            yield from map(self._explained, rows.close())

    def _explained(self, span: FilmSpan) -> ActionSpan:
        """A span with what the explanation of its strongest window says."""
        window, content = span.best, span.best.content
        width, height = content.middle.size
        count = len(content.times_s)
        facts = ClipFacts(self.plan.rate, count, window.end_s, width, height, content.times_s, tuple(range(count)))
        explanation = self.recognizer.explain_features(
            self.name, facts, content.features, actions=self._options.actions, pose=content.pose
        )
        return ActionSpan(
            span.start_s,
            span.end_s,
            self.recognizer.checkpoint.actions[span.action],
            span.probability,
            (window.start_s, window.end_s),
            _movements(explanation),
            tuple(reason.text for reason in explanation.reasons),
            content.person,
            _picture(content) if self._pictures else None,
        )

    def _label(self, window: FilmWindow, actions: dict[int | None, int]) -> None:
        """Remember what everybody does at the middle of a window, which comes once for each person."""
        if self._show is None:
            return
        before = {label.person: label for label in self._labels[-1][1]} if self._labels else {}
        person, names = window.content.person, self.recognizer.checkpoint.actions
        if person in actions:
            k = actions[person]
            before[person] = Label(person, names[k], float(window.probability[k]))
        labels = tuple(label for who, label in before.items() if who in actions)
        if self._labels and self._labels[-1][0] == window.center_s:
            self._labels.pop()
        self._labels.append((window.center_s, labels))

    def _frame_leaves(self, frame: HeldFrame) -> None:
        if self._show is None or frame.picture is None:
            return
        while len(self._labels) > 1 and self._labels[1][0] <= frame.time_s:
            self._labels.popleft()
        if frame.seen is not None:
            scale = frame.picture.shape[1] / frame.size[0]
            self._people = frame.seen.people * np.array([scale, scale, 1], np.float32)
            self._numbers = frame.seen.numbers
        labels = self._labels[0][1] if self._labels else ()
        self._show(Shown(frame.picture, frame.time_s, labels, self._people, self._numbers))


def _picture(content: WindowContent) -> UInt8[np.ndarray, "H W 3"] | None:
    """The frame in the middle of a window, or what of it is seen around its person."""
    picture = content.middle.picture
    if picture is None or content.box is None:
        return picture
    scale = picture.shape[1] / content.middle.size[0]
    left, top, right, bottom = (int(scale * side) for side in content.box)
    return picture[top : max(bottom, top + 1), left : max(right, left + 1)]


def _rule(recognizer: Recognizer, options: WatchOptions, window_s: float) -> SpanRule:
    threshold = recognizer.checkpoint.unknown
    known = DEFAULT_ENTER if threshold is None or threshold.value >= 1 else threshold.value
    enter = known if options.enter is None else options.enter
    leave = LEAVE * enter if options.leave is None else options.leave
    if not 0 <= leave <= enter <= 1:
        raise KgclipError(
            f"--enter {enter:g} and --leave {leave:g}: are probabilities, and a span cannot end above where it starts; "
            "give 0 ≤ leave ≤ enter ≤ 1"
        )
    return SpanRule(enter, leave, MERGE * window_s, LEAST * window_s)


def _movements(explanation: Explanation) -> tuple[SpanMovement, ...]:
    """Those that speak for the answer."""
    adding = sorted((m for m in explanation.movements if m.contribution() > 0), key=lambda m: -m.contribution())
    return tuple(
        SpanMovement(
            m.name,
            m.contribution(),
            m.evidence,
            m.baseline,
            tuple((span.start_s, span.end_s) for span in m.spans if span.strength >= SEEN),
        )
        for m in adding[:MOST_MOVEMENTS]
    )
