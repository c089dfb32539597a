"""Graphs from part annotations, from triples in text files and from hand-written action parsings; and their union."""

import json
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from kgclip.errors import KgclipError
from kgclip.kg.graph import ENTITY_KINDS, RELATIONS, Edge, KnowledgeGraph
from kgclip.kg.movement import Movement
from kgclip.kg.observations import Observations


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
    """Give the ``consists_of`` edges that ``project`` also finds its shares: triples from text files have none."""
    shares = {(edge.head, edge.tail): edge for edge in project(graph)}
    consists_of = [shares.get((edge.head, edge.tail), edge) for edge in graph.edges("consists_of")]
    return KnowledgeGraph.from_edges(
        graph.edges("performs") + graph.edges("shows") + consists_of,
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
        (edge for graph in (a, b) for relation in RELATIONS for edge in graph.edges(relation)),
        isolated={kind: a.isolated().get(kind, []) + b.isolated().get(kind, []) for kind in ENTITY_KINDS},
        rule={"merged": ordered} if len(ordered) > 1 else dict(*ordered),
        split_hash=next(iter(hashes), None),
    )


def read_triples(source: Path) -> KnowledgeGraph:
    """Read headerless ``head⇥relation⇥tail`` lines from a file, or from every ``*.tsv`` in a folder.

    Every support is 1, see ``with_projected_shares``. Lines given twice are counted in the rule as ``repeated``.

    Raises:
        KgclipError: nothing to read, or a line is malformed; the message names file and line.
    """
    if not source.exists():
        raise KgclipError(f"{source}: not found; expected a file or folder of headerless head⇥relation⇥tail lines")
    files = sorted(source.glob("*.tsv")) if source.is_dir() else [source]
    if not files:
        raise KgclipError(f"{source}: holds no *.tsv file; expected headerless head⇥relation⇥tail lines")
    places: dict[Edge, str] = {}
    num_lines = 0
    for file in files:
        for place, edge in _read_lines(file):
            num_lines += 1
            places.setdefault(edge, place)
    _check_kinds(places)
    return KnowledgeGraph.from_edges(places, rule=_counted("triples", num_lines - len(places)))


def read_parsings(path: Path) -> KnowledgeGraph:
    """Read action parsings from YAML: each action with a list of movements, or with movements and their shares.

    Raises:
        KgclipError: the file is missing, not YAML, not of this shape, or names an unknown body part.
    """
    try:
        parsings = yaml.load(_read_text(path), Loader=_UniqueKeyLoader)
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        line = f", line {place.line + 1}" if place else ""
        raise KgclipError(f"{path}{line}: not valid YAML ({getattr(error, 'problem', error)})") from error
    if not isinstance(parsings, dict) or not parsings:
        raise KgclipError(
            f"{path}: expected actions with lists of movements, e.g. 'push up: [left arm bend, hip stoop]'"
        )
    edges = [edge for action, movements in parsings.items() for edge in _parse_action(path, action, movements)]
    return KnowledgeGraph.from_edges(edges, rule=_counted("parsings", len(edges) - len(set(edges))))


def _shows(observations: Observations, rule: MovementRule) -> list[Edge]:
    shown = _shown_frames(observations)
    kept = (
        shown.group_by("clip", "movement")
        .agg((pl.len() / pl.col("num_frames").first()).alias("support"))
        .filter(pl.col("support") >= rule.min_support)
        .with_columns(num_clips=pl.len().over("movement"))
        .filter(pl.col("num_clips") / observations.frames["clip"].n_unique() <= rule.max_clip_share)
    )
    # Consecutive frames have consecutive positions, so position minus rank is the same throughout a run of them.
    run = pl.col("position") - pl.int_range(pl.len()).over("clip", "movement")
    ranges = (
        shown.join(kept, on=["clip", "movement"])
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
    thing = pl.when(pl.col("object") != "none").then("object")
    is_movement = (pl.col("state") != "none") & ((pl.col("state") != "others") | thing.is_not_null())
    name = pl.concat_str("part", "state", thing, separator=" ", ignore_nulls=True)
    distinct = observations.parts.select("part", "state", "object").unique()
    return distinct.filter(is_movement).with_columns(movement=name.cast(pl.Categorical))


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise KgclipError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise KgclipError(f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8") from error


def _read_lines(path: Path) -> Iterable[tuple[str, Edge]]:
    for number, line in enumerate(_read_text(path).split("\n"), start=1):
        line = line.removesuffix("\r")
        if not line:
            continue
        place = f"{path}, line {number}"
        fields = line.split("\t")
        if len(fields) != 3 or not all(fields):
            raise KgclipError(f"{place}: expected head⇥relation⇥tail, got {line[:80]!r}")
        if fields[1] not in RELATIONS:
            raise KgclipError(f"{place}: unknown relation {fields[1]!r}; expected one of {', '.join(RELATIONS)}")
        yield place, Edge(fields[0], fields[1], fields[2])


def _check_kinds(places: Mapping[Edge, str]) -> None:
    """Refuse an action that shows movements and a clip that consists of them: only their relation says the kind."""
    performers = {edge.head for edge in places if edge.relation == "performs"}
    actions = {edge.tail for edge in places if edge.relation == "performs"}
    parsed = {edge.head for edge in places if edge.relation == "consists_of"}
    for edge, place in places.items():
        if edge.relation == "shows" and edge.head in actions | parsed and edge.head not in performers:
            raise KgclipError(f"{place}: {edge.head!r} is an action, and only videos show movements; use consists_of")
        if edge.relation == "consists_of" and edge.head in performers and edge.head not in actions:
            raise KgclipError(f"{place}: {edge.head!r} is a video, and only actions consist of movements; use shows")


def _parse_action(path: Path, action: Any, movements: Any) -> list[Edge]:
    where = f"{path}: action {action!r}"
    if not isinstance(action, str):
        raise KgclipError(f"{where}: expected a name, got {type(action).__name__}; put it in quotes")
    if isinstance(movements, list):
        movements = [(movement, 1.0) for movement in movements]
    elif isinstance(movements, dict):
        movements = list(movements.items())
    if not isinstance(movements, list) or not movements:
        raise KgclipError(f"{where}: expected a list of movements, e.g. [left arm bend, hip stoop], got {movements!r}")
    edges = []
    for movement, share in movements:
        if not isinstance(movement, str):
            raise KgclipError(f"{where}: expected a movement like 'left arm bend', got {movement!r}")
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
            raise KgclipError(f"{where}: the share of {movement!r} is {share!r}, expected a number in (0, 1]")
        try:
            Movement.parse(movement)
        except KgclipError as error:
            raise KgclipError(f"{where}: {error}") from error
        edges.append(Edge(action, "consists_of", movement, float(share)))
    return edges


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML as PyYAML reads it, but an action or movement given twice is an error rather than silently the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse repeated keys, then construct as usual."""
        keys = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                continue  # PyYAML refuses keys that are no scalars itself
            if key_node.value in keys:
                raise yaml.constructor.ConstructorError(
                    problem=f"{key_node.value!r} is given twice", problem_mark=key_node.start_mark
                )
            keys.add(key_node.value)
        return super().construct_mapping(node, deep)


def _counted(source: str, num_repeated: int) -> dict[str, Any]:
    return {"source": source, "repeated": num_repeated} if num_repeated else {"source": source}


def _rules(rule: dict[str, Any]) -> list[dict[str, Any]]:
    return rule.get("merged", [rule] if rule else [])
