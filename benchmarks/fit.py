"""Fitting the heads on cached features, in the sizes of the published Kinetics-TPS graph, and how that grows."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import torch

from benchmarks.harness import Row, compare, limit
from kgclip.config import ModelConfig, TrainConfig
from kgclip.data.clip import Clip
from kgclip.data.dataset import DataSet
from kgclip.data.feature_writer import write_features
from kgclip.data.splits import Split
from kgclip.engine.prepare import Prepared
from kgclip.engine.train import train
from kgclip.identity import Identity
from kgclip.kg.graph import Edge, KnowledgeGraph

ACTIONS, MOVEMENTS, PER_CLIP, FRAMES, DIM = 24, 391, 3, 8, 512
SMALL, PUBLISHED = 400, 3800
DRAWN = Identity(name="random", weights="", preprocessing="")
# Ten times as many clips may take a quarter more than ten times the time.
GROWN, TIMES, PROPORTION = 10_000, 10, 0.8


def random_run(folder: Path, num_clips: int, dim: int = DIM) -> tuple[TrainConfig, Prepared]:
    """A run on random features and a random graph, half of whose clips are annotated."""
    rng = np.random.default_rng(0)
    names, frames = tuple(f"{index:06d}" for index in range(num_clips)), np.arange(FRAMES, dtype=np.int32)
    file = folder / f"{num_clips}.safetensors"
    write_features(file, ((name, torch.randn(FRAMES, dim), frames) for name in names), encoder=DRAWN)
    movements = [f"left arm state{index}" for index in range(MOVEMENTS)]
    edges = [Edge(name, "performs", f"action {index % ACTIONS}") for index, name in enumerate(names)]
    for name in names[::2]:
        edges += [Edge(name, "shows", movements[m], 0.5) for m in rng.choice(MOVEMENTS, PER_CLIP, replace=False)]
    edges += [Edge(f"action {m % ACTIONS}", "consists_of", movement, 0.25) for m, movement in enumerate(movements)]
    graph = KnowledgeGraph.from_edges(edges)
    clips = tuple(Clip(name, folder / name, f"action {i % ACTIONS}", name, None) for i, name in enumerate(names))
    config = TrainConfig(
        data=folder,
        out=folder / "model",
        features=file,
        frames=FRAMES,
        device="cpu",
        model=ModelConfig(backbone=f"features:{dim}"),
    )
    return config, Prepared(DataSet(folder, clips, None, None), Split(names, (), (), names), graph)


def fit(config: TrainConfig, prepared: Prepared) -> None:
    """Solve for the heads, and write the model."""
    shutil.rmtree(config.out, ignore_errors=True)
    train(config, prepared=prepared, show_progress=False)


def benchmark(sizes: tuple[int, ...] = (SMALL, PUBLISHED), grown: int = GROWN, dim: int = DIM) -> list[Row]:
    """Each size alone, and a large one against as many clips in ten fits."""
    torch.manual_seed(0)
    what = f"{MOVEMENTS} movements, {FRAMES} × {dim} features"
    with tempfile.TemporaryDirectory() as name:
        folder, rows = Path(name), []
        for size, goal in zip(sizes, (1.0, 10.0), strict=True):
            run = random_run(folder, size, dim)
            rows.append(limit(f"fit, {size:,} clips, {what}", lambda run=run: fit(*run), goal, repeats=3))
        small, large = random_run(folder, grown // TIMES, dim), random_run(folder, grown, dim)
        against = f"{TIMES} times {grown // TIMES:,} clips"
        row = compare(
            f"fit, {grown:,} clips, {what}",
            lambda: fit(*large),
            lambda: [fit(*small) for _ in range(TIMES)],
            against,
            goal=PROPORTION,
            repeats=3,
        )
        return [*rows, row]
