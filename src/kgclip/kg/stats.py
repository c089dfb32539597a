"""Figures that describe a graph, and one action in it."""

import difflib
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

from kgclip.errors import KgclipError
from kgclip.kg.graph import ENTITY_KINDS, KnowledgeGraph
from kgclip.kg.movement import PARTS

_NUM_SHARED = 10
_NUM_NEAREST = 5


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
        "edges": {relation: len(graph.edges(relation)) for relation in ("shows", "consists_of", "performs")},
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
    found = Counter(
        next((part for part in PARTS if movement.startswith(f"{part} ")), "unknown") for movement in movements
    )
    return {part: found[part] for part in (*PARTS, "unknown") if part in PARTS or found[part]}
