"""Unseen actions: what is taken away, what stays known, and that arms recognize what they never saw."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.arms import ARMS
from experiments.hold_out import draw_novel, hold_out
from experiments.protocol import DataSpec
from experiments.setting import Setting
from experiments.unseen import (
    UNSEEN,
    Known,
    Readings,
    UnseenFit,
    by_attributes,
    by_captions,
    by_path,
    by_text,
    known_of,
    typical_shares,
)
from kgclip.config import TrainConfig
from kgclip.engine.prepare import prepare
from kgclip.errors import KgclipError


@pytest.fixture
def setting(tiny_config: Callable[..., TrainConfig], tmp_path: Path) -> Setting:
    """Figures with all 24 actions."""
    config = tiny_config(tmp_path / "cell" / "model")
    return Setting(config, prepare(config))


@pytest.fixture
def novel(setting: Setting) -> Setting:
    """The same with 12 of them held out."""
    return hold_out(setting, 0.5, seed=3)


def test_novel_actions_lose_their_clips_and_keep_their_definition(setting: Setting, novel: Setting) -> None:
    split, graph, by_id = novel.prepared.split, novel.prepared.graph, novel.prepared.dataset.by_id
    assert len(novel.novel) == 12
    assert novel.novel == tuple(sorted(novel.novel))
    assert novel.actions == setting.actions
    assert split.test == setting.prepared.split.test
    old = setting.prepared.split
    for part in ("train", "val", "labelled"):
        expected = {clip for clip in getattr(old, part) if by_id[clip].action not in novel.novel}
        assert set(getattr(split, part)) == expected
    assert set(graph.entities("video")) == set(split.train)
    assert {edge.tail for edge in graph.edges("performs")} == set(novel.actions) - set(novel.novel)
    definition = {e for e in setting.prepared.graph.edges("consists_of") if e.head in novel.novel}
    assert definition
    assert {e for e in graph.edges("consists_of") if e.head in novel.novel} == definition


def test_shares_of_base_actions_are_those_of_their_clips(setting: Setting, novel: Setting) -> None:
    base = [action for action in novel.actions if action not in novel.novel]
    movements = novel.prepared.graph.entities("movement")
    before = setting.prepared.graph.adjacency("consists_of", base, movements)
    after = novel.prepared.graph.adjacency("consists_of", base, movements)
    np.testing.assert_allclose(after, before, atol=1e-6)


def test_training_by_its_configuration_sees_the_same(novel: Setting) -> None:
    again = prepare(novel.config)
    assert again.split == novel.prepared.split
    assert again.graph.hash == novel.prepared.graph.hash


def test_the_draw_depends_on_the_seed_alone(setting: Setting) -> None:
    draws = [draw_novel(setting.actions, 0.5, seed) for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]
    assert len(draw_novel(setting.actions, 0.25, 1)) == 6


@pytest.mark.parametrize("fraction", [0.0, 0.05, 0.95, 1.0])
def test_too_few_actions_on_a_side_are_refused(fraction: float) -> None:
    with pytest.raises(KgclipError, match="expected at least 2 and at most 8"):
        draw_novel(tuple("abcdefghij"), fraction, 0)


def _known(seed: int = 0, num: int = 12, movements: int = 9) -> Known:
    """Half of the actions are base ones; names say nothing; clips show their action's shares, unsteadily."""
    generator = torch.Generator().manual_seed(seed)
    shares = (torch.rand(num, movements, generator=generator) < 0.4) * 0.8
    base = torch.arange(num) < num // 2
    texts = torch.nn.functional.normalize(torch.randn(num, 7, generator=generator), dim=-1)
    shown = shares[base].repeat_interleave(8, dim=0)
    shown = (shown + 0.1 * torch.rand(shown.shape, generator=generator)).clamp(0, 1)
    return Known(base, texts, texts, texts, shares, shares > 0.5, shown)


def test_a_clip_that_shows_what_an_action_consists_of_is_that_action() -> None:
    known = _known()
    read = Readings(torch.zeros(6, 6), known.shares[~known.base])
    path = by_path(read, known)
    assert (path.diagonal() > path.mean(dim=1)).all()
    assert (path.argmax(dim=1) == torch.arange(6)).sum() >= 4
    assert torch.equal(by_attributes(read, known).argmax(dim=1), torch.arange(6))
    # Movements that no training clip shows are not read: they must not count.
    blind = replace(known, shown=known.shown * (torch.arange(9) > 0))
    other = replace(read, shares=read.shares + 100.0 * (torch.arange(9) == 0))
    torch.testing.assert_close(by_path(other, blind), by_path(read, blind))


def test_typical_shares_are_means_over_base_actions_drawn_to_the_overall_mean() -> None:
    base = torch.tensor([True, True, True, False])
    shares = torch.tensor([[0.8, 0.1], [0.4, 0.5], [0.1, 0.3], [0.9, 0.9]])
    written = torch.tensor([[True, False], [True, True], [False, True], [False, True]])
    nothing = torch.zeros(4, 1)
    known = Known(base, nothing, nothing, nothing, shares, written, torch.zeros(0, 2))
    listed = (0.8 + 0.4 + 0.5 + 0.3) / 4
    absent = (0.1 + 0.1) / 2
    # The novel action: movement 0 not listed (by one base action neither), movement 1 listed (by two base actions).
    expected = torch.tensor([(0.1 + 2 * absent) / 3, (0.5 + 0.3 + 2 * listed) / 4])
    torch.testing.assert_close(typical_shares(known)[3], expected)


@pytest.mark.parametrize("describe", [partial(by_text, described=False), by_captions])
def test_a_text_equal_to_that_of_a_base_action_takes_its_clips(describe: Callable) -> None:
    known = _known()
    twins = known.names.clone()
    twins[6:] = twins[:6]
    read = Readings(torch.eye(6), torch.zeros(6, 9))
    values = describe(read, replace(known, names=twins, captions=twins))
    assert torch.equal(values.argmax(dim=1), torch.arange(6))


@pytest.mark.parametrize("name", [*UNSEEN, "KG-CLIP"])
def test_arms_score_all_actions(name: str, novel: Setting) -> None:
    fitted = ARMS[name](novel)
    clips = novel.prepared.split.test
    scores = fitted.scores(clips, 4)
    assert scores.shape == (24, 24)
    assert torch.isfinite(scores).all()
    torch.testing.assert_close(fitted.scores(clips[:2], 4), scores[:2], rtol=1e-4, atol=1e-4)
    shares = fitted.movements(clips, 4)
    assert shares is not None
    assert shares.shape == (24, len(novel.targets.movements))


def test_novel_values_are_z_scores_that_take_one_training_clip_in_four(novel: Setting) -> None:
    fitted = UnseenFit(novel, by_path)
    train = novel.prepared.split.train
    scores = fitted.scores(train, 4)
    base = fitted.known.base
    # In hindsight; among left-out clips the share is a quarter.
    taken = (scores[:, ~base].max(dim=1).values > scores[:, base].max(dim=1).values).float().mean()
    assert 0 < taken < 0.4
    other = UnseenFit(novel, lambda readings, known: 5 * by_path(readings, known) + 3)
    torch.testing.assert_close(other.scores(train, 4), scores, atol=1e-4, rtol=1e-3)


def test_definitions_recognize_novel_actions_and_foreign_ones_do_not() -> None:
    known = _known()
    generator = torch.Generator().manual_seed(2)
    readings = Readings(torch.zeros(120, 6), known.shares[6:].repeat_interleave(20, dim=0))
    noise = 0.3 * torch.randn(readings.shares.shape, generator=generator)
    readings = replace(readings, shares=readings.shares + noise)
    answers = torch.arange(6).repeat_interleave(20)
    rows = torch.tensor([0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 6])
    foreign = replace(known, shares=known.shares[rows], written=known.written[rows])
    for describe in (by_path, partial(by_path, written=True), by_attributes):
        right = [float((describe(readings, k).argmax(dim=1) == answers).float().mean()) for k in (known, foreign)]
        assert right[0] > 0.6  # chance is 1/6
        assert right[1] < 0.2


def test_written_definitions_are_those_of_the_data_and_else_those_of_the_graph(novel: Setting) -> None:
    """Actions of a data set on disk may be named as the figures' are: only generated figures follow their scripts."""
    row, movements = novel.actions.index("push up"), novel.targets.movements
    scripts = DataSpec("synthetic").definitions

    def listed(setting: Setting) -> set[str]:
        return {movements[column] for column in known_of(setting).written[row].nonzero()[:, 0].tolist()}

    assert listed(replace(novel, definitions=scripts)) == scripts["push up"] & set(movements)
    shares = novel.targets.edges["consists_of"][row]
    assert listed(novel) == {movements[column] for column in (shares >= 0.1).nonzero()[:, 0].tolist()}
    assert listed(novel) != listed(replace(novel, definitions=scripts))


def test_arms_need_novel_actions(setting: Setting) -> None:
    with pytest.raises(KgclipError, match="need novel actions"):
        UNSEEN["by path"](setting)
