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
    does not say which of its clips were annotated; unless ``annotated`` does, they are those that show something.
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
    named = named_movements(observations.parts.select("part", "state", "object").unique())
    shown = observations.parts.join(named, on=["part", "state", "object"], nulls_equal=True)
    ranges = shown_ranges(
        shown.select("clip", "frame", "movement").unique(), observations.frames.unique(), rule.min_support
    )
    common = pl.len().over("movement") / observations.frames["clip"].n_unique() > rule.max_clip_share
    return [
        Edge(clip, "shows", movement, support, tuple(zip(first, last, strict=True)))
        for clip, movement, support, first, last in ranges.filter(~common).iter_rows()
    ]


def shown_ranges(shown: pl.DataFrame, frames: pl.DataFrame, min_support: float) -> pl.DataFrame:
    """Which clips show which movements often enough, and where.

    Args:
        shown: one row for each clip, frame and movement that it shows.
        frames: one row for each clip and annotated frame.
        min_support: the least share of a clip's frames.

    Returns:
        clip, movement, support, and the first and last frames of the ranges, as lists.
    """
    frames = frames.sort("clip", "frame").with_columns(
        position=pl.int_range(pl.len()).over("clip"), num_frames=pl.len().over("clip")
    )
    rows = shown.join(frames, on=["clip", "frame"]).sort("clip", "movement", "position")
    other = (pl.col("clip") != pl.col("clip").shift()) | (pl.col("movement") != pl.col("movement").shift())
    # Consecutive frames have consecutive positions.
    apart = other | (pl.col("position") != pl.col("position").shift() + 1)
    rows = rows.with_columns(apart=apart.fill_null(True), pair=other.fill_null(True).cum_sum())
    runs = rows.filter("apart").select(
        "clip",
        "movement",
        "pair",
        "num_frames",
        first="frame",
        last=rows.filter(rows["apart"].shift(-1, fill_value=True))["frame"],
    )
    counts = rows["pair"].rle().struct.field("len")
    runs = runs.group_by("pair", maintain_order=True).agg(
        pl.col("clip", "movement", "num_frames").first(), "first", "last"
    )
    support = counts / pl.col("num_frames")
    return runs.select("clip", "movement", support.alias("support"), "first", "last").filter(
        pl.col("support") >= min_support
    )


def named_movements(words: pl.DataFrame) -> pl.DataFrame:
    """The rows of part, state and object that are a movement, with its name."""
    touched = pl.when(pl.col("object") != "none").then("object")
    is_movement = (pl.col("state") != "none") & ((pl.col("state") != "others") | touched.is_not_null())
    name = pl.concat_str("part", "state", touched, separator=" ", ignore_nulls=True)
    return words.filter(is_movement).with_columns(movement=name.cast(pl.Categorical))


def _rules(rule: dict[str, Any]) -> list[dict[str, Any]]:
    return rule.get("merged", [rule] if rule else [])
