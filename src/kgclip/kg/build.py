"""Graphs from part annotations, their projection to actions, and the union of graphs."""

import json
import math
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from kgclip.errors import KgclipError
from kgclip.kg.graph import Edge, KnowledgeGraph
from kgclip.kg.observations import Observations
from kgclip.kg.schema import ENTITY_KINDS


@dataclass(frozen=True)
class MovementRule:
    """Which observed movements enter the graph (section 1 of docs/method.md).

    A clip shows a movement if at least ``min_support`` of its annotated frames do, whichever human does it. A movement
    that more than ``max_clip_share`` of the annotated clips show is dropped altogether: it tells no action from
    another. The default is high because lower ones cost accuracy (figures in docs/graph.md): a movement that many
    clips show still tells by how much. The state ``none`` is no movement; ``others`` is one only with an object.

    Raises:
        KgclipError: a value is outside [0, 1].
    """

    min_support: float = 0.1
    max_clip_share: float = 0.9

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not 0 <= value <= 1:
                raise KgclipError(f"movement rule: {name} is {value}, expected a share in [0, 1]")


def build_graph(
    labels: Mapping[str, str | None],
    observations: Observations | None,
    rule: MovementRule,
    split_hash: str | None = None,
) -> KnowledgeGraph:
    """Build the graph of the training clips.

    Every clip of ``labels`` becomes an entity and performs its label, if it has one; observations of other clips are
    ignored. The share of (action, movement) is the mean support of the movement over the annotated clips of the
    action, clips that do not show it counting 0.
    """
    performs = [Edge(clip, "performs", action) for clip, action in labels.items() if action is not None]
    how: dict[str, Any] = {"source": "labels"}
    shows: list[Edge] = []
    annotated: list[str] = []
    if observations is not None:
        observations = observations.only(labels)
        annotated = observations.frames["clip"].unique().to_list()
        shows = _shows(observations, rule)
        how = {"source": "annotations", **asdict(rule)}
    clips = KnowledgeGraph.from_edges(performs + shows)
    return KnowledgeGraph.from_edges(
        performs + shows + project(clips, annotated), isolated={"video": labels}, rule=how, split_hash=split_hash
    )


def project(graph: KnowledgeGraph, annotated: Collection[str] | None = None) -> list[Edge]:
    """Project ``shows`` through ``performs``: the action consists of the movements that its clips show.

    share(a, m) = mean over the annotated clips v that perform a of support(v, m), 0 where v does not show m. A graph
    does not say which of its clips were annotated; unless ``annotated`` does, they are those that show sometouched.
    """
    shows = graph.edges("shows")
    counted = set(annotated if annotated is not None else (edge.head for edge in shows))
    actions: dict[str, list[str]] = defaultdict(list)
    num_clips: dict[str, int] = defaultdict(int)
    for edge in graph.edges("performs"):
        if edge.head in counted:
            actions[edge.head].append(edge.tail)
            num_clips[edge.tail] += 1
    supports: dict[tuple[str, str], list[float]] = defaultdict(list)
    for edge in shows:
        for action in actions.get(edge.head, ()):
            supports[action, edge.tail].append(edge.support)
    return [
        Edge(action, "consists_of", movement, math.fsum(values) / num_clips[action])
        for (action, movement), values in supports.items()
    ]


def with_projected_shares(graph: KnowledgeGraph) -> KnowledgeGraph:
    """Give the edges that ``project`` also finds its shares: triples from text files have none."""
    shares = {(edge.head, edge.relation, edge.tail): edge for edge in project(graph)}
    return KnowledgeGraph.from_edges(
        [shares.get((edge.head, edge.relation, edge.tail), edge) for edge in graph.all_edges()],
        isolated=graph.isolated(),
        rule={**graph.rule, "shares": "projected"},
        split_hash=graph.split_hash,
    )


def merge(a: KnowledgeGraph, b: KnowledgeGraph) -> KnowledgeGraph:
    """Unite two graphs; an edge in both keeps the larger support and the frame ranges of both.

    The rules of both are kept, as a sorted list under ``merged`` if they differ.

    Raises:
        KgclipError: the graphs were built from different splits.
    """
    hashes = {graph.split_hash for graph in (a, b)} - {None}
    if len(hashes) > 1:
        first, second = sorted(str(value)[:12] for value in hashes)
        raise KgclipError(f"graphs of different splits ({first} and {second}) do not merge; build both from one split")
    rules = {json.dumps(rule, sort_keys=True): rule for graph in (a, b) for rule in _rules(graph.rule)}
    ordered = [rules[text] for text in sorted(rules)]
    return KnowledgeGraph.from_edges(
        a.all_edges() + b.all_edges(),
        isolated={kind: a.isolated().get(kind, []) + b.isolated().get(kind, []) for kind in ENTITY_KINDS},
        rule={"merged": ordered} if len(ordered) > 1 else dict(*ordered),
        split_hash=next(iter(hashes), None),
    )


def _shows(observations: Observations, rule: MovementRule) -> list[Edge]:
    shown = _shown_frames(observations)
    enough = (
        shown.group_by("clip", "movement")
        .agg((pl.len() / pl.col("num_frames").first()).alias("support"))
        .filter(pl.col("support") >= rule.min_support)
        .with_columns(num_clips=pl.len().over("movement"))
        .filter(pl.col("num_clips") / observations.frames["clip"].n_unique() <= rule.max_clip_share)
    )
    # Consecutive frames have consecutive positions, so position minus rank is the same throughout a run of them.
    run = pl.col("position") - pl.int_range(pl.len()).over("clip", "movement")
    ranges = (
        shown.join(enough, on=["clip", "movement"])
        .sort("clip", "movement", "position")
        .with_columns(run=run)
        .group_by("clip", "movement", "support", "run", maintain_order=True)
        .agg(first=pl.col("frame").first(), last=pl.col("frame").last())
        .group_by("clip", "movement", "support", maintain_order=True)
        .agg("first", "last")
    )
    return [
        Edge(clip, "shows", movement, support, tuple(zip(first, last, strict=True)))
        for clip, movement, support, first, last in ranges.iter_rows()
    ]


def _shown_frames(observations: Observations) -> pl.DataFrame:
    """One row for each clip, movement and frame that shows it, with the frame's position in the clip's list."""
    frames = (
        observations.frames.unique()
        .sort("clip", "frame")
        .with_columns(position=pl.int_range(pl.len()).over("clip"), num_frames=pl.len().over("clip"))
    )
    movements = _movements(observations)
    return (
        observations.parts.join(movements, on=["part", "state", "object"], nulls_equal=True)
        .select("clip", "frame", "movement")
        .unique()
        .join(frames, on=["clip", "frame"])
    )


def _movements(observations: Observations) -> pl.DataFrame:
    """One row for each part, state and object that occur together and are a movement, with its name."""
    touched = pl.when(pl.col("object") != "none").then("object")
    is_movement = (pl.col("state") != "none") & ((pl.col("state") != "others") | touched.is_not_null())
    name = pl.concat_str("part", "state", touched, separator=" ", ignore_nulls=True)
    distinct = observations.parts.select("part", "state", "object").unique()
    return distinct.filter(is_movement).with_columns(movement=name.cast(pl.Categorical))


def _rules(rule: dict[str, Any]) -> list[dict[str, Any]]:
    return rule.get("merged", [rule] if rule else [])
