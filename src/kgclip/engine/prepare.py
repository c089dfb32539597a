"""From a configuration to the clips, the split and the graph of a run, with every check before anything trains."""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kgclip.config import TrainConfig
from kgclip.data.annotations import read_observations, without_movements
from kgclip.data.dataset import DataSet, open_dataset
from kgclip.data.features import FeatureFile
from kgclip.data.loader import FeatureSource
from kgclip.data.splits import Split, make_split, without_validation
from kgclip.data.wording import count_of
from kgclip.errors import KgclipError
from kgclip.kg.build import MovementRule, build_graph, merge
from kgclip.kg.graph import Edge, KnowledgeGraph
from kgclip.kg.movement import mirror
from kgclip.kg.schema import ENTITY_KINDS, RELATIONS
from kgclip.kg.shipped import definitions_for
from kgclip.video.cut import VideoPath

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

    def paths(self, clips: tuple[str, ...]) -> list[VideoPath]:
        """The video of each clip."""
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
        KgclipError: broken annotations (unless ``keep_going``), or a broken file of definitions.
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
    return with_definitions(graph, definitions, dataset)


def with_definitions(graph: KnowledgeGraph, definitions: Path | None, dataset: DataSet) -> KnowledgeGraph:
    """The graph with a person's definitions, in the words of the graph and of the data set.

    Args:
        definitions: a file, the word ``shipped`` for those that come with the package, or None.

    Raises:
        KgclipError: a broken file of definitions.
    """
    if definitions is None:
        return graph
    states = dataset.vocabulary.states if dataset.vocabulary else ()
    words = {"states": states, "movements": graph.entities("movement")}
    return merge(graph, definitions_for(definitions, dataset.actions, **words))


def _graph(config: TrainConfig, dataset: DataSet, split: Split) -> KnowledgeGraph:
    """The graph of a run's training clips."""
    options = {"workers": config.workers, "keep_going": config.keep_going}
    return graph_of_split(dataset, split, config.rule, definitions=config.definitions, **options)


def prepare(config: TrainConfig) -> Prepared:
    """Open the data, make the split, and build or load the graph.

    Raises:
        KgclipError: anything wrong with the input, including a graph that was built from another split or that holds
            a validation or test clip.
    """
    dataset = open_dataset(config.data, config.annotations, config.source_pattern)
    dataset.warn()
    split = make_split(dataset, config.split, validate=config.trains)
    if config.graph is None:
        graph = _graph(config, dataset, split)
    else:
        graph = with_definitions(KnowledgeGraph.load(config.graph), config.definitions, dataset)
        check_same_split(graph, split, config.graph)
    graph.check_no_leakage(split.val, "validation")
    graph.check_no_leakage(split.test, "test")
    if config.model.graph and not graph.entities("movement"):
        raise KgclipError(
            f"{config.data}: no movement is known for these clips{_why_none(config, dataset, split)}, so there is no "
            "graph to train on; give --annotations (`kgclip annotate` makes them) or --definitions, or train CLIP only "
            "with --model.no-graph"
        )
    return Prepared(dataset, split, graph)


def _why_none(config: TrainConfig, dataset: DataSet, split: Split) -> str:
    if config.graph is not None or dataset.annotations is None:
        return ""
    observations = read_observations(dataset, keep_going=config.keep_going, workers=config.workers)
    dropped = "the movement rule drops all of them; lower --rule.min-support or raise --rule.max-clip-share"
    return f" ({without_movements(observations.only(split.train)) or dropped})"


def with_validation(prepared: Prepared, config: TrainConfig) -> Prepared:
    """The data of a run with its validation clips among the training clips: nothing is chosen on them any more."""
    split, dataset = prepared.split, prepared.dataset
    if not split.val:
        return prepared
    merged = without_validation(split, dataset)
    labeled = [clip for clip in split.val if dataset.by_id[clip].action is not None]
    if config.graph is None:
        graph = _graph(config, dataset, merged)
    else:
        # A given graph knows the training clips; of the others only the labels are known.
        edges = [edge for relation in RELATIONS for edge in prepared.graph.edges(relation.name)]
        edges += [Edge(clip, "performs", str(dataset.by_id[clip].action)) for clip in labeled]
        isolated = {kind: prepared.graph.entities(kind) for kind in ENTITY_KINDS}
        isolated["video"] = [*isolated["video"], *split.val]
        graph = KnowledgeGraph.from_edges(edges, isolated=isolated, rule=prepared.graph.rule, split_hash=merged.hash)
    return Prepared(dataset, merged, graph)


def without_clips(prepared: Prepared, config: TrainConfig, unreadable: Collection[str]) -> Prepared:
    """The data of a run without clips that cannot be read, and the graph of those that are left.

    Raises:
        KgclipError: no training clip is left.
    """
    old = prepared.split
    parts = (old.train, old.val, old.test, old.labelled)
    split = Split(*(tuple(clip for clip in part if clip not in unreadable) for part in parts))
    if not split.train:
        raise KgclipError(f"{config.data}: none of its {len(old.train)} training clips can be read")
    graph = prepared.graph if config.graph is not None else _graph(config, prepared.dataset, split)
    return Prepared(prepared.dataset, split, graph)


def check_same_split(graph: KnowledgeGraph, split: Split, path: Path) -> None:
    """Refuse a graph of another split.

    Raises:
        KgclipError: the graph was built from another split, or it knows videos but not the split they come from.
    """
    if graph.split_hash == split.hash or not graph.entities("video"):
        return
    known = f"split {graph.split_hash}" if graph.split_hash else "no known split"
    raise KgclipError(
        f"{path}: built from {known}, this run uses split {split.hash}; build the graph with the same --split options "
        "(and --validation for a run that trains by gradient), or leave --graph out to have it built"
    )


@dataclass(frozen=True)
class GraphTargets:
    """The graph as arrays over one list of clips, the actions (K) and the movements (M).

    Attributes:
        names: the entities of each kind, in the order of rows and columns.
        edges: of each relation, heads × tails: shares in [0, 1], 0 where there is no edge; ``performs`` has one-hot
            rows, zero for clips without a usable label.
        sources: number of each clip's source, equal for clips that were cut from one recording.
        mirror: [M] position of each movement with left and right swapped, -1 where the graph has none.
    """

    names: dict[str, tuple[str, ...]]
    edges: dict[str, Float[Tensor, "_ _"]]
    sources: Int[Tensor, " N"]
    mirror: Int[Tensor, " M"]

    @property
    def actions(self) -> tuple[str, ...]:
        """The names of the actions."""
        return self.names["action"]

    @property
    def movements(self) -> tuple[str, ...]:
        """The names of the movements."""
        return self.names["movement"]

    @property
    def annotated(self) -> Bool[Tensor, " N"]:
        """Clips that show a movement."""
        return self.edges["shows"].any(dim=1)

    @property
    def labeled(self) -> Bool[Tensor, " N"]:
        """Clips with a usable label."""
        return self.edges["performs"].any(dim=1)

    def flipped(self, rows: Float[Tensor, "B M"]) -> Float[Tensor, "B M"]:
        """Shares of mirrored clips: every movement's share moves to its mirror image."""
        known = self.mirror >= 0
        swapped = torch.zeros_like(rows)
        swapped[:, self.mirror[known]] = rows[:, known]
        return swapped


def taught_actions(config: TrainConfig, prepared: Prepared) -> set[str]:
    """The actions that the training part teaches a model of this run.

    A trained head knows any action by its name; a solved one needs clips of it, or a definition and annotated clips
    that teach how its movements look.
    """
    graph = prepared.graph
    if config.model.head == "gradient":
        return {*prepared.dataset.actions, *graph.entities("action")}
    taught = {edge.tail for edge in graph.edges("performs")}
    if config.model.graph:
        # Of a movement that no annotated clip shows, nobody knows how it looks.
        shown = {edge.tail for edge in graph.edges("shows")}
        taught |= {edge.head for edge in graph.edges("consists_of") if edge.tail in shown}
    return taught


def known_actions(config: TrainConfig, prepared: Prepared) -> tuple[str, ...]:
    """The actions that a model of this run knows at its end, in alphabetical order.

    Those that are taught, and those of the validation clips, from which a solved head learns at the end.

    Raises:
        KgclipError: there are fewer than two.
    """
    named = {*prepared.dataset.actions, *prepared.graph.entities("action")}
    known = taught_actions(config, prepared) | set(filter(None, prepared.labels(prepared.split.val)))
    if len(known) < 2:
        raise KgclipError(
            f"{config.data}: gives too few actions to learn ({len(known)}), at least 2 are needed to choose between; "
            "label more clips, or give --definitions with --annotations"
        )
    unknown = sorted(named - known)
    if unknown:
        log.warning(
            "%s left out, such as %r: no labeled clip, and no definition whose movements annotated clips show; add "
            "clips, --definitions with --annotations, or --model.head gradient",
            *(count_of(len(unknown), "action"), unknown[0]),
        )
    return tuple(sorted(known))


def graph_targets(
    prepared: Prepared, clips: tuple[str, ...], actions: tuple[str, ...], *, graph: bool = True
) -> GraphTargets:
    """The graph's edges over these clips and actions.

    Args:
        prepared: data and graph.
        clips, actions: in this order.
        graph: False leaves the movements out, for CLIP only.
    """
    source = prepared.graph
    movements = tuple(source.entities("movement")) if graph else ()
    names = {"video": clips, "action": actions, "movement": movements}
    edges = {
        relation.name: torch.from_numpy(source.adjacency(relation.name, names[relation.head], names[relation.tail]))
        for relation in RELATIONS
    }
    position = {name: index for index, name in enumerate(movements)}
    mirrored = [position.get(mirror(name), -1) for name in movements]
    by_id = prepared.dataset.by_id
    _, sources = np.unique([by_id[clip].source for clip in clips], return_inverse=True)
    return GraphTargets(names, edges, torch.from_numpy(sources), torch.tensor(mirrored, dtype=torch.int64))


def feature_source(
    features: FeatureFile, clips: tuple[str, ...], num_frames: int, *, training: bool = False, seed: int = 0
) -> FeatureSource:
    """The cached features of these clips.

    Raises:
        KgclipError: the file lacks some of them.
    """
    features.check(clips)
    return FeatureSource([features[clip][0] for clip in clips], num_frames, training=training, seed=seed)
