"""The scoring head at test, against the released design and against bare matrix products."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.harness import Row, compare
from kgclip.models.backbones.registry import load_backbone
from kgclip.models.kgclip import KGCLIP

NUM_CLIPS, DIM = 16, 512
ACTIONS = (24, 100, 400, 10_000)
# The released design takes minutes beyond.
MOST_REFERENCE = 400


class ReleasedHead(nn.Module):
    """The released design: every clip–action pair as [head, relation, relation, tail] through three transformer layers.

    Written after the published code (docs/method.md, section 7) with its attention inside the pair. The score is the
    cosine of the outputs at head and tail.
    """

    def __init__(self, dim: int):
        super().__init__()
        layer = nn.TransformerEncoderLayer(dim, 8, 4 * dim, dropout=0.0, activation="gelu", batch_first=True)
        self.transformer = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        self.relation = nn.Parameter(0.02 * torch.randn(2, dim))

    def forward(self, clips: Float[Tensor, "B D"], actions: Float[Tensor, "K D"]) -> Float[Tensor, "B K"]:
        """The score of every pair."""
        num, dim = len(clips) * len(actions), clips.shape[1]
        pairs = torch.stack(
            [
                clips[:, None].expand(-1, len(actions), -1).reshape(num, dim),
                *self.relation[:, None].expand(-1, num, -1),
                actions.expand(len(clips), -1, -1).reshape(num, dim),
            ],
            dim=1,
        )
        output = self.transformer(pairs)
        return F.cosine_similarity(output[:, 0], output[:, -1]).view(len(clips), len(actions))


def head() -> KGCLIP:
    """A model whose embeddings have 512 dimensions, away from the identity."""
    backbone = load_backbone("features:8")
    backbone.embedding_dim = DIM
    model = KGCLIP(backbone, "mean")
    for parameter in model.parameters():
        nn.init.normal_(parameter, 1.0, 0.1)
    return model.eval()


def units(num: int) -> Float[Tensor, "N D"]:
    """Random unit vectors."""
    return F.normalize(torch.randn(num, DIM), dim=-1)


@torch.no_grad()
def benchmark() -> list[Row]:
    """One row for each number of actions, the last against the matrix products that it stands for; and linearity."""
    torch.manual_seed(0)
    model, released, clips = head(), ReleasedHead(DIM).eval(), units(NUM_CLIPS)
    rows = []
    for num_actions in ACTIONS:
        actions = units(num_actions)
        ours = _scores(model, clips, actions)
        name = f"scoring head, {NUM_CLIPS} clips × {num_actions:,} actions"
        if num_actions <= MOST_REFERENCE:
            goal = 1000.0 if num_actions == 100 else None
            rows.append(compare(name, ours, lambda a=actions: released(clips, a), "the released design", goal=goal))
        else:
            rows.append(
                compare(name, ours, lambda a=actions: _products(clips, a), "its three matrix products", goal=1.0)
            )
    many = units(ACTIONS[-1])
    pieces = [_scores(model, clips, some) for some in many.split(ACTIONS[-2])]
    name = f"scoring head, {ACTIONS[-1]:,} actions at once"
    against = f"{len(pieces)} times {ACTIONS[-2]} actions"
    rows.append(compare(name, _scores(model, clips, many), lambda: [score() for score in pieces], against, goal=0.8))
    return rows


def _scores(model: KGCLIP, clips: Float[Tensor, "B D"], actions: Float[Tensor, "K D"]) -> Callable[[], Tensor]:
    """As in evaluation, where what is needed of the actions is known before the first clip comes."""
    lengths = model.lengths(actions)
    return lambda: model.halves(clips, actions, lengths).output


def _products(clips: Float[Tensor, "B D"], actions: Float[Tensor, "K D"]) -> Float[Tensor, "B K"]:
    return clips @ actions.T + clips @ actions.T + clips @ actions.T
