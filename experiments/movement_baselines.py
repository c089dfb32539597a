"""Is a graph needed at all? Baselines that see the same movements, as plain labels of clips."""

from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from experiments.baselines import (
    Linear,
    LinearFit,
    Teacher,
    Vectors,
    by_ridge,
    by_ridge_and_neighbors,
    labels_of_train,
    left_out,
    pipeline,
    ridge,
    soft_labels,
)
from experiments.setting import Arm, Fitted, Setting
from kgclip.compare import CACHED_FRAMES
from kgclip.models.closed_form import ClosedForm, Solved, SolvedTargets
from kgclip.models.fit_head import fit_closed_form

# Annotated clips below which there is no second stage.
FEWEST_ANNOTATED = 10


def movement_stacking(setting: Setting) -> Fitted:
    """Ridge regression from the statistics and the movements read from them to the action.

    The readout of movements learns from all annotated clips; what the second stage learns from are readings of clips
    that the readout did not see, as readings of test clips are.
    """
    shows, (onehot, _) = setting.targets.edges["shows"], labels_of_train(setting)
    if int(shows.any(dim=1).sum()) < FEWEST_ANNOTATED:
        return pipeline(setting)

    def actions(vectors: Vectors) -> Linear:
        # Single clips, not whole sources, are left out: 3 to 4 points better on JHMDB.
        seen, read = vectors.train, left_out(vectors.train, shows, torch.arange(len(shows)))
        weight, bias = ridge(seen, shows)
        mean, scale = read.mean(dim=0), read.std(dim=0, correction=0).clamp(min=1e-4)
        unit = balance_of(seen, (read - mean) / scale) / scale
        over, constant = ridge(torch.cat([seen, unit * (read - mean)], dim=1), onehot)
        # Both stages are linear in the statistics: one map does for both.
        direct, over = over[:, : seen.shape[1]], unit * over[:, seen.shape[1] :]
        return direct + over @ weight, constant + over @ (bias - mean)

    return LinearFit(setting, actions, lambda vectors: ridge(vectors.train, shows))


def movement_pseudo_labels(setting: Setting, teacher: Teacher, *, balance: bool = True) -> Fitted:
    """A teacher, who sees the annotated movements as well, labels the clips for ridge on statistics alone.

    Args:
        setting: the clips.
        teacher: labels the annotated clips without an action by [statistics, true shares], both of one mean square.
        balance: the soft labels have the class sizes that the known labels show.
    """
    shows = setting.targets.edges["shows"]
    if not shows.any():
        return pipeline(setting)

    def actions(vectors: Vectors) -> Linear:
        return ridge(vectors.train, taught_labels(setting, vectors, teacher, balance))

    return LinearFit(setting, actions, lambda vectors: ridge(vectors.train, shows))


def taught_labels(setting: Setting, vectors: Vectors, teacher: Teacher, balance: bool) -> Float[Tensor, "N K"]:
    """What the teacher of :func:`movement_pseudo_labels` says of the clips; zero rows where nothing is known of one."""
    shows, (onehot, labeled) = setting.targets.edges["shows"], labels_of_train(setting)
    annotated = shows.any(dim=1)
    # A labeled clip that nobody annotated has unknown movements, not absent ones.
    shares = (shows - shows[annotated].mean(dim=0)) * annotated[:, None]
    seen = torch.cat([vectors.train, balance_of(vectors.train, shares) * shares], dim=1)
    return soft_labels(teacher(seen, onehot), onehot, balance) * (labeled | annotated)[:, None]


@dataclass(frozen=True)
class HeadFit:
    """A solved head on frame features, whose linear part alone scores the actions."""

    setting: Setting
    head: ClosedForm

    def scores(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B K"]:
        """See :class:`experiments.setting.Fitted`."""
        return self._solved(clips, num_frames).mm

    def movements(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B M"]:
        """See :class:`experiments.setting.Fitted`."""
        return self._solved(clips, num_frames).shares

    @torch.no_grad()
    def _solved(self, clips: tuple[str, ...], num_frames: int) -> Solved:
        return self.head(self.setting.frames(clips, num_frames))


def movement_pseudo_labels_under_head(setting: Setting, teacher: Teacher) -> Fitted:
    """The balanced labels of a teacher, learned by the head that CLIP only has, from all cached frames.

    KG-CLIP then differs by its own way to complete labels, S_tri and the path.
    """
    train, targets = setting.prepared.split.train, setting.targets
    if not targets.edges["shows"].any():
        return pipeline(setting)
    labels = taught_labels(setting, Vectors(setting, CACHED_FRAMES), teacher, balance=True)
    wanted = SolvedTargets(labels, targets.edges["shows"], targets.sources, triplet=False)
    return HeadFit(setting, fit_closed_form(setting.frames(train, CACHED_FRAMES), wanted)[0])


def balance_of(x: Float[Tensor, "N S"], other: Float[Tensor, "N M"]) -> float:
    """The factor that gives the other block the same mean square norm of a row."""
    return float((x.square().sum() / other.square().sum().clamp(min=1e-12)).sqrt())


MOVEMENTS: dict[str, Arm] = {
    "movement stacking": movement_stacking,
    "movement pseudo-labels": partial(movement_pseudo_labels, teacher=by_ridge_and_neighbors, balance=False),
    "movement pseudo-labels, balanced": partial(movement_pseudo_labels, teacher=by_ridge_and_neighbors),
    "movement pseudo-labels by ridge, balanced": partial(movement_pseudo_labels, teacher=by_ridge),
    "movement pseudo-labels, KG-CLIP's head": partial(
        movement_pseudo_labels_under_head, teacher=by_ridge_and_neighbors
    ),
    "movement pseudo-labels by ridge, KG-CLIP's head": partial(movement_pseudo_labels_under_head, teacher=by_ridge),
}
