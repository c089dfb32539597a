"""The head that is trained by gradient: what it starts at, what its loss is made of, and that it learns."""

import math
from dataclasses import dataclass, replace
from typing import get_args

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from kgclip.kg.schema import RELATIONS, Relation, relation_id
from kgclip.models import gradient
from kgclip.models.gradient import MAX_SCALE, GradientHead, HeadOptions
from kgclip.models.losses import triplet_loss, two_sided
from kgclip.models.options import Epsilon, LossWeights, PoolingKind, Subspace
from kgclip.models.triplet import CACHED_ROWS

D = 16
PERFORMS = relation_id("performs")
EDGES = {
    "performs": torch.eye(4),
    "shows": torch.tensor(
        [[1.0, 0.8, 0.0, 0.5, 0.0], [0.7, 1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.9, 0.0, 1.0], [0.0, 0.0, 0.0, 1.0, 0.0]]
    ),
    "consists_of": torch.tensor(
        [[0.9, 0.7, 0.0, 0.3, 0.0], [0.8, 0.8, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0, 0.6], [0.0, 0.0, 0.0, 1.0, 0.0]]
    ),
}


def unit(num: int, seed: int, dim: int = D) -> Tensor:
    return F.normalize(torch.randn(num, dim, generator=torch.Generator().manual_seed(seed)), dim=-1)


def entities() -> dict[str, Tensor]:
    return {"video": unit(4, 1), "action": unit(4, 2), "movement": unit(5, 3)}


def frames(num: int = 4, dim: int = D, seed: int = 0) -> Tensor:
    return torch.randn(num, 6, dim, generator=torch.Generator().manual_seed(seed))


def new_head(
    pooling: PoolingKind = "mean", subspace: Subspace | None = "diagonal", epsilon: Epsilon = "relation", dim: int = D
) -> GradientHead:
    return GradientHead(dim, D, math.log(1 / 0.07), HeadOptions(pooling, subspace, epsilon))


def disturbed(subspace: Subspace | None = "diagonal", pooling: PoolingKind = "mean") -> GradientHead:
    torch.manual_seed(1)
    head = new_head(pooling, subspace)
    for part in (head.pooling, head.triplet):
        for parameter in part.parameters() if part is not None else []:
            with torch.no_grad():
                parameter += 0.3 * torch.randn_like(parameter)
    return head


@pytest.mark.parametrize("subspace", get_args(Subspace))
@pytest.mark.parametrize("epsilon", get_args(Epsilon))
def test_both_scores_start_at_the_cosine(subspace: Subspace, epsilon: Epsilon):
    mm, tri = new_head("projected", subspace, epsilon)(frames(), unit(4, 2))
    assert tri is not None
    for i in range(4):
        for j in range(4):
            cosine = F.cosine_similarity(frames()[i].mean(dim=0), unit(4, 2)[j], dim=0).item()
            assert mm[i, j].item() == pytest.approx(cosine, abs=1e-5)
            assert tri[i, j].item() == pytest.approx(cosine, abs=1e-5)


def test_tri_is_the_mean_of_the_relation_and_its_inverse():
    head, actions = disturbed(), unit(4, 2)
    encoder = head.triplet
    assert encoder is not None
    assert encoder.epsilon is not None
    mm, tri = head(frames(3), actions)
    assert tri is not None
    inverse = PERFORMS + len(RELATIONS)
    for i, v in enumerate(head.embed(frames(3))):
        for j, a in enumerate(actions):
            assert mm[i, j].item() == pytest.approx(sum((v * a).tolist()), abs=1e-5)
            there = F.cosine_similarity(
                v * encoder.head[PERFORMS] - encoder.epsilon[PERFORMS], a * encoder.tail[PERFORMS], dim=0
            )
            back = F.cosine_similarity(
                a * encoder.head[inverse] - encoder.epsilon[inverse], v * encoder.tail[inverse], dim=0
            )
            assert tri[i, j].item() == pytest.approx((there.item() + back.item()) / 2, abs=1e-5)


@pytest.mark.parametrize("subspace", get_args(Subspace))
def test_many_actions_are_scored_as_few(subspace: Subspace):
    head, actions = disturbed(subspace), unit(CACHED_ROWS + 5, 2)
    mm, tri = head(frames(2), actions)
    last_mm, last_tri = head(frames(2), actions[-1:])
    assert tri is not None
    torch.testing.assert_close((mm[:, -1:], tri[:, -1:]), (last_mm, last_tri), atol=1e-6, rtol=0)


def test_without_triplet_encoder_there_is_the_cosine_alone():
    head, named = new_head(subspace=None), entities()
    mm, tri = head(frames(), named["action"])
    assert tri is None
    torch.testing.assert_close(mm, head.embed(frames()) @ named["action"].T)
    weights = LossWeights(shows=0.5, consists_of=0.0)
    terms = head.loss(named, EDGES, weights)
    assert list(terms) == ["mm_performs", "mm_shows"]
    expected = two_sided(named["video"] @ named["movement"].T, EDGES["shows"], head.scale())
    torch.testing.assert_close(terms["mm_shows"], 0.5 * expected)
    assert not any(name.startswith("triplet") for name in head.state_dict())


@pytest.mark.parametrize("margin", [None, 1.0])
def test_the_loss_is_the_weighed_sum_of_equation_5(margin: float | None):
    head, named = disturbed(), entities()
    assert head.triplet is not None
    weights = LossWeights(performs=1.0, shows=0.5, consists_of=0.25, mm=1.5, margin=margin)
    terms = head.loss(named, EDGES, weights)
    pairs = {"performs": ("video", "action"), "shows": ("video", "movement"), "consists_of": ("action", "movement")}
    assert set(terms) == {f"{part}_{name}" for part in ("mm", "tri") for name in pairs}
    total = 0.0
    for number, (name, (one, other)) in enumerate(pairs.items()):
        heads, tails, w = named[one], named[other], getattr(weights, name)
        tri = triplet_loss(head.triplet, number, (heads, tails), EDGES[name], head.scale(), margin)
        total += w * (tri.item() + 1.5 * two_sided(heads @ tails.T, EDGES[name], head.scale()).item())
    assert sum(term.item() for term in terms.values()) == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        (LossWeights(shows=0.0), {"mm_performs", "tri_performs", "mm_consists_of", "tri_consists_of"}),
        (LossWeights(mm=0.0), {"tri_performs", "tri_shows", "tri_consists_of"}),
        (LossWeights(performs=0.0, consists_of=0.0, mm=0.0), {"tri_shows"}),
    ],
)
def test_terms_of_weight_zero_are_left_out(weights: LossWeights, expected: set[str]):
    assert set(disturbed().loss(entities(), EDGES, weights)) == expected


def test_one_more_relation_is_one_more_row(monkeypatch: pytest.MonkeyPatch):
    """The loss and the encoder follow the table; the terms of the other relations do not change."""

    @dataclass(frozen=True)
    class Weights(LossWeights):
        touches: float = 0.5

    before = new_head().loss(entities(), EDGES, LossWeights())
    monkeypatch.setattr(gradient, "RELATIONS", (*RELATIONS, Relation("touches", "video", "movement")))
    head = new_head()
    assert head.triplet is not None
    assert head.triplet.num_relations == len(RELATIONS) + 1
    touches = EDGES["shows"].flip(1)
    after = head.loss(entities(), EDGES | {"touches": touches}, Weights())
    assert set(after) - set(before) == {"mm_touches", "tri_touches"}
    for name, term in before.items():
        torch.testing.assert_close(after[name], term)
    expected = two_sided(unit(4, 1) @ unit(5, 3).T, touches, head.scale())
    torch.testing.assert_close(after["tri_touches"], 0.5 * expected)  # it starts at the cosine


def test_scale_is_the_exponential_up_to_one_hundred():
    head = new_head()
    assert head.scale().item() == pytest.approx(1 / 0.07)
    for value, expected in ((0.0, 1.0), (2.0, math.e**2), (9.0, MAX_SCALE)):
        with torch.no_grad():
            head.logit_scale.fill_(value)
        assert head.scale().item() == pytest.approx(expected)


@pytest.mark.parametrize("subspace", [None, *get_args(Subspace)])
@pytest.mark.parametrize("pooling", get_args(PoolingKind))
def test_a_clip_is_scored_alike_in_any_company(subspace: Subspace | None, pooling: PoolingKind):
    head, actions = disturbed(subspace, pooling).eval(), unit(4, 2)

    def score(batch: Tensor, few: Tensor) -> Tensor:
        return torch.stack([part for part in head(batch, few) if part is not None])

    whole = score(frames(6), actions)
    for b in range(6):
        torch.testing.assert_close(score(frames(6)[b : b + 1], actions)[:, 0], whole[:, b], atol=1e-5, rtol=0)
    # An action's score does not depend on which other actions there are.
    torch.testing.assert_close(score(frames(6), actions[1:3]), whole[:, :, 1:3], atol=1e-5, rtol=0)


@pytest.mark.parametrize("subspace", get_args(Subspace))
def test_a_gradient_reaches_every_parameter(subspace: Subspace):
    head = disturbed(subspace, "statistics")
    named = entities() | {"video": head.embed(frames())}
    torch.stack(list(head.loss(named, EDGES, LossWeights()).values())).sum().backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_embeddings_have_unit_length_and_foreign_features_are_mapped():
    clips = new_head("projected", dim=5).embed(frames(3, 5))
    assert clips.shape == (3, D)
    torch.testing.assert_close(clips.norm(dim=1), torch.ones(3))


def overfit(head: GradientHead, weights: LossWeights, steps: int) -> float:
    """The sum of the loss terms after that many steps on four clips."""
    head.pooling.fit(frames())
    optimizer = torch.optim.Adam(head.parameters(), lr=0.01)
    loss = torch.zeros(())
    for _ in range(steps):
        terms = head.loss(entities() | {"video": head.embed(frames())}, EDGES, weights)
        loss = torch.stack(list(terms.values())).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


@pytest.mark.parametrize(
    ("subspace", "pooling"), [("diagonal", "statistics"), ("matrix", "mean"), (None, "statistics")]
)
def test_it_overfits_four_clips(subspace: Subspace | None, pooling: PoolingKind):
    torch.manual_seed(0)
    head = new_head(pooling, subspace)
    weights = LossWeights() if subspace else LossWeights(shows=0.0, consists_of=0.0)
    first, last = overfit(head, weights, 1), overfit(head, weights, 150)
    assert last < first
    mm, tri = head(frames(), unit(4, 2))
    assert (mm if tri is None else mm + tri).argmax(dim=1).tolist() == [0, 1, 2, 3]
    if head.triplet is None:
        return
    # What a clip shows outranks what it does not.
    shown = head.triplet.cosine_both_ways(head.embed(frames()), relation_id("shows"), unit(5, 3))
    for row, edges in zip(shown, EDGES["shows"], strict=True):
        assert row[edges > 0].min() > row[edges == 0].max()


def test_training_with_the_margin_loss_finds_the_actions():
    torch.manual_seed(0)
    head = new_head("statistics")
    weights = replace(LossWeights(), margin=1.0, mm=0.0, shows=0.0, consists_of=0.0)
    first, last = overfit(head, weights, 1), overfit(head, weights, 100)
    assert last < first
    mm, tri = head(frames(), unit(4, 2))
    assert tri is not None
    assert (mm + tri).argmax(dim=1).tolist() == [0, 1, 2, 3]


def test_the_same_seed_gives_the_same_loss():
    losses = []
    for _ in range(2):
        torch.manual_seed(3)
        losses.append(overfit(new_head("statistics", "context"), LossWeights(), 5))
    assert losses[0] == losses[1]
