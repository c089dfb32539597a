"""The closed-form start: what it solves for, and whose labels it completes."""

import pytest
import torch
from kgclip.engine.start import StartTexts, closed_form_start, complete_performs, fit_readout, orthonormal_map
from kgclip.models.statistics import frame_statistics
from torch import Tensor
from torch.nn import functional as F

from kgclip.engine.prepare import GraphTargets
from kgclip.models.backbones.registry import load_backbone
from kgclip.models.kgclip import KGCLIP
from kgclip.models.ridge import fit_ridge

K, M, N = 3, 4, 18


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def clips(movements: int = M) -> tuple[Tensor, GraphTargets]:
    """Frames around a center per action, and a graph in which every second clip has no label."""
    labels = torch.arange(N) % K
    frames = 3 * normal(K, 8)[labels][:, None] + normal(N, 5, 8, seed=1)
    performs = F.one_hot(labels, K).float()
    performs[torch.arange(N) // K % 2 == 1] = 0
    consists_of = torch.tensor([[1.0, 0.0, 0.0, 0.5], [0.0, 1.0, 0.0, 0.5], [0.0, 0.0, 1.0, 0.5]])[:, :movements]
    names = tuple(f"action {k}" for k in range(K)), tuple(f"left arm state{m}" for m in range(movements))
    return frames, GraphTargets(*names, performs, consists_of[labels], consists_of, torch.full((movements,), -1))


@pytest.mark.parametrize(("num", "dim"), [(4, 16), (12, 16)])
def test_texts_become_orthonormal(num: int, dim: int):
    texts = normal(num, dim) + 5  # all alike, as prompts are
    mapped = texts @ orthonormal_map(texts)
    torch.testing.assert_close(mapped @ mapped.T, torch.eye(num), atol=1e-3, rtol=0)


def test_more_texts_than_dimensions_become_a_projection():
    texts = normal(10, 4)
    mapped = texts @ orthonormal_map(texts)
    torch.testing.assert_close(mapped.T @ mapped, torch.eye(4), atol=1e-4, rtol=0)
    # The smaller matrix gives what the larger one does without its directions of length zero.
    values, vectors = torch.linalg.eigh((texts @ texts.T).double())
    inverse = vectors[:, -4:] * values[-4:].pow(-1.5) @ vectors[:, -4:].T
    expected = (texts.double().T @ inverse @ texts.double()).float()
    torch.testing.assert_close(orthonormal_map(texts), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("graph", [True, False])
def test_the_start_ranks_as_the_ridge_classifier(graph: bool):
    frames, targets = clips(M if graph else 0)
    model = KGCLIP(load_backbone("features:8"), "statistics", num_movements=len(targets.movements)).eval()
    with torch.no_grad():
        actions = model.backbone.encode_text(targets.actions)
        movements = model.backbone.encode_text(targets.movements or ("",))[: len(targets.movements)]
        completed = closed_form_start(model, frames, targets, StartTexts(actions, movements))
        mm = model.halves(model.embed_clips(frames), model.embed_texts(targets.actions)).mm
    statistics, glances = model.pooling.statistics(frames), model.pooling.statistics.glances(frames)
    known = completed.performs.any(dim=1)
    assert int(known.sum()) == (N if graph else N // 2)
    looks = fit_ridge(statistics[known], completed.performs[known], glances[:, known])
    ridge = F.linear(statistics, looks.weight, looks.bias)
    assert torch.equal(mm.argsort(dim=1), ridge.argsort(dim=1))


def test_labels_are_completed_where_movements_are_known():
    frames, targets = clips()
    targets.shows[3] = 0  # neither label nor movements
    statistics = F.layer_norm(frame_statistics(frames), (frame_statistics(frames).shape[1],))
    completed, known = complete_performs(statistics, statistics[None], targets)
    labeled = targets.performs.any(dim=1)
    assert torch.equal(completed[labeled], targets.performs[labeled])
    assert not known[3]
    assert completed[3].sum() == 0
    added = known & ~labeled
    torch.testing.assert_close(completed[added].sum(dim=1), torch.ones(int(added.sum())))
    assert torch.equal(completed[added].argmax(dim=1), (torch.arange(N) % K)[added])


def test_without_labels_or_movements_nothing_is_completed():
    frames, targets = clips()
    statistics = frame_statistics(frames)
    for change in (targets.performs.zero_, targets.shows.zero_):
        change()
        completed, known = complete_performs(statistics, statistics[None], targets)
        assert completed is targets.performs
        assert torch.equal(known, targets.performs.any(dim=1))


def test_the_readout_learns_from_annotated_clips_alone():
    frames, targets = clips()
    targets.shows[:4] = 0
    first, second = (KGCLIP(load_backbone("features:8"), "statistics", num_movements=M) for _ in range(2))
    fit_readout(first, frames, targets)
    other = frames.clone()
    other[:4] += 9
    fit_readout(second, other, targets)
    assert torch.equal(first.readout.weight, second.readout.weight)
    assert first.readout.weight.abs().max() > 0
