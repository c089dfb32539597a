"""A training step encodes what its loss needs, and nothing else."""

import pytest
import torch

from kgclip.config import PromptConfig
from kgclip.engine.prepare import GraphTargets
from kgclip.engine.step import TrainingStep
from kgclip.models.backbones.registry import load_backbone
from kgclip.models.kgclip import KGCLIP
from kgclip.models.options import LossWeights

ACTIONS = ("wave", "jump", "sit")
MOVEMENTS = ("left arm raise", "right arm raise", "hip bend", "head nod")


def targets() -> GraphTargets:
    """Four clips, of which the first two have edges."""
    performs, shows = torch.zeros(4, 3), torch.zeros(4, 4)
    performs[0, 0] = performs[1, 1] = 1.0
    shows[0, 0], shows[1, 2] = 0.5, 1.0
    consists_of = torch.rand(3, 4, generator=torch.Generator().manual_seed(0))
    return GraphTargets(ACTIONS, MOVEMENTS, performs, shows, consists_of, torch.tensor([1, 0, 2, 3]))


@pytest.mark.parametrize("every_text", [True, False])
@pytest.mark.parametrize(("shows", "consists_of"), [(1.0, 0.0), (0.0, 1.0), (0.0, 0.0)])
def test_movements_are_encoded_where_a_term_of_the_loss_is_about_them(
    shows: float, consists_of: float, every_text: bool, monkeypatch: pytest.MonkeyPatch
):
    torch.manual_seed(0)
    model = KGCLIP(load_backbone("features:8"), "projected")
    encoded, embed_texts = [], model.embed_texts
    monkeypatch.setattr(model, "embed_texts", lambda texts: encoded.extend(texts) or embed_texts(texts))
    prompts = PromptConfig(action="{name}", movement="{name}")
    weights = LossWeights(shows=shows, consists_of=consists_of)
    step = TrainingStep(model, targets(), prompts, weights, every_text=every_text)
    terms = step(torch.tensor([0, 1]), torch.randn(2, 5, 8), torch.zeros(2, dtype=torch.bool))
    assert {name.partition("_")[2] for name in terms} == {
        "performs",
        *(["shows"] if shows else []),
        *(["consists_of"] if consists_of else []),
    }
    assert all(torch.isfinite(term) for term in terms.values())
    actions, movements = (ACTIONS, MOVEMENTS) if every_text else (ACTIONS[:2], MOVEMENTS[::2])
    assert encoded == [*actions, *(movements if shows or consists_of else ())]
