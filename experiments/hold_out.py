"""Unseen actions: these lose all their clips and are known only by name and by a definition somebody could write."""

import dataclasses

import numpy as np

from experiments.setting import Setting
from kgclip.data.splits import Split, SplitOptions
from kgclip.engine.prepare import Prepared, graph_of_split
from kgclip.errors import KgclipError
from kgclip.kg.build import merge
from kgclip.kg.graph import KnowledgeGraph

# A stream of random numbers of its own: which actions are novel does not depend on what else the seed decides.
_NOVEL_STREAM = 7


def hold_out(setting: Setting, fraction: float, seed: int) -> Setting:
    """Take all training and validation clips from a share of the actions; the test part stays whole.

    The graph is built anew from the clips that are left. What it says of a novel action is class-level knowledge as in
    attribute-based recognition (Lampert et al., CVPR 2009): ``consists_of`` edges with the shares that the action's
    clips of the *training part* gave it before they were taken away. No novel clip is in the graph, and nothing of a
    test clip reaches it. Split and graph are saved beside ``setting.config.out``, so that a training run by the
    returned configuration sees the same.

    Args:
        setting: with all actions.
        fraction: of the actions, rounded; in (0, 1).
        seed: draws which.

    Raises:
        KgclipError: fewer than two actions would be left on a side, so that there is nothing to tell apart.
    """
    prepared, config = setting.prepared, setting.config
    novel = draw_novel(setting.actions, fraction, seed)
    kept = {clip.id for clip in prepared.dataset.clips if clip.action not in novel}
    old = prepared.split
    split = Split(
        train=tuple(clip for clip in old.train if clip in kept),
        val=tuple(clip for clip in old.val if clip in kept),
        test=old.test,
        labelled=tuple(clip for clip in old.labelled if clip in kept),
    )
    graph = graph_of_split(prepared.dataset, split, config.rule, workers=config.workers, keep_going=config.keep_going)
    graph = merge(graph, definitions_of(prepared.graph, novel))
    graph.check_no_leakage(split.test, "test")
    folder = config.out.parent
    folder.mkdir(parents=True, exist_ok=True)
    split.save(folder / "split.json")
    graph.save(folder / "graph.parquet")
    # The saved split is as narrow as its options made it: they must not narrow it again.
    options = SplitOptions(file=folder / "split.json", seed=config.split.seed)
    config = dataclasses.replace(config, split=options, graph=folder / "graph.parquet", definitions=None)
    return dataclasses.replace(setting, config=config, prepared=Prepared(prepared.dataset, split, graph), novel=novel)


def draw_novel(actions: tuple[str, ...], fraction: float, seed: int) -> tuple[str, ...]:
    """Draw the novel actions, sorted.

    Raises:
        KgclipError: fewer than two actions would be left on a side.
    """
    count = round(fraction * len(actions))
    if not 2 <= count <= len(actions) - 2:
        raise KgclipError(
            f"novel_fraction: {fraction} of {len(actions)} actions are {count} novel ones, expected at least 2 and at "
            f"most {len(actions) - 2}; choose another share"
        )
    order = np.random.default_rng([seed, _NOVEL_STREAM]).permutation(len(actions))
    return tuple(sorted(actions[index] for index in order[:count]))


def definitions_of(graph: KnowledgeGraph, novel: tuple[str, ...]) -> KnowledgeGraph:
    """What a graph says that some actions consist of, without any clip; actions without movements stay as names."""
    edges = [edge for edge in graph.edges("consists_of") if edge.head in novel]
    return KnowledgeGraph.from_edges(edges, isolated={"action": novel}, rule={"source": "definitions"})
