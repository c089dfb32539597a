"""Is a graph needed at all? Rivals that see the same movements, as plain labels of clips."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from kgclip.models.temporal import dropout
from torch import Tensor, nn
from torch.nn import functional as F

from experiments.baselines import (
    LinearFit,
    PooledFeatures,
    best_on_validation,
    best_ridge,
    labels_of_train,
    propagate,
    ridge_statistics,
    soft_labels,
    validation_loss,
    z_scores,
)
from experiments.setting import Fitted, Setting
from kgclip.data.loader import epoch_order
from kgclip.engine.loop import learning_rate_factor
from kgclip.engine.prepare import feature_source
from kgclip.models.ridge import fit_ridge

# Width of the embedding that actions and movements share.
EMBEDDING = 512
DROPOUT = 0.5
MOVEMENT_WEIGHT = 10.0
# How much the predicted movements count beside the statistics, both of unit mean square.
STACKING_SCALES = (0.0, 0.5, 1.0, 2.0)
STACKING_FOLDS = 5
# How the privileged teacher's soft labels spread and how sure they are.
TEACHER_REACH = (0.5, 0.8)
TEACHER_SHARPNESS = (1.0, 2.0)

# As many as KG-CLIP takes where it trains by gradient; the heads have no closed-form start.
EPOCHS = 30


def multi_label_head(setting: Setting) -> Fitted:
    """Actions and movements as two heads on one embedding of the statistics, trained together by gradient.

    Cross entropy on the labeled clips' actions plus binary cross entropy of the annotated clips' shares, with
    KG-CLIP's optimizer, epochs and sampling of frames; the epoch is chosen on the validation clips.
    """
    features = PooledFeatures(setting, "statistics")
    val = setting.prepared.split.val
    seen = features(val, setting.config.frames) if val else None
    best: tuple[float, dict[str, Tensor]] | None = None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(setting.config.seed)
        heads = _Heads(features.train.shape[1], len(setting.actions), len(setting.targets.movements))
        for model in _train_heads(setting, features, heads):
            with torch.no_grad():
                loss = 0.0 if seen is None else validation_loss(setting, model.eval()(seen)[0])
            # Without validation clips the last epoch is taken.
            if best is None or seen is None or loss < best[0]:
                best = loss, {name: value.clone() for name, value in model.state_dict().items()}
    if best is not None:
        heads.load_state_dict(best[1])
    return _HeadFit(features, heads.eval())


def movement_stacking(setting: Setting) -> Fitted:
    """Ridge regression from the statistics and the movements read from them to the action.

    The readout of movements learns from all annotated clips; what the second stage learns from are readings of clips
    that the readout did not see (5 parts), as readings of test clips are. Their scale is chosen on the validation
    clips, 0 among the candidates.
    """
    features = PooledFeatures(setting, "statistics")
    shows, seen = setting.targets.shows, features.train
    onehot, labeled = labels_of_train(setting)
    annotated = shows.any(dim=1)
    if int(annotated.sum()) < STACKING_FOLDS:
        return ridge_statistics(setting)
    readout = fit_ridge(seen[annotated], shows[annotated])
    read = F.linear(seen, readout.weight, readout.bias)
    part = torch.arange(len(seen)) % STACKING_FOLDS
    for number in range(STACKING_FOLDS):
        known = annotated & (part != number)
        fit = fit_ridge(seen[known], shows[known])
        read[part == number] = F.linear(seen[part == number], fit.weight, fit.bias)
    mean, scale = read.mean(dim=0), read.std(dim=0, correction=0).clamp(min=1e-4)
    standardized = (read - mean) / scale
    candidates = []
    for factor in STACKING_SCALES:
        unit = factor * _balance(seen, standardized)
        fit = fit_ridge(torch.cat([seen, unit * standardized], dim=1)[labeled], onehot[labeled])
        # Both stages are linear in the statistics: one map does for both.
        direct, over = fit.weight[:, : seen.shape[1]], unit * fit.weight[:, seen.shape[1] :] / scale
        actions = direct + over @ readout.weight, fit.bias + over @ (readout.bias - mean)
        candidates.append(LinearFit(features, actions, readout=(readout.weight, readout.bias)))
    return best_on_validation(setting, candidates)


def movement_pseudo_labels(setting: Setting) -> Fitted:
    """A privileged teacher, who sees the annotated movements as well, labels the clips for ridge on statistics alone.

    The teacher sees [statistics, true shares], both of the same mean square. It labels the annotated clips without an
    action by propagation over nearest neighbors, by ridge regression and propagation together, or by ridge alone,
    whichever, and however sure, does best on the validation clips.
    """
    features = PooledFeatures(setting, "statistics")
    shows, seen = setting.targets.shows, features.train
    onehot, labeled = labels_of_train(setting)
    annotated = shows.any(dim=1)
    used = labeled | annotated
    if not (annotated & ~labeled).any():
        return ridge_statistics(setting)
    # A labeled clip that nobody annotated has unknown movements, not absent ones.
    shares = (shows - shows[annotated].mean(dim=0)) * annotated[:, None]
    privileged = torch.cat([seen, _balance(seen, shares) * shares], dim=1)[used]
    candidates = []
    for taught in _teachers(privileged, onehot[used]):
        for sharpness in TEACHER_SHARPNESS:
            labels = onehot.clone()
            labels[used] = soft_labels(taught, onehot[used], sharpness)
            candidates.append(labels)
    readout = fit_ridge(seen[annotated], shows[annotated])
    return replace(best_ridge(features, used, candidates), readout=(readout.weight, readout.bias))


def _teachers(x: Float[Tensor, "N S"], onehot: Float[Tensor, "N K"]) -> Iterator[Float[Tensor, "N K"]]:
    labeled = onehot.any(dim=1)
    fit = fit_ridge(x[labeled], onehot[labeled])
    by_ridge = z_scores(F.linear(x, fit.weight, fit.bias))
    yield by_ridge
    for reach in TEACHER_REACH:
        spread = z_scores(propagate(x, onehot, reach))
        yield spread
        yield by_ridge + spread


def _balance(x: Float[Tensor, "N S"], other: Float[Tensor, "N M"]) -> float:
    """The factor that gives the other block the same mean square norm of a row."""
    return float((x.square().sum() / other.square().sum().clamp(min=1e-12)).sqrt())


class _Heads(nn.Module):
    def __init__(self, width: int, num_actions: int, num_movements: int):
        super().__init__()
        self.embed = nn.Linear(width, EMBEDDING)
        self.actions = nn.Linear(EMBEDDING, num_actions)
        self.movements = nn.Linear(EMBEDDING, num_movements)

    def forward(self, x: Float[Tensor, "B S"]) -> tuple[Float[Tensor, "B K"], Float[Tensor, "B M"]]:
        embedded = F.gelu(self.embed(self._dropout(x)))
        embedded = self._dropout(embedded)
        return self.actions(embedded), self.movements(embedded)

    def _dropout(self, x: Float[Tensor, "B S"]) -> Float[Tensor, "B S"]:
        return dropout(x, DROPOUT) if self.training else x


@dataclass(frozen=True)
class _HeadFit:
    features: PooledFeatures
    model: _Heads

    @torch.no_grad()
    def scores(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B K"]:
        """See :class:`experiments.setting.Fitted`."""
        return self.model(self.features(clips, num_frames))[0]

    @torch.no_grad()
    def movements(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B M"]:
        """See :class:`experiments.setting.Fitted`."""
        return self.model(self.features(clips, num_frames))[1]


def _train_heads(setting: Setting, features: PooledFeatures, model: _Heads) -> Iterator[_Heads]:
    """The heads after every epoch; always the same module, trained further."""
    config, train, shows = setting.config, setting.prepared.split.train, setting.targets.shows
    optim = config.optim
    assert setting.features is not None
    source = feature_source(setting.features, train, config.frames, training=True, seed=config.seed)
    onehot, _ = labels_of_train(setting)
    optimizer = torch.optim.AdamW(model.parameters(), optim.lr_new, optim.betas, weight_decay=optim.weight_decay)
    for epoch in range(EPOCHS):
        order = epoch_order(len(train), optim.batch_size, config.seed, epoch)
        for step, batch in enumerate(source.batches(order, epoch)):
            progress = (epoch + step / len(order)) / EPOCHS
            for group in optimizer.param_groups:
                group["lr"] = optim.lr_new * learning_rate_factor(progress, optim.warmup_epochs / EPOCHS)
            actions, movements = model.train()(features.standardize(batch.frames))
            loss = _heads_loss(actions, movements, onehot[batch.index], shows[batch.index])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), optim.clip_norm)
            optimizer.step()
        yield model


def _heads_loss(
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
