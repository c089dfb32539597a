"""Wrong graphs, whose gain does not come from knowledge, and bounds: arms that know more than a recognizer may."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from experiments.family import TrainedFit, trained
from experiments.setting import Arm, Fitted, Setting
from kgclip.data.annotations import read_observations
from kgclip.errors import KgclipError
from kgclip.kg.build import build_graph, project
from kgclip.kg.graph import Edge, KnowledgeGraph
from kgclip.kg.schema import ENTITY_KINDS
from kgclip.kg.shipped import SHIPPED, definitions_for

DEFINITIONS_GIVEN = "KG-CLIP, definitions given"
TRUE_MOVEMENTS = "true movements at test"
SHIPPED_DEFINITIONS = "KG-CLIP, shipped definitions"


def shuffle_shows(graph: KnowledgeGraph, seed: int) -> KnowledgeGraph:
    """Deal the clips' sets of movements out anew: no clip keeps its own, every set is dealt once.

    What the actions consist of is projected anew; actions that no annotated clip performs keep their movements.
    """
    dealt = _dealt(sorted({edge.head for edge in graph.edges("shows")}), seed, "clip that shows movements")
    shows = [Edge(dealt[edge.head], "shows", edge.tail, edge.support, edge.frames) for edge in graph.edges("shows")]
    performs = graph.edges("performs")
    projected = project(KnowledgeGraph.from_edges([*performs, *shows]))
    replaced = {edge.head for edge in projected}
    written = [edge for edge in graph.edges("consists_of") if edge.head not in replaced]
    return _like(graph, [*performs, *shows, *projected, *written], {"control": "shuffled shows", "seed": seed})


def shuffle_consists_of(graph: KnowledgeGraph, seed: int) -> KnowledgeGraph:
    """Permute what the actions consist of: no action keeps its own set. All other edges stay."""
    consists_of = graph.edges("consists_of")
    dealt = _dealt(sorted({edge.head for edge in consists_of}), seed, "action that consists of movements")
    consists_of = [Edge(dealt[edge.head], "consists_of", edge.tail, edge.support) for edge in consists_of]
    edges = [*graph.edges("performs"), *graph.edges("shows"), *consists_of]
    return _like(graph, edges, {"control": "shuffled consists_of", "seed": seed})


def _dealt(names: list[str], seed: int, what: str) -> dict[str, str]:
    """Who gets each one's set: a random cycle through all, so that nobody keeps their own."""
    if len(names) < 2:
        raise KgclipError(f"the graph has {len(names)} {what}: nothing can be shuffled; give a graph with 2 or more")
    order = [names[i] for i in np.random.default_rng(seed).permutation(len(names))]
    return dict(zip(order, [*order[1:], order[0]], strict=True))


def _like(graph: KnowledgeGraph, edges: list[Edge], rule: dict[str, str | int]) -> KnowledgeGraph:
    """Other edges between the same entities, from the same split."""
    entities = {kind: graph.entities(kind) for kind in ENTITY_KINDS}
    return KnowledgeGraph.from_edges(edges, isolated=entities, rule=rule, split_hash=graph.split_hash)


@dataclass(frozen=True, eq=False)
class TrueMovementsFit(TrainedFit):
    """Actions by what the test clips truly show: cosine of shares, centered on the training clips."""

    @property
    def states_probabilities(self) -> bool:
        """Sums of z-scores are no probabilities."""
        return False

    def scores(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B K"]:
        """KG-CLIP's logits and the cosines, as z-scores over the actions."""
        targets = self.setting.targets
        mean = targets.edges["shows"][targets.edges["shows"].any(dim=1)].mean(dim=0)
        shown = torch.nn.functional.normalize(self.movements(clips, num_frames) - mean, dim=1)
        consists_of = torch.nn.functional.normalize(targets.edges["consists_of"] - mean, dim=1)
        parts = (super().scores(clips, num_frames), shown @ consists_of.T)
        return sum(
            ((s - s.mean(dim=1, keepdim=True)) / s.std(dim=1, keepdim=True).clamp(min=1e-6) for s in parts),
            torch.zeros(()),
        )

    def movements(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B M"]:
        """The true shares, from the annotations of the test clips."""
        dataset, rule = self.setting.prepared.dataset, self.setting.config.rule
        observations = read_observations(dataset, progress=False).only(clips)
        graph = build_graph(dict.fromkeys(clips), observations, replace(rule, max_clip_share=1.0))
        return torch.from_numpy(graph.adjacency("shows", clips, self.setting.targets.movements))


def true_movements(setting: Setting) -> Fitted:
    """KG-CLIP together with the true movements of the test clips: what reading them better could give.

    Raises:
        KgclipError: no test clip is annotated.
    """
    test = setting.prepared.split.test
    if read_observations(setting.prepared.dataset, progress=False).only(test).frames.is_empty():
        raise KgclipError(f"{setting.config.data}: its test clips have no annotations; leave the bound out")
    fit = trained()(setting)
    assert isinstance(fit, TrainedFit)
    return TrueMovementsFit(setting, fit.checkpoint)


def definitions_given(setting: Setting) -> Fitted:
    """KG-CLIP that is given the definitions with their shares, as a larger source or an expert would know them.

    They are those of all training clips, by labels that the split may not allow: knowledge of actions, of no clip.
    """
    dataset, split = setting.prepared.dataset, setting.prepared.split
    labels = {clip: dataset.by_id[clip].action for clip in split.train}
    observations = read_observations(dataset, progress=False).only(split.train)
    definitions = build_graph(labels, observations, setting.config.rule).edges("consists_of")

    def with_definitions(graph: KnowledgeGraph, seed: int) -> KnowledgeGraph:
        edges = [*graph.edges("performs"), *graph.edges("shows"), *definitions]
        return _like(graph, edges, {"definitions": "given", "seed": seed})

    return trained(graph=with_definitions)(setting)


def with_shipped(graph: KnowledgeGraph, seed: int) -> KnowledgeGraph:
    """Actions without a clip are defined by what the package says of them, with nothing of what their clips show."""
    seen = {edge.tail for edge in graph.edges("performs")}
    measured = [edge for edge in graph.edges("consists_of") if edge.head in seen]
    novel = [action for action in graph.entities("action") if action not in seen]
    written = definitions_for(Path(SHIPPED), novel, movements=graph.entities("movement")).edges("consists_of")
    edges = [*graph.edges("performs"), *graph.edges("shows"), *measured, *written]
    return _like(graph, edges, {"definitions": SHIPPED, "seed": seed})


CONTROLS: dict[str, Arm] = {
    "KG-CLIP, shows shuffled": trained(graph=shuffle_shows),
    "KG-CLIP, consists_of shuffled": trained(graph=shuffle_consists_of),
}
WRITTEN: dict[str, Arm] = {SHIPPED_DEFINITIONS: trained(graph=with_shipped)}
BOUNDS: dict[str, Arm] = {TRUE_MOVEMENTS: true_movements, DEFINITIONS_GIVEN: definitions_given}
