"""How much frozen frame embeddings tell about the 24 synthetic actions: a linear probe on generated clips."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from sklearn.linear_model import LogisticRegressionCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from kgclip.data.dataset import open_dataset
from kgclip.data.loader import load_clip
from kgclip.engine.encoder import pixels_of
from kgclip.models.backbones.base import Backbone
from kgclip.models.pooling import frame_statistics
from kgclip.synthetic.dataset import SyntheticOptions, generate

NUM_FRAMES = 8
_STRENGTHS = (1e-3, 1e-2, 1e-1)  # inverse regularization, chosen by cross-validation within the training clips


@dataclass(frozen=True, eq=False)
class ProbeClips:
    """Preprocessed frames [clips, T, C, H, W] and action indices of training and test clips."""

    train: tuple[Tensor, np.ndarray]
    test: tuple[Tensor, np.ndarray]
    actions: tuple[str, ...]


def make_probe_clips(backbone: Backbone, per_action: int, seed: int) -> ProbeClips:
    """Generate synthetic videos of default difficulty, and read them back as any user's clips."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "synthetic"
        generate(root, SyntheticOptions(train_per_action=per_action, test_per_action=per_action, seed=seed))
        dataset, parts = open_dataset(root), {}
        for part in ("train", "test"):
            clips = [clip for clip in dataset.clips if clip.part == part]
            frames = torch.stack([load_clip(clip.path, NUM_FRAMES, pixels_of(backbone)) for clip in clips])
            parts[part] = (frames, np.array([dataset.actions.index(str(clip.action)) for clip in clips]))
    return ProbeClips(**parts, actions=tuple(dataset.actions))


@torch.inference_mode()
def embed_frames(backbone: Backbone, clips: Float[Tensor, "B T C H W"]) -> Float[Tensor, "B T D"]:
    """Return the embedding of every frame, computed in bfloat16."""
    with torch.autocast("cpu", torch.bfloat16):
        chunks = [backbone.encode_image(chunk) for chunk in clips.flatten(0, 1).split(256)]
    return torch.cat(chunks).float().unflatten(0, clips.shape[:2])


def probe(backbone: Backbone, clips: ProbeClips, per_action: int) -> dict[str, float]:
    """Return test top-1 of logistic regression on mean-pooled frames and on their statistics.

    Args:
        backbone: frozen.
        clips: generated clips.
        per_action: how many training clips of each action are used.
    """
    labels = clips.train[1]
    used = np.concatenate([np.flatnonzero(labels == k)[:per_action] for k in range(len(clips.actions))])
    train, test = embed_frames(backbone, clips.train[0]), embed_frames(backbone, clips.test[0])
    top1 = {}
    for name, pool in (("mean", lambda frames: frames.mean(1)), ("statistics", frame_statistics)):
        classifier = make_pipeline(StandardScaler(), LogisticRegressionCV(Cs=_STRENGTHS, cv=5, max_iter=500))  # pyright: ignore[reportArgumentType]
        classifier.fit(pool(train).numpy()[used], labels[used])
        top1[name] = float((classifier.predict(pool(test).numpy()) == clips.test[1]).mean())
    return top1
