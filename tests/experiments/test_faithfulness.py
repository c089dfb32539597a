"""Deletion and insertion curves, by hand and on a model."""

from pathlib import Path

import pytest
import torch
from jaxtyping import Float, Int
from torch import Tensor

from experiments.faithfulness import faithfulness, frame_curve, main, measure, movement_curve
from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.evaluate import open_evaluation
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
        points = movement_curve(model, embeddings, answer)(torch.arange(count).expand(3, -1))
        torch.testing.assert_close(points[:, 0], p)
        without = model.join(score.mm, score.tri, model.path.baseline.expand(3, -1))
        torch.testing.assert_close(points[:, -1], model.probability(without).gather(1, answer[:, None])[:, 0])
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
