"""Which edges of a graph are learned from, which choose a model, and which test it."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from kgclip.kg.graph import ENTITY_KINDS, RELATIONS, KnowledgeGraph

TRAIN, VAL, TEST = 0, 1, 2
HELD_OUT = 0.1


@dataclass(frozen=True)
class Relation:
    """The edges of one relation between all entities that it joins somewhere in the graph.

    Attributes:
        id: position in ``RELATIONS``.
        heads, tails: positions of the entities in the graph.
        train: support of the edges to learn from, 0 elsewhere.
        val: edges that choose learning rate and step.
        test: edges that measure.
    """

    id: int
    heads: Int64[Tensor, " H"]
    tails: Int64[Tensor, " T"]
    train: Float[Tensor, "H T"]
    val: Bool[Tensor, "H T"]
    test: Bool[Tensor, "H T"]

    @property
    def name(self) -> str:
        """As in the graph."""
        return RELATIONS[self.id]

    @property
    def known(self) -> Bool[Tensor, "H T"]:
        """All edges: none of them is a rival of another."""
        return (self.train > 0) | self.val | self.test

    def of_validation(self) -> "Relation":
        """The same for the heads that have a validation edge: a smaller matrix, ranked in a fraction of the time."""
        rows = self.val.any(dim=1)
        return Relation(self.id, self.heads[rows], self.tails, self.train[rows], self.val[rows], self.test[rows])


def hold_out_edges(graph: KnowledgeGraph, seed: int, share: float = HELD_OUT) -> list[Relation]:
    """Hold out a share of each relation's edges for validation and as many for the test, at random.

    Every entity keeps an edge to learn from, so that sparse graphs may give less than the share. Edges of other
    relations stay: a held-out ``consists_of`` may be seen in what the action's clips show (transductive).
    """
    rng = np.random.default_rng(seed)
    triples = graph.triples
    part = np.full(len(triples), TRAIN)
    degree = np.bincount(triples[:, [0, 2]].ravel(), minlength=len(graph.names))
    counts = np.bincount(triples[:, 1], minlength=len(RELATIONS))
    wanted = [[VAL, TEST] * round(share * count) for count in counts]
    for row in rng.permutation(len(triples)):
        head, relation, tail = triples[row]
        if wanted[relation] and degree[head] > 1 and degree[tail] > 1:
            part[row] = wanted[relation].pop()
            degree[[head, tail]] -= 1
    return _relations(graph, part)


def hold_out_clips(graph: KnowledgeGraph, val: Collection[str], test: Collection[str]) -> list[Relation]:
    """Hold out all edges of some clips (inductive); what actions consist of stays known."""
    part_of = dict.fromkeys(val, VAL) | dict.fromkeys(test, TEST)
    video = ENTITY_KINDS.index("video")
    of_entity = [
        part_of.get(name, TRAIN) if kind == video else TRAIN
        for name, kind in zip(graph.names, graph.kinds, strict=True)
    ]
    return _relations(graph, np.array(of_entity)[graph.triples[:, 0]])


def _relations(graph: KnowledgeGraph, part: Int64[np.ndarray, " N"]) -> list[Relation]:
    relations = []
    for relation in np.unique(graph.triples[:, 1]):
        chosen = graph.triples[:, 1] == relation
        heads, rows = np.unique(graph.triples[chosen, 0], return_inverse=True)
        tails, columns = np.unique(graph.triples[chosen, 2], return_inverse=True)
        support = np.zeros((3, len(heads), len(tails)), dtype=np.float32)
        support[part[chosen], rows, columns] = graph.support[chosen]
        train, val, test = torch.from_numpy(support)
        found = torch.from_numpy(heads), torch.from_numpy(tails)
        relations.append(Relation(int(relation), *found, train, val > 0, test > 0))
    return relations
