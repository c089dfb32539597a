"""Prediction of files and evaluation: the same scores, what supports them, and the candidates."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from kgclip.config import TrainConfig
from kgclip.data.listing import find_videos
from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.evaluate import Evaluation, evaluate, open_evaluation
from kgclip.engine.explanation import Explanation
from kgclip.engine.metrics import area_under_risk_coverage, expected_calibration_error
from kgclip.engine.predict import Recognizer
from kgclip.engine.train import train
from kgclip.errors import KgclipError, LeakageError
from kgclip.video.frames import read_clip


@pytest.fixture
def evaluation(kg_checkpoint: Checkpoint, figures: Path, synthetic_features: Path) -> Evaluation:
    return open_evaluation(kg_checkpoint, figures, features=synthetic_features)


def test_a_report_counts_what_the_scores_are(kg_checkpoint: Checkpoint, evaluation: Evaluation):
    report, score = evaluate(kg_checkpoint, evaluation)
    labels = evaluation.labels
    assert report["num_clips"] == len(evaluation.clips) == 24
    assert set(evaluation.clips) == set(kg_checkpoint.split.test)

    def accuracy(values: torch.Tensor | None) -> float:
        assert values is not None
        return (values.argmax(dim=1) == labels).float().mean().item()

    assert report["top1"] == pytest.approx(accuracy(score.total))
    assert report["output"] == pytest.approx(accuracy(score.output))
    for part in ("mm", "tri", "path"):
        assert report["parts"][part] == pytest.approx(accuracy(getattr(score, part)))
    assert report["top5"] >= report["top1"] > 2 / 24
    probability = (score.total / kg_checkpoint.model.temperature).softmax(dim=1)
    assert report["ece"] == pytest.approx(expected_calibration_error(probability, labels), abs=1e-5)
    assert report["aurc"] == pytest.approx(area_under_risk_coverage(probability, labels), abs=1e-5)
    assert (report["split_hash"], report["graph_hash"]) == (kg_checkpoint.split.hash, kg_checkpoint.graph.hash)


def test_features_and_pixels_of_the_same_frames_score_alike(
    kg_checkpoint: Checkpoint, evaluation: Evaluation, figures: Path
):
    _, by_features = evaluate(kg_checkpoint, evaluation)
    _, by_pixels = evaluate(kg_checkpoint, open_evaluation(kg_checkpoint, figures), workers=0)
    torch.testing.assert_close(by_features.total, by_pixels.total, atol=2e-2, rtol=1e-2)


def test_clips_that_trained_the_model_are_refused(kg_checkpoint: Checkpoint, figures: Path):
    split = kg_checkpoint.split
    checkpoint = replace(kg_checkpoint, split=replace(split, train=(*split.train, split.test[0])))
    with pytest.raises(LeakageError, match="1 of its clips trained this model"):
        open_evaluation(checkpoint, figures)


def test_a_file_is_ranked_as_in_evaluation(kg_checkpoint: Checkpoint, evaluation: Evaluation, kg_model: Path):
    _, score = evaluate(kg_checkpoint, evaluation)
    recognizer = Recognizer.from_pretrained(kg_model)
    for i in range(3):
        result = recognizer.predict(evaluation.paths[i])
        for row in result.actions:
            k = kg_checkpoint.actions.index(row.action)
            assert row.score == pytest.approx(score.total[i, k].item(), abs=2e-2)
        probabilities = [row.probability for row in result.actions]
        assert sum(probabilities) == pytest.approx(1, abs=1e-4)
        assert probabilities == sorted(probabilities, reverse=True)
        assert all(row["definition"] > 0 for row in result.triplets())
        contributions = [row["contribution"] for row in result.triplets()]
        assert contributions == sorted(contributions, reverse=True)


def test_frames_decoded_before_and_by_several_threads_give_the_same(kg_model: Path, evaluation: Evaluation):
    recognizer = Recognizer.from_pretrained(kg_model)
    path = evaluation.paths[0]
    clip = read_clip(path, recognizer.checkpoint.config.frames, threads=2)
    assert recognizer.predict_frames(str(path), clip.images, clip.times_s.tolist()) == recognizer.predict(path)


def test_candidates_are_limited_to_the_chosen_actions(kg_model: Path, evaluation: Evaluation):
    recognizer = Recognizer.from_pretrained(kg_model)
    whole = {row.action: row for row in recognizer.predict(evaluation.paths[0]).actions}
    chosen = recognizer.checkpoint.actions[3:6]
    rows = recognizer.predict(evaluation.paths[0], actions=chosen).actions
    assert {row.action for row in rows} == set(chosen)
    assert sum(row.probability for row in rows) == pytest.approx(1, abs=1e-5)
    assert all(row.score == pytest.approx(whole[row.action].score) for row in rows)
    with pytest.raises(KgclipError, match="--actions flying: is no action of the model, which knows"):
        recognizer.predict(evaluation.paths[0], actions=["flying"])
    spelled = [name.replace(" ", "_").upper() for name in chosen]
    assert {row.action for row in recognizer.predict(evaluation.paths[0], actions=spelled).actions} == set(chosen)
    with pytest.raises(KgclipError, match=f"did you mean {chosen[0]!r}"):
        recognizer.predict(evaluation.paths[0], actions=[chosen[0][:-1]])


def test_without_movements_nothing_is_seen(clip_only_model: Path, evaluation: Evaluation):
    result = Recognizer.from_pretrained(clip_only_model).predict(evaluation.paths[0])
    assert (result.movements, result.triplets()) == ((), [])
    assert all(row.s_tri is None and row.s_path is None for row in result.actions)


def test_an_action_by_definition_alone_is_a_candidate(
    tiny_config: Callable[..., TrainConfig], evaluation: Evaluation, tmp_path: Path
):
    file = tmp_path / "definitions.yaml"
    file.write_text("juggling: [left arm raise, right arm raise]\n")
    checkpoint = train(tiny_config(tmp_path / "m", definitions=file), show_progress=False)
    assert "juggling" in checkpoint.actions
    assert len(checkpoint.actions) == 25
    rows = Recognizer(checkpoint).predict(evaluation.paths[0]).actions
    juggling = next(row for row in rows if row.action == "juggling")
    assert juggling.s_mm is juggling.s_tri is None
    assert juggling.s_path is not None
    loaded = Checkpoint.load(tmp_path / "m")
    assert loaded.model.path.defined.nonzero().tolist() == [[loaded.actions.index("juggling")]]


def test_names_alone_need_a_text_tower_that_knows_them(tmp_path: Path):
    with pytest.raises(KgclipError, match="does not know what names mean; give a CLIP or SigLIP"):
        Recognizer.from_names("synthetic", ["push up", "squat"])
    with pytest.raises(KgclipError, match="gives 1 names, at least 2"):
        Recognizer.from_names("synthetic", ["push up", "push up"])


def test_a_file_that_cannot_be_read_does_not_stop_the_rest(kg_model: Path, evaluation: Evaluation, tmp_path: Path):
    (tmp_path / "a.mp4").write_text("no video")
    # Files of an operating system, and a folder with the name of a video.
    (tmp_path / "._a.mp4").write_text("")
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "b.mp4").write_bytes(evaluation.paths[0].read_bytes())
    assert list(find_videos([tmp_path])) == [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    first, second = Recognizer.from_pretrained(kg_model).predict_many([tmp_path])
    assert isinstance(first, dict)
    assert set(first) == {"file", "error"}
    assert isinstance(second, Explanation)
    assert second.actions


def test_a_wrong_action_is_no_fault_of_each_file(kg_model: Path, figures: Path):
    recognizer = Recognizer.from_pretrained(kg_model)
    with pytest.raises(KgclipError, match="--actions fly: is no action of the model"):
        next(recognizer.predict_many([figures / "test_videos"], actions=["fly"]))
