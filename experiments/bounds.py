"""Arms that know more than a recognizer may: they say how far better evidence or better knowledge would carry."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from experiments.family import TrainedFit, trained
from experiments.setting import Fitted, Setting
from kgclip.data.annotations import read_observations
from kgclip.errors import KgclipError
from kgclip.kg.build import build_graph
from kgclip.kg.graph import KnowledgeGraph


@dataclass(frozen=True, eq=False)
class TrueMovementsFit(TrainedFit):
    """KG-CLIP that is told what movements a clip shows, in place of reading them from its frames."""

    def _embedded(self, clips: tuple[str, ...], num_frames: int) -> Embedded:
        embedded = super()._embedded(clips, num_frames)
        dataset, rule = self.setting.prepared.dataset, self.setting.config.rule
        observations = read_observations(dataset, progress=False).only(clips)
        graph = build_graph(dict.fromkeys(clips), observations, replace(rule, max_clip_share=1.0))
        shares: Float[Tensor, "B M"] = torch.from_numpy(graph.adjacency("shows", clips, self.checkpoint.movements))
        return Embedded(embedded.clips, shares)


def true_movements(setting: Setting) -> Fitted:
    """KG-CLIP whose path sees the true movements of the test clips: an upper bound on what reading them could give.

    Raises:
        KgclipError: no test clip is annotated.
    """
    test = setting.prepared.split.test
    if read_observations(setting.prepared.dataset, progress=False).only(test).frames.is_empty():
        raise KgclipError(f"{setting.config.data}: its test clips have no annotations; leave the bound out")
    fit = trained()(setting)
    assert isinstance(fit, TrainedFit)
    return TrueMovementsFit(fit.setting, fit.checkpoint, fit.scorer)


def known_parsings(setting: Setting) -> Fitted:
    """KG-CLIP that is given the actions' parsings with their shares, as a larger source or an expert would know them.

    They are those of all training clips, by labels that the split may not allow: knowledge of actions, of no clip.
    """

    dataset, split = setting.prepared.dataset, setting.prepared.split
    labels = {clip: dataset.by_id[clip].action for clip in split.train}
    observations = read_observations(dataset, progress=False).only(split.train)
    parsings = build_graph(labels, observations, setting.config.rule).edges("consists_of")

    def with_parsings(graph: KnowledgeGraph, seed: int) -> KnowledgeGraph:
        return KnowledgeGraph.from_edges(
            [*graph.edges("performs"), *graph.edges("shows"), *parsings],
            isolated=graph.isolated(),
            rule={**graph.rule, "parsings": "given"},
            split_hash=graph.split_hash,
        )

    return trained(graph=with_parsings)(setting)
