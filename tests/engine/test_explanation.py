"""The explanation: sums over a whole data set, probabilities from its JSON alone, spans, and what it may say."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.explain import explain, read_windows
from kgclip.engine.explanation import SEEN, ClipFacts, Explanation, Span
from kgclip.engine.predict import Recognizer
from kgclip.engine.reasons import against, probabilities, reasons
from kgclip.engine.unknown import Threshold
from kgclip.video.frames import read_clip


@pytest.fixture(scope="module")
def recognizer(kg_model: Path) -> Recognizer:
    """Of so few clips that no movement can be told; here it is said to be seen from a little above the average."""
    made = Recognizer.from_pretrained(kg_model)
    assert made.model.path.seen_from.isinf().all()
    made.model.path.seen_from.copy_(made.model.path.baseline + 0.05)
    return made


@pytest.fixture(scope="module")
def explained(recognizer: Recognizer, figures: Path) -> list[Explanation]:
    return [recognizer.predict(path) for path in sorted((figures / "test_videos").rglob("*.mp4"))]


def recomputed(values: dict) -> tuple[list[float], list[float]]:
    """Scores and probabilities from the JSON, as the page computes them."""
    scores = []
    for k, action in enumerate(values["actions"]):
        adds = sum((m["evidence"] - m["baseline"]) * m["weights"][k] for m in values["movements"])
        scores.append(action["appearance"] + (action["s_pose"] or 0) + action["rest"] + adds)
    powers = [math.exp((score - max(scores)) / values["fusion"]["temperature"]) for score in scores]
    return scores, [power / sum(powers) for power in powers]


def test_contributions_sum_to_the_score_over_a_whole_data_set(recognizer: Recognizer, explained: list[Explanation]):
    model = recognizer.model
    assert len(explained) == 24
    for explanation in explained:
        for k, action in enumerate(explanation.actions):
            listed = sum(movement.contribution(k) for movement in explanation.movements)
            assert action.score == pytest.approx(action.appearance + listed + action.rest, abs=1e-5)
            # The rest is what the movements that are not listed add, and nothing else.
            assert action.s_path is not None
            position = recognizer.checkpoint.actions.index(action.action)
            path = action.s_path * float(model.path.weight + model.path.gain[position])
            assert listed + action.rest == pytest.approx(path, abs=1e-4)


def test_probabilities_from_the_json_equal_the_models(explained: list[Explanation]):
    for explanation in explained:
        values = json.loads(json.dumps(explanation.to_json()))
        scores, probability = recomputed(values)
        for k, action in enumerate(explanation.actions):
            assert scores[k] == pytest.approx(action.score, abs=2e-5)
            assert probability[k] == pytest.approx(action.probability, abs=1e-5 / explanation.temperature)
        assert probabilities(explanation, {}) == pytest.approx([a.probability for a in explanation.actions], abs=1e-5)


def test_fields_of_the_format(explained: list[Explanation], recognizer: Recognizer):
    values = explained[0].to_json()
    assert values["format"] == "kgclip.explanation/1"
    assert set(values["clip"]) == {"fps", "frames", "duration_s", "width", "height"}
    answer = {"action", "probability", "unknown", "threshold", "threshold_from", "reasons", "rival", "changes"}
    assert set(values["answer"]) == answer
    assert len(values["actions"]) == 24
    assert values["fusion"]["others"] + len(values["movements"]) == len(recognizer.checkpoint.movements)
    for movement in values["movements"]:
        assert len(movement["weights"]) == 24
        assert len(movement["shares"]) == 5
        assert (movement["source"], movement["joints"]) == ("appearance", [])
    given = values["provenance"]
    assert given["model"] == recognizer.checkpoint.hash[:16]
    assert len(given["frame_times_s"]) == given["frames_read"] == recognizer.checkpoint.config.frames


def test_spans_are_presentation_times_within_the_clip_and_of_what_was_read(explained: list[Explanation]):
    found = 0
    for explanation in explained:
        clip = explanation.clip
        for movement in explanation.movements:
            assert not movement.spans or movement.seen_from is not None
            for span in movement.spans:
                found += 1
                assert 0 <= span.start_s <= span.end_s <= clip.duration_s
                assert {span.start_s, span.end_s} <= set(clip.times_s)
                assert {span.first, span.last} <= set(clip.indices)
            for before, after in zip(movement.spans, movement.spans[1:], strict=False):
                assert before.last < after.first or before.strength >= SEEN or after.strength >= SEEN
    assert found


def test_reasons_are_of_what_was_seen(explained: list[Explanation]):
    found = 0
    for explanation in explained:
        by_name = {movement.name: movement for movement in explanation.movements}
        for reason in explanation.reasons:
            found += 1
            mine = [by_name[name] for name in reason.movements]
            assert all(m.seen and m.contribution() > 0 and m.evidence > m.baseline for m in mine)
        rival = explanation.against_runner_up
        assert rival is None or all(by_name[name].seen_from is not None for name in rival.movements)
    assert found


def test_a_movement_that_speaks_against_the_answer_is_no_reason_where_little_of_it_was_seen(
    explained: list[Explanation],
):
    explanation = explained[0]
    movement = max(explanation.movements, key=lambda m: m.contribution())
    assert movement.spans
    rest = tuple(m for m in explanation.movements if m is not movement)
    for weight, evidence in ((0.3, movement.baseline + 0.5), (-0.3, movement.baseline - 0.5)):
        weights = (weight, *([0.0] * (len(movement.weights) - 1)))
        other = replace(movement, weights=weights, evidence=evidence)
        assert other.seen
        assert other.contribution() > 0.1
        alone = replace(explanation, movements=(other, *rest))
        assert any(movement.name in reason.movements for reason in reasons(alone)) == (weight > 0)


def test_a_movement_that_the_action_does_not_have_is_no_reason(explained: list[Explanation]):
    explanation = next(e for e in explained if e.reasons)
    name = explanation.reasons[0].movements[0]
    mine = next(m for m in explanation.movements if m.name == name)
    rest = tuple(m for m in explanation.movements if m is not mine)
    for share in (0.3, 0.0):
        other = replace(mine, shares=(share, *mine.shares[1:]))
        found = reasons(replace(explanation, movements=(other, *rest)))
        assert any(name in reason.movements for reason in found) == (share > 0)


def test_of_a_defined_action_nobody_says_how_often_it_shows_something(explained: list[Explanation]):
    explanation = replace(next(e for e in explained if e.reasons), threshold=None)
    name = explanation.reasons[0].movements[0]
    mine = next(m for m in explanation.movements if m.name == name)
    weights = (1.0, -1.0, *([0.0] * (len(mine.weights) - 2)))
    alone = replace(explanation, movements=(replace(mine, weights=weights, shares=(0.5, 0.0, *mine.shares[2:])),))
    said = against(alone)
    assert said is not None
    assert said.text.endswith(", which it hardly ever shows")
    second = replace(alone.actions[1], s_mm=None, s_tri=None)
    said = against(replace(alone, actions=(alone.actions[0], second, *alone.actions[2:])))
    assert said is not None
    assert said.text.endswith(", which its definition does not name")


def test_what_would_change_the_answer_changes_it(explained: list[Explanation]):
    changes = [(explanation, change) for explanation in explained for change in explanation.changes]
    assert changes
    for explanation, change in changes:
        p = probabilities(explanation, dict(change.shares))
        best = max(range(len(p)), key=p.__getitem__)
        assert explanation.actions[best].action == change.action != explanation.actions[0].action
        assert p[best] == pytest.approx(change.probability)
        assert change.text.startswith(f"{change.action} if ")


def test_an_unsure_answer_is_unknown(kg_checkpoint: Checkpoint, explained: list[Explanation]):
    surest = max(explanation.actions[0].probability for explanation in explained)
    for value, unknown in ((surest + 1e-3, True), (0.0, False)):
        checkpoint = replace(kg_checkpoint, unknown=Threshold(value, 0.1, 0.2, 90, "validation"))
        explanation = Recognizer(checkpoint).predict(explained[0].file)
        assert explanation.unknown is explanation.to_json()["answer"]["unknown"] is unknown
        assert not (unknown and explanation.against_runner_up)
        # The threshold was chosen for all actions together.
        few = Recognizer(checkpoint).predict(explained[0].file, actions=kg_checkpoint.actions[:3])
        assert few.threshold is None
        assert not few.unknown


def test_the_threshold_is_stored_with_the_model(kg_checkpoint: Checkpoint, trained_model: Path):
    assert kg_checkpoint.unknown is not None
    assert kg_checkpoint.unknown.clips == "left-out training"
    assert "the least at which 90% of the answers on 40 validation" in str(Threshold(0.7, 0.1, 0.2, 40, "validation"))
    assert "even the surest answers were wrong more often" in str(Threshold(1.0, 0.0, 1.0, 40, "validation"))
    trained = Checkpoint.load(trained_model).unknown
    assert trained is None or trained.clips == "validation"


def test_a_movement_counts_as_seen_where_readings_are_right(kg_checkpoint: Checkpoint):
    shown, read = torch.zeros(20, 3), torch.linspace(1, 0, 20)[:, None].repeat(1, 3)
    shown[:9, 0] = 0.4  # 8 of 8 and of two more are 0.8; so are 9 of 9 more than that, and not 9 of 10
    shown[[0, 1, 2, 3, 4, 5, 6], 1] = 0.4  # 7 of 7 are too few
    shown[10:, 2] = 0.5
    small = type(kg_checkpoint.model.path)(3, 3)
    small.fit_seen(shown, read)
    assert small.seen_from.tolist() == pytest.approx([read[8, 0].item(), math.inf, math.inf])


def test_what_frames_over_the_whole_clip_do_not_show_is_faint_at_most(recognizer: Recognizer, figures: Path):
    video = sorted((figures / "test_videos").rglob("*.mp4"))[0]
    clip = read_clip(video, 8)
    with torch.no_grad():
        features = recognizer.encoder.encode(clip.images).float()
        windows, score = read_windows(recognizer.model, features), recognizer.model(features[None])
    assert windows.rows == ((0, 3), (2, 5), (4, 7))
    times, indices = tuple(clip.times_s.tolist()), tuple(clip.indices.tolist())
    facts = ClipFacts(clip.fps, clip.num_frames, clip.duration_s, 64, 64, times, indices)
    path = recognizer.model.path
    before = path.seen_from.clone()
    path.seen_from.copy_(path.baseline + 0.01)
    high, low = torch.ones(len(path.baseline)), torch.zeros(len(path.baseline))
    try:
        seen, faint = (
            explain(recognizer.checkpoint, "a.mp4", facts, score, replace(windows, spread=spread, shares=shares))
            for spread, shares in ((high, high.expand(3, -1)), (low, high.expand(3, -1)))
        )
    finally:
        path.seen_from.copy_(before)
    assert all(movement.seen for movement in seen.movements)
    assert all(movement.spans and not movement.seen for movement in faint.movements)
    assert seen.movements[0].spans == (Span(times[0], times[7], 1.0, indices[0], indices[7]),)
