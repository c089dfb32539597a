"""What `benchmarks.growth` makes larger and larger: a work, and how to set it up in any size."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from kgclip.engine.start import complete_performs, orthonormal_map
from kgclip.models.path import discriminant_weights, fuse, path_evidence
from torch.nn import functional as F

from benchmarks.epoch import random_rehearsal, write_random_features
from benchmarks.head import NUM_CLIPS, head, units
from experiments.ranking import filtered_ranks
from kgclip.config import PromptConfig
from kgclip.data.features import FeatureFile
from kgclip.data.loader import in_order
from kgclip.engine.encoder import FrameEncoder
from kgclip.engine.extract import extract_features
from kgclip.engine.metrics import classification_report
from kgclip.engine.prepare import GraphTargets, feature_source
from kgclip.engine.step import TrainingStep
from kgclip.engine.train import start
from kgclip.identity import Identity
from kgclip.kg.build import MovementRule, build_graph
from kgclip.kg.movement import PARTS
from kgclip.kg.observations import FRAMES_SCHEMA, PARTS_SCHEMA, Observations
from kgclip.models.backbones.registry import load_backbone
from kgclip.models.kgclip import KGCLIP
from kgclip.models.options import LossWeights
from kgclip.models.triplet import TripletEncoder
from kgclip.video.encode import write_video

Work = Callable[[], Any]

# What stays as it is while something else grows.
ACTIONS, MOVEMENTS, CLIPS, FRAMES = 24, 391, 64, 8
# Small, so that a hundred times as many clips are measured in seconds.
SMALL_DIM, SMALL_MOVEMENTS = 32, 50


@dataclass(frozen=True)
class Growth:
    """A work that grows with a quantity.

    Attributes:
        quantity: what there is more and more of.
        work: what is done.
        base: the smallest number of it.
        make: sets the work up for a number; it may write into the folder, which lives as long as the work.
        streams: whether memory must not grow with the quantity.
    """

    quantity: str
    work: str
    base: int
    make: Callable[[int, Path], Work]
    streams: bool = False


def scoring(num_actions: int, folder: Path) -> Work:
    """Both halves of clips and actions."""
    model, clips, actions = head(), units(NUM_CLIPS), units(num_actions)
    lengths = model.lengths(actions)
    return lambda: model.halves(clips, actions, lengths).output


def fusing(num_actions: int, num_movements: int) -> Work:
    """Path evidence of clips, added to their output."""
    evidence, weights = torch.rand(NUM_CLIPS, num_movements), torch.randn(num_actions, num_movements)
    output = torch.randn(NUM_CLIPS, num_actions)
    return lambda: fuse(output, path_evidence(evidence, weights), 1.0)


def weighing(num_actions: int, num_movements: int, num_clips: int = 300) -> Work:
    """The weights of path evidence."""
    shares, shown = torch.rand(num_actions, num_movements), torch.rand(num_clips, num_movements)
    return lambda: discriminant_weights(shares, shown)


def training_step(num_actions: int, num_movements: int, num_frames: int = FRAMES) -> Work:
    """One step of head-only training, gradients included, the names' embeddings fixed."""
    torch.manual_seed(0)
    model = KGCLIP(load_backbone("features:512"), "statistics", num_movements=num_movements)
    targets = GraphTargets(
        tuple(f"action {index}" for index in range(num_actions)),
        tuple(f"left arm state{index}" for index in range(num_movements)),
        F.one_hot(torch.arange(CLIPS) % num_actions, num_actions).float(),
        (torch.rand(CLIPS, num_movements) < 0.01).float(),
        (torch.rand(num_actions, num_movements) < 0.05).float(),
        torch.full((num_movements,), -1),
    )
    step = TrainingStep(model, targets, PromptConfig(), LossWeights(), every_text=True)
    step.fix_texts()
    frames, index = torch.randn(CLIPS, num_frames, 512), torch.arange(CLIPS)
    kept = torch.zeros(CLIPS, dtype=torch.bool)

    def work() -> None:
        model.zero_grad()
        torch.stack(list(step(index, frames, kept).values())).sum().backward()

    return work


def reporting(num_actions: int, num_clips: int) -> Work:
    """Accuracies, and what is taken for what."""
    scores, labels = torch.randn(num_clips, num_actions), torch.arange(num_clips) % num_actions
    names = [f"action {index}" for index in range(num_actions)]
    return lambda: classification_report(scores, labels, names)


def mapping(num_movements: int, folder: Path) -> Work:
    """The map that makes embeddings of names orthonormal."""
    texts = units(num_movements)
    return lambda: orthonormal_map(texts)


def epoch(num_clips: int, folder: Path) -> Work:
    """One epoch of head-only training."""
    run = random_rehearsal(folder, num_clips, SMALL_DIM, epochs=1)
    return lambda: run.steps_s(num_clips, run.config.optim.batch_size)


def starting(num_clips: int, folder: Path) -> Work:
    """The closed-form start."""
    run = random_rehearsal(folder, num_clips, SMALL_DIM, epochs=1)
    return lambda: start(run.config, run.model, run.sources, run.targets)


def completing(num_clips: int, folder: Path) -> Work:
    """Soft labels for the nine of ten clips that have none."""
    clips = torch.randn(num_clips, SMALL_DIM)
    performs = F.one_hot(torch.arange(num_clips) % ACTIONS, ACTIONS).float()
    performs[torch.arange(num_clips) % 10 > 0] = 0
    shows = (torch.rand(num_clips, SMALL_MOVEMENTS) < 0.1).float()
    shares = torch.rand(ACTIONS, SMALL_MOVEMENTS)
    targets = GraphTargets((), (), performs, shows, shares, torch.full((SMALL_MOVEMENTS,), -1))
    return lambda: complete_performs(clips, clips[None], targets)


def building(num_clips: int, folder: Path) -> Work:
    """The graph from annotations: 30 frames a clip, ten parts a frame."""
    rng = np.random.default_rng(0)
    names = np.array([f"clip{index:06d}" for index in range(num_clips)])
    clip, frame = np.repeat(names, 30), np.tile(np.arange(1, 31, dtype=np.int32), num_clips)
    states = np.array([f"state{index}" for index in range(SMALL_MOVEMENTS)])
    num_parts = 10 * len(clip)
    parts = {
        "clip": np.repeat(clip, 10),
        "frame": np.repeat(frame, 10),
        "human": np.zeros(num_parts, np.int16),
        "part": np.tile(np.array(PARTS), len(clip)),
        "state": states[rng.integers(0, 2, num_parts) + 2 * np.repeat(np.arange(num_clips) % 25, 300)],
        "object": pl.Series([None] * num_parts, dtype=pl.String),
    }
    observations = Observations(
        pl.DataFrame(parts, schema=PARTS_SCHEMA), pl.DataFrame({"clip": clip, "frame": frame}, schema=FRAMES_SCHEMA)
    )
    labels = {str(name): f"action {index % ACTIONS}" for index, name in enumerate(names)}
    return lambda: build_graph(labels, observations, MovementRule())


def extracting(num_clips: int, folder: Path) -> Work:
    """Features of videos, with an encoder that costs nothing."""
    write_video(folder / "clip.mp4", np.random.default_rng(0).integers(0, 255, (12, 64, 64, 3), np.uint8), 12)
    paths = {f"clip{index}": folder / "clip.mp4" for index in range(num_clips)}
    identity = Identity(name="mean", weights="", preprocessing="")
    encoder = FrameEncoder(identity, lambda frames: torch.from_numpy(frames).float().mean(dim=(1, 2)))

    def work() -> None:
        (folder / "out").unlink(missing_ok=True)
        extract_features(encoder, paths, FRAMES, folder / "out", workers=1, progress=False)

    return work


def reading(num_clips: int, folder: Path) -> Work:
    """Every clip of a file of features, one after the other."""
    write_random_features(folder / "f", num_clips, SMALL_DIM)

    def work() -> None:
        features = FeatureFile(folder / "f")
        for clip in features.clips:
            features[clip]

    return work


def evaluating(num_clips: int, folder: Path) -> Work:
    """From features to scores and the report."""
    run = random_rehearsal(folder, num_clips, SMALL_DIM, epochs=1)
    model, labels = run.model.eval(), torch.arange(num_clips) % ACTIONS
    names, actions = run.prepared.split.train, run.targets.actions

    @torch.no_grad()
    def work() -> None:
        texts = model.embed_texts(actions)
        source = feature_source(FeatureFile(folder / "f"), names, FRAMES)
        batches = source.batches(in_order(num_clips, 16))
        scores = torch.cat([model.halves(model.embed_clips(batch.frames), texts).output for batch in batches])
        classification_report(scores, labels, actions)

    return work


def embedding(num_frames: int, folder: Path) -> Work:
    """Clips from features of their frames, statistics over time."""
    model = KGCLIP(load_backbone("features:512"), "statistics").eval()
    frames = torch.randn(NUM_CLIPS, num_frames, 512)
    model.pooling.fit(frames[:, :FRAMES])
    return torch.no_grad()(lambda: model.embed_clips(frames))


def comparing(num_entities: int, folder: Path) -> Work:
    """Distances of heads to all entities."""
    encoder = TripletEncoder(64, 3)
    heads, entities = torch.randn(16, 64), torch.randn(num_entities, 64)
    return lambda: encoder.distances(heads, 0, entities)


def ranking(num_entities: int, folder: Path) -> Work:
    """Ranks of five edges a head among all entities."""
    scores = torch.randn(16, num_entities)
    edges = torch.zeros(16, num_entities, dtype=torch.bool)
    edges[:, torch.randperm(num_entities)[:5]] = True
    return lambda: filtered_ranks(scores, edges)


GROWTHS = (
    Growth("actions", "scoring head", 100, scoring),
    Growth("actions", "path evidence", 100, lambda n, _: fusing(n, MOVEMENTS)),
    Growth("actions", "weights of the path", 100, lambda n, _: weighing(n, MOVEMENTS)),
    Growth("actions", "training step", 100, lambda n, _: training_step(n, MOVEMENTS)),
    Growth("actions", "report", 24, lambda n, _: reporting(n, 3000)),
    Growth("movements", "path evidence", 100, lambda n, _: fusing(ACTIONS, n)),
    Growth("movements", "weights of the path", 100, lambda n, _: weighing(ACTIONS, n)),
    Growth("movements", "training step", 100, lambda n, _: training_step(ACTIONS, n)),
    Growth("movements", "map of the names", 100, mapping),
    Growth("clips", "epoch of head-only training", 300, epoch),
    Growth("clips", "closed-form start", 300, starting),
    Growth("clips", "completing labels", 100, completing),
    Growth("clips", "graph from annotations", 30, building),
    Growth("clips", "extracting features", 3, extracting, streams=True),
    Growth("clips", "reading features", 300, reading, streams=True),
    Growth("clips", "evaluation", 300, evaluating),
    Growth("frames", "clip from its frames", 8, embedding),
    Growth("frames", "training step", 8, lambda n, _: training_step(ACTIONS, MOVEMENTS, n)),
    Growth("entities", "distances", 10_000, comparing),
    Growth("entities", "ranks", 10_000, ranking),
)
