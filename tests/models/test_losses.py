"""The losses against loops in plain Python, and what they reward."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor
from torch.nn import functional as F

from kgclip.models.losses import margin_loss, soft_cross_entropy, triplet_loss, two_sided
from kgclip.models.triplet import TripletEncoder

Rows = Sequence[Sequence[float]]
# Many to many, with shares: the second row and the last column have no edge.
WEIGHTS = torch.tensor([[1.0, 0.0, 0.3, 0.0], [0.0, 0.0, 0.0, 0.0], [0.6, 0.2, 0.0, 0.0]])
ONE = torch.tensor(1.0)


def cosines(seed: int = 0, shape: tuple[int, int] = (3, 4)) -> Tensor:
    return 2 * torch.rand(shape, generator=torch.Generator().manual_seed(seed)) - 1


def transposed(rows: Rows) -> Rows:
    return [list(column) for column in zip(*rows, strict=True)]


def cross_entropy_by_hand(logits: Rows, weights: Rows) -> float:
    terms = []
    for logit_row, weight_row in zip(logits, weights, strict=True):
        mass = sum(weight_row)
        if mass == 0:
            continue
        log_total = math.log(sum(math.exp(x) for x in logit_row))
        terms.append(-sum(w / mass * (x - log_total) for x, w in zip(logit_row, weight_row, strict=True)))
    return sum(terms) / len(terms) if terms else 0.0


def two_sided_by_hand(cosine: Rows, weights: Rows, tau: float) -> float:
    logits = [[tau * c for c in row] for row in cosine]
    there = cross_entropy_by_hand(logits, weights)
    return (there + cross_entropy_by_hand(transposed(logits), transposed(weights))) / 2


def log_sigmoid(x: float) -> float:
    return -math.log1p(math.exp(-x))


def margin_by_hand(distance: Rows, weights: Rows, gamma: float, alpha: float) -> float:
    terms = []
    for d, w in zip(distance, weights, strict=True):
        edges = [j for j in range(len(d)) if w[j] > 0]
        negatives = [j for j in range(len(d)) if w[j] == 0]
        if not edges or not negatives:
            continue
        mass, total = sum(w), sum(math.exp(alpha * (gamma - d[j])) for j in negatives)
        positive = -sum(w[j] / mass * log_sigmoid(gamma - d[j]) for j in edges)
        negative = -sum(math.exp(alpha * (gamma - d[j])) / total * log_sigmoid(d[j] - gamma) for j in negatives)
        terms.append(positive + negative)
    return sum(terms) / len(terms) if terms else 0.0


def entropy(weights: Tensor) -> float:
    """Mean entropy of the row-normalized weights, over rows that have any: the least that a cross-entropy can be."""
    rows = [row / row.sum() for row in weights.double().numpy() if row.sum() > 0]
    return float(np.mean([-sum(q * math.log(q) for q in row if q > 0) for row in rows]))


@pytest.mark.parametrize("tau", [1.0, 14.3, 100.0])
def test_two_sided_equals_the_sums_of_equation_4(tau: float):
    loss = two_sided(cosines(), WEIGHTS, torch.tensor(tau)).item()
    assert loss == pytest.approx(two_sided_by_hand(cosines().tolist(), WEIGHTS.tolist(), tau), rel=1e-5)


def test_every_true_edge_is_a_positive():
    """A row with edges to tails 0 and 2 pulls on both, each by its share, whatever other rows call them."""
    logits = torch.zeros(1, 3, requires_grad=True)
    soft_cross_entropy(logits, torch.tensor([[0.9, 0.0, 0.3]])).backward()
    assert logits.grad is not None
    assert logits.grad[0].tolist() == pytest.approx([1 / 3 - 0.75, 1 / 3, 1 / 3 - 0.25])


def test_rows_without_an_edge_do_not_count():
    logits = cosines(1)
    kept = [0, 2]
    assert soft_cross_entropy(logits, WEIGHTS).item() == pytest.approx(
        soft_cross_entropy(logits[kept], WEIGHTS[kept]).item()
    )
    # They are still wrong answers for the columns: the other side changes if they go.
    assert two_sided(logits, WEIGHTS, ONE).item() != pytest.approx(two_sided(logits[kept], WEIGHTS[kept], ONE).item())


def test_no_edge_at_all_gives_zero_with_zero_gradients():
    for loss in (soft_cross_entropy, lambda x, w: two_sided(x, w, ONE), lambda x, w: margin_loss(x, w, 1.0)):
        values = cosines().abs().requires_grad_()
        result = loss(values, torch.zeros(3, 4))
        result.backward()
        assert result.item() == 0
        assert values.grad is not None
        assert (values.grad == 0).all()


def test_hard_targets_give_clips_own_loss():
    labels = torch.tensor([2, 0, 1])
    logits = 10 * cosines(3, (3, 3))
    weights = F.one_hot(labels, 3).float()
    expected = (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels.argsort())) / 2
    torch.testing.assert_close(two_sided(logits, weights, ONE), expected)


def test_a_perfect_embedding_reaches_the_entropy_bound():
    """Clips at their own movements and at right angles to all others: what is left is the entropy of the targets."""
    groups = torch.block_diag(*[torch.ones(2, 3)] * 3)  # three groups of two clips, which show the same three movements
    bound = (entropy(groups) + entropy(groups.T)) / 2
    assert bound == pytest.approx((math.log(3) + math.log(2)) / 2)
    assert two_sided(groups, groups, torch.tensor(100.0)).item() == pytest.approx(bound, abs=1e-5)
    assert two_sided(torch.zeros(6, 9), groups, torch.tensor(100.0)).item() > bound + 0.5


def test_gradient_descent_finds_the_bound():
    weights, logits = WEIGHTS[[0, 2], :3], torch.zeros(2, 3, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.3)
    for _ in range(400):
        optimizer.zero_grad()
        soft_cross_entropy(logits, weights).backward()
        optimizer.step()
    assert soft_cross_entropy(logits, weights).item() == pytest.approx(entropy(weights), abs=1e-3)
    torch.testing.assert_close(logits.softmax(dim=1), weights / weights.sum(dim=1, keepdim=True), atol=0.01, rtol=0)


shapes = st.tuples(st.integers(1, 5), st.integers(1, 5))
matrices = shapes.flatmap(
    lambda shape: st.tuples(
        hnp.arrays(np.float32, shape, elements=st.floats(-1, 1, width=32)),
        hnp.arrays(np.float32, shape, elements=st.sampled_from([0.0, 0.0, 0.25, 0.5, 1.0])),
        st.randoms(use_true_random=False),
    )
)


@given(matrices)
def test_no_order_matters_and_no_logits_beat_the_bound(drawn):
    values, weights, random = torch.from_numpy(drawn[0]), torch.from_numpy(drawn[1]), drawn[2]
    rows, columns = list(range(len(values))), list(range(values.shape[1]))
    random.shuffle(rows)
    random.shuffle(columns)
    shuffled = values[rows][:, columns], weights[rows][:, columns]
    scale = torch.tensor(20.0)
    torch.testing.assert_close(two_sided(*shuffled, scale), two_sided(values, weights, scale), atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(two_sided(values.T, weights.T, scale), two_sided(values, weights, scale))
    torch.testing.assert_close(
        margin_loss(shuffled[0].abs(), shuffled[1], 0.5), margin_loss(values.abs(), weights, 0.5), atol=1e-5, rtol=1e-5
    )
    if weights.any():
        assert soft_cross_entropy(20 * values, weights).item() >= entropy(weights) - 1e-4
    assert soft_cross_entropy(values, weights).item() == pytest.approx(
        cross_entropy_by_hand(values.tolist(), weights.tolist()), abs=1e-5
    )
    assert margin_loss(values.abs(), weights, 0.5, 2.0).item() == pytest.approx(
        margin_by_hand(values.abs().tolist(), weights.tolist(), 0.5, 2.0), abs=1e-5
    )


@pytest.mark.parametrize(("gamma", "alpha"), [(1.0, 1.0), (6.0, 0.5), (0.2, 3.0)])
def test_margin_loss_equals_a_loop_over_the_pairs(gamma: float, alpha: float):
    distance = 4 * cosines(5).abs()
    by_hand = margin_by_hand(distance.tolist(), WEIGHTS.tolist(), gamma, alpha)
    assert margin_loss(distance, WEIGHTS, gamma, alpha).item() == pytest.approx(by_hand, rel=1e-5)


def test_margin_loss_filters_true_edges_from_the_negatives():
    """With another true edge in the row, its distance pulls and never pushes."""
    distance = torch.tensor([[0.5, 0.5, 2.0]], requires_grad=True)
    margin_loss(distance, torch.tensor([[1.0, 1.0, 0.0]]), 1.0).backward()
    assert distance.grad is not None
    assert (distance.grad[0, :2] > 0).all()
    assert distance.grad[0, 2] < 0


def test_no_gradient_flows_through_the_choice_of_negatives():
    """RotatE treats the self-adversarial weights as constants: the gradient is that of the loss with fixed weights."""
    distance = torch.tensor([[0.3, 0.9, 1.7]], requires_grad=True)
    margin_loss(distance, torch.tensor([[1.0, 0.0, 0.0]]), 1.0).backward()
    share = [math.exp(1 - d) for d in (0.9, 1.7)]
    expected = [1 / (1 + math.exp(1 - 0.3))]  # d/dd of -log σ(γ − d) is σ(d − γ)
    expected += [-s / sum(share) / (1 + math.exp(d - 1)) for s, d in zip(share, (0.9, 1.7), strict=True)]
    assert distance.grad is not None
    assert distance.grad[0].tolist() == pytest.approx(expected, rel=1e-5)


def random_encoder(dim: int) -> TripletEncoder:
    torch.manual_seed(0)
    encoder = TripletEncoder(dim, 2)
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, mean=1.0, std=0.5)
    return encoder


def projections_by_hand(encoder: TripletEncoder, heads: Tensor, tails: Tensor, relation: int) -> tuple[Rows, Rows]:
    """The cosines and distances of Eq. 3, coordinate by coordinate."""
    assert encoder.epsilon is not None
    r_head, r_tail, epsilon = (x[relation].tolist() for x in (encoder.head, encoder.tail, encoder.epsilon))
    heads_in = [[x * r - e for x, r, e in zip(row, r_head, epsilon, strict=True)] for row in heads.tolist()]
    tails_in = [[x * r for x, r in zip(row, r_tail, strict=True)] for row in tails.tolist()]

    def cosine(x: list[float], y: list[float]) -> float:
        return sum(a * b for a, b in zip(x, y, strict=True)) / (math.hypot(*x) * math.hypot(*y))

    return [[cosine(x, y) for y in tails_in] for x in heads_in], [[math.dist(x, y) for y in tails_in] for x in heads_in]


@pytest.mark.parametrize("margin", [None, 1.5])
def test_triplet_loss_is_the_mean_of_a_relation_and_its_inverse(margin: float | None):
    encoder = random_encoder(5)
    heads, tails = F.normalize(cosines(1, (3, 5)), dim=1), F.normalize(cosines(2, (4, 5)), dim=1)
    cosine, distance = projections_by_hand(encoder, heads, tails, 1)
    inverse_cosine, inverse_distance = projections_by_hand(encoder, tails, heads, 1 + 2)
    weights = WEIGHTS.tolist()
    if margin is None:
        there = two_sided_by_hand(cosine, weights, 9.0)
        back = two_sided_by_hand(inverse_cosine, transposed(weights), 9.0)
    else:
        there = margin_by_hand(distance, weights, margin, 1.0)
        back = margin_by_hand(inverse_distance, transposed(weights), margin, 1.0)
    loss = triplet_loss(encoder, 1, (heads, tails), WEIGHTS, torch.tensor(9.0), margin)
    assert loss.item() == pytest.approx((there + back) / 2, rel=1e-4)


def test_the_loss_is_finite_at_the_largest_scale_and_in_half_precision():
    cosine = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
    wrong = two_sided(cosine.flip(0), torch.eye(2), torch.tensor(100.0))
    assert wrong.item() == pytest.approx(200)
    assert two_sided(cosine.bfloat16(), torch.eye(2), torch.tensor(100.0)).item() == pytest.approx(0, abs=1e-6)


def test_several_matrices_give_the_losses_of_each():
    several = torch.stack([cosines(), cosines().flip(0), cosines().flip(1)])
    scale = torch.tensor(9.0)
    torch.testing.assert_close(
        two_sided(several, WEIGHTS, scale), torch.stack([two_sided(one, WEIGHTS, scale) for one in several])
    )
