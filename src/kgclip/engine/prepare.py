"""From a configuration to the clips, the split and the graph of a run, with every check before anything trains."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from kgclip.config import TrainConfig
from kgclip.data.dataset import DataSet, open_dataset
from kgclip.data.features import FeatureFile
from kgclip.data.kinetics_tps import read_observations
from kgclip.data.loader import FeatureSource
from kgclip.data.splits import Split, make_split
from kgclip.errors import KgclipError
from kgclip.kg.build import MovementRule, build_graph, merge
from kgclip.kg.formats.definitions import read_definitions
from kgclip.kg.graph import KnowledgeGraph
from kgclip.kg.movement import mirror

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """The data of a run: clips, who may be used for what, and the graph of the training clips."""

    dataset: DataSet
    split: Split
    graph: KnowledgeGraph

    def labels(self, clips: tuple[str, ...]) -> list[str | None]:
        """The action label of each clip, None where the split does not allow its use."""
        allowed = set(self.split.labelled) | set(self.split.val) | set(self.split.test)
        by_id = self.dataset.by_id
        return [by_id[clip].action if clip in allowed else None for clip in clips]

    def paths(self, clips: tuple[str, ...]) -> list[Path]:
        """The video file of each clip."""
        return [self.dataset.by_id[clip].path for clip in clips]


def graph_of_split(
    dataset: DataSet,
    split: Split,
    rule: MovementRule,
    *,
    workers: int,
    keep_going: bool,
    definitions: Path | None = None,
) -> KnowledgeGraph:
    """The graph of the training clips: their labels where the split allows them, their annotations, and definitions.

    Raises:
        KgclipError: broken annotations (unless ``keep_going``), a broken definitions file, or a definition of an action
            that the data does not have.
    """
    observations = None
    if dataset.annotations is not None:
        observations = read_observations(dataset, keep_going=keep_going, workers=workers)
        observations = observations.only(split.train)
    labelled = set(split.labelled)
    labels: Mapping[str, str | None] = {
        clip: dataset.by_id[clip].action if clip in labelled else None for clip in split.train
    }
    graph = build_graph(labels, observations, rule, split_hash=split.hash)
    return graph if definitions is None else merge(graph, definitions_of(dataset, definitions))


def definitions_of(dataset: DataSet, file: Path) -> KnowledgeGraph:
    """The written definitions of a data set's actions.

    Raises:
        KgclipError: the file is broken, or defines an action that the data does not have.
    """
    graph = read_definitions(file)
    unknown = sorted(set(graph.entities("action")) - set(dataset.actions))
    if unknown:
        raise KgclipError(
            f"{file}: defines {unknown[0]!r}, which is no action of {dataset.root}; correct the name or remove it"
        )
    return graph


def prepare(config: TrainConfig) -> Prepared:
    """Open the data, make the split, and build or load the graph.

    Raises:
        KgclipError: anything wrong with the input, including a graph that was built from another split or that holds
            a validation or test clip.
    """
    dataset = open_dataset(config.data, config.annotations)
    split = make_split(dataset, config.split)
    if config.graph is None:
        graph = graph_of_split(
            dataset,
            split,
            config.rule,
            workers=config.workers,
            keep_going=config.keep_going,
            definitions=config.definitions,
        )
    else:
        graph = KnowledgeGraph.load(config.graph)
        if config.definitions is not None:
            graph = merge(graph, definitions_of(dataset, config.definitions))
        check_same_split(graph, split, config.graph)
    graph.check_no_leakage(split.val, "validation")
    graph.check_no_leakage(split.test, "test")
    if config.model.graph and not graph.entities("movement"):
        raise KgclipError(
            f"{config.data}: no movement is known for these clips, so there is no graph to train on; give "
            "--annotations or --definitions, or train CLIP only with --model.no-graph"
        )
    return Prepared(dataset, split, graph)


def check_same_split(graph: KnowledgeGraph, split: Split, path: Path) -> None:
    """Refuse a graph of another split.

    Raises:
        KgclipError: the graph was built from another split, or it knows videos but not the split they come from.
    """
    if graph.split_hash == split.hash or not graph.entities("video"):
        return
    known = f"split {graph.split_hash}" if graph.split_hash else "no known split"
    raise KgclipError(
        f"{path}: built from {known}, this run uses split {split.hash}; build the graph with the same --split options, "
        "or leave --graph out to have it built from the training clips"
    )


@dataclass(frozen=True)
class GraphTargets:
    """The graph as arrays over one list of clips, the actions (K) and the movements (M).

    Attributes:
        actions, movements: names; row and column order of the rest.
        performs: [N, K], one-hot rows, zero for clips without a usable label.
        shows: [N, M] shares.
        consists_of: [K, M] shares.
        mirror: [M] position of each movement with left and right swapped, -1 where the graph has none.
    """

    actions: tuple[str, ...]
    movements: tuple[str, ...]
    performs: Float[Tensor, "N K"]
    shows: Float[Tensor, "N M"]
    consists_of: Float[Tensor, "K M"]
    mirror: Int[Tensor, " M"]

    def flipped_shows(self, rows: Float[Tensor, "B M"]) -> Float[Tensor, "B M"]:
        """``shows`` of mirrored clips: every movement's share moves to its mirror image."""
        known = self.mirror >= 0
        swapped = torch.zeros_like(rows)
        swapped[:, self.mirror[known]] = rows[:, known]
        return swapped


def graph_targets(graph: KnowledgeGraph, actions: tuple[str, ...], clips: tuple[str, ...]) -> GraphTargets:
    """The graph's edges over these clips and actions; entities that the graph does not know get zero rows."""
    movements = tuple(graph.entities("movement"))
    position = {name: index for index, name in enumerate(movements)}
    mirrored = [position.get(mirror(name), -1) for name in movements]

    def edges(relation: str, heads: tuple[str, ...], tails: tuple[str, ...]) -> Tensor:
        return torch.from_numpy(np.asarray(graph.adjacency(relation, heads, tails), dtype=np.float32))

    return GraphTargets(
        actions,
        movements,
        edges("performs", clips, actions),
        edges("shows", clips, movements),
        edges("consists_of", actions, movements),
        torch.tensor(mirrored, dtype=torch.int64),
    )


def feature_source(
    features: FeatureFile, clips: tuple[str, ...], num_frames: int, *, training: bool = False, seed: int = 0
) -> FeatureSource:
    """The cached features of these clips.

    Raises:
        KgclipError: the file lacks some of them.
    """
    features.check(clips)
    return FeatureSource([features[clip][0] for clip in clips], num_frames, training=training, seed=seed)
