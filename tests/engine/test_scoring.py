"""Scores of clips: how the halves and the path make up the fused value, and what movements add to it."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from kgclip.engine.scoring import Embedded, Scorer

from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.evaluate import Evaluation, evaluate, open_evaluation
from kgclip.engine.predict import Recognizer, find_videos
from kgclip.engine.step import embed_names
from kgclip.errors import KgclipError, LeakageError
from kgclip.models.options import PathForm
from kgclip.video.frames import read_clip


@pytest.fixture
def evaluation(kg_checkpoint: Checkpoint, figures: Path, synthetic_features: Path) -> Evaluation:
    return open_evaluation(kg_checkpoint, figures, features=synthetic_features)


def embedded(scorer: Scorer, evaluation: Evaluation) -> Embedded:
    assert evaluation.features is not None
    return scorer.embed(torch.stack([evaluation.features[clip][0] for clip in evaluation.clips]).float())


@pytest.mark.parametrize("form", ["plain", "log", "shares"])
def test_fused_is_output_plus_path_and_contributions_add_up(
    form: PathForm, kg_checkpoint: Checkpoint, evaluation: Evaluation
):
    config = replace(kg_checkpoint.config, fusion=replace(kg_checkpoint.config.fusion, path=form))
    scorer = Scorer(replace(kg_checkpoint, config=config, path_weight=0.7))
    scores = scorer.score(embedded(scorer, evaluation))
    assert scores.path is not None
    centered = scores.path - scores.path.mean(dim=1, keepdim=True)
    torch.testing.assert_close(scores.fused, scores.output + scores.factor * centered)
    for k in (0, 5, 23):
        total = scorer.contributions(scores, k).sum(dim=1)
        torch.testing.assert_close(total, (scores.factor * scores.path)[:, k], atol=1e-4, rtol=1e-4)


def test_halves_are_the_models(kg_checkpoint: Checkpoint, evaluation: Evaluation):
    scorer = Scorer(kg_checkpoint)
    clips = embedded(scorer, evaluation)
    scores = scorer.score(clips)
    with torch.no_grad():
        halves = scorer.model.halves(clips.clips, scorer.actions)
    assert scores.tri is not None
    torch.testing.assert_close((scores.mm, scores.tri, scores.output), (halves.mm, halves.tri, halves.output))
    assert scores.mm.abs().max() <= 1 + 1e-5
    torch.testing.assert_close(scorer.probability(scores.fused).sum(dim=1), torch.ones(len(scores.mm)))


@pytest.mark.parametrize("form", ["plain", "log", "shares"])
def test_names_of_movements_are_encoded_where_they_count(form: PathForm, kg_checkpoint: Checkpoint):
    config = replace(kg_checkpoint.config, fusion=replace(kg_checkpoint.config.fusion, path=form))
    scorer = Scorer(replace(kg_checkpoint, config=config))
    with torch.no_grad():
        names = embed_names(scorer.model, config.prompts, kg_checkpoint.actions, kg_checkpoint.movements)
    # A batch of another size adds up in another order, and the map behind the text tower spreads that.
    torch.testing.assert_close(scorer.actions, names[0], atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(scorer.movements, names[1][:0] if form == "shares" else names[1])


def test_path_of_weight_zero_is_left_out(kg_checkpoint: Checkpoint, evaluation: Evaluation):
    scorer = Scorer(replace(kg_checkpoint, path_weight=0.0))
    scores = scorer.score(embedded(scorer, evaluation))
    assert scores.path is None
    assert torch.equal(scores.fused, scores.output)


def test_a_report_counts_what_the_scores_say(kg_checkpoint: Checkpoint, evaluation: Evaluation):
    report, scores = evaluate(kg_checkpoint, evaluation)
    assert report["num_clips"] == len(evaluation.clips) == 24
    assert set(evaluation.clips) == set(kg_checkpoint.split.test)
    assert report["top1"] == pytest.approx((scores.fused.argmax(1) == evaluation.labels).float().mean().item())
    assert report["halves"]["mm"] == pytest.approx((scores.mm.argmax(1) == evaluation.labels).float().mean().item())
    assert 0 <= report["halves"]["tri"] <= 1
    assert report["top5"] >= report["top1"] > 1 / 24
    assert (report["split_hash"], report["graph_hash"]) == (kg_checkpoint.split.hash, kg_checkpoint.graph.hash)


def test_features_and_pixels_of_the_same_frames_score_alike(
    kg_checkpoint: Checkpoint, evaluation: Evaluation, figures: Path
):
    _, by_features = evaluate(kg_checkpoint, evaluation)
    _, by_pixels = evaluate(kg_checkpoint, open_evaluation(kg_checkpoint, figures), workers=0)
    torch.testing.assert_close(by_features.fused, by_pixels.fused, atol=1e-3, rtol=1e-3)


def test_a_file_is_ranked_as_in_evaluation(kg_checkpoint: Checkpoint, evaluation: Evaluation, kg_model: Path):
    _, scores = evaluate(kg_checkpoint, evaluation)
    recognizer = Recognizer.from_pretrained(kg_model)
    for i in range(3):
        result = recognizer.predict(evaluation.paths[i], top=24)
        for row in result["actions"]:
            k = kg_checkpoint.actions.index(row["action"])
            assert row["fused"] == pytest.approx(scores.fused[i, k].item(), abs=1e-3)
        probabilities = [row["probability"] for row in result["actions"]]
        assert sum(probabilities) == pytest.approx(1, abs=1e-4)
        assert probabilities == sorted(probabilities, reverse=True)
        assert {row["movement"] for row in result["movements"]} <= set(kg_checkpoint.movements)
        best = result["actions"][0]["action"]
        known = {edge.tail for edge in kg_checkpoint.graph.edges("consists_of") if edge.head == best}
        assert result["triplets"]
        assert {row["movement"] for row in result["triplets"]} <= known


def test_frames_decoded_before_and_by_several_threads_give_the_same(kg_model: Path, evaluation: Evaluation):
    recognizer = Recognizer.from_pretrained(kg_model)
    path = evaluation.paths[0]
    clip = read_clip(path, recognizer.checkpoint.config.frames, threads=2)
    assert recognizer.predict_frames(str(path), clip.images, clip.times_s.tolist()) == recognizer.predict(path)


def test_without_graph_there_is_no_explanation(clip_only_model: Path, evaluation: Evaluation):
    result = Recognizer.from_pretrained(clip_only_model).predict(evaluation.paths[0])
    assert (result["movements"], result["triplets"]) == ([], [])
    assert result["actions"][0]["s_tri"] is None


def test_a_bad_file_does_not_stop_the_rest(kg_model: Path, evaluation: Evaluation, tmp_path: Path):
    bad = tmp_path / "bad.mp4"
    bad.write_text("text")
    good, other = map(str, evaluation.paths[:2])
    results = list(Recognizer.from_pretrained(kg_model).predict_many([good, bad, other]))
    assert [r["file"] for r in results] == [good, str(bad), other]
    assert ["error" in r for r in results] == [False, True, False]
    assert list(find_videos([tmp_path, good])) == [bad, Path(good)]


def test_clips_that_trained_the_model_are_refused(kg_checkpoint: Checkpoint, figures: Path, tmp_path: Path):
    clip = kg_checkpoint.split.train[0]
    file = next(figures.rglob(f"{clip}.mp4"))
    table = tmp_path / "clips.csv"
    table.write_text(f"video,label\n{file},{file.parent.name}\n")
    with pytest.raises(LeakageError, match="trained this model"):
        open_evaluation(kg_checkpoint, table)
    split = replace(kg_checkpoint.split, train=kg_checkpoint.split.train[1:])
    with pytest.raises(LeakageError):  # the graph knows the clip even where the split does not
        open_evaluation(replace(kg_checkpoint, split=split), table)


def test_a_label_the_model_does_not_know_is_named(kg_checkpoint: Checkpoint, tmp_path: Path):
    (tmp_path / "clips.csv").write_text("video,label\nx.mp4,moon walk\n")
    with pytest.raises(KgclipError, match="such as 'moon walk'"):
        open_evaluation(kg_checkpoint, tmp_path / "clips.csv")
