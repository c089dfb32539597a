"""Makes the explanation of a prediction from the model's score and from what it reads in windows of the clip."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.explanation import (
    FAINT,
    MOST_FAINT,
    NUM_SHARES,
    SEEN,
    ActionScore,
    ClipFacts,
    Explanation,
    MovementReading,
    Span,
)
from kgclip.engine.pose_reading import drawn_joints, joints_of, read_by_rule, spans_by_rule
from kgclip.engine.provenance import provenance
from kgclip.engine.reasons import against, changes, reasons
from kgclip.errors import KgclipError
from kgclip.kg.movement import Movement
from kgclip.kg.phrases import phrase
from kgclip.models.evidence import WINDOW
from kgclip.models.kgclip import KGCLIP, Score
from kgclip.models.pooling import phases
from kgclip.pose.keypoints import ClipPose

# How many movements are listed because they add most to the answer, part it from the runner-up, or make up the first
# and the second action.
MOST_ADDING, MOST_PARTING, MOST_OF_FIRST, MOST_OF_SECOND = 9, 7, 4, 6


@dataclass(frozen=True)
class Windows:
    """What is read in stretches of a clip.

    Attributes:
        shares: of the movements in each window.
        rows: first and last of its frames, as positions among those read.
        spread: the movements as read from as many frames spread over the clip, which is how it was learned from which
            share on they count as seen.
    """

    shares: Float[Tensor, "W M"]
    rows: tuple[tuple[int, int], ...]
    spread: Float[Tensor, " M"]


def window_rows(num_frames: int) -> tuple[tuple[int, int], ...]:
    """First and last frame of windows of WINDOW frames, each half a window after the one before, and one at the end."""
    length = min(WINDOW, num_frames)
    last = num_frames - length
    starts = sorted({*range(0, last + 1, max(1, length // 2)), last})
    return tuple((start, start + length - 1) for start in starts)


def read_windows(model: KGCLIP, features: Float[Tensor, "T F"]) -> Windows:
    """The movements in stretches of a clip."""
    rows = window_rows(len(features))
    spread = phases(features[None], min(WINDOW, len(features)), 1)[0]
    shares = model(torch.cat([spread, *(features[None, first : last + 1] for first, last in rows)])).shares
    return Windows(shares[1:], rows, shares[0])


def explain(
    checkpoint: Checkpoint,
    file: str,
    clip: ClipFacts,
    score: Score,
    windows: Windows | None,
    chosen: Bool[Tensor, " K"] | None = None,
    pose: ClipPose | None = None,
) -> Explanation:
    """The explanation of one clip's score.

    Args:
        checkpoint: the model.
        file, clip: which clip, and how it was read.
        score: of this clip alone.
        windows: what is read in it; None where the model reads no movements.
        chosen: the candidates; None are all actions.
        pose: of the clip, where the model read one.
    """
    model = checkpoint.model
    probability = model.probability(score, chosen)[0]
    order = probability.argsort(descending=True, stable=True).tolist()
    order = [k for k in order if chosen is None or chosen[k]]
    listed = [] if windows is None else _listed(model, score, order)
    weights = model.movement_weights()[order][:, listed].T.tolist()
    movements = tuple(
        _reading(checkpoint, score, windows, clip, m, tuple(row), order)
        for m, row in zip(listed, weights, strict=True)
        if windows is not None
    )
    if pose is not None:
        movements = _read_from_pose(movements, pose)
    actions = tuple(_action(checkpoint, score, k, float(probability[k]), movements, n) for n, k in enumerate(order))
    explanation = Explanation(
        file=file,
        clip=clip,
        actions=actions,
        movements=movements,
        num_others=len(checkpoint.movements) - len(listed) if windows is not None else 0,
        temperature=float(model.temperature),
        # It was chosen on the probabilities of all actions together.
        threshold=checkpoint.unknown if chosen is None else None,
        reasons=(),
        against_runner_up=None,
        changes=(),
        provenance=provenance(checkpoint),
        keypoints=None if pose is None else drawn_joints(pose),
    )
    words = {"reasons": reasons, "against_runner_up": against, "changes": changes}
    return replace(explanation, **{name: make(explanation) for name, make in words.items()})


def seen_spans(
    checkpoint: Checkpoint, windows: Windows, clip: ClipFacts, pose: ClipPose | None = None
) -> dict[int, tuple[Span, ...]]:
    """When each movement was seen, more than faintly, by its position among the model's; those never seen are left out.

    Args:
        checkpoint: the model.
        windows, clip: what is read, and of which frames.
        pose: of the clip, where the model read one: rules then decide on the movements that they know.
    """
    path = checkpoint.model.path
    enough = (windows.shares >= path.seen_from).any(dim=0) & (windows.spread >= path.seen_from)
    spans = {m: _spans(checkpoint.model, windows, clip, m) for m in enough.nonzero().flatten().tolist()}
    if pose is not None:
        rules = {m: rule for m, name in enumerate(checkpoint.movements) if (rule := read_by_rule(name)) is not None}
        by_rule = zip(rules, spans_by_rule(pose, list(rules.values())), strict=True)
        spans |= {m: found or () for m, found in by_rule}
    seen = {m: tuple(span for span in found if span.strength >= SEEN) for m, found in spans.items()}
    return {m: found for m, found in seen.items() if found}


def _listed(model: KGCLIP, score: Score, order: Sequence[int]) -> list[int]:
    """The movements worth listing, those that add most to the first action first."""
    first, second = order[0], order[min(1, len(order) - 1)]
    excess = score.shares[0] - model.path.baseline
    adds, parts = excess * model.movement_weights()[[first, second]]
    definitions = model.path.definitions
    ranked = (
        (adds.abs(), MOST_ADDING),
        ((adds - parts).abs(), MOST_PARTING),
        (definitions[first], MOST_OF_FIRST),
        (definitions[second], MOST_OF_SECOND),
    )
    chosen = {m for values, most in ranked for m in values.argsort(descending=True, stable=True)[:most].tolist()}
    return sorted(chosen, key=lambda m: (-float(adds[m]), m))


def _reading(
    checkpoint: Checkpoint,
    score: Score,
    windows: Windows,
    clip: ClipFacts,
    m: int,
    weights: tuple[float, ...],
    order: Sequence[int],
) -> MovementReading:
    model, name = checkpoint.model, checkpoint.movements[m]
    seen_from = float(model.path.seen_from[m])
    first, last = windows.rows[int(windows.shares[:, m].argmax())]
    try:
        part = Movement.parse(name).part
    except KgclipError:
        part = ""
    return MovementReading(
        name=name,
        part=part,
        evidence=float(score.shares[0, m]),
        baseline=float(model.path.baseline[m]),
        weights=weights,
        shares=tuple(float(model.path.definitions[k, m]) for k in order[:NUM_SHARES]),
        seen_from=seen_from if math.isfinite(seen_from) else None,
        spans=_spans(model, windows, clip, m),
        clearest_s=(clip.times_s[first], clip.times_s[last]),
        phrase=phrase([name]),
    )


def _read_from_pose(movements: Sequence[MovementReading], pose: ClipPose) -> tuple[MovementReading, ...]:
    """The same readings, those that rules read from joints with the stretches in which the rules held."""
    rules = [read_by_rule(movement.name) for movement in movements]
    spans = iter(spans_by_rule(pose, [rule for rule in rules if rule is not None]))
    readings = []
    for movement, rule in zip(movements, rules, strict=True):
        if rule is not None:
            seen = next(spans)
            longest = max(seen or (), key=lambda span: span.end_s - span.start_s, default=None)
            movement = replace(
                movement,
                spans=seen or (),
                clearest_s=movement.clearest_s if longest is None else (longest.start_s, longest.end_s),
                seen_from=None if seen is None else 0.0,
                source="pose",
                joints=joints_of(rule),
            )
        readings.append(movement)
    return tuple(readings)


def _spans(model: KGCLIP, windows: Windows, clip: ClipFacts, m: int) -> tuple[Span, ...]:
    """Windows in which a movement is read strongly enough; those that touch are one span.

    The strength is ½ at the share from which on the movement counts as seen, and grows with the distance from the
    average clip's share. Where frames spread over the clip do not show it, windows of it are faint at most. What is
    faint beside a seen span is left out.
    """
    seen_from, baseline = model.path.seen_from[m], model.path.baseline[m]
    strengths = (SEEN * (windows.shares[:, m] - baseline) / (seen_from - baseline)).clamp(0, 1)
    if windows.spread[m] < seen_from:
        strengths = strengths.clamp(max=MOST_FAINT)
    every = [
        Span(clip.times_s[first], clip.times_s[last], strength, clip.indices[first], clip.indices[last])
        for strength, (first, last) in zip(strengths.tolist(), windows.rows, strict=True)
    ]
    seen = _joined([span for span in every if span.strength >= SEEN])
    faint = _joined([span for span in every if FAINT <= span.strength < SEEN])
    apart = [span for span in faint if all(span.last < other.first or other.last < span.first for other in seen)]
    return tuple(sorted((*seen, *apart), key=lambda span: span.first))


def _joined(spans: Sequence[Span]) -> list[Span]:
    """Spans in order of time, those that touch as one."""
    joined: list[Span] = []
    for span in spans:
        if joined and span.first <= joined[-1].last:
            before = joined.pop()
            strength = max(before.strength, span.strength)
            span = replace(span, start_s=before.start_s, first=before.first, strength=strength)
        joined.append(span)
    return joined


def _action(
    checkpoint: Checkpoint,
    score: Score,
    k: int,
    probability: float,
    movements: Sequence[MovementReading],
    position: int,
) -> ActionScore:
    path = checkpoint.model.path
    defined = bool(path.defined[k])
    total = float(score.total[0, k])
    said = None if defined or score.pose is None else float(checkpoint.model.pose_weight * score.pose[0, k])
    appearance = float(path.offset[k] if defined else score.output[0, k] - (said or 0))
    return ActionScore(
        action=checkpoint.actions[k],
        probability=probability,
        score=total,
        appearance=appearance,
        rest=total - appearance - (said or 0) - sum(movement.contribution(position) for movement in movements),
        # Nothing but its movements speaks for an action that is known by its definition alone.
        s_mm=None if defined else _of_action(score.mm, k),
        s_tri=None if defined else _of_action(score.tri, k),
        s_path=_of_action(score.path, k),
        s_pose=said,
    )


def _of_action(part: Float[Tensor, "B K"] | None, k: int) -> float | None:
    return None if part is None else float(part[0, k])
