"""Deletion and insertion curves, by hand and on a model."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from jaxtyping import Float, Int
from torch import Tensor

from experiments.faithfulness import (
    faithfulness,
    frame_curve,
    joint_importance,
    main,
    measure,
    movement_curve,
    with_somebody,
    without,
)
from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.evaluate import open_evaluation
from kgclip.engine.poses import Poses
from kgclip.pose.keypoints import read_keypoints
from kgclip.pose.skeleton import JOINTS
from kgclip.report.intervals import Bootstrap


def test_an_order_by_importance_beats_a_random_one_where_importance_is_true():
    """The answer's probability is the share of weight that is left."""
    weight = torch.rand(20, 8, generator=torch.Generator().manual_seed(0)) ** 3

    def curve(order: Int[Tensor, "B Q"]) -> Float[Tensor, "B V"]:
        left = 1 - weight.gather(1, order).cumsum(dim=1) / weight.sum(dim=1, keepdim=True)
        return torch.cat([torch.ones(20, 1), left], dim=1)

    bootstrap = Bootstrap([str(i) for i in range(20)])
    found = measure(curve, weight, bootstrap)
    assert found.deletion_difference[1][1] < 0 < found.insertion_difference[1][0]
    assert found.random[0] == pytest.approx(0.5, abs=0.05)
    reverse = measure(curve, -weight, bootstrap)
    assert reverse.deletion == found.insertion


def test_curves_start_with_all_and_end_with_nothing(kg_checkpoint: Checkpoint):
    model = kg_checkpoint.model
    embeddings = torch.randn(3, 4, model.backbone.frame_dim, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        score = model(embeddings)
        answer = score.total.argmax(dim=1)
        p = model.probability(score).max(dim=1).values
        count = len(kg_checkpoint.movements)
        points = movement_curve(model, score, answer)(torch.arange(count).expand(3, -1))
        torch.testing.assert_close(points[:, 0], p)
        empty = model.join(score.mm, score.tri, model.path.baseline.expand(3, -1))
        torch.testing.assert_close(points[:, -1], model.probability(empty).gather(1, answer[:, None])[:, 0])
        frames = frame_curve(model, embeddings, answer)(torch.tensor([[3, 0, 1, 2]] * 3))
        assert frames.shape == (3, 4)
        torch.testing.assert_close(frames[:, 0], p)
        last = model(embeddings[:, [2, 2, 2, 2]])
        torch.testing.assert_close(frames[:, -1], model.probability(last).gather(1, answer[:, None])[:, 0])


def test_the_command_writes_a_table(
    kg_model: Path, kg_checkpoint: Checkpoint, figures: Path, synthetic_features: Path, tmp_path: Path
):
    found = faithfulness(kg_checkpoint, open_evaluation(kg_checkpoint, figures, features=synthetic_features))
    assert found["movements"].deletion[0] < found["movements"].random[0] < found["movements"].insertion[0]
    out = tmp_path / "faithfulness.md"
    words = [str(kg_model), "--data", str(figures), "--features", str(synthetic_features), "--out", str(out)]
    assert main(words) == 0
    text = out.read_text()
    assert "24 clips of" in text
    assert f"{found['frames'].deletion[0]:.3f} (" in text


def test_joints_are_taken_away_where_the_model_reads_pose(
    pose_model: Path, figures: Path, synthetic_features: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("experiments.faithfulness.RANDOM_ORDERS", 1)
    keypoints = figures / "keypoints.parquet"
    checkpoint = Checkpoint.load(pose_model)
    whole = open_evaluation(checkpoint, figures, features=synthetic_features, keypoints=keypoints)
    few = replace(
        whole, clips=whole.clips[:8], sources=whole.sources[:8], paths=whole.paths[:8], labels=whole.labels[:8]
    )
    found = faithfulness(checkpoint, with_somebody(few))
    assert set(found) == {"movements", "joints"}
    assert found["joints"].deletion[0] < found["joints"].insertion[0]


def test_a_joint_that_is_taken_away_has_no_score_and_the_others_stay(figures: Path):
    pose = next(iter(read_keypoints(figures / "keypoints.parquet")[0].values()))
    left = without(pose, [9, 0])
    assert (left.tracks[0].keypoints[:, [0, 9], 2] == 0).all()
    others = [joint for joint in range(17) if joint not in (0, 9)]
    assert (left.tracks[0].keypoints[:, others] == pose.tracks[0].keypoints[:, others]).all()
    assert (pose.tracks[0].keypoints[:, [0, 9], 2] > 0).any()


def test_contributions_are_spread_over_the_joints_that_an_explanation_names():
    adds = torch.tensor([[0.6, -0.2, 5.0]])
    importance = joint_importance(adds, ["left arm raise", "left hand lift", "left hand hold bar"])[0]
    assert importance.sum() == pytest.approx(0.4)
    assert importance[JOINTS.index("left elbow")] == pytest.approx(0.2)
    assert importance[JOINTS.index("left wrist")] == pytest.approx(0.1)


def test_clips_without_anybody_are_left_out(
    kg_checkpoint: Checkpoint, figures: Path, synthetic_features: Path, monkeypatch: pytest.MonkeyPatch
):
    whole = open_evaluation(kg_checkpoint, figures, features=synthetic_features)
    assert with_somebody(whole) is whole
    poses = Poses(figures / "keypoints.parquet")
    nobody = whole.clips[3]
    poses.clips[nobody] = replace(poses.clips[nobody], tracks=())
    left = with_somebody(replace(whole, poses=poses))
    assert left.clips == tuple(clip for clip in whole.clips if clip != nobody)
    assert len(left.labels) == len(left.paths) == len(left.clips)
