"""Wrong graphs: as large as the right one, without its knowledge. A gain that survives one does not come from it."""

import zlib
from collections.abc import Callable, Iterable

import numpy as np

from kgclip.errors import KgclipError
from kgclip.kg.build import project
from kgclip.kg.graph import ENTITY_KINDS, Edge, KnowledgeGraph
from kgclip.kg.movement import Movement, mirror

# Each part's name for nonsense_names: another one, so that movements of one part still are of one part, and left and
# right still mirror each other.
_OTHER_PART = {"head": "hip", "hip": "head"} | {
    f"{side} {part}": f"{other_side} {other}"
    for side, other_side in (("left", "right"), ("right", "left"))
    for part, other in (("arm", "leg"), ("leg", "hand"), ("hand", "foot"), ("foot", "arm"))
}
_CONSONANTS, _VOWELS = "bdfgklmnprstvz", "aeiou"


def shuffle_movements(graph: KnowledgeGraph, seed: int) -> KnowledgeGraph:
    """Deal the clips' sets of movements out anew: no clip keeps its own, every set is dealt once.

    What the actions consist of is projected anew. As many ``shows`` edges as before, as many of each movement.
    """
    dealt = _dealt(sorted({edge.head for edge in graph.edges("shows")}), seed, "clip that shows movements")
    shows = [Edge(dealt[edge.head], "shows", edge.tail, edge.support, edge.frames) for edge in graph.edges("shows")]
    return _with_shows(graph, shows, {"control": "shuffled movements", "seed": seed})


def shuffle_consists_of(graph: KnowledgeGraph, seed: int) -> KnowledgeGraph:
    """Permute what the actions consist of: no action keeps its own set. All other edges stay."""
    dealt = _dealt(
        sorted({edge.head for edge in graph.edges("consists_of")}), seed, "action that consists of movements"
    )
    consists_of = [
        Edge(dealt[edge.head], "consists_of", edge.tail, edge.support) for edge in graph.edges("consists_of")
    ]
    edges = [*graph.edges("performs"), *graph.edges("shows"), *consists_of]
    return _like(graph, edges, {"control": "shuffled consists_of", "seed": seed})


def nonsense_names(graph: KnowledgeGraph, seed: int) -> KnowledgeGraph:
    """Name the movements by nonsense: another body part and made-up words of the same length; all edges stay.

    The graph's form is the same, parts and mirror images included, but a text tower knows none of the names. The words
    of one movement are drawn apart from those of others, so that they do not tell either which movements share a state
    or an object; a movement gets the same name in every graph.
    """
    names: dict[str, str] = {}
    for name in graph.entities("movement"):
        names[name] = _nonsense(name, seed, taken=names.values())

    def renamed(relation: str) -> Iterable[Edge]:
        for edge in graph.edges(relation):
            yield Edge(edge.head, relation, names[edge.tail], edge.support, edge.frames)

    edges = [*graph.edges("performs"), *renamed("shows"), *renamed("consists_of")]
    return _like(graph, edges, {"control": "nonsense names", "seed": seed}, renamed=lambda name: names[name])


def _nonsense(name: str, seed: int, taken: Iterable[str]) -> str:
    movement = Movement.parse(name)
    words = name[len(movement.part) + 1 :].split(" ")
    mirrored = mirror(name)
    for attempt in range(100):
        # Mirror images draw the same words, whose generators depend on nothing else.
        key = (seed, zlib.crc32(min(name, mirrored).encode()), attempt)
        drawn = [_word(np.random.default_rng((*key, place)), len(word)) for place, word in enumerate(words)]
        kept = [mirror(word) if mirror(word) != word else new for word, new in zip(words, drawn, strict=True)]
        made = " ".join([_OTHER_PART[movement.part], *kept])
        if made not in taken:
            return made
    raise KgclipError(f"movement {name!r}: found no nonsense of its length that is still free; use another seed")


def _word(rng: np.random.Generator, length: int) -> str:
    letters = (_CONSONANTS, _VOWELS)
    return "".join(letters[i % 2][rng.integers(len(letters[i % 2]))] for i in range(length))


def _dealt(names: list[str], seed: int, what: str) -> dict[str, str]:
    """Who gets each one's set: a random cycle through all, so that nobody keeps their own."""
    if len(names) < 2:
        raise KgclipError(f"the graph has {len(names)} {what}: nothing can be shuffled; give a graph with 2 or more")
    order = [names[i] for i in np.random.default_rng(seed).permutation(len(names))]
    return dict(zip(order, [*order[1:], order[0]], strict=True))


def _with_shows(graph: KnowledgeGraph, shows: list[Edge], rule: dict[str, str | int]) -> KnowledgeGraph:
    """The graph with other ``shows`` edges, through which the actions' movements are projected anew.

    Actions that none of the annotated clips performs, such as those known by a parsing alone, keep their movements.
    """
    performs = graph.edges("performs")
    projected = project(KnowledgeGraph.from_edges([*performs, *shows]))
    replaced = {edge.head for edge in projected}
    written = [edge for edge in graph.edges("consists_of") if edge.head not in replaced]
    return _like(graph, [*performs, *shows, *projected, *written], rule)


def _like(
    graph: KnowledgeGraph,
    edges: list[Edge],
    rule: dict[str, str | int],
    renamed: Callable[[str], str] = lambda name: name,
) -> KnowledgeGraph:
    """Other edges between the same entities, from the same split."""
    entities = {kind: graph.entities(kind) for kind in ENTITY_KINDS}
    entities["movement"] = [renamed(name) for name in entities["movement"]]
    return KnowledgeGraph.from_edges(edges, isolated=entities, rule=rule, split_hash=graph.split_hash)
