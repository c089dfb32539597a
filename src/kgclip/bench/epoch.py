"""Head-only training on cached features, in the sizes of the published Kinetics-TPS graph."""

import tempfile
from pathlib import Path

import numpy as np
import torch

from kgclip.bench.harness import Row, limit
from kgclip.config import ModelConfig, OptimConfig, TrainConfig
from kgclip.data.dataset import Clip, DataSet
from kgclip.data.features import write_features
from kgclip.data.splits import Split
from kgclip.engine.prepare import Prepared
from kgclip.engine.rehearsal import Rehearsal
from kgclip.engine.train import start
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


def benchmark() -> list[Row]:
    """An epoch, and the closed-form start before it."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    names = tuple(f"{index:04d}" for index in range(CLIPS))
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        frames = np.arange(FRAMES, dtype=np.int32)
        write_features(folder / "f", ((n, torch.randn(FRAMES, DIM).half(), frames) for n in names), encoder="random")
        clips = [Clip(n, folder / n, f"action {i % ACTIONS}", n, None) for i, n in enumerate(names)]
        data = DataSet(folder, tuple(clips), None, None)
        prepared = Prepared(data, Split(names, (), (), names), random_graph(names, rng))
        model = ModelConfig(backbone=f"features:{DIM}")
        config = TrainConfig(
            data=folder,
            out=folder / "model",
            features=folder / "f",
            frames=FRAMES,
            device="cpu",
            model=model,
            optim=OptimConfig(epochs=50),
        )
        rehearsal = Rehearsal(config, prepared, folder)
        sources, targets = rehearsal.sources, rehearsal.targets
        size = f"{CLIPS:,} clips, {FRAMES} × {DIM} features"
        return [
            limit(f"head-only epoch, {size}", lambda: rehearsal.steps_s(CLIPS, config.optim.batch_size), 2.0),
            limit(f"closed-form start, {size}", lambda: start(config, rehearsal.model, sources, targets)),
        ]
