"""The whole model: what it starts at, what its loss is made of, and that it learns."""

import math
from dataclasses import replace
from typing import get_args

import pytest
import torch
from kgclip.models.path import action_weights, fuse, part_softmax, path_evidence
from torch import Tensor
from torch.nn import functional as F

from kgclip.models.backbones.base import Backbone
from kgclip.models.backbones.registry import build_backbone, load_backbone
from kgclip.models.kgclip import CONSISTS_OF, KGCLIP, MAX_SCALE, PERFORMS, SHOWS, Adjacency
from kgclip.models.losses import triplet_loss, two_sided
from kgclip.models.options import Epsilon, LossWeights, PoolingKind, Subspace
from kgclip.models.triplet import CACHED_ROWS

ACTIONS = ["push up", "pull up", "squat", "rest"]
MOVEMENTS = ["left arm bend", "right arm bend", "hip stoop", "hip stand", "left leg bend"]
EDGES = Adjacency(
    performs=torch.eye(4),
    shows=torch.tensor(
        [[1.0, 0.8, 0.0, 0.5, 0.0], [0.7, 1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.9, 0.0, 1.0], [0.0, 0.0, 0.0, 1.0, 0.0]]
    ),
    consists_of=torch.tensor(
        [[0.9, 0.7, 0.0, 0.3, 0.0], [0.8, 0.8, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0, 0.6], [0.0, 0.0, 0.0, 1.0, 0.0]]
    ),
)
SMALL_TEXT = {"embedding_dim": 16, "buckets": 256, "width": 16, "num_heads": 2, "depth": 1}


def features_backbone(frame_dim: int = 16) -> Backbone:
    return build_backbone({"kind": "features", "frame_dim": frame_dim, "text": SMALL_TEXT, "seed": 0})


def unit(num: int, seed: int, dim: int = 16) -> Tensor:
    return F.normalize(torch.randn(num, dim, generator=torch.Generator().manual_seed(seed)), dim=-1)


def frames(num: int = 4, seed: int = 0) -> Tensor:
    return torch.randn(num, 6, 16, generator=torch.Generator().manual_seed(seed))


def disturbed(subspace: Subspace | None = "diagonal", pooling: PoolingKind = "mean") -> KGCLIP:
    torch.manual_seed(1)
    model = KGCLIP(features_backbone(), pooling, subspace)
    for part in (model.pooling, model.triplet):
        for parameter in part.parameters() if part is not None else []:
            with torch.no_grad():
                parameter += 0.3 * torch.randn_like(parameter)
    return model


@pytest.mark.parametrize("subspace", get_args(Subspace))
@pytest.mark.parametrize("epsilon", get_args(Epsilon))
def test_both_halves_start_at_the_cosine(subspace: Subspace, epsilon: Epsilon):
    model = KGCLIP(features_backbone(), "statistics", subspace, epsilon)
    clips, actions = model.embed_clips(frames()), model.embed_texts(ACTIONS)
    halves = model.halves(clips, actions)
    assert halves.tri is not None
    for i in range(4):
        for j in range(4):
            mean = frames()[i].mean(dim=0)
            cosine = F.cosine_similarity(mean, model.backbone.encode_text(ACTIONS)[j], dim=0).item()
            assert halves.mm[i, j].item() == pytest.approx(cosine, abs=1e-5)
            assert halves.tri[i, j].item() == pytest.approx(cosine, abs=1e-5)
            assert halves.output[i, j].item() == pytest.approx(cosine, abs=1e-5)


def test_output_is_the_mean_of_the_halves_of_equation_6():
    model, clips, actions = disturbed(), unit(3, 1), unit(4, 2)
    encoder = model.triplet
    assert encoder is not None
    assert encoder.epsilon is not None
    halves = model.halves(clips, actions)
    for i, v in enumerate(clips):
        for j, a in enumerate(actions):
            mm = sum(x * y for x, y in zip(v.tolist(), a.tolist(), strict=True))
            there = F.cosine_similarity(
                v * encoder.head[PERFORMS] - encoder.epsilon[PERFORMS], a * encoder.tail[PERFORMS], dim=0
            )
            back = F.cosine_similarity(a * encoder.head[3] - encoder.epsilon[3], v * encoder.tail[3], dim=0)
            tri = (there.item() + back.item()) / 2
            assert halves.output[i, j].item() == pytest.approx((mm + tri) / 2, abs=1e-5)


@pytest.mark.parametrize("subspace", get_args(Subspace))
def test_many_actions_are_scored_as_few(subspace: Subspace):
    model, clips, actions = disturbed(subspace), unit(2, 1), unit(CACHED_ROWS + 5, 2)
    whole = model.halves(clips, actions)
    assert model.triplet is not None
    assert whole.tri is not None
    torch.testing.assert_close(whole.tri, model.triplet.cosine_both_ways(clips, 0, actions), atol=1e-6, rtol=0)
    last = model.halves(clips, actions[-1:])
    torch.testing.assert_close(whole.output[:, -1:], last.output, atol=1e-6, rtol=0)


def test_shows_uses_its_own_relation():
    model, clips, movements = disturbed(), unit(3, 1), unit(5, 2)
    assert model.triplet is not None
    mm = clips @ movements.T
    tri = model.triplet.cosine_both_ways(clips, SHOWS, movements)
    torch.testing.assert_close(model.shows_cosine(clips, movements), (mm + tri) / 2)
    assert (tri - model.triplet.cosine_both_ways(clips, PERFORMS, movements)).abs().max() > 0.01


def test_clip_only_has_no_triplets():
    model = KGCLIP(features_backbone(), subspace=None)
    clips, actions, movements = unit(4, 1), unit(4, 2), unit(5, 3)
    halves = model.halves(clips, actions)
    assert halves.tri is None
    assert torch.equal(halves.output, clips @ actions.T)
    assert torch.equal(model.shows_cosine(clips, movements), clips @ movements.T)
    terms = model.loss(clips, actions, movements, EDGES, LossWeights(shows=0.0, consists_of=0.0))
    assert list(terms) == ["mm_performs"]
    expected = two_sided(clips @ actions.T, EDGES.performs, model.scale())
    torch.testing.assert_close(terms["mm_performs"], expected)
    assert not any(name.startswith("triplet") for name in model.state_dict())


@pytest.mark.parametrize("margin", [None, 1.0])
def test_the_loss_is_the_weighed_sum_of_equation_5(margin: float | None):
    model, clips, actions, movements = disturbed(), unit(4, 1), unit(4, 2), unit(5, 3)
    assert model.triplet is not None
    weights = LossWeights(performs=1.0, shows=0.5, consists_of=0.25, mm=1.5, margin=margin)
    terms = model.loss(clips, actions, movements, EDGES, weights)
    relations = {
        "performs": (PERFORMS, clips, actions, EDGES.performs, 1.0),
        "shows": (SHOWS, clips, movements, EDGES.shows, 0.5),
        "consists_of": (CONSISTS_OF, actions, movements, EDGES.consists_of, 0.25),
    }
    assert set(terms) == {f"{half}_{name}" for half in ("mm", "tri") for name in relations}
    total = 0.0
    for relation, heads, tails, edges, w in relations.values():
        tri = triplet_loss(model.triplet, relation, (heads, tails), edges, model.scale(), margin)
        total += w * (tri.item() + 1.5 * two_sided(heads @ tails.T, edges, model.scale()).item())
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
    terms = disturbed().loss(unit(4, 1), unit(4, 2), unit(5, 3), EDGES, weights)
    assert set(terms) == expected


def test_scale_is_the_exponential_up_to_one_hundred():
    model = KGCLIP(features_backbone())
    assert model.scale().item() == pytest.approx(1 / 0.07)
    for value, expected in ((0.0, 1.0), (2.0, math.e**2), (9.0, MAX_SCALE)):
        with torch.no_grad():
            model.logit_scale.fill_(value)
        assert model.scale().item() == pytest.approx(expected)


def test_pixels_pass_the_image_tower_frame_by_frame():
    torch.manual_seed(0)
    sizes = {"embedding_dim": 16, "image_size": 32, "widths": [8, 8, 16], "depths": [0, 1, 1]}
    model = KGCLIP(build_backbone({"kind": "synthetic", "image": sizes, "text": SMALL_TEXT})).eval()
    pixels = torch.randn(2, 3, 3, 32, 32)
    whole = model.frame_embeddings(pixels)
    for b in range(2):
        for t in range(3):
            alone = model.backbone.encode_image(pixels[b, t : t + 1])[0]
            torch.testing.assert_close(whole[b, t], alone, atol=1e-5, rtol=1e-4)
    # Cached features of the same frames give the same clip.
    torch.testing.assert_close(model.embed_clips(whole), model.embed_clips(pixels))


@pytest.mark.parametrize("subspace", [None, *get_args(Subspace)])
@pytest.mark.parametrize("pooling", get_args(PoolingKind))
def test_a_clip_is_scored_alike_in_any_company(subspace: Subspace | None, pooling: PoolingKind):
    model = disturbed(subspace, pooling).eval()
    with torch.no_grad():
        actions, movements = model.embed_texts(ACTIONS), model.embed_texts(MOVEMENTS)

        def score(batch: Tensor) -> Tensor:
            clips = model.embed_clips(batch)
            return torch.cat([model.halves(clips, actions).output, model.shows_cosine(clips, movements)], dim=1)

        whole = score(frames(6))
        for b in range(6):
            torch.testing.assert_close(score(frames(6)[b : b + 1])[0], whole[b], atol=1e-5, rtol=0)
        # An action's score does not depend on which other actions there are.
        clips = model.embed_clips(frames(6))
        part = model.halves(clips, actions[1:3]).output
        torch.testing.assert_close(part, whole[:, 1:3], atol=1e-5, rtol=0)


@pytest.mark.parametrize("subspace", get_args(Subspace))
def test_a_gradient_reaches_every_parameter(subspace: Subspace):
    model = disturbed(subspace, "statistics")
    clips, actions, movements = model.embed_clips(frames()), model.embed_texts(ACTIONS), model.embed_texts(MOVEMENTS)
    torch.stack(list(model.loss(clips, actions, movements, EDGES, LossWeights()).values())).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_embeddings_have_unit_length_and_foreign_features_are_mapped():
    model = KGCLIP(features_backbone(frame_dim=5), "transformer")
    clips = model.embed_clips(torch.randn(3, 4, 5))
    assert clips.shape == (3, 16)
    torch.testing.assert_close(clips.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(model.embed_texts(ACTIONS).norm(dim=1), torch.ones(4))


def test_texts_pass_the_text_map_before_they_are_normalized():
    model = KGCLIP(features_backbone())
    before = model.embed_texts(ACTIONS)
    torch.testing.assert_close(before, F.normalize(model.backbone.encode_text(ACTIONS), dim=1))
    model.text_map.copy_(torch.randn(16, 16, generator=torch.Generator().manual_seed(0)))
    for row, raw in zip(model.embed_texts(ACTIONS), model.backbone.encode_text(ACTIONS), strict=True):
        mapped = [sum(x * w for x, w in zip(raw.tolist(), column, strict=True)) for column in model.text_map.T.tolist()]
        assert row.tolist() == pytest.approx([x / math.hypot(*mapped) for x in mapped], abs=1e-5)


def overfit(model: KGCLIP, weights: LossWeights, steps: int) -> float:
    """The sum of the loss terms after that many steps on four clips."""
    for parameter in model.backbone.parameters():
        parameter.requires_grad_(False)
    model.pooling.fit(frames())
    with torch.no_grad():
        actions, movements = model.embed_texts(ACTIONS), model.embed_texts(MOVEMENTS)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.01)
    loss = torch.zeros(())
    for _ in range(steps):
        terms = model.loss(model.embed_clips(frames()), actions, movements, EDGES, weights)
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
    model = KGCLIP(load_backbone("features:16"), pooling, subspace)
    weights = LossWeights() if subspace else LossWeights(shows=0.0, consists_of=0.0)
    first, last = overfit(model, weights, 1), overfit(model, weights, 150)
    assert last < first / 2
    with torch.no_grad():
        clips, actions, movements = (
            model.embed_clips(frames()),
            model.embed_texts(ACTIONS),
            model.embed_texts(MOVEMENTS),
        )
        halves = model.halves(clips, actions)
        assert halves.output.argmax(dim=1).tolist() == [0, 1, 2, 3]
        if subspace is None:
            return
        # What a clip shows outranks what it does not, and the path alone finds the action.
        shown = model.shows_cosine(clips, movements)
        for row, edges in zip(shown, EDGES.shows, strict=True):
            assert row[edges > 0].min() > row[edges == 0].max()
        parts = torch.tensor([0, 0, 1, 1, 1])
        evidence = part_softmax(model.scale() * shown, parts)
        path = path_evidence(evidence, action_weights(EDGES.consists_of, "log"))
        assert fuse(halves.output, path, 1.0)[0].argmax(dim=1).tolist() == [0, 1, 2, 3]


def test_training_with_the_margin_loss_finds_the_actions():
    torch.manual_seed(0)
    model = KGCLIP(load_backbone("features:16"), "statistics")
    weights = replace(LossWeights(), margin=1.0, mm=0.0, shows=0.0, consists_of=0.0)
    first, last = overfit(model, weights, 1), overfit(model, weights, 100)
    assert last < first
    with torch.no_grad():
        halves = model.halves(model.embed_clips(frames()), model.embed_texts(ACTIONS))
    assert halves.output.argmax(dim=1).tolist() == [0, 1, 2, 3]


def test_the_same_seed_gives_the_same_loss():
    losses = []
    for _ in range(2):
        torch.manual_seed(3)
        losses.append(overfit(KGCLIP(features_backbone(), "statistics", "context"), LossWeights(), 5))
    assert losses[0] == losses[1]
