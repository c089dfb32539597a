"""Is a graph needed at all? Baselines that see the same movements, as plain labels of clips."""

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from experiments.baselines import (
    Linear,
    LinearFit,
    Spread,
    Vectors,
    best_labeling,
    labels_of_train,
    left_out,
    pipeline,
    propagate,
    ridge,
    z_scores,
)
from experiments.setting import Arm, Fitted, Setting

# Annotated clips below which there is no second stage.
FEWEST_ANNOTATED = 10
TEACHER_REACH = (0.5, 0.8)


def movement_stacking(setting: Setting) -> Fitted:
    """Ridge regression from the statistics and the movements read from them to the action.

    The readout of movements learns from all annotated clips; what the second stage learns from are readings of clips
    that the readout did not see, as readings of test clips are.
    """
    shows, (onehot, _) = setting.targets.edges["shows"], labels_of_train(setting)
    if int(shows.any(dim=1).sum()) < FEWEST_ANNOTATED:
        return pipeline(setting)

    def actions(vectors: Vectors) -> Linear:
        seen, read = vectors.train, left_out(vectors.train, shows)
        weight, bias = ridge(seen, shows)
        mean, scale = read.mean(dim=0), read.std(dim=0, correction=0).clamp(min=1e-4)
        unit = balance_of(seen, (read - mean) / scale) / scale
        over, constant = ridge(torch.cat([seen, unit * (read - mean)], dim=1), onehot)
        # Both stages are linear in the statistics: one map does for both.
        direct, over = over[:, : seen.shape[1]], unit * over[:, seen.shape[1] :]
        return direct + over @ weight, constant + over @ (bias - mean)

    return LinearFit(setting, actions, lambda vectors: ridge(vectors.train, shows))


def movement_pseudo_labels(setting: Setting, *, balance: bool = False) -> Fitted:
    """A teacher, who sees the annotated movements as well, labels the clips for ridge on statistics alone.

    The teacher sees [statistics, true shares], both of the same mean square. It labels the annotated clips without an
    action by propagation over nearest neighbors, by ridge regression and propagation together, or by ridge alone.

    Args:
        setting: the clips.
        balance: the soft labels have the class sizes that the known labels show.
    """
    shows, (onehot, labeled) = setting.targets.edges["shows"], labels_of_train(setting)
    annotated = shows.any(dim=1)
    if not annotated.any():
        return pipeline(setting)

    def actions(vectors: Vectors) -> Linear:
        if not (annotated & ~labeled).any():
            return ridge(vectors.train, onehot)
        # A labeled clip that nobody annotated has unknown movements, not absent ones.
        shares = (shows - shows[annotated].mean(dim=0)) * annotated[:, None]
        teacher = torch.cat([vectors.train, balance_of(vectors.train, shares) * shares], dim=1)
        labels = best_labeling(setting, teachers(teacher), balance)
        return ridge(vectors.train, labels * (labeled | annotated)[:, None])

    return LinearFit(setting, actions, lambda vectors: ridge(vectors.train, shows))


def teachers(x: Float[Tensor, "N S"]) -> list[Spread]:
    """Ways to spread labels over clips: ridge, neighbors, and both."""

    def by_ridge(onehot: Float[Tensor, "N K"]) -> Float[Tensor, "N K"]:
        return z_scores(F.linear(x, *ridge(x, onehot)))

    def by_neighbors(onehot: Float[Tensor, "N K"], reach: float) -> Float[Tensor, "N K"]:
        return z_scores(propagate(x, onehot, reach))

    def by_both(onehot: Float[Tensor, "N K"], reach: float) -> Float[Tensor, "N K"]:
        return by_ridge(onehot) + by_neighbors(onehot, reach)

    return [by_ridge, *(partial(way, reach=reach) for way in (by_neighbors, by_both) for reach in TEACHER_REACH)]


def balance_of(x: Float[Tensor, "N S"], other: Float[Tensor, "N M"]) -> float:
    """The factor that gives the other block the same mean square norm of a row."""
    return float((x.square().sum() / other.square().sum().clamp(min=1e-12)).sqrt())


MOVEMENTS: dict[str, Arm] = {
    "movement stacking": movement_stacking,
    "movement pseudo-labels": movement_pseudo_labels,
    "movement pseudo-labels, balanced": partial(movement_pseudo_labels, balance=True),
}
