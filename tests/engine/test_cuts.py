"""Clips that are cut by time go through features, training, evaluation, prediction and poses with their times."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from kgclip.cli.main import run
from kgclip.config import TrainConfig
from kgclip.data.dataset import open_dataset
from kgclip.data.features import FeatureFile
from kgclip.data.splits import Split, SplitOptions, make_split
from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.encoder import backbone_encoder
from kgclip.engine.evaluate import evaluate, open_evaluation, seen_in_training
from kgclip.engine.extract import extract_features
from kgclip.engine.predict import Recognizer
from kgclip.engine.train import train
from kgclip.models.backbones.registry import load_backbone
from kgclip.pose.annotate import PoseSource, annotate, observe
from kgclip.pose.keypoints import read_keypoints
from kgclip.report.explanation_page import explanation_page
from kgclip.synthetic.dataset import KEYPOINTS_FILE
from kgclip.video.cut import Cut
from kgclip.video.decode import open_video, read_frames
from kgclip.video.encode import write_video
from kgclip.video.frames import read_clip

FRAMES = 4


@pytest.fixture(scope="module")
def films(figures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A list of intervals: the clips of three actions joined to one film for each take, at 25 frames a second."""
    folder = tmp_path_factory.mktemp("films")
    clips = [clip for clip in open_dataset(figures).clips if clip.part == "train"]
    actions = sorted({str(clip.action) for clip in clips})[:3]
    rows = ["video,label,start,end"]
    for take in range(4):
        images, at = [], 0
        for action in actions:
            clip = [clip for clip in clips if clip.action == action][take]
            images.append(read_clip(clip.path, 12).images)
            rows.append(f"film{take}.mp4,{action},{at / 25},{(at + 12) / 25}")
            at += 12
        write_video(folder / f"film{take}.mp4", np.concatenate(images), 25)
    (folder / "list.csv").write_text("\n".join(rows))
    return folder / "list.csv"


@pytest.fixture(scope="module")
def model(films: Path, tiny_config: Callable[..., TrainConfig], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of three actions, trained on the intervals of three films and tested on those of the fourth."""
    out = tmp_path_factory.mktemp("model") / "cuts"
    config = tiny_config(out, data=films, features=None, split=SplitOptions(test_fraction=0.25))
    train(replace(config, model=replace(config.model, graph=False)), show_progress=False)
    return out


def frames_of(cut: Cut, count: int) -> np.ndarray:
    first = round(cut.start_s * 25)
    return read_frames(cut.file, [first + (2 * k + 1) * 12 // (2 * count) for k in range(count)])


def test_features_are_of_the_frames_between_the_times(films, tmp_path):
    encoder = backbone_encoder(load_backbone("synthetic"))
    clips = open_dataset(films).by_id
    extract_features(
        encoder, {name: clip.path for name, clip in clips.items()}, FRAMES, tmp_path / "f", workers=1, progress=False
    )
    file = FeatureFile(tmp_path / "f")
    assert len(file.clips) == 12
    for name, clip in clips.items():
        features, indices = file[name]
        assert indices.tolist() == [1, 4, 7, 10]
        assert isinstance(clip.path, Cut)
        assert torch.equal(features, encoder.encode(frames_of(clip.path, FRAMES)))


def test_a_film_is_on_one_side(films):
    dataset = open_dataset(films)
    split = make_split(dataset, SplitOptions(test_fraction=0.25, val_fraction=0.25))
    sides = {name: {clip.split("@")[0] for clip in getattr(split, name)} for name in ("train", "val", "test")}
    assert sum(map(len, sides.values())) == 4
    assert all(sides.values())


def test_training_and_evaluation(films, model):
    checkpoint = Checkpoint.load(model)
    assert len({clip.split("@")[0] for clip in checkpoint.split.test}) == 1
    report, score = evaluate(checkpoint, open_evaluation(checkpoint, films), workers=0)
    assert (len(checkpoint.split.train), report["frames"]) == (9, FRAMES)
    recognizer = Recognizer(checkpoint)
    for row, clip in enumerate(open_evaluation(checkpoint, films).paths):
        assert isinstance(clip, Cut)
        features = recognizer.encoder.encode(frames_of(clip, FRAMES))
        assert torch.allclose(checkpoint.model(features[None]).total[0], score.total[row], atol=1e-4)


def test_prediction_of_a_part_of_a_file(films, model, capsys):
    cut = Cut(films.parent / "film0.mp4", 0.48, 0.96)
    recognizer = Recognizer.from_pretrained(model)
    of_cut = recognizer.predict(str(cut))
    of_frames = recognizer.predict_frames("x", frames_of(cut, FRAMES), [0.04, 0.16, 0.28, 0.4])
    assert [a.action for a in of_cut.actions] == [a.action for a in of_frames.actions]
    assert of_cut.actions[0].probability == pytest.approx(of_frames.actions[0].probability, abs=1e-6)
    assert of_cut.clip.duration_s == pytest.approx(0.48)
    assert "film0@0.480-0.960" in explanation_page(of_cut)
    assert run(["predict", str(model), str(cut), str(films.parent / "film0.mp4#t=9,10"), "--json"]) == 2
    answered, failed = map(json.loads, capsys.readouterr().out.splitlines())
    assert answered["file"] == str(cut)
    assert "shows no frame from 9 to 10 s, it lasts 1.44 s" in failed["error"]


def test_what_overlaps_a_training_clip_was_seen():
    split = Split(("a/film@1.000-3.000", "whole"), (), (), ())
    asked = [
        "a/film@1.000-3.000",
        "a/film@2.999-4.000",
        "film@0.000-1.500",
        "a/film",
        "whole@5.000-6.000",
        "b/whole",
        "a/film@3.000-4.000",
        "b/film@1.000-3.000",
        "film@3.000-4.000",
    ]
    assert seen_in_training(split, asked) == set(asked[:6])


def test_poses_are_of_the_cut(films, figures, tmp_path):
    poses, _ = read_keypoints(figures / KEYPOINTS_FILE)
    brought = next(iter(poses.values()))
    clip = open_dataset(films).clips[1]
    rows = [
        {"image_id": f"{clip.id}/img_{t + 1:05d}.jpg", "keypoints": brought.tracks[0].keypoints[t].ravel().tolist()}
        for t in range(12)
    ]
    (tmp_path / "all.json").write_text(json.dumps(rows))
    pose = observe(clip.id, clip.path, PoseSource(str(tmp_path / "all.json")))
    with open_video(clip.path) as video:
        assert pose.time_s == pytest.approx(video.times_s(range(12)))
    annotate({clip.id: clip.path}, tmp_path / "out", PoseSource(str(tmp_path / "all.json")))
    assert len(list((tmp_path / "out" / clip.id).glob("img_*.json"))) == 12
    assert [name for name, _, _ in open_dataset(films, tmp_path / "out").annotated()] == [clip.id]
