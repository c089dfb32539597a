"""A training step encodes what its loss needs, for every relation of the table."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from kgclip.config import PromptConfig
from kgclip.engine import step as step_module
from kgclip.engine.prepare import GraphTargets
from kgclip.engine.step import TrainingStep
from kgclip.kg.schema import RELATIONS, Relation
from kgclip.models import gradient
from kgclip.models.backbones.registry import load_backbone
from kgclip.models.gradient import GradientHead, HeadOptions
from kgclip.models.options import LossWeights

ACTIONS = ("wave", "jump", "sit")
MOVEMENTS = ("left arm raise", "right arm raise", "hip bend", "head nod")
PROMPTS = PromptConfig(action="{name}", movement="{name}")
UNFLIPPED = torch.zeros(2, dtype=torch.bool)


def targets() -> GraphTargets:
    """Four clips, of which the first two have edges."""
    performs, shows = torch.zeros(4, 3), torch.zeros(4, 4)
    performs[0, 0] = performs[1, 1] = 1.0
    shows[0, 0], shows[1, 2] = 0.5, 1.0
    consists_of = torch.rand(3, 4, generator=torch.Generator().manual_seed(0))
    names = {"video": ("a", "b", "c", "d"), "action": ACTIONS, "movement": MOVEMENTS}
    edges = {"performs": performs, "shows": shows, "consists_of": consists_of}
    return GraphTargets(names, edges, torch.arange(4), torch.tensor([1, 0, 2, 3]))


def new_step(weights: LossWeights, goal: GraphTargets, *, every_text: bool = True) -> TrainingStep:
    torch.manual_seed(0)
    backbone = load_backbone("features:8")
    head = GradientHead(8, backbone.embedding_dim, 2.0, HeadOptions("projected"))
    return TrainingStep(backbone, head, goal, PROMPTS, weights, every_text=every_text)


def frames() -> Tensor:
    return torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("every_text", [True, False])
@pytest.mark.parametrize(("shows", "consists_of"), [(1.0, 0.0), (0.0, 1.0), (0.0, 0.0)])
def test_every_text_is_encoded_once_and_only_those_wanted(
    shows: float, consists_of: float, every_text: bool, monkeypatch: pytest.MonkeyPatch
):
    step = new_step(LossWeights(shows=shows, consists_of=consists_of), targets(), every_text=every_text)
    encoded, encode_text = [], step.backbone.encode_text

    def counted(texts: Sequence[str]) -> Tensor:
        encoded.extend(texts)
        return encode_text(texts)

    monkeypatch.setattr(step.backbone, "encode_text", counted)
    terms = step(torch.tensor([0, 1]), frames(), UNFLIPPED)
    relations = ["performs", *(["shows"] if shows else []), *(["consists_of"] if consists_of else [])]
    assert set(terms) == {f"{part}_{name}" for part in ("mm", "tri") for name in relations}
    assert all(torch.isfinite(term) for term in terms.values())
    assert encoded == [*(ACTIONS if every_text else ACTIONS[:2]), *(MOVEMENTS if every_text else MOVEMENTS[::2])]


def test_clips_without_any_edge_have_no_text_and_no_loss():
    step = new_step(LossWeights(), targets(), every_text=False)
    terms = step(torch.tensor([2, 3]), frames(), UNFLIPPED)
    assert [term.item() for term in terms.values()] == [0] * 6


def test_texts_that_do_not_train_are_encoded_before():
    step = new_step(LossWeights(), targets())
    before = step(torch.tensor([0, 1]), frames(), UNFLIPPED)
    step.fix_texts()
    step.backbone.encode_text = lambda texts: pytest.fail("encoded again")  # pyright: ignore
    after = step(torch.tensor([0, 1]), frames(), UNFLIPPED)
    torch.testing.assert_close(after, before)


def test_a_flipped_clip_shows_the_mirrored_movements():
    """A flip of the clip that raises its left arm is the loss of one that raises its right arm."""
    mirrored = targets()
    mirrored.edges["shows"][0] = mirrored.edges["shows"][0][[1, 0, 2, 3]]
    flipped = torch.tensor([True, False])
    one = new_step(LossWeights(), targets())(torch.tensor([0, 1]), frames(), flipped)
    other = new_step(LossWeights(), mirrored)(torch.tensor([0, 1]), frames(), UNFLIPPED)
    torch.testing.assert_close(one, other)
    plain = new_step(LossWeights(), targets())(torch.tensor([0, 1]), frames(), UNFLIPPED)
    assert abs(one["mm_shows"] - plain["mm_shows"]) > 1e-4


@pytest.mark.parametrize("every_text", [True, False])
def test_one_more_relation_flows_through_the_step(every_text: bool, monkeypatch: pytest.MonkeyPatch):
    """Two relations join clips and movements; each keeps its own edges."""

    @dataclass(frozen=True)
    class Weights(LossWeights):
        touches: float = 1.0

    before = new_step(LossWeights(), targets())(torch.tensor([0, 1]), frames(), UNFLIPPED)
    table = (*RELATIONS, Relation("touches", "video", "movement"))
    for module in (step_module, gradient):
        monkeypatch.setattr(module, "RELATIONS", table)
    goal = targets()
    goal.edges["touches"] = goal.edges["shows"].flip(1)
    terms = new_step(Weights(), goal, every_text=every_text)(torch.tensor([0, 1]), frames(), UNFLIPPED)
    assert set(terms) - set(before) == {"mm_touches", "tri_touches"}
    if every_text:
        torch.testing.assert_close({name: terms[name] for name in before}, before)
    assert abs(terms["mm_touches"] - terms["mm_shows"]) > 1e-4


def test_gradients_reach_every_parameter_that_trains():
    step = new_step(LossWeights(), targets())
    torch.stack(list(step(torch.tensor([0, 1]), frames(), UNFLIPPED).values())).sum().backward()
    reached = {name for name, p in step.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert reached == {name for name, p in step.named_parameters() if p.requires_grad}
