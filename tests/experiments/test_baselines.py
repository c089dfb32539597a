"""Baselines without a graph: what they solve, what they choose, and what they must not see."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from experiments.arms import ARMS
from experiments.baselines import (
    PIPELINE,
    SHARPNESS,
    LinearFit,
    Vectors,
    left_out,
    pipeline,
    pseudo_labels,
    ridge,
    soft_labels,
    zero_shot,
)
from experiments.movement_baselines import MOVEMENTS
from experiments.setting import Setting
from kgclip.compare import plain_baseline
from kgclip.config import TrainConfig
from kgclip.engine.metrics import top_k
from kgclip.engine.prepare import prepare
from kgclip.errors import KgclipError
from kgclip.kg.graph import KnowledgeGraph
from kgclip.models.backbones.registry import load_backbone
from kgclip.models.pooling import frame_statistics

LOOKS = (PIPELINE, "pipeline on means", "pseudo-labels", "pseudo-labels, balanced")
Make = Callable[..., Setting]


@pytest.mark.parametrize("name", [*LOOKS, *MOVEMENTS])
@pytest.mark.parametrize("labeled", [4, 12])
def test_every_baseline_learns_and_sees_any_number_of_frames(name: str, labeled: int, synthetic: Make):
    setting = synthetic(labeled, noise=0.5)
    fitted, test = ARMS[name](setting), setting.prepared.split.test
    assert top_k(fitted.scores(test, 8), setting.labels(test)) > 0.5
    for frames in (1, 3, 16):
        scores = fitted.scores(test, frames)
        assert scores.shape == (len(test), 3)
        assert torch.isfinite(scores).all()
    assert (fitted.movements(test, 8) is None) == (name in LOOKS)


@pytest.mark.parametrize("name", [*LOOKS, *MOVEMENTS])
def test_no_baseline_sees_labels_it_may_not_use(name: str, synthetic: Make, hide_labels: Callable[[Setting], Setting]):
    setting = synthetic(3)
    test = setting.prepared.split.test
    assert torch.equal(ARMS[name](setting).scores(test, 8), ARMS[name](hide_labels(setting)).scores(test, 8))


@pytest.mark.parametrize("name", MOVEMENTS)
def test_no_baseline_sees_what_actions_consist_of(name: str, synthetic: Make):
    setting = synthetic(3)
    graph = setting.prepared.graph
    consists_of = [replace(edge, head="bow", relation="consists_of") for edge in graph.edges("shows")]
    more = KnowledgeGraph.from_edges(
        [*graph.edges("performs"), *graph.edges("shows"), *consists_of], isolated=graph.isolated()
    )
    other = replace(setting, prepared=replace(setting.prepared, graph=more))
    test = setting.prepared.split.test
    assert torch.equal(ARMS[name](setting).scores(test, 8), ARMS[name](other).scores(test, 8))


@pytest.mark.parametrize("name", MOVEMENTS)
def test_movements_are_read(name: str, synthetic: Make):
    setting = synthetic(12, noise=0.3)
    test = setting.prepared.split.test
    movements = ARMS[name](setting).movements(test, 8)
    assert movements is not None
    # An action's own two movements stand above the other four.
    own = F.one_hot(setting.labels(test), 3).repeat_interleave(2, dim=1).bool()
    assert (movements[own].mean() - movements[~own].mean()) / movements.std() > 0.25


@pytest.mark.parametrize("over_time", [True, False])
def test_the_pipeline_is_that_of_the_product(over_time: bool, synthetic: Make):
    setting = synthetic(4)
    known, test = setting.prepared.split.labelled, setting.prepared.split.test

    def vectors(clips: tuple[str, ...]) -> torch.Tensor:
        frames = setting.frames(clips, 4)
        return frame_statistics(frames) if over_time else frames.mean(dim=1)

    expected = plain_baseline(vectors(known), F.one_hot(setting.labels(known), 3).float(), vectors(test))
    found = pipeline(setting, over_time=over_time).scores(test, 4)
    np.testing.assert_allclose(found, 2 * expected - 1, atol=2e-3)


@pytest.mark.parametrize("actions", [("bow", "clap"), ("bow", "clap", "row", "sit")])
def test_the_pipeline_answers_for_every_action(actions: tuple[str, ...], synthetic: Make):
    """Of two classes scikit-learn says one value, and it knows nothing of an action without a clip."""
    setting = synthetic(noise=0.3)
    keep = {clip.id for clip in setting.prepared.dataset.clips if clip.action in actions}
    split = setting.prepared.split
    narrow = replace(split, labelled=tuple(clip for clip in split.labelled if clip in keep))
    few = replace(setting, prepared=replace(setting.prepared, split=narrow))
    test = tuple(clip for clip in split.test if clip in keep)
    scores = pipeline(few).scores(test, 8)
    assert scores.shape == (len(test), 3)
    assert top_k(scores, setting.labels(test)) > 0.6


def test_a_linear_fit_has_a_solution_for_every_number_of_frames(synthetic: Make):
    setting = synthetic(4)
    onehot = setting.targets.edges["performs"]
    fitted = LinearFit(setting, lambda vectors: ridge(vectors.train, onehot))
    test = setting.prepared.split.test
    for frames in (2, 8):
        vectors = Vectors(setting, frames)
        torch.testing.assert_close(vectors.train.mean(dim=0), torch.zeros(32), atol=1e-4, rtol=0)
        expected = F.linear(vectors(test), *ridge(vectors.train, onehot))
        torch.testing.assert_close(fitted.scores(test, frames), expected)


def test_left_out_values_do_not_know_their_row():
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(4, (40,), generator=generator)
    y = F.one_hot(labels, 4).float()
    x = torch.randn(40, 60, generator=generator) + 2 * torch.randn(4, 60, generator=generator)[labels]
    apart = torch.arange(40)
    inside, outside = F.linear(x, *ridge(x, y)), left_out(x, y, apart)
    assert (outside - y).square().sum() > 1.5 * (inside - y).square().sum()
    other = y.clone()
    other[7] = 1 - other[7]
    torch.testing.assert_close(left_out(x, other, apart)[7], outside[7])


def test_left_out_values_do_not_know_their_source():
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(40, 20, generator=generator), F.one_hot(torch.arange(40) % 4, 4).float()
    sources = torch.arange(40) // 3
    other = y.clone()
    other[7] = 1 - other[7]
    found, changed = left_out(x, y, sources), left_out(x, other, sources)
    # Clips 6 to 8 are of one source; those of other parts know clip 7.
    torch.testing.assert_close(found[6:9], changed[6:9])
    assert not torch.allclose(found[9:12], changed[9:12])
    assert not left_out(x, y, torch.zeros(40, dtype=torch.int64)).any()


def test_known_labels_stay_and_others_are_as_sure_as_said():
    onehot = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    scores = torch.tensor([[9.0, 0.0, 0.0], [3.0, 2.0, 1.0]])
    labels = soft_labels(scores, onehot, balance=False)
    assert torch.equal(labels[0], onehot[0])
    z = torch.tensor([1.5, 0.0, -1.5]) / 1.5**0.5
    torch.testing.assert_close(labels[1], (SHARPNESS * z).softmax(dim=0))
    assert torch.equal(soft_labels(scores[:1], onehot[:1], balance=True), onehot[:1])


def test_balanced_labels_have_the_class_sizes_of_the_known_ones():
    generator = torch.Generator().manual_seed(0)
    onehot = torch.cat([torch.eye(3), torch.eye(3)[:1], torch.zeros(80, 3)])
    scores = torch.randn(84, 3, generator=generator) + torch.tensor([0.0, 3.0, 0.0])
    soft, balanced = (soft_labels(scores, onehot, balance=balance) for balance in (False, True))
    assert soft[4:, 1].sum() > 60
    torch.testing.assert_close(balanced[4:].sum(dim=0), torch.tensor([40.0, 20.0, 20.0]), atol=1.0, rtol=0)


def test_unlabeled_clips_help_where_labels_are_few(synthetic: Make):
    setting = synthetic(1, noise=0.5)
    test = setting.prepared.split.test
    arms = (ARMS["movement pseudo-labels"], pseudo_labels, pipeline)
    taught, alone, without = (top_k(arm(setting).scores(test, 8), setting.labels(test)) for arm in arms)
    assert taught > without
    assert alone > without


@pytest.mark.parametrize("name", MOVEMENTS)
def test_without_movements_to_learn_from_it_is_the_pipeline(name: str, synthetic: Make):
    setting = synthetic(4, annotated=0)
    test = setting.prepared.split.test
    assert torch.equal(ARMS[name](setting).scores(test, 8), pipeline(setting).scores(test, 8))


def test_the_head_is_that_of_clip_only(synthetic: Make):
    setting = synthetic(12, noise=0.5)
    test = setting.prepared.split.test
    # All labels are known, so that nothing is taught.
    theirs = ARMS["CLIP only"](setting).scores(test, 8)
    ours = ARMS["movement pseudo-labels, KG-CLIP's head"](setting).scores(test, 8)
    torch.testing.assert_close((ours / ours.std()), (theirs / theirs.std()), atol=1e-3, rtol=1e-3)


def test_zero_shot_is_the_cosine_of_mean_frame_and_prompt(tmp_path: Path, tiny_config: Callable[..., TrainConfig]):
    config = tiny_config(tmp_path / "out")
    setting = Setting(config, prepare(config))
    test = setting.prepared.split.test
    scores = zero_shot(setting).scores(test, 4)
    with torch.no_grad():
        prompts = load_backbone("synthetic").encode_text(config.prompts.around("action", setting.actions))
    cosine = F.cosine_similarity(setting.frames(test, 4).mean(dim=1)[:, None], prompts, dim=2)
    torch.testing.assert_close(scores, cosine, atol=1e-4, rtol=1e-3)


def test_zero_shot_needs_a_space_of_images_and_texts(synthetic: Make):
    with pytest.raises(KgclipError, match="no space that images and texts share"):
        zero_shot(synthetic())
