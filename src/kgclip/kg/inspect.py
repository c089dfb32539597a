"""What a graph holds and what is doubtful about it: figures, one action, and findings for a person to look at."""

import difflib
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32, Float64

from kgclip.errors import KgclipError
from kgclip.kg.graph import KnowledgeGraph
from kgclip.kg.movement import PARTS, Movement
from kgclip.kg.schema import ENTITY_KINDS, RELATIONS
from kgclip.kg.words import question

Severity = Literal["error", "warning", "info"]

_SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
_NUM_SHARED = 10
_NUM_NEAREST = 5
_NUM_EXAMPLES = 3
_SIMILAR = 0.95
"""Two actions are hard to tell apart from this cosine of shares, or Jaccard index of movements, on."""

_SIDES = ("left", "right")
_SIDED_PARTS = [part for part in PARTS if part.startswith(_SIDES)]


@dataclass(frozen=True)
class Finding:
    """One kind of doubt about a graph or data: how bad, by which rule, and a sentence with a count and 3 examples.

    Attributes:
        cases: all of them, where the sentence gives examples.
    """

    severity: Severity
    rule: str
    message: str
    cases: tuple[str, ...] = field(default=(), compare=False)


def graph_stats(graph: KnowledgeGraph) -> dict[str, Any]:
    """Count entities and edges, and summarize how they are spread; everything in it is JSON."""
    actions, movements, videos = (graph.entities(kind) for kind in ("action", "movement", "video"))
    per_action = Counter(edge.head for edge in graph.edges("consists_of"))
    per_video = Counter(edge.head for edge in graph.edges("shows"))
    clips = Counter(edge.tail for edge in graph.edges("performs"))
    shared = Counter(edge.tail for edge in graph.edges("consists_of"))
    by_action = {action: per_action[action] for action in actions}
    return {
        "entities": {kind: len(graph.entities(kind)) for kind in ENTITY_KINDS},
        "edges": {relation.name: len(graph.edges(relation.name)) for relation in RELATIONS},
        "hash": graph.hash,
        "split_hash": graph.split_hash,
        "rule": graph.rule,
        "movements_per_action": {**_spread(list(by_action.values())), "by_action": by_action},
        "movements_per_video": _spread([per_video[video] for video in videos]),
        "videos_per_action": _spread([clips[action] for action in actions]),
        "videos_without_movement": sum(video not in per_video for video in videos),
        "movements_by_part": _by_part(movements),
        "most_shared_movements": [
            {"movement": movement, "actions": count}
            for movement, count in sorted(shared.items(), key=lambda item: (-item[1], item[0]))[:_NUM_SHARED]
        ],
    }


def describe_action(graph: KnowledgeGraph, action: str) -> dict[str, Any]:
    """Describe an action: its clips, its movements by share, and the actions nearest to it.

    Nearest is by the cosine between the actions' movement shares, among actions that share a movement.

    Raises:
        KgclipError: the graph has no such action; the message offers names that look like it.
    """
    actions, movements = graph.entities("action"), graph.entities("movement")
    if action not in actions:
        close = difflib.get_close_matches(action, actions, n=3) or actions[:3]
        raise KgclipError(
            f"the graph has no action {action!r}; did you mean {', '.join(map(repr, close)) or '(it has none)'}?"
        )
    performers = [edge.head for edge in graph.edges("performs") if edge.tail == action]
    shares = graph.adjacency("consists_of", actions, movements)
    row = actions.index(action)
    shown_by = (graph.adjacency("shows", performers, movements) > 0).sum(axis=0)
    order = sorted(np.flatnonzero(shares[row]), key=lambda column: (-shares[row, column], movements[column]))
    cosines = share_cosines(shares)[row]
    nearest = [other for other in np.argsort(-cosines, kind="stable") if other != row and cosines[other] > 0]
    return {
        "action": action,
        "clips": len(performers),
        "movements": [
            {"movement": movements[column], "share": float(shares[row, column]), "clips": int(shown_by[column])}
            for column in order
        ],
        "nearest": [
            {
                "action": actions[other],
                "cosine": float(cosines[other]),
                "shared": [movements[column] for column in order if shares[other, column] > 0],
            }
            for other in nearest[:_NUM_NEAREST]
        ],
    }


def share_cosines(shares: Float32[np.ndarray, "K M"]) -> Float64[np.ndarray, "K K"]:
    """Give the cosine between the movement shares of every two actions; 0 for an action without movements."""
    values = shares.astype(np.float64)
    norms = np.linalg.norm(values, axis=1, keepdims=True)
    unit = np.divide(values, norms, out=np.zeros_like(values), where=norms > 0)
    return unit @ unit.T


def _spread(counts: Sequence[int]) -> dict[str, int | float]:
    if not counts:
        return {"min": 0, "median": 0, "max": 0}
    return {"min": min(counts), "median": float(np.median(counts)), "max": max(counts)}


def _by_part(movements: Sequence[str]) -> dict[str, int]:
    counts = Counter(
        next((part for part in PARTS if movement.startswith(f"{part} ")), "unknown") for movement in movements
    )
    return {part: counts[part] for part in (*PARTS, "unknown") if part in PARTS or counts[part]}


def lint(
    graph: KnowledgeGraph,
    *,
    parts: Collection[str] = PARTS,
    states: Collection[str] | None = None,
    objects: Collection[str] | None = None,
    test_clips: Collection[str] = (),
) -> list[Finding]:
    """Look for mistakes in a graph; errors come first, then warnings, then information.

    States and objects are checked against the vocabularies given; without ``states``, multi-word states ("step on")
    cannot be told from a state with an object. docs/graph.md explains every rule.
    """
    findings = [
        *_test_clips(graph, test_clips),
        *_movements(graph, parts, states, objects),
        *_repeated_edges(graph),
        *_name_variants(graph),
        *_orphans(graph),
        *_alike_actions(graph),
    ]
    return sorted(findings, key=lambda finding: _SEVERITIES.index(finding.severity))


def _test_clips(graph: KnowledgeGraph, test_clips: Collection[str]) -> Iterator[Finding]:
    held = sorted(set(test_clips) & set(graph.entities("video")))
    yield from _findings("error", "test-clip", "test clip", held, "in the graph; build it from the training clips only")


def _movements(
    graph: KnowledgeGraph, parts: Collection[str], states: Collection[str] | None, objects: Collection[str] | None
) -> Iterator[Finding]:
    unknown: dict[str, list[str]] = defaultdict(list)
    for name in graph.entities("movement"):
        hint = _side_hint(name)
        try:
            movement = Movement.parse(name, states)
        except KgclipError:
            unknown["side" if hint else "part"].append(name + (hint or _asked(name, states)))
            continue
        if hint:
            unknown["doubled side"].append(name + hint)
        if movement.part not in parts:
            unknown["part"].append(name)
        if states is not None and movement.state not in states:
            unknown["state"].append(f"{name} (state {movement.state}){_asked(name, states)}")
        elif objects is not None and movement.object is not None and movement.object not in objects:
            unknown["object"].append(f"{name} (object {movement.object})")
    yield from _findings("error", "left-right", "movement", unknown["side"], "without a proper left or right part")
    yield from _findings("warning", "left-right", "movement", unknown["doubled side"], "naming a side after the part")
    yield from _findings("error", "unknown-part", "movement", unknown["part"], "without a known body part and a state")
    yield from _findings(
        "warning", "unknown-state", "movement", unknown["state"], "with a state outside the vocabulary"
    )
    yield from _findings(
        "warning", "unknown-object", "movement", unknown["object"], "with an object outside the vocabulary"
    )


def _asked(name: str, states: Collection[str] | None) -> str:
    """What was probably meant by a name with a word that is not known."""
    asked = question(name, states or ())
    return f" ({asked})" if asked else ""


def _side_hint(name: str) -> str:
    """Guess what was meant where a side is missing, misspelled, doubled or given to a part that has none."""
    words = name.split()
    if any(name.startswith(f"{part} ") for part in PARTS):
        doubled = len(words) > 2 and words[0] in _SIDES and words[2] in _SIDES
        return f" (drop {words[2]!r}?)" if doubled else ""
    if name in PARTS:
        return ""  # the state is missing, not the side
    if words and any(part.endswith(f" {words[0]}") for part in _SIDED_PARTS):
        return f" (left {words[0]} or right {words[0]}?)"
    if len(words) > 1 and words[0] in _SIDES and words[1] in PARTS:
        return f" ({words[1]} has no side)"
    if len(words) > 1 and words[0] in _SIDES and words[0] == words[1]:
        return f" (drop one {words[0]!r}?)"
    starts = (" ".join(words[:2]), *words[:1])
    close = [part for start in starts for part in difflib.get_close_matches(start, _SIDED_PARTS, n=1, cutoff=0.75)]
    return f" ({close[0]}?)" if close else ""


def _repeated_edges(graph: KnowledgeGraph) -> Iterator[Finding]:
    repeated = sum(rule.get("repeated", 0) for rule in graph.rule.get("merged", [graph.rule]))
    if repeated:
        yield Finding("warning", "repeated-edge", f"{_count(repeated, 'edge')} given again in the source; counted once")


def _name_variants(graph: KnowledgeGraph) -> Iterator[Finding]:
    for kind in ENTITY_KINDS:
        groups: dict[str, list[str]] = defaultdict(list)
        for name in graph.entities(kind):
            groups[re.sub(r"[\s_]+", " ", name).strip().casefold()].append(name)
        same = [" = ".join(map(repr, names)) for names in groups.values() if len(names) > 1]
        yield from _findings("warning", "name-variant", f"{kind} name", same, "given in several spellings; keep one")


def _orphans(graph: KnowledgeGraph) -> Iterator[Finding]:
    defined = {edge.head for edge in graph.edges("consists_of")}
    performed = {edge.tail for edge in graph.edges("performs")}
    showing = {edge.head for edge in graph.edges("shows")}
    actions, videos = graph.entities("action"), graph.entities("video")
    bare = [action for action in actions if action not in defined]
    unseen = [action for action in actions if action not in performed]
    still = [video for video in videos if video not in showing]
    yield from _findings(
        "warning", "action-without-movements", "action", bare, "without movements; the graph cannot help"
    )
    yield from _findings("info", "action-without-clips", "action", unseen, "without a clip; known by definition alone")
    yield from _findings("info", "video-without-movements", "video", still, "without movements")


def _alike_actions(graph: KnowledgeGraph) -> Iterator[Finding]:
    actions = sorted({edge.head for edge in graph.edges("consists_of")})
    shares = graph.adjacency("consists_of", actions, graph.entities("movement"))
    has = (shares > 0).astype(np.float32)
    groups: dict[bytes, list[str]] = defaultdict(list)
    for action, row in zip(actions, has, strict=True):
        groups[row.tobytes()].append(action)
    same = [" = ".join(names) for names in groups.values() if len(names) > 1]
    yield from _findings("warning", "same-movements", "group", same, "of actions with the same movements")
    both = has @ has.T
    sizes = has.sum(axis=1)
    jaccard = both / np.maximum(sizes[:, None] + sizes - both, 1)
    likeness = np.where(jaccard < 1, np.maximum(share_cosines(shares), jaccard), 0)  # the same sets are reported above
    pairs = [
        f"{actions[i]} ~ {actions[j]} ({likeness[i, j]:.2f})"
        for i, j in np.argwhere(np.triu(likeness >= _SIMILAR, k=1))
    ]
    yield from _findings("warning", "similar-actions", "pair", pairs, "of actions with nearly the same movement shares")


def _findings(severity: Severity, rule: str, noun: str, examples: Sequence[str], what: str) -> Iterable[Finding]:
    if not examples:
        return []
    listed = "; ".join(examples[:_NUM_EXAMPLES]) + ("; ..." if len(examples) > _NUM_EXAMPLES else "")
    return [Finding(severity, rule, f"{_count(len(examples), noun)} {what}: {listed}", tuple(examples))]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
