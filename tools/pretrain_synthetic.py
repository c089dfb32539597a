"""Pre-train the synthetic CLIP and write its weights, log and figures.

    python -m tools.pretrain_synthetic

Two stages, both contrastive over all captions. First the image encoder learns against a table that holds one free
vector per caption; then the text encoder learns to give those vectors for the captions while the image encoder is
locked (locked-image tuning, arXiv 2111.07991). Training both at once from nothing is several times slower here: all
embeddings first collapse onto one direction.
"""

import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from kgclip.models.backbones.synthetic import WEIGHTS, SyntheticBackbone
from kgclip.synthetic.encoders import ImageConfig, TextConfig
from tools.coarse_captions import Routines, draw_frames, draw_routines
from tools.linear_probe import embed_frames, make_probe_clips, probe
from tools.pretraining_record import write_record, write_weights

DOCS = Path(__file__).resolve().parents[1] / "docs"
_BETAS = (0.9, 0.98)
_WEIGHT_DECAY = 0.05
_FIRST_SCALE = 14.3  # CLIP's initial 1 / 0.07
_LAST_SCALE = 100.0
_ZERO_SHOT = "a video of a person doing {}"


@dataclass(frozen=True)
class Pretraining:
    """How the synthetic CLIP is pre-trained.

    Args:
        captions: number of routines, each a random composition under one caption.
        steps: of the image encoder.
        batch: frames a step, each drawn anew.
        lr: peak learning rate of the image encoder.
        text_steps: of the text encoder, all captions a step.
        text_lr: its peak learning rate.
        warmup: steps in which the learning rate rises.
        seed: of weights and data.
        probe_seed: of the clips on which the linear probe is trained and tested.
        weights: file to write.
        docs: folder for log and figures.
    """

    captions: int = 400
    steps: int = 2400
    batch: int = 256
    lr: float = 2e-3
    text_steps: int = 150
    text_lr: float = 2e-3
    warmup: int = 50
    seed: int = 0
    probe_seed: int = 1000
    weights: Path = WEIGHTS
    docs: Path = DOCS


def pretrain(options: Pretraining) -> None:
    """Run both stages, measure, and write weights, log and figures."""
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    routines = draw_routines(rng, options.captions)
    backbone = SyntheticBackbone(ImageConfig(), TextConfig())
    log: list[dict] = []
    start = time.process_time()
    table, scale = train_image_encoder(backbone, routines, rng, options, log)
    image_s = time.process_time() - start
    train_text_encoder(backbone, routines, table, options, log)
    backbone.eval()
    speed = {
        "training_images_per_s": round(options.steps * options.batch / image_s),
        "image_cpu_s": round(image_s),
        "total_cpu_s": round(time.process_time() - start),
        "encoding_images_per_s": round(encoding_speed(backbone)),
    }
    settings = {key: value for key, value in vars(options).items() if not isinstance(value, Path)}
    figures = {"options": settings, "speed": speed, "logit_scale": scale, **measure(backbone, routines, options)}
    figures["torch"] = torch.__version__
    write_weights(options.weights, backbone, figures)
    write_record(options.docs, log, figures)
    print(json.dumps(figures, indent=2))


def train_image_encoder(
    backbone: SyntheticBackbone, routines: Routines, rng: np.random.Generator, options: Pretraining, log: list[dict]
) -> tuple[Float[Tensor, "C D"], float]:
    """Train the image encoder against one free vector per caption; return the unit vectors and the logit scale.

    The embeddings are standardized per dimension over the batch, which keeps them from collapsing; at the end this is
    folded into the projection, so that an image's embedding depends on that image alone.
    """
    encoder = backbone.image_encoder.train()
    table = nn.Embedding(options.captions, backbone.embedding_dim)
    standardize = nn.BatchNorm1d(backbone.embedding_dim, affine=False)
    logit_scale = nn.Parameter(torch.tensor(math.log(_FIRST_SCALE)))
    optimizer = _optimizer([encoder], [table.weight, logit_scale], options.lr)
    start = time.process_time()
    for step in _schedule(optimizer, options.lr, options.warmup, options.steps):
        chosen = rng.integers(0, options.captions, options.batch)
        pixels = to_pixels(draw_frames(rng, routines.codes[chosen]), backbone)
        with torch.autocast("cpu", torch.bfloat16):
            embeddings = encoder(pixels)
        images = functional.normalize(standardize(embeddings.float()), dim=-1)
        scale = logit_scale.exp().clamp(max=_LAST_SCALE)
        logits = scale * images @ functional.normalize(table.weight, dim=-1).T
        target = torch.from_numpy(chosen)
        loss = functional.cross_entropy(logits, target)
        _descend(loss, optimizer)
        if (step + 1) % 50 == 0:
            accuracy = (logits.argmax(1) == target).float().mean().item()
            elapsed = time.process_time() - start
            log.append({
                "stage": "image", "step": step + 1, "loss": loss.item(), "accuracy": accuracy,
                "logit_scale": scale.item(), "cpu_s": elapsed, "images_per_s": (step + 1) * options.batch / elapsed,
            })  # fmt: skip
            _report(log[-1])
    _fold(standardize, encoder.projection)
    return functional.normalize(table.weight.detach(), dim=-1), logit_scale.exp().clamp(max=_LAST_SCALE).item()


def train_text_encoder(
    backbone: SyntheticBackbone, routines: Routines, table: Float[Tensor, "C D"], options: Pretraining, log: list[dict]
) -> None:
    """Train the text encoder so that each caption's embedding is that caption's vector, image encoder locked."""
    encoder = backbone.text_encoder.train()
    optimizer = _optimizer([encoder], [], options.text_lr)
    target = torch.arange(len(table))
    start = time.process_time()
    for step in _schedule(optimizer, options.text_lr, options.warmup, options.text_steps):
        texts = functional.normalize(encoder(routines.captions), dim=-1)
        logits = _FIRST_SCALE * texts @ table.T
        loss = (functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)) / 2
        _descend(loss, optimizer)
        if (step + 1) % 50 == 0:
            log.append({
                "stage": "text", "step": step + 1, "loss": loss.item(),
                "accuracy": (logits.argmax(1) == target).float().mean().item(),
                "cosine": (texts * table).sum(1).mean().item(), "cpu_s": time.process_time() - start,
            })  # fmt: skip
            _report(log[-1])


def to_pixels(frames: np.ndarray, backbone: SyntheticBackbone) -> Float[Tensor, "N 3 S S"]:
    """Resize and normalize frames as `kgclip.video.transforms.preprocess` does."""
    images = torch.from_numpy(frames).permute(0, 3, 1, 2)
    images = functional.interpolate(images, (backbone.image_size,) * 2, mode="bicubic", antialias=True)
    mean, std = (torch.tensor(values)[:, None, None] for values in (backbone.mean, backbone.std))
    return (images / 255 - mean) / std


def measure(backbone: SyntheticBackbone, routines: Routines, options: Pretraining) -> dict:
    """Return retrieval on new scenes, linear probes on the 24 actions, and zero-shot accuracy on them."""
    rng = np.random.default_rng(options.probe_seed)
    chosen = np.arange(options.captions).repeat(5)
    pixels = to_pixels(draw_frames(rng, routines.codes[chosen]), backbone)
    images = functional.normalize(embed_frames(backbone, pixels[:, None])[:, 0], dim=-1)
    with torch.inference_mode():
        captions = functional.normalize(backbone.encode_text(routines.captions), dim=-1)
    found = (images @ captions.T).argmax(1).numpy() == chosen
    clips = make_probe_clips(backbone, 20, options.probe_seed)
    with torch.inference_mode():
        names = functional.normalize(backbone.encode_text([_ZERO_SHOT.format(name) for name in clips.actions]), dim=-1)
    test = functional.normalize(embed_frames(backbone, clips.test[0]).mean(1), dim=-1)
    return {
        "retrieval_top1": float(found.mean()),
        "probe": {str(count): probe(backbone, clips, count) for count in (10, 20)},
        "probe_test_clips": len(clips.test[1]),
        "zero_shot_top1": float(((test @ names.T).argmax(1).numpy() == clips.test[1]).mean()),
    }


def encoding_speed(backbone: SyntheticBackbone) -> float:
    """Return images a second of CPU time, bfloat16, batches of 256."""
    pixels = torch.rand(4, 256, 3, backbone.image_size, backbone.image_size)
    embed_frames(backbone, pixels[:1])
    start = time.process_time()
    embed_frames(backbone, pixels)
    return pixels.shape[0] * pixels.shape[1] / (time.process_time() - start)


def _optimizer(encoders: list[nn.Module], free: list[Tensor], lr: float) -> torch.optim.Optimizer:
    """Decay matrices and filters; not biases, norms, embeddings (most rows wait for words to come) and free vectors."""
    embeddings = {m.weight for encoder in encoders for m in encoder.modules() if isinstance(m, nn.Embedding)}
    weights = [parameter for encoder in encoders for parameter in encoder.parameters()]
    decayed = [weight for weight in weights if weight.ndim > 1 and weight not in embeddings]
    others = [weight for weight in weights if weight.ndim <= 1 or weight in embeddings]
    groups = [{"params": decayed, "weight_decay": _WEIGHT_DECAY}, {"params": others + free, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=lr, betas=_BETAS)


def _schedule(optimizer: torch.optim.Optimizer, peak: float, warmup: int, steps: int) -> Iterator[int]:
    """Count the steps; the learning rate rises linearly, then falls to 0 along a cosine."""
    for step in range(steps):
        rate = peak * min(1, (step + 1) / warmup) * (1 + math.cos(math.pi * step / steps)) / 2
        for group in optimizer.param_groups:
            group["lr"] = rate
        yield step


def _descend(loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_([weight for group in optimizer.param_groups for weight in group["params"]], 1.0)
    optimizer.step()


@torch.no_grad()
def _fold(standardize: nn.BatchNorm1d, projection: nn.Linear) -> None:
    """Let the projection do what the standardization does with its running statistics."""
    running = standardize.state_dict()
    factor = (running["running_var"] + standardize.eps).rsqrt()
    projection.bias.copy_((projection.bias - running["running_mean"]) * factor)
    projection.weight.mul_(factor[:, None])


def _report(row: dict) -> None:
    print(
        " ".join(f"{key} {value:.3f}" if isinstance(value, float) else f"{key} {value}" for key, value in row.items())
    )


if __name__ == "__main__":
    pretrain(tyro.cli(Pretraining))
