"""The arms of a comparison: one training run or one linear probe each, on the same split of the same features."""

import dataclasses
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from kgclip.config import FusionConfig, TrainConfig, without_graph
from kgclip.data.dataset import open_dataset
from kgclip.data.features import FeatureFile
from kgclip.data.splits import Split, make_split
from kgclip.engine.evaluate import evaluate, open_evaluation
from kgclip.engine.prepare import feature_source, graph_of_split
from kgclip.engine.train import train
from kgclip.kg.build import project
from kgclip.kg.graph import Edge, KnowledgeGraph
from kgclip.models.ridge import fit_ridge
from kgclip.models.statistics import frame_statistics

CLIP_ONLY = "CLIP only"
ARMS = (
    "ridge",
    "linear probe",
    CLIP_ONLY,
    "KG-CLIP without path",
    "KG-CLIP",
    "KG-CLIP, movements shuffled across clips",
)
_STRENGTHS = (1e-3, 1e-2, 1e-1)


def run_arms(config: TrainConfig) -> dict[str, float]:
    """Test top-1 of every arm, in [0, 1]; ``config`` is that of KG-CLIP on cached features, its ``out`` is not used."""
    dataset = open_dataset(config.data)
    split = make_split(dataset, config.split)
    top1 = _probes(config, split)
    with tempfile.TemporaryDirectory() as folder:
        shuffled = Path(folder) / "shuffled.parquet"
        graph = graph_of_split(dataset, split, config.rule, workers=1, keep_going=False)
        shuffle_movements(graph, config.seed).save(shuffled)
        runs = {
            CLIP_ONLY: without_graph(config),
            "KG-CLIP without path": dataclasses.replace(config, fusion=FusionConfig(path=None)),
            "KG-CLIP": config,
            "KG-CLIP, movements shuffled across clips": dataclasses.replace(config, graph=shuffled),
        }
        for number, (arm, run) in enumerate(runs.items()):
            run = dataclasses.replace(run, out=Path(folder) / f"model-{number}")
            checkpoint = train(run, show_progress=False)
            evaluation = open_evaluation(checkpoint, run.data, "test", run.features)
            top1[arm] = evaluate(checkpoint, evaluation)[0]["top1"]
    return {arm: top1[arm] for arm in ARMS}


def shuffle_movements(graph: KnowledgeGraph, seed: int) -> KnowledgeGraph:
    """The same graph with the clips' sets of movements dealt out anew: as many edges, no knowledge."""
    clips = graph.entities("video")
    dealt = dict(zip(clips, np.random.default_rng(seed).permutation(clips).tolist(), strict=True))
    moved: dict[str, list[Edge]] = defaultdict(list)
    for edge in graph.edges("shows"):
        moved["shows"].append(dataclasses.replace(edge, head=dealt[edge.head]))
    edges = [*graph.edges("performs"), *moved["shows"]]
    isolated = {"video": clips, "action": graph.entities("action")}
    partly = KnowledgeGraph.from_edges(edges, isolated=isolated, split_hash=graph.split_hash)
    return KnowledgeGraph.from_edges(
        [*edges, *project(partly)], isolated=isolated, rule={"shuffled": seed}, split_hash=graph.split_hash
    )


def _probes(config: TrainConfig, split: Split) -> dict[str, float]:
    """Ridge and logistic regression on the statistics of a clip's frames; the latter's strength by validation."""
    assert config.features is not None
    dataset, features = open_dataset(config.data), FeatureFile(config.features)

    def load(clips: tuple[str, ...]) -> tuple[torch.Tensor, np.ndarray]:
        source = feature_source(features, clips, config.frames)
        batch = next(iter(source.batches([list(range(len(clips)))])))
        labels = [dataset.actions.index(str(dataset.by_id[clip].action)) for clip in clips]
        return frame_statistics(batch.frames), np.array(labels)

    x, y = load(split.labelled)
    mean, scale = x.mean(dim=0), x.std(dim=0).clamp(min=1e-4)
    x = (x - mean) / scale
    (x_val, y_val), (x_test, y_test) = ((((a - mean) / scale), b) for a, b in (load(split.val), load(split.test)))
    fit = fit_ridge(x, torch.nn.functional.one_hot(torch.from_numpy(y), len(dataset.actions)).float())
    by_ridge = (x_test @ fit.weight.T + fit.bias).argmax(dim=1).numpy()
    models = [LogisticRegression(C=c, max_iter=200).fit(x.numpy(), y) for c in _STRENGTHS]
    best = max(models, key=lambda model: model.score(x_val.numpy(), y_val))
    return {"ridge": float((by_ridge == y_test).mean()), "linear probe": float(best.score(x_test.numpy(), y_test))}
