"""The triplet encoder against loops over single coordinates, at its start, in its symmetries and in its gradients."""

import math
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from kgclip.models.options import Epsilon, Subspace
from kgclip.models.triplet import TripletEncoder

DIM, RELATIONS = 8, 3
SUBSPACES: tuple[Subspace, ...] = get_args(Subspace)
EPSILONS: tuple[Epsilon, ...] = get_args(Epsilon)
VARIANTS = [(subspace, epsilon) for subspace in SUBSPACES for epsilon in EPSILONS]
numbers = st.floats(-2, 2, allow_nan=False, width=32)


def unit(num: int, seed: int) -> Tensor:
    return F.normalize(torch.randn(num, DIM, generator=torch.Generator().manual_seed(seed)), dim=-1)


def disturbed(subspace: Subspace, epsilon: Epsilon = "relation") -> TripletEncoder:
    """An encoder away from its start, where every relation differs from every other."""
    encoder = TripletEncoder(DIM, RELATIONS, subspace, epsilon)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter += 0.4 * torch.randn(parameter.shape, generator=generator)
    return encoder


def cosine(x: np.ndarray, y: np.ndarray) -> float:
    return sum(float(a * b) for a, b in zip(x, y, strict=True)) / (math.hypot(*x) * math.hypot(*y))


def test_diagonal_is_pair_re_when_there_is_no_deviation():
    encoder, heads, tails = disturbed("diagonal", "none"), unit(3, 1), unit(4, 2)
    for relation in range(2 * RELATIONS):
        r_head, r_tail = encoder.head[relation].tolist(), encoder.tail[relation].tolist()
        distance = encoder(heads, relation, tails).distance()
        for i, h in enumerate(heads.tolist()):
            for j, t in enumerate(tails.tolist()):
                by_hand = math.sqrt(sum((h[k] * r_head[k] - t[k] * r_tail[k]) ** 2 for k in range(DIM)))
                assert distance[i, j].item() == pytest.approx(by_hand, abs=1e-5)


def test_matrix_is_trans_r_when_there_is_no_deviation():
    encoder, heads, tails = disturbed("matrix", "none"), unit(3, 1), unit(4, 2)
    for relation in range(2 * RELATIONS):
        m, r = encoder.matrix[relation].tolist(), encoder.translation[relation].tolist()
        projected = encoder(heads, relation, tails)
        for i, h in enumerate(heads.tolist()):
            by_hand = [sum(m[k][c] * h[c] for c in range(DIM)) + r[k] for k in range(DIM)]
            assert projected.heads[i].tolist() == pytest.approx(by_hand, abs=1e-5)
        for j, t in enumerate(tails.tolist()):
            by_hand = [sum(m[k][c] * t[c] for c in range(DIM)) for k in range(DIM)]
            assert projected.tails[j].tolist() == pytest.approx(by_hand, abs=1e-5)


def context_by_hand(encoder: TripletEncoder, entity: Tensor, relation: Tensor) -> np.ndarray:
    """One pre-norm transformer layer over two tokens in float64, one attention head after the other."""
    p = {name: value.double().numpy() for name, value in encoder.context.state_dict().items()}

    def linear(x: np.ndarray, name: str) -> np.ndarray:
        return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]

    def layer_norm(x: np.ndarray, name: str) -> np.ndarray:
        standard = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
        return standard * p[f"{name}.weight"] + p[f"{name}.bias"]

    tokens = np.stack([entity.double().numpy(), relation.double().numpy()])
    normed = layer_norm(tokens, "norm_attention")
    projected = normed @ p["attention.in_proj_weight"].T + p["attention.in_proj_bias"]
    query, key, value = np.split(projected, 3, axis=1)
    heads = encoder.context.attention.num_heads
    width = DIM // heads
    mixed = np.zeros(DIM)
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        weights = [math.exp(query[0, part] @ key[j, part] / math.sqrt(width)) for j in range(2)]
        mixed[part] = sum(weights[j] / sum(weights) * value[j, part] for j in range(2))
    token = tokens[0] + linear(mixed, "attention.out_proj")
    hidden = linear(layer_norm(token, "norm_mlp"), "mlp.0")
    gelu = np.array([0.5 * x * (1 + math.erf(x / math.sqrt(2))) for x in hidden])
    return token + linear(gelu, "mlp.2")


def test_context_is_a_transformer_layer_over_entity_and_relation():
    encoder, heads, tails = disturbed("context"), unit(2, 1), unit(3, 2)
    assert encoder.epsilon is not None
    for relation in (0, RELATIONS + 1):
        projected = encoder(heads, relation, tails)
        for row, head in zip(projected.heads, heads, strict=True):
            by_hand = context_by_hand(encoder, head, encoder.head[relation].detach())
            by_hand = by_hand - encoder.epsilon[relation].detach().numpy()
            assert row.tolist() == pytest.approx(by_hand.tolist(), abs=1e-5)
        for row, tail in zip(projected.tails, tails, strict=True):
            by_hand = context_by_hand(encoder, tail, encoder.tail[relation].detach())
            assert row.tolist() == pytest.approx(by_hand.tolist(), abs=1e-5)


@pytest.mark.parametrize("subspace", SUBSPACES)
def test_cosine_and_distance_of_every_pair(subspace: Subspace):
    projected = disturbed(subspace)(unit(3, 1), 1, unit(5, 2))
    heads, tails = projected.heads.detach().numpy(), projected.tails.detach().numpy()
    for i, h in enumerate(heads):
        for j, t in enumerate(tails):
            assert projected.cosine()[i, j].item() == pytest.approx(cosine(h, t), abs=1e-5)
            assert projected.distance()[i, j].item() == pytest.approx(math.dist(h, t), abs=1e-5)


@pytest.mark.parametrize(("subspace", "epsilon"), VARIANTS)
def test_training_starts_at_the_cosine_of_the_embeddings(subspace: Subspace, epsilon: Epsilon):
    encoder, heads, tails = TripletEncoder(DIM, RELATIONS, subspace, epsilon), unit(6, 1), unit(4, 2)
    for relation in range(2 * RELATIONS):
        projected = encoder(heads, relation, tails)
        assert torch.equal(projected.heads, heads)
        assert torch.equal(projected.tails, tails)
    torch.testing.assert_close(encoder.cosine_both_ways(heads, 0, tails), heads @ tails.T, atol=1e-6, rtol=0)


@pytest.mark.parametrize("subspace", SUBSPACES)
def test_epsilon_is_taken_from_the_heads_of_its_relation(subspace: Subspace):
    heads, tails = unit(3, 1), unit(2, 2)
    shift = torch.linspace(-1, 1, DIM)
    cases: list[tuple[Epsilon, set[int]]] = [("relation", {1}), ("shared", set(range(2 * RELATIONS)))]
    for epsilon, moved in cases:
        encoder = disturbed(subspace, epsilon)
        assert encoder.epsilon is not None
        before = [encoder(heads, relation, tails) for relation in range(2 * RELATIONS)]
        with torch.no_grad():
            encoder.epsilon[1 if epsilon == "relation" else 0] += shift
        for relation, old in enumerate(before):
            new = encoder(heads, relation, tails)
            expected = old.heads - shift if relation in moved else old.heads
            torch.testing.assert_close(new.heads, expected)
            torch.testing.assert_close(new.tails, old.tails)
    assert disturbed(subspace, "none").epsilon is None


@given(st.tuples(numbers, numbers, numbers, numbers), st.floats(0.1, 2), st.floats(0.01, 3))
def test_r_tail_sets_the_tolerance_and_epsilon_moves_the_center(
    values: tuple[float, float, float, float], r_tail: float, gamma: float
):
    """|t − (h·r_head − ε)/r_tail| < γ/|r_tail| on one coordinate is d < γ (docs/method.md, section 3)."""
    head, r_head, epsilon, tail = values
    encoder = TripletEncoder(1, 1, "diagonal").double()
    assert encoder.epsilon is not None
    with torch.no_grad():
        encoder.head[0], encoder.tail[0], encoder.epsilon[0] = r_head, r_tail, epsilon
    distance = encoder(torch.tensor([[head]]).double(), 0, torch.tensor([[tail]]).double()).distance().item()
    gap = abs(tail - (head * r_head - epsilon) / r_tail)
    if abs(distance - gamma) > 1e-6:  # on the border rounding decides
        assert (distance < gamma) == (gap < gamma / r_tail)


def test_a_short_distance_bounds_every_coordinate():
    encoder, heads, tails = disturbed("diagonal"), unit(4, 1), unit(4, 2)
    assert encoder.epsilon is not None
    distance = encoder(heads, 2, tails).distance()
    center = (heads * encoder.head[2] - encoder.epsilon[2]) / encoder.tail[2]
    gap = (tails[None] - center[:, None]).abs()
    assert (gap <= distance[..., None] / encoder.tail[2].abs() + 1e-5).all()


@pytest.mark.parametrize("subspace", SUBSPACES)
def test_the_inverse_relation_has_vectors_of_its_own(subspace: Subspace):
    encoder, heads, tails = disturbed(subspace), unit(3, 1), unit(4, 2)
    for relation in range(RELATIONS):
        inverse = encoder.inverse(relation)
        assert inverse == relation + RELATIONS
        forward = encoder(heads, relation, tails).cosine()
        both = encoder.cosine_both_ways(heads, relation, tails)
        for i in range(3):
            for j in range(4):
                h, t = heads[i : i + 1], tails[j : j + 1]
                there, back = encoder(h, relation, t), encoder(t, inverse, h)
                by_hand = [cosine(x.heads.detach()[0].numpy(), x.tails.detach()[0].numpy()) for x in (there, back)]
                assert both[i, j].item() == pytest.approx(sum(by_hand) / 2, abs=1e-5)
        assert (both - forward).abs().max() > 0.01
        with torch.no_grad():
            (encoder.matrix if subspace == "matrix" else encoder.head)[inverse] *= -1
        assert torch.equal(encoder(heads, relation, tails).cosine(), forward)
        assert (encoder.cosine_both_ways(heads, relation, tails) - both).abs().max() > 0.01


@pytest.mark.parametrize(("subspace", "epsilon"), VARIANTS)
def test_a_pair_depends_on_no_other_row(subspace: Subspace, epsilon: Epsilon):
    encoder, heads, tails = disturbed(subspace, epsilon), unit(40, 1), unit(30, 2)
    whole = encoder(heads, 1, tails)
    both = encoder.cosine_both_ways(heads, 1, tails)
    for i, j in ((0, 0), (7, 3), (39, 29)):
        pair = heads[i : i + 1], 1, tails[j : j + 1]
        alone = encoder(*pair)
        torch.testing.assert_close(whole.cosine()[i, j], alone.cosine()[0, 0], atol=1e-6, rtol=0)
        torch.testing.assert_close(whole.distance()[i, j], alone.distance()[0, 0], atol=1e-5, rtol=0)
        torch.testing.assert_close(both[i, j], encoder.cosine_both_ways(*pair)[0, 0], atol=1e-6, rtol=0)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(encoder.cosine_both_ways(heads[order], 1, tails), both[order], atol=1e-6, rtol=0)


def test_equal_points_are_at_distance_zero_in_any_batch():
    same = unit(50, 1)
    distance = TripletEncoder(DIM, 1, "diagonal")(same, 0, same).distance()
    assert distance.diagonal().max() == 0


@pytest.mark.parametrize(("subspace", "epsilon"), VARIANTS)
def test_a_gradient_reaches_every_relation_of_every_parameter(subspace: Subspace, epsilon: Epsilon):
    encoder, heads, tails = disturbed(subspace, epsilon), unit(3, 1), unit(4, 2)
    for relation in range(RELATIONS):
        encoder.cosine_both_ways(heads, relation, tails).square().sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
        if not name.startswith("context."):
            assert (parameter.grad.flatten(1).abs().sum(dim=1) > 0).all(), name


@pytest.mark.parametrize("subspace", SUBSPACES)
def test_a_gradient_leads_away_from_the_start(subspace: Subspace):
    encoder = TripletEncoder(DIM, RELATIONS, subspace)
    (1 - encoder(unit(3, 1), 0, unit(4, 2)).cosine()).mean().backward()
    own = {"diagonal": "head", "matrix": "matrix", "context": "context.attention.out_proj.weight"}[subspace]
    for name in (own, "epsilon"):
        gradient = encoder.get_parameter(name).grad
        assert gradient is not None
        assert gradient.abs().sum() > 0


@pytest.mark.parametrize("subspace", ["diagonal", "matrix"])
def test_a_projection_to_nothing_has_no_cosine(subspace: Subspace):
    encoder = disturbed(subspace, "none")
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.zero_()
    assert torch.equal(encoder.cosine_both_ways(unit(2, 1), 0, unit(3, 2)), torch.zeros(2, 3))
