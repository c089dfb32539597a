"""The experiment on link prediction: its arms, its data, and its table."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kgclip.config import PromptConfig
from kgclip.data.dataset import DataSet
from kgclip.data.features import FeatureFile
from kgclip.data.kinetics_tps import read_observations
from kgclip.data.splits import group_folds
from kgclip.engine.prepare import feature_source
from kgclip.experiments.link_split import hold_out_clips, hold_out_edges
from kgclip.experiments.links import LinkArm, LinkTask, frequency, link_prediction, paths
from kgclip.experiments.protocol import DEFAULT_FRAMES
from kgclip.experiments.summary import summarize
from kgclip.experiments.tables import LEGEND, commit, difference_table, mean_table
from kgclip.kg.build import MovementRule, build_graph
from kgclip.kg.graph import KnowledgeGraph
from kgclip.kg.storage import atomic_path
from kgclip.models.backbone import Backbone
from kgclip.models.statistics import frame_statistics

COSINE, NO_EPSILON, EPSILON = "cosine", "diagonal, no ε", "diagonal, ε"
# The context form is left out: a run of it takes ten times as long. So is λ other than 0 and 1.
EDGE_ARMS: dict[str, LinkArm] = {
    COSINE: LinkArm(),
    "cosine, no dropout": LinkArm(dropout=0.0),
    "cosine, relations apart": LinkArm(separate=True),
    f"{NO_EPSILON}, λ = 0": LinkArm("diagonal", mm=0.0),
    f"{EPSILON}, λ = 0": LinkArm("diagonal", "relation", mm=0.0),
    NO_EPSILON: LinkArm("diagonal"),
    "diagonal, shared ε": LinkArm("diagonal", "shared"),
    EPSILON: LinkArm("diagonal", "relation"),
    "matrix, no ε": LinkArm("matrix"),
    "margin, no ε": LinkArm("diagonal", margin=1.0),
    "margin, ε": LinkArm("diagonal", "relation", margin=1.0),
}
CLIP_ARMS: dict[str, LinkArm] = {
    COSINE: LinkArm(),
    "cosine, shifted map": LinkArm(shift=True),
    f"{NO_EPSILON}, λ = 0": LinkArm("diagonal", mm=0.0),
    f"{EPSILON}, λ = 0": LinkArm("diagonal", "relation", mm=0.0),
    NO_EPSILON: LinkArm("diagonal"),
    "diagonal, shared ε": LinkArm("diagonal", "shared"),
    EPSILON: LinkArm("diagonal", "relation"),
    f"{EPSILON}, shifted map": LinkArm("diagonal", "relation", shift=True),
    "cosine, orthonormal names": LinkArm(orthonormal=True),
    f"{NO_EPSILON}, orthonormal names": LinkArm("diagonal", orthonormal=True),
    f"{EPSILON}, orthonormal names": LinkArm("diagonal", "relation", orthonormal=True),
}
# Tried on the validation edges of the first seed; free vectors of unit length take large steps, linear maps small ones.
EDGE_RATES, CLIP_RATES = (0.1, 0.3), (0.01, 0.03)
UNSEEN = ", unseen clips"
METRICS = ("mrr", "mrr_tails", "mrr_heads", "hits10")
_FOLDS = 5
# Principal components that stand for a clip's statistics, so that a run takes seconds.
_COMPONENTS = 128

MakeTask = Callable[[int], LinkTask]
"""The task of a seed."""


def unseen_clips(dataset: DataSet, features: FeatureFile, backbone: Backbone) -> MakeTask:
    """Clips of one source-grouped fold, unseen in training, read from their features; names by the text tower.

    Args:
        dataset: with part annotations.
        features: of its clips' frames; DEFAULT_FRAMES of each are taken.
        backbone: whose text tower embeds the prompts of actions and movements, frozen.
    """
    labels = {clip.id: clip.action for clip in dataset.clips}
    graph = build_graph(labels, read_observations(dataset, progress=False), MovementRule())
    clips, prompts = tuple(graph.entities("video")), PromptConfig()
    source = feature_source(features, clips, DEFAULT_FRAMES)
    statistics = frame_statistics(next(iter(source.batches([list(range(len(clips)))]))).frames)
    names = prompts.actions(graph.entities("action")) + prompts.movements(graph.entities("movement"))
    with torch.no_grad():
        texts = backbone.encode_text(names)

    def task(seed: int) -> LinkTask:
        split = group_folds(dataset, _FOLDS, seed)[0]
        chosen = set(split.train)
        components = _components(statistics, torch.tensor([clip in chosen for clip in clips]))
        relations = hold_out_clips(graph, split.val, split.test)
        return LinkTask(relations, len(graph.names), components, texts)

    return task


def _components(statistics: Float[Tensor, "V S"], train: Bool[Tensor, " V"]) -> Float[Tensor, "V C"]:
    """The leading principal components of the standardized statistics, both fitted to the training clips."""
    mean, spread = statistics[train].mean(dim=0), statistics[train].std(dim=0).clamp(min=1e-6)
    standardized = (statistics - mean) / spread
    directions = torch.linalg.svd(standardized[train], full_matrices=False).Vh[:_COMPONENTS]
    components = standardized @ directions.T
    return components / components[train].norm(dim=1).mean()


def run_links(
    out: Path, graphs: Mapping[str, KnowledgeGraph], unseen: Mapping[str, MakeTask], seeds: int = 5, command: str = ""
) -> pl.DataFrame:
    """Run all arms on all data; write links.parquet and links.md.

    Args:
        out: a folder.
        graphs: by name; held-out edges are predicted (see :func:`kgclip.experiments.link_split.hold_out_edges`).
        unseen: by name, as :func:`unseen_clips` makes them.
        seeds: how many.
        command: what was typed, for the page.

    Returns:
        Tidy rows in the columns of :func:`kgclip.experiments.runner.run`, a relation being a point.
    """
    start, rows = time.monotonic(), []
    for name, graph in graphs.items():
        tasks = [_edge_task(graph, seed) for seed in range(seeds)]
        rows += _rows(name, tasks, EDGE_ARMS, EDGE_RATES)
    for name, make in unseen.items():
        rows += _rows(name + UNSEEN, [make(seed) for seed in range(seeds)], CLIP_ARMS, CLIP_RATES)
    results = pl.DataFrame(rows, schema_overrides={"x": pl.Float64})
    out.mkdir(parents=True, exist_ok=True)
    with atomic_path(out / "links.parquet") as temporary:
        results.write_parquet(temporary)
    with atomic_path(out / "links.md") as temporary:
        temporary.write_text(links_page(results, time.monotonic() - start, command), encoding="utf-8")
    return results


def _edge_task(graph: KnowledgeGraph, seed: int) -> LinkTask:
    return LinkTask(hold_out_edges(graph, seed), len(graph.names))


def _rows(
    data: str, tasks: list[LinkTask], arms: Mapping[str, LinkArm], rates: tuple[float, ...]
) -> list[dict[str, str | float | int | None]]:
    rows = []

    def add(arm: str, seed: int, figures: dict[tuple[str, str], float], wall_s: float) -> None:
        shared = {"experiment": "links", "data": data, "x": None, "arm": arm, "seed": seed, "fold": 0, "frames": 0}
        for (relation, metric), value in figures.items():
            rows.append(shared | {"point": relation, "metric": metric, "value": value, "num_test": 1, "wall_s": wall_s})

    for seed, task in enumerate(tasks):
        add("frequency", seed, frequency(task), 0.0)
        if task.features is None:
            add("paths", seed, paths(task), 0.0)
    for name, arm in arms.items():
        start = time.monotonic()
        tried = {rate: link_prediction(tasks[0], arm, 0, rate) for rate in rates}
        chosen = max(tried, key=lambda rate: tried[rate][0])
        add(name, 0, tried[chosen][1], (time.monotonic() - start) / len(rates))
        for seed, task in enumerate(tasks[1:], start=1):
            start = time.monotonic()
            add(name, seed, link_prediction(task, arm, seed, chosen)[1], time.monotonic() - start)
    return rows


def links_page(results: pl.DataFrame, wall_s: float, command: str) -> str:
    """Means, and differences against the cosine alone and against the encoder without ε, as Markdown."""
    parts = ["# Link prediction", LEGEND]
    for (data,), table in results.group_by("data", maintain_order=True):
        parts.append(f"## {data}")
        against_cosine = summarize(table, COSINE)
        against_no_epsilon = summarize(table.filter(pl.col("arm").str.contains("ε")), NO_EPSILON)
        for metric in METRICS:
            parts += [mean_table(against_cosine, metric), difference_table(against_cosine, metric, COSINE)]
        parts.append(difference_table(against_no_epsilon, "mrr", NO_EPSILON))
    seeds = results["seed"].n_unique()
    source = f"`{command}`, commit {commit()}: {seeds} seeds, {wall_s / 60:.1f} min."
    return "\n\n".join([*parts, source]) + "\n"
