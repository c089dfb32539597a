"""Data are made once; settings hold what their point says and no more."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from experiments import data as module
from experiments.baselines import pipeline
from experiments.data import OpenData, open_data, open_setting
from experiments.protocol import DataSpec, Point
from kgclip.data.feature_writer import write_features
from kgclip.engine.prepare import prepare
from kgclip.errors import KgclipError
from kgclip.identity import Identity
from kgclip.synthetic.dataset import SyntheticOptions
from kgclip.video.frames import read_clip

POINT = Point("all", frames=4, test_frames=(4,))


@pytest.fixture
def made(figures: Path, synthetic_features: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Figures and features are copied in place of being made; gives what was done."""
    done: list[str] = []

    def generate(out: Path, options: SyntheticOptions, **_: object) -> None:
        done.append(f"figures of seed {options.seed} with noise {options.part_noise}")
        shutil.copytree(figures, out)

    def encode(dataset: object, backbone: str, out: Path, **_: object) -> None:
        done.append(f"features by {backbone}")
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(synthetic_features, out)

    monkeypatch.setattr(module, "generate", generate)
    monkeypatch.setattr(module, "encode_clips", encode)
    return done


def test_figures_are_made_once_a_seed(made: list[str], tmp_path: Path):
    spec = DataSpec("synthetic", part_noise=0.3)
    first = open_data(spec, 1, tmp_path)
    assert made == ["figures of seed 1 with noise 0.3", "features by synthetic"]
    assert open_data(spec, 1, tmp_path) == first
    assert len(made) == 2
    open_data(replace(spec, part_noise=0.4), 1, tmp_path)
    assert made[2] == "figures of seed 1 with noise 0.4"


def test_a_killed_preparation_goes_on(made: list[str], tmp_path: Path):
    spec = DataSpec("synthetic")
    opened = open_data(spec, 0, tmp_path)
    (opened.features.parent / "hash.json").unlink()
    opened.features.unlink()
    assert open_data(spec, 0, tmp_path) == opened
    assert made[2:] == ["features by synthetic"]


def test_figures_in_negative_are_a_data_set_of_their_own(made: list[str], figures: Path, tmp_path: Path):
    spec = DataSpec("synthetic")
    plain, negative = open_data(spec, 0, tmp_path), open_data(replace(spec, negative=True), 0, tmp_path)
    assert made.count("figures of seed 0 with noise 0.2") == 2
    video = min(figures.rglob("*.mp4")).relative_to(figures)
    before, after = (read_clip(data.root / video, 4).images.astype(int) for data in (plain, negative))
    assert np.abs(255 - before - after).mean() < 5
    assert {path.name for path in negative.root.parent.iterdir()} == {"synthetic", "features.safetensors", "hash.json"}


def test_features_of_a_data_set_are_made_once(made: list[str], figures: Path, tmp_path: Path):
    spec = DataSpec("disk", figures)
    opened = open_data(spec, 0, tmp_path / "work")
    assert opened.features.parent == tmp_path / "work"
    assert open_data(spec, 7, tmp_path / "work") == opened
    assert made == ["features by synthetic"]


def write_narrow_features(synthetic_spec: DataSpec, file: Path) -> None:
    from kgclip.data.dataset import open_dataset

    assert synthetic_spec.root is not None
    clips = open_dataset(synthetic_spec.root).clips
    rng = torch.Generator().manual_seed(0)
    rows = ((clip.id, torch.rand(4, 3, generator=rng), torch.arange(4).numpy()) for clip in clips)
    write_features(file, rows, encoder=Identity(name="foreign", weights="", preprocessing=""))


def test_the_backbone_is_that_of_the_features(tiny_spec: DataSpec, tmp_path: Path):
    own = open_data(tiny_spec, 0, tmp_path)
    assert own.backbone == "synthetic"
    file = tmp_path / "narrow.safetensors"
    write_narrow_features(tiny_spec, file)
    foreign = open_data(replace(tiny_spec, features=file), 0, tmp_path)
    assert foreign.backbone == "features:3"
    assert foreign.hash != own.hash
    assert open_data(replace(tiny_spec, features=file, backbone="features:3"), 0, tmp_path) == replace(
        foreign, spec=replace(tiny_spec, features=file, backbone="features:3")
    )
    with pytest.raises(KgclipError, match="not those of --backbone features:4"):
        open_data(replace(tiny_spec, features=file, backbone="features:4"), 0, tmp_path)


def test_the_hash_covers_annotations(tiny_spec: DataSpec, figures: Path, tmp_path: Path):
    copy = tmp_path / "copy"
    shutil.copytree(figures, copy)
    spec = replace(tiny_spec, root=copy)
    same = open_data(spec, 0, tmp_path).hash
    assert same == open_data(tiny_spec, 0, tmp_path).hash
    frames = sorted((copy / "train_annotations").rglob("img_*.json"))
    frames[0].write_bytes(frames[-1].read_bytes())
    assert open_data(spec, 0, tmp_path).hash != same


def test_data_that_cannot_be_used(tiny_spec: DataSpec, figures: Path, tmp_path: Path):
    root = tmp_path / "root"
    shutil.copytree(figures, root)
    shutil.rmtree(root / "test_videos")
    with pytest.raises(KgclipError, match="has no test part; give --folds"):
        open_data(replace(tiny_spec, root=root), 0, tmp_path)
    assert open_data(replace(tiny_spec, root=root, folds=2), 0, tmp_path).root == root
    with pytest.raises(KgclipError, match="has no part annotations"):
        open_data(replace(tiny_spec, root=root / "train_videos"), 0, tmp_path)
    with pytest.raises(KgclipError, match="for a data set on disk"):
        open_data(replace(tiny_spec, root=None), 0, tmp_path)


def test_a_setting_is_what_its_point_says(tiny_data: OpenData, tmp_path: Path):
    few = replace(POINT, label_fraction=0.34)
    setting, narrow = (open_setting(tiny_data, point, 3, 0, tmp_path / "s") for point in (POINT, few))
    split = setting.prepared.split
    assert set(split.labelled) == set(split.train)
    assert len(split.test) == 24
    assert narrow.prepared.split.train == split.train
    assert 0 < len(narrow.prepared.split.labelled) < len(split.labelled) / 2
    assert setting.config.seed == 3
    assert setting.config.frames == 4
    assert setting.frames(split.test, 2).shape[:2] == (24, 2)
    assert setting.prepared.graph.split_hash == split.hash
    assert prepare(narrow.config).graph.hash == narrow.prepared.graph.hash
    assert not setting.config.out.exists()


def test_each_clip_is_tested_in_one_fold(tiny_data: OpenData, tmp_path: Path):
    data = replace(tiny_data, spec=replace(tiny_data.spec, folds=3))
    splits = [open_setting(data, POINT, 0, fold, tmp_path / "s").prepared.split for fold in range(3)]
    tested = [clip for split in splits for clip in split.test]
    assert len(tested) == len(set(tested)) == 24 * 4
    other = open_setting(data, POINT, 1, 0, tmp_path / "s").prepared.split
    assert other.test != splits[0].test


def test_frozen_features_need_no_validation_clips(tiny_data: OpenData, tmp_path: Path):
    whole = open_setting(tiny_data, POINT, 0, 0, tmp_path / "s").prepared.split
    assert (len(whole.train), whole.val) == (24 * 4, ())
    folded = replace(tiny_data, spec=replace(tiny_data.spec, folds=3))
    split = open_setting(folded, POINT, 0, 0, tmp_path / "s").prepared.split
    assert split.val == ()
    assert len(split.train) + len(split.test) == 24 * 4
    assert split.labelled == split.train
    pixels = replace(tiny_data, spec=replace(tiny_data.spec, pixels=True))
    assert 24 <= len(open_setting(pixels, POINT, 0, 0, tmp_path / "s").prepared.split.val) < 36


def test_where_the_tower_trains_the_pipeline_has_validation_clips_too(tiny_data: OpenData, tmp_path: Path):
    pixels = replace(tiny_data, spec=replace(tiny_data.spec, pixels=True))
    carved = open_setting(pixels, POINT, 0, 0, tmp_path / "s")
    whole = open_setting(tiny_data, POINT, 0, 0, tmp_path / "s")
    test = whole.prepared.split.test
    assert carved.config.features is None
    assert set(carved.prepared.split.labelled) < set(whole.prepared.split.labelled)
    # scikit-learn's errors left out, on the same clips in another order, are equal up to rounding.
    torch.testing.assert_close(pipeline(carved).scores(test, 4), pipeline(whole).scores(test, 4), atol=1e-4, rtol=1e-4)


def test_definitions_come_with_generated_figures_alone(figures: Path, tiny_data: OpenData, tmp_path: Path):
    """The real Kinetics-TPS has actions of the same names, which do not follow the figures' scripts."""
    generated = DataSpec("synthetic").definitions
    assert len(generated) == 24
    assert "hip press" in generated["push up"]
    assert DataSpec("Kinetics-TPS", figures).definitions == {}
    on_disk = open_setting(tiny_data, replace(POINT, novel_fraction=0.5), 0, 0, tmp_path / "s")
    assert set(on_disk.actions) == set(generated)
    assert on_disk.definitions == {}
    assert len(on_disk.novel) == 12
