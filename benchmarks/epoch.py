"""Head-only training on cached features, in the sizes of the published Kinetics-TPS graph."""

import tempfile
from pathlib import Path

import numpy as np
import torch
from kgclip.engine.rehearsal import Rehearsal

from benchmarks.harness import Row, limit
from kgclip.config import ModelConfig, OptimConfig, TrainConfig
from kgclip.data.clip import Clip
from kgclip.data.dataset import DataSet
from kgclip.data.feature_writer import write_features
from kgclip.data.splits import Split
from kgclip.engine.prepare import Prepared
from kgclip.engine.train import start
from kgclip.identity import Identity
from kgclip.kg.graph import Edge, KnowledgeGraph

CLIPS, ANNOTATED, PER_CLIP, ACTIONS, MOVEMENTS = 3047, 1480, 3, 24, 391
FRAMES, DIM = 8, 512


def random_graph(clips: tuple[str, ...], rng: np.random.Generator) -> KnowledgeGraph:
    """A graph of the published one's size with random edges."""
    movements = [f"left arm state{index}" for index in range(MOVEMENTS)]
    edges = [Edge(clip, "performs", f"action {index % ACTIONS}") for index, clip in enumerate(clips)]
    for clip in clips[:ANNOTATED]:
        shown = rng.choice(MOVEMENTS, PER_CLIP, replace=False)
        edges += [Edge(clip, "shows", movements[index], 0.5) for index in shown]
    for index in range(800):
        edges.append(Edge(f"action {index % ACTIONS}", "consists_of", movements[index % MOVEMENTS], 0.25))
    return KnowledgeGraph.from_edges(edges, isolated={"movement": movements})


RANDOM = Identity(name="random", weights="", preprocessing="")


def write_random_features(file: Path, num_clips: int, dim: int) -> tuple[str, ...]:
    """Write features of clips that do not exist; returns the clips' names."""
    names, frames = tuple(f"{index:06d}" for index in range(num_clips)), np.arange(FRAMES, dtype=np.int32)
    write_features(file, ((name, torch.randn(FRAMES, dim).half(), frames) for name in names), encoder=RANDOM)
    return names


def random_rehearsal(folder: Path, num_clips: int, dim: int, epochs: int) -> Rehearsal:
    """A training run on random features and a random graph; its features go to ``folder / "f"``."""
    names = write_random_features(folder / "f", num_clips, dim)
    clips = tuple(Clip(name, folder / name, f"action {i % ACTIONS}", name, None) for i, name in enumerate(names))
    graph = random_graph(names, np.random.default_rng(0))
    config = TrainConfig(
        data=folder,
        out=folder / "model",
        features=folder / "f",
        frames=FRAMES,
        device="cpu",
        model=ModelConfig(backbone=f"features:{dim}"),
        optim=OptimConfig(epochs=epochs),
    )
    return Rehearsal(config, Prepared(DataSet(folder, clips, None, None), Split(names, (), (), names), graph), folder)


def benchmark() -> list[Row]:
    """An epoch, and the closed-form start before it."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        run = random_rehearsal(Path(folder), CLIPS, DIM, epochs=50)
        sources, targets = run.sources, run.targets
        size = f"{CLIPS:,} clips, {FRAMES} × {DIM} features"
        return [
            limit(f"head-only epoch, {size}", lambda: run.steps_s(CLIPS, run.config.optim.batch_size), 2.0),
            limit(f"closed-form start, {size}", lambda: start(run.config, run.model, sources, targets)),
        ]
