"""A CLIP ViT-B/16 on this processor in bf16, as a share of the speed of its matrix products."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from kgclip.engine.rehearsal import RandomFrames
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.harness import Row, compare, once_s
from kgclip.config import ModelConfig, OptimConfig, TrainConfig, without_graph
from kgclip.data.clip import Clip
from kgclip.data.dataset import DataSet
from kgclip.data.splits import Split
from kgclip.engine.checkpoint import build_model
from kgclip.engine.loop import Sources, Trainer
from kgclip.engine.prepare import Prepared, graph_targets
from kgclip.engine.state import TrainingState
from kgclip.kg.graph import Edge, KnowledgeGraph
from kgclip.models.backbones.base import Backbone
from kgclip.models.backbones.registry import build_backbone
from kgclip.models.tuning import set_trainable

FRAMES = 8
# Movements of each annotated clip; as in the published graph half of the clips are annotated.
PER_CLIP = 3
WORDS = ["a", "video", "of", "person", "doing", "whose", "action", "left", "arm", "state"]
# Sides of the square products that are tried for the peak.
SIDES = (1024, 2048, 4096)


@dataclass(frozen=True)
class Shape:
    """Sizes of a CLIP; the defaults are those of ViT-B/16.

    Attributes:
        patch, image: pixels.
        width, text_width, embedding: dimensions; heads have 64.
        layers: of both towers.
        vocabulary: tokens that the text tower knows.
    """

    patch: int = 16
    image: int = 224
    width: int = 768
    text_width: int = 512
    embedding: int = 512
    layers: int = 12
    vocabulary: int = 49408


def random_clip(shape: Shape) -> Backbone:
    """A CLIP with random weights; its tokenizer makes one token of a word, as CLIP's own mostly does."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    names = ["<start>", "<end>", "<other>", *WORDS, *map(str, range(1000))]
    tokenizer = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, unk_token="<other>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<start> $A <end>", special_tokens=[("<start>", 0), ("<end>", 1)]
    )

    def tower(width: int) -> dict[str, int]:
        sizes = {"hidden_size": width, "intermediate_size": 4 * width, "num_attention_heads": max(1, width // 64)}
        return {**sizes, "num_hidden_layers": shape.layers}

    config = {
        "model_type": "clip",
        "projection_dim": shape.embedding,
        "vision_config": {**tower(shape.width), "patch_size": shape.patch, "image_size": shape.image},
        "text_config": {
            **tower(shape.text_width),
            **{"vocab_size": max(shape.vocabulary, len(names)), "max_position_embeddings": 77},
            **{"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1},
        },
    }
    spec = {"kind": "clip", "config": config, "mean": [0.5] * 3, "std": [0.5] * 3, "logit_scale_init": 2.66}
    return build_backbone(spec | {"tokenizer": {"json": tokenizer.to_str(), "pad_token": "<end>"}}).eval()


def prepared(num_clips: int) -> Prepared:
    """Clips with an action each, every other with movements."""
    names = tuple(f"{index:04d}" for index in range(num_clips))
    edges = [Edge(name, "performs", f"action {index}") for index, name in enumerate(names)]
    for index, name in enumerate(names):
        for movement in range(PER_CLIP if index % 2 == 0 else 0):
            shown = f"left arm state {PER_CLIP * index + movement}"
            edges += [Edge(name, "shows", shown, 0.5), Edge(f"action {index}", "consists_of", shown, 0.5)]
    clips = tuple(Clip(name, Path(name), f"action {index}", name, None) for index, name in enumerate(names))
    split = Split(names, (), (), names)
    return Prepared(DataSet(Path(), clips, None, None), split, KnowledgeGraph.from_edges(edges))


def training_step(backbone: Backbone, num_clips: int, folder: Path, *, graph: bool = True) -> Callable[[], Any]:
    """One step of the engine as the published settings have it, on random frames: both towers train, in bf16."""
    config = TrainConfig(
        data=folder,
        out=folder / "model",
        frames=FRAMES,
        device="cpu",
        model=ModelConfig(pooling="mean", tuning="full"),
        optim=OptimConfig(epochs=1, batch_size=num_clips, precision="bf16-mixed", texts="batch"),
    )
    config = config if graph else without_graph(config)
    data = prepared(num_clips)
    set_trainable(backbone, config.model.tuning)
    model = build_model(config, backbone, data.graph)
    frames = RandomFrames((FRAMES, 3, backbone.image_size, backbone.image_size), num_clips)
    targets = graph_targets(data.graph, tuple(data.dataset.actions), data.split.train)
    trainer = Trainer(config, data, model, Sources(frames, frames, None), targets, TrainingState(folder, {}))
    module, optimizer = trainer.fabric.setup(trainer.step_module, trainer.optimizer)
    return lambda: trainer.train_epoch(1, module, optimizer, lambda _: None)


def flops(work: Callable[[], Any]) -> int:
    """Floating-point operations of the matrix products in some work."""
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def peak_side() -> int:
    """The side of the square bf16 product with the most operations a second."""

    def speed(side: int) -> float:
        matrix = torch.randn(side, side, dtype=torch.bfloat16)
        return side**3 / min(once_s(lambda: F.linear(matrix, matrix)) for _ in range(3))

    return max(SIDES, key=speed)


def products(num_flops: int, side: int) -> Callable[[], None]:
    """Square bf16 products with that many operations together; the last one has fewer rows."""
    matrix = torch.randn(side, side, dtype=torch.bfloat16)
    full, rest = divmod(round(num_flops / (2 * side**2)), side)

    def work() -> None:
        for _ in range(full):
            F.linear(matrix, matrix)
        F.linear(matrix[:rest], matrix)

    return work


def benchmark(shape: Shape | None = None, num_clips: int = 2) -> list[Row]:
    """Embedding frames, and a whole training step; the ratio is the share of the products' speed."""
    torch.manual_seed(0)
    backbone, side = random_clip(shape or Shape()), peak_side()
    pixels = torch.randn(num_clips * FRAMES, 3, backbone.image_size, backbone.image_size)

    @torch.no_grad()
    def forward() -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return backbone.encode_image(pixels)

    what = f"ViT-B/16, {num_clips} × {FRAMES} frames, bf16"
    against = f"its operations in products of {side:,} × {side:,}"
    rows = [compare(f"{what}: forward", forward, products(flops(forward), side), against, goal=0.6)]
    with tempfile.TemporaryDirectory() as folder:
        step = training_step(backbone, num_clips, Path(folder))
        rows.append(compare(f"{what}: training step", step, products(flops(step), side), against, goal=0.45))
    return rows
