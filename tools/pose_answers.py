"""What KG-CLIP with and without pose, and pose numbers alone, answer for clips whose keypoints were changed."""

import dataclasses
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from sklearn.linear_model import RidgeClassifier
from torch import Tensor

from experiments.data import OpenData, open_setting
from experiments.family import KG_CLIP, VARIANTS, TrainedFit
from experiments.protocol import DEFAULT_FRAMES, Point
from experiments.setting import Setting
from kgclip.engine.evaluate import score_source
from kgclip.engine.poses import numbers_of
from kgclip.engine.prepare import feature_source
from kgclip.pose.keypoints import ClipPose
from tools.pose_check import RIDGE, standardized

POSE_ALONE, FRAMES_ALONE = "pose alone", "frames alone"
ARMS = (POSE_ALONE, FRAMES_ALONE, KG_CLIP)
UNCHANGED = "unchanged"
NOT_ASKED = -1

Answers = dict[tuple[str, str], Int[np.ndarray, "seeds clips"]]
"""By condition and arm: which action was answered; NOT_ASKED for clips that a condition leaves out."""


def answer(data: OpenData, conditions: Mapping[str, Mapping[str, ClipPose]], seeds: int) -> Answers:
    """Train on unchanged keypoints of each fold's training clips, and answer for its test clips.

    Args:
        data: with folds and keypoints.
        conditions: by name the keypoints of clips; UNCHANGED are those of all clips.
        seeds: of folds and training.
    """
    numbers = {name: dict(zip(poses, numbers_of([*poses.values()]), strict=True)) for name, poses in conditions.items()}
    clips = list(conditions[UNCHANGED])
    place = {clip: index for index, clip in enumerate(clips)}
    asked = [(name, arm) for name in conditions for arm in ARMS if arm != FRAMES_ALONE or name == UNCHANGED]
    answers = {key: np.full((seeds, len(clips)), NOT_ASKED) for key in asked}
    for seed in range(seeds):
        for fold in range(data.spec.folds):
            with tempfile.TemporaryDirectory() as scratch:
                setting = open_setting(data, Point("all"), seed, fold, Path(scratch))
                frames, both = (_fit(setting, arm) for arm in ("KG-CLIP, frames alone", KG_CLIP))
            for name, known in numbers.items():
                test = tuple(clip for clip in setting.prepared.split.test if clip in known)
                if not test:
                    continue
                changed = torch.stack([known[clip] for clip in test])
                at = [place[clip] for clip in test]
                answers[name, POSE_ALONE][seed, at] = _ridge(setting, numbers[UNCHANGED], changed)
                answers[name, KG_CLIP][seed, at] = _ask(setting, both, test, changed)
                if name == UNCHANGED:
                    answers[name, FRAMES_ALONE][seed, at] = _ask(setting, frames, test, None)
            print(f"seed {seed}, fold {fold}", file=sys.stderr, flush=True)
    return answers


def _fit(setting: Setting, arm: str) -> TrainedFit:
    out = setting.config.out.parent / arm.replace(" ", "-") / "model"
    fit = VARIANTS[arm](dataclasses.replace(setting, config=dataclasses.replace(setting.config, out=out)))
    assert isinstance(fit, TrainedFit)
    return fit


def _ask(setting: Setting, fit: TrainedFit, clips: tuple[str, ...], numbers: Float[Tensor, "B S"] | None) -> list[int]:
    assert setting.features is not None
    source = feature_source(setting.features, clips, DEFAULT_FRAMES)
    best = score_source(fit.checkpoint.model, source, numbers=numbers).total.argmax(1).tolist()
    return [setting.actions.index(fit.checkpoint.actions[index]) for index in best]


def _ridge(setting: Setting, numbers: Mapping[str, Tensor], changed: Float[Tensor, "B S"]) -> Int[np.ndarray, " B"]:
    clips = setting.prepared.split.labelled
    train = torch.stack([numbers[clip] for clip in clips]).numpy()
    scaled = standardized(np.concatenate([train, changed.numpy()]), list(range(len(train))))
    ridge = RidgeClassifier(alpha=RIDGE).fit(scaled[: len(train)], setting.labels(clips).numpy())
    return np.asarray(ridge.predict(scaled[len(train) :]))
