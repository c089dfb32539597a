"""`kgclip compare`: the baseline is scikit-learn's, every clip is tested once a seed, and the words fit the figures."""

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.nn import functional as F

from kgclip import compare as module
from kgclip.cli.main import run
from kgclip.compare import (
    CLIP_ONLY,
    KG_CLIP,
    PENALTIES,
    PLAIN,
    Comparison,
    _plain_by_pose,
    compare,
    mean_and_interval,
    plain_baseline,
)
from kgclip.config import TrainConfig
from kgclip.data.splits import Split
from kgclip.errors import KgclipError
from kgclip.models.completion import z_score


@pytest.mark.parametrize(("num", "width"), [(30, 60), (80, 12)])
def test_the_plain_baseline_is_that_of_scikit_learn(num: int, width: int):
    rng = np.random.default_rng(num)
    labels = np.arange(num) % 4
    train, test = rng.normal(size=(num, width)) + labels[:, None], rng.normal(size=(50, width)) + 2
    train[:, 0] = 7.0  # a constant has no scale
    expected = make_pipeline(StandardScaler(), RidgeClassifierCV(alphas=PENALTIES)).fit(train, labels)
    found = plain_baseline(*(torch.from_numpy(a) for a in (train, np.eye(4)[labels], test)))
    # It aims at -1 and 1, ours at 0 and 1.
    np.testing.assert_allclose(2 * found.numpy() - 1, expected.decision_function(test), atol=1e-5)
    assert (found.argmax(dim=1).numpy() == expected.predict(test)).all()


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=12))
def test_intervals_are_those_of_scipy(values: list[float]):
    mean, half = mean_and_interval(values)
    assert mean == pytest.approx(np.mean(values))
    error = np.std(values, ddof=1) / math.sqrt(len(values))
    if error > 1e-9:
        low, high = stats.t.interval(0.95, len(values) - 1, loc=mean, scale=error)
        assert (mean - half, mean + half) == pytest.approx((low, high))


def test_a_single_value_has_no_interval():
    mean, half = mean_and_interval([0.5])
    assert mean == 0.5
    assert math.isnan(half)


def comparison(kg_clip: tuple[float, ...], clip_only: tuple[float, ...], plain: tuple[float, ...]) -> Comparison:
    return Comparison({PLAIN: plain, CLIP_ONLY: clip_only, KG_CLIP: kg_clip}, folds=3, clips=90, actions=6)


@pytest.mark.parametrize(
    ("kg_clip", "answer"),
    [
        ((0.60, 0.61, 0.62), "On these clips the graph helps."),
        ((0.51, 0.49, 0.50), "On these clips the graph makes no difference beyond chance."),
        ((0.30, 0.31, 0.32), "On these clips the graph hurts: recognize without it"),
        ((0.60,), "One seed says nothing about chance"),
    ],
)
def test_the_verdict_is_against_the_better_of_the_two_without_graph(kg_clip: tuple[float, ...], answer: str):
    seeds = len(kg_clip)
    text = comparison(kg_clip, (0.2,) * seeds, (0.50, 0.50, 0.50)[:seeds]).verdict()
    assert text.startswith(answer)
    assert "All seeds share these 90 clips" in text


def test_differences_are_paired_by_seed():
    found = comparison((0.5, 0.6), (0.4, 0.5), (0.1, 0.3))
    assert found.difference(KG_CLIP, CLIP_ONLY) == pytest.approx((0.1, 0.0), abs=1e-9)
    mean, half = found.difference(KG_CLIP, PLAIN)
    # Differences 0.4 and 0.3: t(0.975, 1) = 12.706 times their standard error 0.05.
    assert (mean, half) == pytest.approx((0.35, 12.7062 * 0.05), rel=1e-4)
    value = found.to_json()
    assert value["kg_clip_minus"][PLAIN]["interval"] == pytest.approx(half)
    assert value["top1"][KG_CLIP]["seeds"] == (0.5, 0.6)
    assert comparison((0.5,), (0.4,), (0.1,)).to_json()["kg_clip_minus"][CLIP_ONLY] == {
        "mean": pytest.approx(0.1),
        "interval": None,
    }


def test_every_clip_is_tested_once_a_seed(
    tiny_config: Callable[..., TrainConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    tested: list[tuple[int, str]] = []

    def one_fold(config: TrainConfig, dataset: object, split: Split, seed: int, folder: Path, poses: object):
        assert not set(split.test) & {*split.train, *split.val}
        tested.extend((seed, clip) for clip in split.test)
        yield from ((arm, len(split.test) // (2 if arm == PLAIN else 1)) for arm in (PLAIN, CLIP_ONLY, KG_CLIP))

    monkeypatch.setattr(module, "_one_fold", one_fold)
    found = compare(tiny_config(tmp_path / "out"), 2, 3, show_progress=False)
    # The test part of the data set is left alone: 24 actions with 4 training clips remain.
    assert len(tested) == len(set(tested)) == 2 * 24 * 4
    assert (found.clips, found.actions, found.folds) == (96, 24, 3)
    assert found.top1[KG_CLIP] == (1.0, 1.0)
    assert found.top1[PLAIN] == pytest.approx((0.5, 0.5), abs=0.02)


@pytest.mark.slow
def test_the_command_prints_the_arms_and_an_answer(
    figures: Path, synthetic_features: Path, capsys: pytest.CaptureFixture[str]
):
    words = ["compare", "--data", str(figures), "--seeds", "1", "--folds", "2", "--frames", "4"]
    words += ["--features", str(synthetic_features)]
    assert run([*words, "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert all(1 / 24 < value["top1"][arm]["mean"] < 1 for arm in (PLAIN, CLIP_ONLY, KG_CLIP))
    assert value["verdict"].startswith("One seed says nothing")
    assert run(words) == 0
    text = capsys.readouterr().out
    assert "96 clips of 24 actions" in text
    assert f"{100 * value['top1'][KG_CLIP]['mean']:.1f}" in text


@pytest.mark.slow
def test_all_arms_read_pose_where_there_are_keypoints(
    tiny_config: Callable[..., TrainConfig], figures: Path, tmp_path: Path
):
    frames = compare(tiny_config(tmp_path / "out"), 1, 2, show_progress=False)
    pose = compare(tiny_config(tmp_path / "out", keypoints=figures / "keypoints.parquet"), 1, 2, show_progress=False)
    for arm in (PLAIN, CLIP_ONLY, KG_CLIP):
        assert pose.top1[arm][0] > frames.top1[arm][0]


def test_of_clips_without_pose_the_plain_baseline_says_nothing():
    generator = torch.Generator().manual_seed(0)
    onehot = F.one_hot(torch.arange(12) % 3, 3).float()
    train = onehot @ torch.randn(3, 5, generator=generator) + 0.1 * torch.randn(12, 5, generator=generator)
    train[0, 1], test = torch.nan, train[3:8].clone()
    test[2] = torch.nan
    found = _plain_by_pose(train, onehot, test)
    assert found[[0, 1, 3, 4]].argmax(dim=1).tolist() == [0, 1, 0, 1]
    assert not found[2].any()
    assert not z_score(found[2:3]).any()


@pytest.mark.slow
def test_actions_that_a_model_knows_more_or_less_of_are_told_apart(
    tmp_path: Path, tiny_config: Callable[..., TrainConfig]
):
    """One that is known by its definition alone, first by name; and one whose clips all lie in the test fold."""
    file = tmp_path / "definitions.yaml"
    file.write_text("aaa: [left arm bend]\n")
    more = compare(tiny_config(tmp_path / "out", definitions=file), 1, 2, show_progress=False)
    plain = compare(tiny_config(tmp_path / "out"), 1, 2, show_progress=False)
    assert more.top1[CLIP_ONLY] == plain.top1[CLIP_ONLY]
    assert more.top1[KG_CLIP][0] > 0.8 * plain.top1[KG_CLIP][0]
    one_recording = tiny_config(tmp_path / "out", source_pattern="(?P<source>belly_dancing|.*)")
    less = compare(one_recording, 1, 2, show_progress=False)
    for arm in (CLIP_ONLY, KG_CLIP):
        assert less.top1[arm][0] > 0.8 * plain.top1[arm][0]


def test_what_cannot_be_compared(
    tiny_config: Callable[..., TrainConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    config = tiny_config(tmp_path / "out")
    with pytest.raises(KgclipError, match="--seeds 0: is too small"):
        compare(config, 0, 3, show_progress=False)
    monkeypatch.setattr("kgclip.compare.encode_clips", lambda *_, **__: pytest.fail("clips are encoded first"))
    for folds in (1, 10_000):
        with pytest.raises(KgclipError, match=f"cannot be cut into {folds} folds"):
            compare(dataclasses.replace(config, features=None), 1, folds, show_progress=False)
    monkeypatch.undo()
    single = tmp_path / "single"
    for action in ("bow", "clap", "row"):
        (single / action).mkdir(parents=True)
        (single / action / f"{action}.mp4").touch()
    with pytest.raises(KgclipError, match="no action has labeled clips of two recordings"):
        compare(dataclasses.replace(config, data=single, features=None, definitions=Path("shipped")), 1, 2)
    (single / "bow" / "other.mp4").touch()
    with pytest.raises(KgclipError, match="no movement is known for these clips, so that there is no graph to compare"):
        compare(dataclasses.replace(config, data=single, features=None), 1, 2, show_progress=False)
    blind = dataclasses.replace(config.model, backbone="features:8")
    without = dataclasses.replace(config, features=None, model=blind)
    with pytest.raises(KgclipError, match="takes features, not pixels"):
        compare(without, 1, 2, show_progress=False)


def test_clips_that_cannot_be_encoded_are_left_out_where_that_is_asked_for(
    figures: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
):
    clips = tmp_path / "clips"
    first, second = sorted((figures / "train_videos").iterdir())[:2]
    for folder in (first, second):
        (clips / folder.name).mkdir(parents=True)
        for video in folder.iterdir():
            (clips / folder.name / video.name).symlink_to(video)
    (clips / first.name / "broken.mp4").write_bytes(b"no video")
    words = ["--data", str(clips), "--annotations", str(figures / "train_annotations"), "--frames", "2"]
    words = ["compare", *words, "--seeds", "1", "--folds", "2", "--json"]
    assert run(words) == 2
    error = capsys.readouterr().err
    assert "broken.mp4: truncated or not a video" in error
    assert error.endswith(
        "clips are encoded; correct or remove it and run again, or leave out such clips with --keep-going\n"
    )
    assert run([*words, "--keep-going"]) == 0
    assert f"{first.name}/broken: left out: " in caplog.text
    assert "for real ones add --backbone auto" in caplog.text
