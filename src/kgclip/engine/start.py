"""The closed-form start: with a frozen image tower, the heads are solved for before any gradient step.

With few clips a gradient-trained head overfits where ridge regression, with its penalty chosen by leave-one-out
error, does not (docs/results.md). So the linear map of statistics pooling starts at the solution, and gradient training
goes on from there, if the validation clips say that it helps.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kgclip.engine.prepare import GraphTargets
from kgclip.models.kgclip import KGCLIP
from kgclip.models.path import discriminant_weights
from kgclip.models.propagation import propagate
from kgclip.models.ridge import fit_ridge

# How far labels travel from neighbor to neighbor when the graph is completed, in (0, 1).
COMPLETION_REACH = 0.8


@dataclass(frozen=True)
class StartTexts:
    """Embeddings of the names before the text map, as the text tower gives them."""

    actions: Float[Tensor, "K D"]
    movements: Float[Tensor, "M D"]


def complete_performs(
    clips: Float[Tensor, "N S"], glances: Float[Tensor, "C N S"], targets: GraphTargets
) -> tuple[Float[Tensor, "N K"], Bool[Tensor, " N"]]:
    """Complete the graph: a soft ``performs`` edge for each training clip that shows movements but has no label.

    Three things speak for an action: how the clip looks (a ridge classifier of the labeled clips), what its annotated
    movements say by the path over ``consists_of``, and which labeled clips it resembles in looks and movements
    together, directly or over other clips (:func:`propagate`). They are z-scored over the actions and added.

    Args:
        clips: their standardized statistics.
        glances: the same of the clips seen with fewer frames.
        targets: the graph over them.

    Returns:
        Labels of all clips, one-hot or soft, and which clips have one.
    """
    labeled = targets.performs.any(dim=1)
    annotated = targets.shows.any(dim=1)
    open_clips = annotated & ~labeled
    if not open_clips.any() or not labeled.any():
        return targets.performs, labeled
    looks = fit_ridge(clips[labeled], targets.performs[labeled], glances[:, labeled])
    by_looks = torch.nn.functional.linear(clips[open_clips], looks.weight, looks.bias)
    weights = discriminant_weights(targets.consists_of, targets.shows[annotated])
    by_path = (targets.shows[open_clips] - targets.shows[annotated].mean(dim=0)) @ weights.T
    by_neighbors = propagate(_looks_and_movements(clips, targets.shows), targets.performs, COMPLETION_REACH)
    completed = targets.performs.clone()
    total = _z_score(by_looks) + _z_score(by_path) + _z_score(by_neighbors[open_clips])
    completed[open_clips] = total.softmax(dim=1)
    return completed, labeled | open_clips


def _looks_and_movements(clips: Float[Tensor, "N S"], shows: Float[Tensor, "N M"]) -> Float[Tensor, "N P"]:
    """Both side by side with the same total variance; a clip that nobody annotated has the mean shares."""
    annotated = shows.any(dim=1)
    shares = (shows - shows[annotated].mean(dim=0)) * annotated[:, None]
    balance = (clips.square().sum() / shares.square().sum().clamp(min=1e-12)).sqrt()
    return torch.cat([clips, balance * shares], dim=1)


def _z_score(scores: Float[Tensor, "N K"]) -> Float[Tensor, "N K"]:
    spread = scores.std(dim=1, correction=0, keepdim=True).clamp(min=1e-6)
    return (scores - scores.mean(dim=1, keepdim=True)) / spread


def orthonormal_map(texts: Float[Tensor, "P D"]) -> Float[Tensor, "D D"]:
    """The linear map after which the texts are orthonormal and, among all such, moved least.

    ``Tᵀ (T Tᵀ)^(−3/2) T``, so that ``T`` becomes ``(T Tᵀ)^(−1/2) T``. Prompts of names look alike to a text tower that
    was not trained on them; afterwards the clip's cosine to one name is independent of that to another. More texts
    than dimensions cannot all be orthonormal: the same map is then ``(Tᵀ T)^(−1/2)``, of the smaller matrix, without
    directions below 1e-8 of the strongest.
    """
    if len(texts) > texts.shape[1]:
        values, vectors = torch.linalg.eigh(texts.double().T @ texts.double())
        kept = values > 1e-8 * values.max()
        return (vectors[:, kept] * values[kept].rsqrt() @ vectors[:, kept].T).to(texts.dtype)
    values, vectors = torch.linalg.eigh((texts @ texts.T).double())
    kept = values > 1e-8 * values.max()
    inverse = vectors[:, kept] * values[kept].pow(-1.5) @ vectors[:, kept].T
    return (texts.double().T @ inverse @ texts.double()).to(texts.dtype)


@torch.no_grad()
def closed_form_start(
    model: KGCLIP, frames: Float[Tensor, "N T F"], targets: GraphTargets, texts: StartTexts
) -> GraphTargets:
    """Solve for the readout, complete the graph, and start statistics pooling at the ridge solution.

    The embedding of a clip becomes ``v = Σ_e R_e(z) · t_e`` over the names e, with R_e the ridge estimate of whether
    (how much) the clip performs (shows) e and orthonormal embeddings t_e, so that ``cos(v, t_e)`` ranks the actions as
    the ridge classifier does. Each clip is seen with all its frames and with ever fewer, so that the model holds for
    short glances too.

    Args:
        model: without trained heads yet; with ``statistics`` pooling.
        frames: embeddings of the training clips' frames.
        targets: the graph over these clips.
        texts: of the graph's actions and, if the model learns from it, its movements.

    Returns:
        The targets with completed labels.
    """
    model.pooling.fit(frames)
    clips, glances = model.pooling.statistics(frames), model.pooling.statistics.glances(frames)
    annotated = targets.shows.any(dim=1)
    use_graph = len(model.readout.bias) > 0 and bool(annotated.any())
    if use_graph:
        performs, known = complete_performs(clips, glances, targets)
        names = torch.cat([texts.actions, texts.movements])
    else:
        performs, known = targets.performs, targets.performs.any(dim=1)
        names = texts.actions
    looks = fit_ridge(clips[known], performs[known], glances[:, known])
    weight, bias = looks.weight, looks.bias
    if use_graph:
        shares = fit_ridge(clips[annotated], targets.shows[annotated], glances[:, annotated])
        model.readout.set(model.pooling.statistics, shares)
        weight, bias = torch.cat([weight, shares.weight]), torch.cat([bias, shares.bias])
    model.text_map.copy_(orthonormal_map(names))
    embeddings = torch.nn.functional.normalize(names @ model.text_map, dim=-1)
    model.pooling.linear.weight.copy_(embeddings.T @ weight)
    model.pooling.linear.bias.copy_(embeddings.T @ bias)
    return replace(targets, performs=performs)


@torch.no_grad()
def fit_readout(model: KGCLIP, frames: Float[Tensor, "N T F"], targets: GraphTargets) -> None:
    """Fit the readout of movements on the annotated training clips."""
    annotated = targets.shows.any(dim=1)
    if len(model.readout.bias) > 0 and annotated.any():
        device = model.readout.bias.device
        model.readout.fit(frames[annotated].to(device), targets.shows[annotated].to(device))
