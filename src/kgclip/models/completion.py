"""Completes the graph: soft ``performs`` edges for clips that show movements but have no label."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from kgclip.kg.movement import part_index
from kgclip.models.closed_form import powered_statistics, statistics_scales
from kgclip.models.pose_stream import has_pose, known_scales, standardized
from kgclip.models.ridge import KernelFeatures, choose_landmarks, radial_scale, squared_distances

# How much the movements count, body part by body part, beside looks.
MOVEMENTS_WEIGHT = 3.0
# The same beside frames and poses: movements are then read off the joints that the poses show already.
MOVEMENTS_WEIGHT_BESIDE_POSES = 1.5
ROUNDS = 4
# Clips that the graph's definition of an action counts for; of an action without one, the average shares count as one.
DEFINITION_CLIPS = 10.0
# Keeps the logarithm finite for states that an action never shows.
FLOOR = 0.02
BALANCE_STEPS = 30


def z_score(scores: Float[Tensor, "N K"]) -> Float[Tensor, "N K"]:
    """Scores minus their mean over the actions, in units of their deviation."""
    spread = scores.std(dim=1, correction=0, keepdim=True).clamp(min=1e-6)
    return (scores - scores.mean(dim=1, keepdim=True)) / spread


def is_incomplete(edges: Mapping[str, Float[Tensor, "_ _"]]) -> bool:
    """Whether there are annotated clips without a label, beside labeled ones to learn from."""
    labeled = edges["performs"].any(dim=1)
    return bool(labeled.any() and (edges["shows"].any(dim=1) & ~labeled).any())


def complete_labels(
    embeddings: Float[Tensor, "N T F"],
    edges: Mapping[str, Float[Tensor, "N _"]],
    movements: Sequence[str],
    pose: Float[Tensor, "N S"] | None = None,
) -> Float[Tensor, "N K"]:
    """Labels of training clips: one-hot where they are known, soft for annotated clips without one.

    Two things speak for an action: how the clip looks (the subspace of the labeled clips, and that of their poses),
    and, in rounds, what its movements say body part by body part under the shares that the labels of the round before
    give the actions. Actions get as many clips as the known labels lead one to expect, so that those without any
    labeled clip get none.

    Args:
        embeddings: of the clips' frames.
        edges: of the graph: ``performs`` and ``shows`` of these clips.
        movements: names of the movements.
        pose: pose numbers of the clips, NaN where unknown.
    """
    shows, has_clips = edges["shows"], edges["performs"].any(dim=0)
    performs = edges["performs"][:, has_clips]
    labeled, annotated = performs.any(dim=1), shows.any(dim=1)
    unlabeled = annotated & ~labeled
    if not is_incomplete(edges):
        return edges["performs"]
    statistics = powered_statistics(embeddings, embeddings.shape[1])
    center, scale = statistics_scales(statistics)
    looks = looks_of((statistics - center) / scale, performs)
    weight = looks.new_full((len(looks), 1), MOVEMENTS_WEIGHT)
    if pose is not None:
        looks = looks + looks_of_poses(pose, performs)
        weight[has_pose(pose)] = MOVEMENTS_WEIGHT_BESIDE_POSES
    parts = torch.from_numpy(part_index(movements)).to(looks.device)
    states = with_rest(shows, parts)
    definitions = edges["consists_of"][has_clips]
    known = definitions.any(dim=1, keepdim=True)
    prior = torch.where(known, DEFINITION_CLIPS * with_rest(definitions, parts), states[annotated].mean(dim=0))
    counts = torch.where(known, DEFINITION_CLIPS, 1.0)
    expected = performs[labeled].sum(dim=0) / labeled.sum() * unlabeled.sum()
    completed = performs.clone()
    for _ in range(ROUNDS):
        # A labeled clip that nobody annotated says nothing of what its action shows.
        said = z_score(left_out_likelihood(completed * annotated[:, None], states, prior, counts))
        total = (looks + weight * said)[unlabeled]
        completed[unlabeled] = balanced(total, expected)
    everything = edges["performs"].clone()
    everything[:, has_clips] = completed
    return everything


def looks_of(x: Float[Tensor, "N S"], performs: Float[Tensor, "N K"]) -> Float[Tensor, "N K"]:
    """How much every clip looks like the labeled clips of each action, as z-scores over the actions.

    Args:
        x: standardized statistics or pose numbers.
        performs: one-hot labels, zero rows where there is none.
    """
    chosen = choose_landmarks(len(x)).to(x.device)
    # In double precision: kernels of clips that are nearly the same are singular but for rounding.
    exact = x.double()
    distances = squared_distances(exact, exact[chosen])
    features = KernelFeatures.of((-distances / radial_scale(distances[chosen])).exp(), chosen)
    fit = features.solve(performs.double(), torch.arange(len(x), device=x.device), performs.any(dim=1))
    return z_score(features.phi @ fit.weight + fit.bias).to(x.dtype)


def looks_of_poses(numbers: Float[Tensor, "N S"], performs: Float[Tensor, "N K"]) -> Float[Tensor, "N K"]:
    """As :func:`looks_of`, on pose numbers; zeros for clips without a pose."""
    known = has_pose(numbers)
    looks = torch.zeros_like(performs)
    if performs[known].any():
        mine = numbers[known]
        looks[known] = looks_of(standardized(mine, *known_scales(mine)), performs[known])
    return looks


def with_rest(shares: Float[Tensor, "N M"], parts: Int[Tensor, " M"]) -> Float[Tensor, "N P"]:
    """Shares of the movements, and for each body part the share in which it shows none of them."""
    rest = 1 - shares.new_zeros(len(shares), int(parts.max()) + 1).index_add(1, parts, shares)
    return torch.cat([shares, rest.clamp(min=0)], dim=1)


def left_out_likelihood(
    labels: Float[Tensor, "N K"],
    states: Float[Tensor, "N P"],
    prior: Float[Tensor, "K P"],
    counts: Float[Tensor, "K 1"],
) -> Float[Tensor, "N K"]:
    """``Σ_s x_vs log(share of state s under action a + FLOOR)`` of every clip, its own label left out of the shares.

    Args:
        labels: one-hot or soft; zero rows count nowhere.
        states: x, shares of the states of every body part.
        prior: sums of shares in every action that are known beforehand.
        counts: how many clips they stand for.
    """
    mass, sums = labels.sum(dim=0) + counts[:, 0], labels.T @ states + prior
    likelihood = states @ (sums / mass[:, None] + FLOOR).log().T
    for action in range(labels.shape[1]):
        rows = (labels[:, action] > 0.02).nonzero()[:, 0]
        own = labels[rows, action][:, None]
        shares = ((sums[action] - own * states[rows]) / (mass[action] - own)).clamp(min=0)
        likelihood[rows, action] = (states[rows] * (shares + FLOOR).log()).sum(dim=1)
    return likelihood


def balanced(scores: Float[Tensor, "N K"], expected: Float[Tensor, " K"]) -> Float[Tensor, "N K"]:
    """Softmax of scores with a bias for each action by which it gets as much in all as expected."""
    bias = torch.zeros_like(expected)
    for _ in range(BALANCE_STEPS):
        bias += 0.7 * (expected / (scores + bias).softmax(dim=1).sum(dim=0).clamp(min=1e-6)).log()
    return (scores + bias).softmax(dim=1)
