"""Remedies that were tried where path evidence adds little to ridge regression: little data, few test frames.

All are KG-CLIP in closed form with one thing changed: what counts as a clip's movements, how they are read from its
frames, or how much the path counts.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from kgclip.data.kinetics_tps import read_observations
from kgclip.engine.metrics import negative_log_likelihood
from kgclip.engine.prepare import Prepared, graph_of_split
from kgclip.engine.start import complete_performs
from kgclip.experiments.baselines import PooledFeatures, best_on_validation, ridge_statistics, z_scores
from kgclip.experiments.family import path, trained
from kgclip.experiments.setting import Arm, Fitted, Setting
from kgclip.kg.build import MovementRule
from kgclip.models.path import discriminant_weights, fuse
from kgclip.models.ridge import RidgeFit, fit_ridge

# Candidate weights of the path, as in training.
WEIGHTS = (0.0, 0.25, 0.5, 1.0, 2.0)
# Share of a labeled clip's target that its movements decide.
DISTILLED_SHARES = (0.0, 0.2, 0.4)
# Candidate penalties of the readout from single frames, as multiples of the number of inputs.
FRAME_PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0)
# Factors on z-scores between which a weight's calibration is chosen before its likelihood counts.
SHARPNESS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
# A movement counts in a phase if it is seen in this share of it, as `MovementRule.min_support` says of whole clips.
_LEAST_SHARE = 0.1

Shares = Callable[[Setting], Float[Tensor, "N Q"]]
Read = Callable[[Float[Tensor, "B T F"]], Float[Tensor, "B Q"]]


@dataclass(frozen=True)
class Case:
    """A setting with everything that no remedy changes.

    Attributes:
        setting: the data.
        features: the frame statistics.
        performs: labels of all training clips, completed over the graph where they are missing.
        known: which clips have one.
        output: ridge regression to them.
        annotated: which training clips show movements.
    """

    setting: Setting
    features: PooledFeatures
    performs: Float[Tensor, "N K"]
    known: Bool[Tensor, " N"]
    output: RidgeFit
    annotated: Bool[Tensor, " N"]

    def prototypes(self, shares: Float[Tensor, "N Q"]) -> Float[Tensor, "K Q"]:
        """Mean shares of each action's labeled and annotated clips."""
        onehot = self.setting.targets.performs * self.annotated[:, None]
        return onehot.T @ shares / onehot.sum(dim=0)[:, None].clamp(min=1)

    def readout(self, shares: Float[Tensor, "N Q"]) -> RidgeFit:
        """Ridge regression from the statistics to shares."""
        seen = self.annotated
        return fit_ridge(self.features.train[seen], shares[seen], self.features.glances[:, seen])


def open_case(setting: Setting) -> Case:
    """Solve for what no remedy changes."""
    features, targets = PooledFeatures(setting, "statistics"), setting.targets
    performs, known = complete_performs(features.train, features.glances, targets)
    output = fit_ridge(features.train[known], performs[known], features.glances[:, known])
    return Case(setting, features, performs, known, output, targets.shows.any(dim=1))


@dataclass(frozen=True)
class PathFit:
    """Ridge regression and the path, fused.

    Attributes:
        features: the frame statistics.
        output: weight and bias of the actions.
        read: shares from frames.
        weights, baseline: of the path over these shares.
        weight: of the path.
        readout: weight and bias of the graph's movements.
    """

    features: PooledFeatures
    output: tuple[Float[Tensor, "K S"], Float[Tensor, " K"]]
    read: Read
    weights: Float[Tensor, "K Q"]
    baseline: Float[Tensor, " Q"]
    weight: float
    readout: tuple[Float[Tensor, "M S"], Float[Tensor, " M"]]

    def scores(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B K"]:
        """See :class:`kgclip.experiments.setting.Fitted`."""
        frames = self.features.setting.frames(clips, num_frames)
        output = F.linear(self.features.standardize(frames), *self.output)
        return fuse(output, (self.read(frames) - self.baseline) @ self.weights.T, self.weight)[0]

    def movements(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B M"]:
        """See :class:`kgclip.experiments.setting.Fitted`."""
        return F.linear(self.features(clips, num_frames), *self.readout)


def with_shares(shares: Shares) -> Arm:
    """An arm whose path goes over other shares than those of the graph."""

    def fit(setting: Setting) -> Fitted:
        if not setting.targets.shows.any():
            return ridge_statistics(setting)
        case = open_case(setting)
        return weighed_on_validation(clip_path(case, shares(setting)))

    return fit


def clip_path(case: Case, shares: Float[Tensor, "N Q"]) -> PathFit:
    """The path with weight 1 over these shares, read from the statistics of whole clips."""
    fit = case.readout(shares)

    def read(frames: Float[Tensor, "B T F"]) -> Float[Tensor, "B Q"]:
        return F.linear(case.features.standardize(frames), fit.weight, fit.bias)

    return path_fit(case, shares, read)


def path_fit(case: Case, shares: Float[Tensor, "N Q"], read: Read) -> PathFit:
    """The path with weight 1 over these shares, read from frames in any way."""
    shown, own = shares[case.annotated], case.readout(case.setting.targets.shows)
    weights = discriminant_weights(case.prototypes(shares), shown)
    output = case.output.weight, case.output.bias
    return PathFit(case.features, output, read, weights, shown.mean(dim=0), 1.0, (own.weight, own.bias))


def weighed_on_validation(fit: PathFit) -> PathFit:
    """The fit with the weight of the path that is best on the validation clips; without any, 1."""
    if not fit.features.setting.prepared.split.val:
        return fit
    return best_on_validation(fit.features.setting, [replace(fit, weight=weight) for weight in WEIGHTS])


# Other shares


def phases(count: int) -> Shares:
    """Shares in overlapping phases of a clip's annotated frames, triangles in time, side by side (Q = count · M)."""

    def shares(setting: Setting) -> Float[Tensor, "N Q"]:
        rows = []
        for _, shown in shown_frames(setting):
            position = (torch.arange(len(shown)) + 0.5) / max(1, len(shown))
            centers = torch.linspace(0, 1, count)[:, None]
            # The foot of the triangle keeps the windows of a clip with few annotated frames from being empty.
            windows = (1 - (position - centers).abs() * (count - 1)).clamp(min=0) + 1e-3
            rows.append((windows / windows.sum(dim=1, keepdim=True) @ shown).flatten())
        stacked = torch.stack(rows)
        return torch.where(stacked >= _LEAST_SHARE, stacked, torch.zeros(()))

    return shares


def mirrored(setting: Setting) -> Float[Tensor, "N Q"]:
    """Shares averaged with those of the mirrored clip: left and right count as one."""
    targets = setting.targets
    known = targets.mirror >= 0
    partner = torch.where(known, targets.mirror, torch.arange(len(known)))
    return (targets.shows + targets.shows[:, partner]) / 2


def rare_first(setting: Setting) -> Float[Tensor, "N Q"]:
    """Shares times the logarithm of the inverse share of clips that show the movement."""
    shows = setting.targets.shows
    shown = (shows[shows.any(dim=1)] > 0).float().mean(dim=0)
    return shows * -shown.clamp(min=0.01, max=0.95).log()


def shown_frames(setting: Setting) -> list[tuple[Int[Tensor, " A"], Float[Tensor, "A M"]]]:
    """Of every training clip the annotated frames (1-based), and which movements of the graph each shows.

    Raises:
        KgclipError: annotations that cannot be read.
    """
    prepared, movements = setting.prepared, setting.targets.movements
    observations = read_observations(prepared.dataset, keep_going=setting.config.keep_going, progress=False)
    table = observations.only(prepared.split.train).frames.unique().sort("frame")
    frames: dict[str, list[int]] = {clip: [] for clip in prepared.split.train}
    for clip, frame in table.iter_rows():
        frames[clip].append(frame)
    position = {name: index for index, name in enumerate(movements)}
    shown = {clip: torch.zeros(len(numbers), len(movements)) for clip, numbers in frames.items()}
    numbers = {clip: torch.tensor(values, dtype=torch.int64) for clip, values in frames.items()}
    for edge in prepared.graph.edges("shows"):
        for first, last in edge.frames:
            seen = (numbers[edge.head] >= first) & (numbers[edge.head] <= last)
            shown[edge.head][seen, position[edge.tail]] = 1.0
    return [(numbers[clip], shown[clip]) for clip in prepared.split.train]


# Other readings


def frame_level(setting: Setting) -> Fitted:
    """Shares read frame by frame, from the frame and its neighbors' difference, and averaged over the clip's frames.

    The readout learns from single annotated frames; its penalty has the least error on clips left out as a whole.
    """
    case, shows = open_case(setting), setting.targets.shows
    if not case.annotated.any() or setting.features is None:
        return ridge_statistics(setting)
    inputs, shown, clips = [], [], []
    for number, (clip, (frames, marks)) in enumerate(
        zip(setting.prepared.split.train, shown_frames(setting), strict=True)
    ):
        if len(frames):
            features, indices = setting.features[clip]
            nearest = (torch.from_numpy(indices)[None] + 1 - frames[:, None]).abs().argmin(dim=1)
            inputs.append(_with_changes(features.float())[nearest])
            shown.append(marks)
            clips += [number] * len(frames)
    x = torch.cat(inputs)
    mean, scale = x.mean(dim=0), x.std(dim=0, correction=0).clamp(min=1e-4)
    weight, bias = fit_grouped_ridge((x - mean) / scale, torch.cat(shown), torch.tensor(clips))

    def read(frames: Float[Tensor, "B T F"]) -> Float[Tensor, "B Q"]:
        return F.linear((_with_changes(frames) - mean) / scale, weight, bias).mean(dim=1)

    return weighed_on_validation(path_fit(case, shows, read))


def _with_changes(frames: Float[Tensor, "*B T F"]) -> Float[Tensor, "*B T G"]:
    """Each frame, the difference of its two neighbors, and its absolute value, side by side (G = 3 F)."""
    around = torch.cat([frames[..., :1, :], frames, frames[..., -1:, :]], dim=-2)
    change = around[..., 2:, :] - around[..., :-2, :]
    return torch.cat([frames, change, change.abs()], dim=-1)


def fit_grouped_ridge(
    x: Float[Tensor, "N S"], y: Float[Tensor, "N P"], groups: Int[Tensor, " N"]
) -> tuple[Float[Tensor, "P S"], Float[Tensor, " P"]]:
    """Ridge regression whose penalty has the least error of groups of rows that are left out as a whole."""
    x_mean, y_mean = x.mean(dim=0), y.mean(dim=0)
    u, values, vectors = torch.linalg.svd(x - x_mean, full_matrices=False)
    projected = u.T @ (y - y_mean)
    rows = [torch.nonzero(groups == group)[:, 0] for group in groups.unique()]

    def error(penalty: float) -> float:
        shrinkage = values.square() / (values.square() + penalty)
        residual = y - y_mean - u @ (shrinkage[:, None] * projected)
        total = 0.0
        for row in rows:
            hat = (u[row] * shrinkage) @ u[row].T + 1 / len(x)
            total += float(torch.linalg.solve(torch.eye(len(row)) * (1 + 1e-6) - hat, residual[row]).square().sum())
        return total

    best = min((share * x.shape[1] for share in FRAME_PENALTIES), key=error)
    weight = (vectors.T @ ((values / (values.square() + best))[:, None] * projected)).T
    return weight, y_mean - weight @ x_mean


# Other weights and targets


def weighed_by_training_clips(setting: Setting) -> Fitted:
    """The path's weight is that of the least loss of the labeled training clips, each left out, and validation clips.

    A clip is left out of the ridge regression, of the readout and of the prototype of its own action.
    """
    case, shows = open_case(setting), setting.targets.shows
    if not case.annotated.any():
        return ridge_statistics(setting)
    fit, performs, clips = clip_path(case, shows), setting.targets.performs, setting.prepared.split.val
    chosen = performs.any(dim=1) & case.annotated
    # Without its only clip an action has no prototype.
    chosen &= (performs * chosen[:, None]).sum(dim=0)[performs.argmax(dim=1)] > 1
    output, read = torch.zeros_like(performs), torch.zeros_like(shows)
    output[case.known], read[case.annotated] = case.output.leave_one_out, case.readout(shows).leave_one_out
    by_path = left_out_path(case, shows, read[chosen], chosen)
    labels = performs[chosen].argmax(dim=1)

    def loss(weight: float) -> float:
        fused, answers = fuse(output[chosen], by_path, weight)[0], labels
        if clips:
            seen = replace(fit, weight=weight).scores(clips, setting.config.frames)
            fused, answers = torch.cat([fused, seen]), torch.cat([labels, setting.labels(clips)])
        logits = z_scores(fused)
        return min(negative_log_likelihood(factor * logits, answers) for factor in SHARPNESS)

    return replace(fit, weight=min(WEIGHTS, key=loss)) if len(labels) else weighed_on_validation(fit)


def left_out_path(
    case: Case, shares: Float[Tensor, "N Q"], read: Float[Tensor, "C Q"], chosen: Bool[Tensor, " N"]
) -> Float[Tensor, "C K"]:
    """Path evidence of labeled training clips, each left out of its own action's prototype.

    Args:
        case: the rest.
        shares: of all training clips.
        read: shares of the chosen clips as the path takes them.
        chosen: which clips; each has a label, annotations, and another such clip of its action.
    """
    onehot = case.setting.targets.performs[chosen]
    own, prototypes, shown = onehot.argmax(dim=1), case.prototypes(shares), shares[case.annotated]
    count = (case.setting.targets.performs * case.annotated[:, None]).sum(dim=0)[own, None]
    others = (count * prototypes[own] - shares[chosen]) / (count - 1)
    centered = read - shown.mean(dim=0)
    full = centered @ discriminant_weights(prototypes, shown).T
    without = (centered * discriminant_weights(others, shown)).sum(dim=1, keepdim=True)
    return torch.where(onehot.bool(), without, full)


def distilled(setting: Setting) -> Fitted:
    """Ridge regression to labels softened by the path over the clips' own annotated movements, and the path beside it.

    How much of a clip's target its movements decide is chosen on the validation clips.
    """
    case, shows, onehot = open_case(setting), setting.targets.shows, setting.targets.performs
    chosen = onehot.any(dim=1) & case.annotated
    chosen &= (onehot * chosen[:, None]).sum(dim=0)[onehot.argmax(dim=1)] > 1
    if not chosen.any():
        return ridge_statistics(setting)
    soft = z_scores(left_out_path(case, shows, shows[chosen], chosen)).softmax(dim=1)
    candidates = []
    for share in DISTILLED_SHARES:
        targets = case.performs.clone()
        targets[chosen] = (1 - share) * onehot[chosen] + share * soft
        known = case.known
        output = fit_ridge(case.features.train[known], targets[known], case.features.glances[:, known])
        candidates.append(weighed_on_validation(clip_path(replace(case, output=output), shows)))
    return best_on_validation(setting, candidates)


def with_rule(rule: MovementRule) -> Arm:
    """KG-CLIP on a graph by another rule, whose movements may be others: only actions are measured."""

    def fit(setting: Setting) -> Fitted:
        prepared, config = setting.prepared, replace(setting.config, rule=rule)
        graph = graph_of_split(
            prepared.dataset, prepared.split, rule, workers=config.workers, keep_going=config.keep_going
        )
        other = Setting(config, Prepared(prepared.dataset, prepared.split, graph), setting.novel)
        return ActionsOnly(with_shares(lambda it: it.targets.shows)(other))

    return fit


@dataclass(frozen=True)
class ActionsOnly:
    """An arm whose movements are not to be measured.

    Attributes:
        fitted: the arm.
    """

    fitted: Fitted

    def scores(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B K"]:
        """See :class:`kgclip.experiments.setting.Fitted`."""
        return self.fitted.scores(clips, num_frames)

    def movements(self, clips: tuple[str, ...], num_frames: int) -> None:
        """None, whatever the arm reads."""


REMEDIES: dict[str, Arm] = {
    "KG-CLIP, 2 phases": with_shares(phases(2)),
    "KG-CLIP, 3 phases": with_shares(phases(3)),
    "KG-CLIP, shows by frame": frame_level,
    "KG-CLIP, mirrored": with_shares(mirrored),
    "KG-CLIP, rare movements first": with_shares(rare_first),
    "KG-CLIP, min support 0.05": with_rule(MovementRule(min_support=0.05)),
    "KG-CLIP, min support 0.2": with_rule(MovementRule(min_support=0.2)),
    "KG-CLIP, max clip share 0.7": with_rule(MovementRule(max_clip_share=0.7)),
    "KG-CLIP, max clip share 1": with_rule(MovementRule(max_clip_share=1.0)),
    "KG-CLIP, path weight 0.5": trained(path("shares", 0.5)),
    "KG-CLIP, path weight by training clips": weighed_by_training_clips,
    "KG-CLIP, distilled": distilled,
}
