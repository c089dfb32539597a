"""Is a graph needed at all? Baselines that see the same movements, as plain labels of clips."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
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
from kgclip.models.statistics import frame_statistics

# Annotated clips below which there is no second stage.
FEWEST_ANNOTATED = 10
TEACHER_REACH = (0.5, 0.8)
# The multi-label head: width of the embedding that actions and movements share, and its training.
EMBEDDING, DROPOUT, MOVEMENT_WEIGHT = 512, 0.5, 10.0
EPOCHS, BATCH, RATE, DECAY = 30, 64, 1e-3, 0.05
CACHED_FRAMES = 16


def movement_stacking(setting: Setting) -> Fitted:
    """Ridge regression from the statistics and the movements read from them to the action.

    The readout of movements learns from all annotated clips; what the second stage learns from are readings of clips
    that the readout did not see, as readings of test clips are.
    """
    shows, (onehot, _) = setting.targets.shows, labels_of_train(setting)
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
    shows, (onehot, labeled) = setting.targets.shows, labels_of_train(setting)
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


class _Heads(nn.Module):
    def __init__(self, width: int, num_actions: int, num_movements: int):
        super().__init__()
        self.embed = nn.Linear(width, EMBEDDING)
        self.actions = nn.Linear(EMBEDDING, num_actions)
        self.movements = nn.Linear(EMBEDDING, num_movements)
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, x: Float[Tensor, "B S"]) -> tuple[Float[Tensor, "B K"], Float[Tensor, "B M"]]:
        embedded = self.dropout(F.gelu(self.embed(self.dropout(x))))
        return self.actions(embedded), self.movements(embedded)


@dataclass(frozen=True)
class _HeadFit:
    setting: Setting
    model: _Heads

    @torch.no_grad()
    def scores(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B K"]:
        """See :class:`experiments.setting.Fitted`."""
        return self.model(Vectors(self.setting, num_frames)(clips))[0]

    @torch.no_grad()
    def movements(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B M"]:
        """See :class:`experiments.setting.Fitted`."""
        return self.model(Vectors(self.setting, num_frames)(clips))[1]


def multi_label_head(setting: Setting) -> Fitted:
    """Actions and movements as two heads on one embedding of the statistics, trained together by gradient.

    Cross entropy on the labeled clips' actions plus binary cross entropy of the annotated clips' shares, on frames
    drawn anew in every epoch; the last epoch is taken.
    """
    vectors, targets = Vectors(setting, setting.config.frames), setting.targets
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(setting.config.seed)
        heads = _Heads(vectors.train.shape[1], len(setting.actions), len(targets.movements))
        optimizer = torch.optim.AdamW(heads.parameters(), RATE, weight_decay=DECAY)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
        for seen in _drawn(setting, vectors):
            for index in torch.randperm(len(seen)).split(BATCH):
                actions, movements = heads(seen[index])
                loss = _loss(actions, movements, targets.performs[index], targets.shows[index])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            schedule.step()
    return _HeadFit(setting, heads.eval())


def _drawn(setting: Setting, vectors: Vectors) -> Iterator[Float[Tensor, "N S"]]:
    """The training clips of every epoch: one frame drawn from each of T equal segments."""
    frames, num = setting.frames(setting.prepared.split.train, CACHED_FRAMES), vectors.num_frames
    for _ in range(EPOCHS):
        place = (torch.arange(num) + torch.rand(len(frames), num)) * frames.shape[1] / num
        chosen = frames.gather(1, place.long()[:, :, None].expand(-1, -1, frames.shape[2]))
        yield (frame_statistics(chosen) - vectors.mean) / vectors.scale


def _loss(
    actions: Float[Tensor, "B K"],
    movements: Float[Tensor, "B M"],
    onehot: Float[Tensor, "B K"],
    shows: Float[Tensor, "B M"],
) -> Float[Tensor, ""]:
    """Cross entropy over the labeled clips plus weighed binary cross entropy over the annotated ones."""
    labeled, annotated = onehot.any(dim=1), shows.any(dim=1)
    loss = actions.sum() * 0.0
    if labeled.any():
        loss = loss + F.cross_entropy(actions[labeled], onehot[labeled])
    if annotated.any():
        loss = loss + MOVEMENT_WEIGHT * F.binary_cross_entropy_with_logits(movements[annotated], shows[annotated])
    return loss


MOVEMENTS: dict[str, Arm] = {
    "multi-label head": multi_label_head,
    "movement stacking": movement_stacking,
    "movement pseudo-labels": movement_pseudo_labels,
    "movement pseudo-labels, balanced": partial(movement_pseudo_labels, balance=True),
}
