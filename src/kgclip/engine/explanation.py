"""The explanation of one prediction: what was measured, what it adds up to, and what would change it."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from kgclip.engine.unknown import Threshold
from kgclip.kg.phrases import Phrase
from kgclip.video.frames import ClipFrames

FORMAT = "kgclip.explanation/1"
# Spans of less strength are faint: more than the average clip shows, less than counts as seen.
SEEN, MOST_FAINT, FAINT = 0.5, 0.49, 0.25
# Actions whose share of each movement is listed, beside the weights of all.
NUM_SHARES = 5
MAX_TRIPLETS = 8
DECIMALS = 5

Source = Literal["appearance", "pose"]


@dataclass(frozen=True)
class ClipFacts:
    """The clip as it was read; times are presentation times in seconds from its first frame.

    Attributes:
        times_s, indices: of the frames that the model read.
    """

    fps: float
    frames: int
    duration_s: float
    width: int
    height: int
    times_s: tuple[float, ...]
    indices: tuple[int, ...]

    @classmethod
    def of(cls, clip: ClipFrames) -> "ClipFacts":
        """Those of a clip whose frames were read."""
        height, width = clip.images.shape[1:3]
        times, indices = tuple(clip.times_s.tolist()), tuple(clip.indices.tolist())
        return cls(clip.fps, clip.num_frames, clip.duration_s, width, height, times, indices)


@dataclass(frozen=True)
class Span:
    """A stretch of a clip in which a movement was read.

    Attributes:
        start_s, end_s: presentation times of its first and last frame that was read.
        strength: in [0, 1]; from SEEN on the movement counts as seen, below it the span is faint.
        first, last: these frames' 0-based indices in the file.
    """

    start_s: float
    end_s: float
    strength: float
    first: int
    last: int


@dataclass(frozen=True)
class ActionScore:
    """One action: ``score = appearance + s_pose + rest + Σ_m (evidence_m − baseline_m) · weight_m``, m those listed.

    Attributes:
        probability: stated, of the candidates.
        appearance: S_output without pose; of an action known by its definition alone, what it gets without movements.
        rest: what all movements that are not listed add.
        s_mm, s_tri, s_path: the parts as the model has them; None where it has none.
        s_pose: what pose adds, u S_pose; None where none was read.
    """

    action: str
    probability: float
    score: float
    appearance: float
    rest: float
    s_mm: float | None
    s_tri: float | None
    s_path: float | None
    s_pose: float | None = None

    @property
    def defined(self) -> bool:
        """Whether it is known by its definition alone: looks say nothing of it."""
        return self.s_mm is None


@dataclass(frozen=True)
class MovementReading:
    """One movement in this clip and in the actions.

    Attributes:
        evidence: share of the clip that shows it, as read; an estimate that may lie a little outside [0, 1].
        baseline: share of the average training clip, which is evidence for nothing.
        weights: of ``evidence − baseline`` in the score of each action, in their order.
        shares: of the movement in each of the first actions, by the graph and the training clips.
        seen_from: share read in a window from which on it counts as seen; None where no share was reliable enough; 0
            where a rule decides.
        spans: where in the clip it was read, in order of time; none where it was not seen.
        clearest_s: first and last time of the window where most of it is read, whether or not it counts as seen.
        source: what it was read from.
        joints: whose positions it was read from; none where it was read from appearance.
    """

    name: str
    part: str
    evidence: float
    baseline: float
    weights: tuple[float, ...]
    shares: tuple[float, ...]
    seen_from: float | None
    spans: tuple[Span, ...]
    clearest_s: tuple[float, float]
    phrase: Phrase | None
    source: Source = "appearance"
    joints: tuple[str, ...] = ()

    @property
    def seen(self) -> bool:
        """Whether it was seen at any time, more than faintly."""
        return any(span.strength >= SEEN for span in self.spans)

    def contribution(self, k: int = 0) -> float:
        """What it adds to the score of the k-th action."""
        return (self.evidence - self.baseline) * self.weights[k]


@dataclass(frozen=True)
class Reason:
    """A clause of the answer's sentence, and the movements it speaks of."""

    text: str
    movements: tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """Shares of movements that would change the answer, all else as it is."""

    shares: tuple[tuple[str, float], ...]
    action: str
    probability: float
    text: str


@dataclass(frozen=True)
class Explanation:
    """Why a clip was given its actions. Everything that explains a prediction is drawn from this object.

    Attributes:
        file: of the clip.
        clip: as it was read.
        actions: all candidates, by probability.
        movements: those that count most for the answer, part it from the runner-up, or make up one of the two.
        num_others: movements that are not listed.
        temperature: T; the probabilities are ``softmax(score / T)``.
        threshold: the probability below which the answer is "unknown"; None where none was chosen for these candidates.
        reasons: clauses for the answer, of movements that were seen.
        against_runner_up: a clause against the second action, where a movement gives one.
        changes: the smallest changes found that would give another answer.
        provenance: of the model and the reading.
        keypoints: joints by frame where pose was read.
    """

    file: str
    clip: ClipFacts = field(compare=False)
    actions: tuple[ActionScore, ...]
    movements: tuple[MovementReading, ...]
    num_others: int
    temperature: float
    threshold: Threshold | None
    reasons: tuple[Reason, ...]
    against_runner_up: Reason | None
    changes: tuple[Change, ...]
    provenance: dict[str, Any]
    keypoints: dict[str, Any] | None = None

    @property
    def unknown(self) -> bool:
        """Whether the first action is too unsure to be an answer."""
        return self.threshold is not None and self.actions[0].probability < self.threshold.value

    def triplets(self) -> list[dict[str, Any]]:
        """The paths clip –shows→ movement ←consists_of– first action, those that add most first."""
        adding = self.actions[0].s_path is not None and any(m.weights[0] for m in self.movements)
        consists = [m for m in self.movements if adding and m.shares[0] > 0]
        return [self._triplet(m) for m in sorted(consists, key=lambda m: -m.contribution())[:MAX_TRIPLETS]]

    def _triplet(self, movement: MovementReading) -> dict[str, Any]:
        return {
            "head": Path(self.file).name,
            "relation": "shows",
            "movement": movement.name,
            "share": movement.evidence,
            "action": self.actions[0].action,
            "definition": movement.shares[0],
            "contribution": movement.contribution(),
        }

    def to_json(self) -> dict[str, Any]:
        """All of it as plain JSON values in the format ``kgclip.explanation/1`` (docs/explanation.md)."""
        clip, first, unknown = self.clip, self.actions[0], self.threshold
        rival = self.against_runner_up
        actions, movements = [rounded(asdict(row)) for row in self.actions], [_movement_json(m) for m in self.movements]
        self.make_exact(actions, movements)
        values: dict[str, Any] = {
            "format": FORMAT,
            "file": self.file,
            "clip": {
                "fps": round(clip.fps, 4),
                "frames": clip.frames,
                "duration_s": _number(clip.duration_s),
                "width": clip.width,
                "height": clip.height,
            },
            "answer": {
                "action": first.action,
                "probability": _number(first.probability),
                "unknown": self.unknown,
                "threshold": None if unknown is None else _number(unknown.value),
                "threshold_from": None if unknown is None else str(unknown),
                "reasons": [asdict(reason) for reason in self.reasons],
                "rival": None if rival is None else {"action": self.actions[1].action, **asdict(rival)},
                "changes": [rounded(asdict(change)) for change in self.changes],
            },
            "actions": actions,
            "movements": movements,
            "triplets": rounded(self.triplets()),
            "fusion": {"temperature": self.temperature, "others": self.num_others},
            "provenance": self.provenance
            | {"frames_read": len(clip.times_s), "frame_times_s": [_number(time) for time in clip.times_s]},
        }
        return values if self.keypoints is None else values | {"keypoints": self.keypoints}

    def make_exact(self, actions: list[dict[str, Any]], movements: list[dict[str, Any]]) -> None:
        """Let ``rest`` also hold what rounding took from the listed movements, so that each sum is the score.

        Args:
            actions: as in the JSON; their ``rest`` is set.
            movements: as in the JSON, rounded.
        """
        for k, (row, action) in enumerate(zip(actions, self.actions, strict=True)):
            if action.s_path is not None:
                listed = sum((m["evidence"] - m["baseline"]) * m["weights"][k] for m in movements)
                row["rest"] = _number(action.score - row["appearance"] - (row["s_pose"] or 0.0) - listed)


def _movement_json(movement: MovementReading) -> dict[str, Any]:
    phrase = movement.phrase
    values = {
        "name": movement.name,
        "part": movement.part,
        "source": movement.source,
        "joints": list(movement.joints),
        "evidence": _number(movement.evidence),
        "baseline": _number(movement.baseline),
        "contribution": _number(movement.contribution()),
        "weights": [_number(weight) for weight in movement.weights],
        "shares": [_number(share) for share in movement.shares],
        "seen_from": None if movement.seen_from is None else _number(movement.seen_from),
        "spans": [[_number(s.start_s), _number(s.end_s), _number(s.strength), s.first, s.last] for s in movement.spans],
        "clearest_s": [_number(time) for time in movement.clearest_s],
    }
    if phrase is not None:
        values["phrase"] = {"is": phrase.seen, "if": phrase.if_seen, "if_not": phrase.if_not}
    return values


def _number(value: float) -> float:
    """In five decimals."""
    return round(value, DECIMALS)


def rounded(value: Any) -> Any:
    """Plain JSON values with numbers of that many decimals."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    return _number(value) if isinstance(value, float) else value
