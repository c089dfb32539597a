"""One training step of both towers of a ViT-B/32, against the released design and against CLIP only."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.harness import Row, compare
from kgclip.config import ModelConfig, TrainConfig, without_graph
from kgclip.data.clip import Clip
from kgclip.data.dataset import DataSet
from kgclip.data.splits import Split
from kgclip.engine.checkpoint import new_head
from kgclip.engine.loop import loss_weights
from kgclip.engine.prepare import Prepared, graph_targets
from kgclip.engine.step import TrainingStep
from kgclip.kg.graph import Edge, KnowledgeGraph
from kgclip.models.backbones.registry import load_backbone
from kgclip.models.kgclip import embed_texts, frame_embeddings
from kgclip.models.losses import two_sided
from kgclip.models.tuning import set_trainable
from tools.random_clip import RandomClip, write_random_clip

NUM_CLIPS, FRAMES, PER_CLIP = 8, 8, 3
# CLIP's own tokenizer pads every text to this length.
TOKENS = 77
PERFORMS, SHOWS, CONSISTS_OF = 0, 1, 2


class ReleasedStep(nn.Module):
    """The loss of the released design, where every item is three triplets that share nothing.

    Written after the published code (docs/method.md, section 7), with the attention inside the triplet: the clip and
    the action of a ``performs`` edge, another clip and the movement of a ``shows`` edge, and the movement of a
    ``consists_of`` edge. The published code encodes that edge's action too; here it is the first edge's, so that there
    are three batches of texts. Pairs with an equal tail are positives.
    """

    def __init__(self, backbone: Any):
        super().__init__()
        dim = backbone.embedding_dim
        layer = nn.TransformerEncoderLayer(dim, dim // 64, 4 * dim, dropout=0.1, activation="gelu", batch_first=True)
        self.backbone, self.transformer = backbone, nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        # Of each relation and its inverse, for the head and the tail.
        self.relation = nn.Parameter(0.02 * torch.randn(6, 2, dim))
        self.noise = nn.Parameter(torch.randn(dim))
        self.logit_scale = nn.Parameter(torch.tensor(float(backbone.logit_scale_init)))

    def clips(self, frames: Float[Tensor, "B T C H W"]) -> Float[Tensor, "B D"]:
        """The mean over frames."""
        return self.backbone.encode_image(frames.flatten(0, 1)).view(*frames.shape[:2], -1).mean(dim=1)

    def texts(self, ids: Int[Tensor, "B L"]) -> Float[Tensor, "B D"]:
        """Tokens through the text tower."""
        return self.backbone.model.get_text_features(input_ids=ids).pooler_output

    def cosine(self, heads: Float[Tensor, "B D"], relation: int, tails: Float[Tensor, "B D"]) -> Float[Tensor, "B B"]:
        """Of all heads and tails after the transformer over [head, relation, relation, tail]."""
        first, second = self.relation[relation].expand(len(heads), -1, -1).unbind(dim=1)
        tokens = torch.stack([heads, first, second, tails], dim=1)
        head, first, second, tail = (self.transformer(tokens) + tokens).unbind(dim=1)
        return cosines(head * first - self.noise, second * tail)

    def relation_loss(
        self, relation: int, heads: Float[Tensor, "B D"], tails: Float[Tensor, "B D"], same: Bool[Tensor, "B B"]
    ) -> Float[Tensor, ""]:
        """Of the embeddings, and of both directions of the triplet."""
        scale, weights = self.logit_scale.exp(), same.float()
        forward, backward = self.cosine(heads, relation, tails), self.cosine(tails, relation + 3, heads)
        triplet = two_sided(torch.stack([forward, backward]), weights, scale).mean()
        return triplet + two_sided(cosines(heads, tails), weights, scale)

    def forward(
        self,
        frames: Float[Tensor, "2 B T C H W"],
        ids: Int[Tensor, "3 B L"],
        tails: Int[Tensor, "3 B"],
    ) -> Float[Tensor, ""]:
        """The sum over the relations ``performs``, ``shows``, ``consists_of``.

        Args:
            frames: of the clips of ``performs`` and of those of ``shows``.
            ids, tails: tokens and numbers of each relation's tails.
        """
        performing, showing = self.clips(frames[0]), self.clips(frames[1])
        actions, movements, parts = (self.texts(some) for some in ids)
        pairs = ((performing, actions), (showing, movements), (actions, parts))
        same = tails[:, :, None] == tails[:, None]
        return torch.stack([self.relation_loss(r, *pairs[r], same[r]) for r in (PERFORMS, SHOWS, CONSISTS_OF)]).sum()


def cosines(heads: Float[Tensor, "B D"], tails: Float[Tensor, "B D"]) -> Float[Tensor, "B B"]:
    """Of every head with every tail."""
    return F.normalize(heads, dim=-1) @ F.normalize(tails, dim=-1).T


def clips_of(num_clips: int) -> Prepared:
    """Clips with an action each, every other one with movements, as in the published graph."""
    edges = [Edge(f"{index}", "performs", f"action {index}") for index in range(num_clips)]
    for number in range(PER_CLIP * num_clips):
        index, shown = number // PER_CLIP, f"left arm state {number}"
        if index % 2 == 0:
            edges.append(Edge(f"{index}", "shows", shown, 0.5))
            edges.append(Edge(f"action {index}", "consists_of", shown, 0.5))
    names = tuple(str(index) for index in range(num_clips))
    clips = tuple(Clip(name, Path(name), f"action {name}", name, None) for name in names)
    return Prepared(DataSet(Path(), clips, None, None), Split(names, (), (), names), KnowledgeGraph.from_edges(edges))


def our_step(
    backbone: Any, num_clips: int, *, graph: bool = True, frames: int = FRAMES, device: str = "cpu"
) -> Callable[[], Any]:
    """One step of the engine's loss as the published settings have it: both towers train, in bf16."""
    config = TrainConfig(Path(), Path(), model=ModelConfig(head="gradient", tuning="full"))
    config, prepared = config if graph else without_graph(config), clips_of(num_clips)
    targets = graph_targets(prepared, prepared.split.train, tuple(prepared.dataset.actions), graph=graph)
    set_trainable(backbone, "full")
    head = new_head(config, backbone)
    step = TrainingStep(backbone, head, targets, config.prompts, loss_weights(config), every_text=False)
    given, index = _frames(backbone, num_clips, frames).to(device), torch.arange(num_clips)
    flipped = torch.zeros(num_clips, dtype=torch.bool)
    return _optimized(step, lambda module: torch.stack(list(module(index, given, flipped).values())).sum(), device)


class Towers(nn.Module):
    """The towers of a step without what follows them: as many frames and texts, and a loss that costs nothing."""

    def __init__(self, backbone: Any):
        super().__init__()
        self.backbone = backbone

    def forward(self, frames: Float[Tensor, "B T C H W"], texts: Sequence[str]) -> Float[Tensor, ""]:
        """The mean square of all embeddings."""
        embeddings = frame_embeddings(self.backbone, frames).flatten(0, 1), embed_texts(self.backbone, texts)
        return torch.cat(embeddings).square().mean()


def towers_step(backbone: Any, num_clips: int, *, frames: int = FRAMES, device: str = "cpu") -> Callable[[], Any]:
    """One step of the towers alone, with the frames and texts of :func:`our_step`."""
    prepared, prompts = clips_of(num_clips), TrainConfig(Path(), Path()).prompts
    names = graph_targets(prepared, prepared.split.train, tuple(prepared.dataset.actions), graph=True).names
    texts = [text for kind in ("action", "movement") for text in prompts.around(kind, names[kind])]
    set_trainable(backbone, "full")
    given = _frames(backbone, num_clips, frames).to(device)
    return _optimized(Towers(backbone), lambda module: module(given, texts), device)


def released_step(backbone: Any, num_clips: int) -> Callable[[], Any]:
    """One step of the released design: the same towers, precision and optimizer as ours."""
    ids, tails = torch.randint(2, 400, (3, num_clips, TOKENS)), torch.arange(num_clips).expand(3, -1)
    frames = torch.stack([_frames(backbone, num_clips) for _ in range(2)])
    return _optimized(ReleasedStep(backbone.requires_grad_(True)), lambda module: module(frames, ids, tails))


def _frames(backbone: Any, num_clips: int, frames: int = FRAMES) -> Float[Tensor, "B T 3 H W"]:
    return torch.randn(num_clips, frames, 3, backbone.image_size, backbone.image_size)


def _optimized(module: nn.Module, loss: Callable[[Any], Tensor], device: str = "cpu") -> Callable[[], Any]:
    fabric = Fabric(accelerator=device, devices=1, precision="bf16-mixed")
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-5, betas=(0.9, 0.98), weight_decay=0.2, fused=True)
    wrapped, optimizer = fabric.setup(module, optimizer)

    def step() -> None:
        fabric.backward(loss(wrapped))
        optimizer.step()
        optimizer.zero_grad()

    return step


def benchmark() -> list[Row]:
    """Against the released design, and what the graph adds to a step of CLIP alone."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        write_random_clip(RandomClip(Path(folder), "ViT-B/32"))
        return rows_of(load_backbone(folder), NUM_CLIPS)


def rows_of(backbone: Any, num_clips: int) -> list[Row]:
    """Both comparisons on that backbone."""
    what = f"training step, ViT-B/32, {num_clips} × {FRAMES} frames"
    ours, alone = our_step(backbone, num_clips), our_step(backbone, num_clips, graph=False)
    released = released_step(backbone, num_clips)
    return [
        compare(what, ours, released, "the released design: twice the clips, all texts", goal=1.9),
        # At most 5 % more time than without the graph is a ratio of at least 1 / 1.05.
        compare(f"{what}, with the graph", ours, alone, "the same without the graph (CLIP only)", goal=0.952),
    ]
