"""The whole model: how the parts of the score add up, for every clip on its own."""

import math
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from kgclip.engine.predict import Recognizer
from kgclip.models.backbones.base import Backbone
from kgclip.models.backbones.registry import build_backbone
from kgclip.models.closed_form import SolvedTargets
from kgclip.models.evidence import PathEvidence
from kgclip.models.fit_head import fit_closed_form
from kgclip.models.gradient import GradientHead, HeadOptions
from kgclip.models.kgclip import KGCLIP, Score, embed_texts, frame_embeddings, unsolved_model

N, K, M, DIM = 30, 4, 5, 6
SMALL_TEXT = {"embedding_dim": 16, "buckets": 256, "width": 16, "num_heads": 2, "depth": 1}
NAMES = ["push up", "pull up", "squat", "rest"]


def features_backbone() -> Backbone:
    return build_backbone({"kind": "features", "frame_dim": DIM, "text": SMALL_TEXT, "seed": 0})


def frames(num: int = N, count: int = 4, seed: int = 0) -> Tensor:
    return torch.randn(num, count, DIM, generator=torch.Generator().manual_seed(seed))


def kg_model(*, weight: float = 0.5, trained: bool = False, readable: bool = True) -> KGCLIP:
    """A model of four actions, the last known by its definition alone."""
    performs = torch.eye(K)[torch.arange(N) % (K - 1)]
    definitions = torch.rand(K, M, generator=torch.Generator().manual_seed(1))
    shows = (definitions[torch.arange(N) % K] + 0.1 * torch.randn(N, M)).clamp(0, 1)
    head, left_out = fit_closed_form(
        frames(), SolvedTargets(performs[:, :0] if trained else performs, shows, torch.arange(N) // 2)
    )
    path, seen = PathEvidence(K, M), left_out[4]
    annotated = N if readable else 0
    path.fit(definitions, shows[:annotated], seen.shares[:annotated])
    gradient = GradientHead(DIM, 16, 2.0, HeadOptions("projected")) if trained else None
    model = KGCLIP(features_backbone(), head, path, gradient, K).eval()
    mm, tri = seen.mm, seen.tri
    if gradient is not None:
        model.action_embeddings = embed_texts(model.backbone, NAMES).detach()
        mm, tri = gradient(frames(), model.action_embeddings)
    assert tri is not None
    output = 0.5 * (mm + tri)
    if readable:
        path.fit_weight(weight, output, path(seen.shares))
    if readable and not trained:
        path.fit_defined(torch.arange(K) == K - 1, output, seen.shares)
    return model


@pytest.fixture(params=["solved", "trained"])
def model(request: pytest.FixtureRequest) -> KGCLIP:
    torch.manual_seed(0)
    return kg_model(trained=request.param == "trained")


def test_total_is_output_plus_weighed_path(model: KGCLIP):
    """Clip by clip and action by action, from S_mm, S_tri and the shares."""
    score, path = model(frames(5, seed=2)), model.path
    assert score.tri is not None
    weight = path.weight.item()
    assert weight > 0
    for b, shares in enumerate(score.shares.tolist()):
        for a in range(K):
            evidence = sum(
                w * (share - average)
                for w, share, average in zip(path.weights[a].tolist(), shares, path.baseline.tolist(), strict=True)
            )
            output = (score.mm[b, a].item() + score.tri[b, a].item()) / 2
            if path.defined[a]:
                output = path.gain[a].item() * evidence + path.offset[a].item()
            assert score.output[b, a].item() == pytest.approx(output, abs=1e-4)
            assert score.total[b, a].item() == pytest.approx(output + weight * evidence, abs=1e-4)


def test_contributions_of_all_movements_sum_to_what_the_path_adds(model: KGCLIP):
    score = model(frames(seed=2))
    for action in range(K):
        contributions = model.contributions(score, action)
        assert contributions is not None
        # S_output of an action without clips is path evidence too, but for a constant.
        constant = model.path.offset[action] if model.path.defined[action] else score.output[:, action]
        torch.testing.assert_close(contributions.sum(dim=1), score.total[:, action] - constant, atol=1e-4, rtol=0)


def test_an_action_without_clips_has_the_unit_of_the_others():
    score = kg_model()(frames(200, seed=3))
    known, defined = score.output[:, :3], score.output[:, 3]
    assert abs(defined.mean() - known.mean()) < known.std()
    assert 0.3 < defined.std() / known.std() < 3
    assert 0 < (score.total.argmax(dim=1) == 3).float().mean() < 0.6


def test_where_no_movement_can_be_read_there_is_no_path():
    model = kg_model(readable=False)
    score = model(frames(seed=2))
    assert score.path is None
    assert torch.equal(score.total, score.output)
    assert model.contributions(score, 0) is None


def test_a_weight_of_zero_leaves_the_path_out_of_the_total():
    torch.manual_seed(0)
    model = kg_model(weight=0.0)
    score = model(frames(seed=2))
    assert score.path is not None
    assert torch.equal(score.total, score.output)
    assert model.contributions(score, 0) is None
    # What an action without clips has is its path evidence all the same.
    contributions = model.contributions(score, K - 1)
    assert contributions is not None
    constant = model.path.offset[K - 1]
    torch.testing.assert_close(contributions.sum(dim=1), score.output[:, K - 1] - constant, atol=1e-4, rtol=0)


def test_a_trained_head_takes_the_place_of_the_solved_scores():
    model = kg_model(trained=True)
    assert model.gradient is not None
    score = model(frames(seed=2))
    mm, tri = model.gradient(frames(seed=2), model.action_embeddings)
    assert torch.equal(score.mm, mm)
    assert torch.equal(score.tri, tri)
    assert score.shares.shape == (N, M)
    assert score.shares.std() > 0


@pytest.mark.parametrize("count", [1, 3, 4, 9])
def test_every_row_is_that_of_the_clip_alone(model: KGCLIP, count: int):
    batch = frames(6, count, seed=4)
    whole = model(batch)
    for b in range(6):
        alone = model(batch[b : b + 1])
        for field in fields(Score):
            row, of_batch = getattr(alone, field.name), getattr(whole, field.name)
            if field.name == "pose":  # these models read none
                assert row is None
            else:
                torch.testing.assert_close(row[0], of_batch[b], atol=1e-4, rtol=1e-4, msg=field.name)


def test_probabilities_are_a_softmax_over_the_chosen_actions():
    model = kg_model()
    model.temperature.fill_(0.4)
    score = model(frames(3, seed=2))
    whole = model.probability(score)
    torch.testing.assert_close(whole, (score.total / 0.4).softmax(dim=1))
    chosen = torch.tensor([True, False, True, False])
    few = model.probability(score, chosen)
    assert (few[:, ~chosen] == 0).all()
    torch.testing.assert_close(few[:, chosen], (score.total[:, chosen] / 0.4).softmax(dim=1))


def test_pixels_pass_the_image_tower_frame_by_frame():
    torch.manual_seed(0)
    sizes = {"embedding_dim": 16, "image_size": 32, "widths": [8, 8, 16], "depths": [0, 1, 1]}
    backbone = build_backbone({"kind": "synthetic", "image": sizes, "text": SMALL_TEXT}).eval()
    pixels = torch.randn(2, 3, 3, 32, 32)
    with torch.no_grad():
        whole = frame_embeddings(backbone, pixels)
        for b in range(2):
            for t in range(3):
                alone = backbone.encode_image(pixels[b, t : t + 1])[0]
                torch.testing.assert_close(whole[b, t], alone, atol=1e-5, rtol=1e-4)
    # Cached features of the same frames pass as they are.
    assert frame_embeddings(backbone, whole) is whole


def test_a_trained_head_alone_reads_no_movements():
    torch.manual_seed(0)
    head = GradientHead(16, 16, 2.0, HeadOptions(subspace=None))
    backbone = build_backbone({"kind": "features", "frame_dim": 16, "text": SMALL_TEXT, "seed": 0})
    model = unsolved_model(backbone, head, embed_texts(backbone, NAMES).detach())
    clips = torch.randn(3, 5, 16)
    score = model(clips)
    expected = F.cosine_similarity(clips.mean(dim=1)[:, None], backbone.encode_text(NAMES)[None], dim=2)
    torch.testing.assert_close(score.total, expected, atol=1e-5, rtol=0)
    assert score.tri is None
    assert score.path is None
    assert score.shares.shape == (3, 0)
    torch.testing.assert_close(model.action_embeddings.norm(dim=1), torch.ones(K))


def test_a_recognizer_of_names_alone(clip_folder: Path):
    """A CLIP's cosines of clip and prompt, nothing trained."""
    recognizer = Recognizer.from_names(str(clip_folder), [*NAMES, NAMES[0]])
    assert recognizer.checkpoint.actions == tuple(NAMES)
    images = np.random.default_rng(0).integers(0, 256, (3, 40, 50, 3), dtype=np.uint8)
    result = recognizer.predict_frames("clip.mp4", images, [0.0, 0.5, 1.0])
    assert (result.movements, result.triplets()) == ((), [])
    backbone = recognizer.model.backbone
    with torch.no_grad():
        clip = recognizer.encoder.encode(images).mean(dim=0)
        prompts = backbone.encode_text([f"a video of a person doing {name}" for name in NAMES])
        cosines = F.cosine_similarity(clip, prompts, dim=1)
        scale = math.exp(backbone.logit_scale_init)
    for row in result.actions:
        k = NAMES.index(row.action)
        assert row.score == row.s_mm == pytest.approx(cosines[k].item(), abs=1e-5)
        assert row.probability == pytest.approx((scale * cosines).softmax(dim=0)[k].item(), abs=1e-4)
    few = recognizer.predict_frames("clip.mp4", images, [0.0, 0.5, 1.0], actions=NAMES[:2])
    assert {row.action for row in few.actions} == set(NAMES[:2])
