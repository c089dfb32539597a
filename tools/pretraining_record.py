"""What a pre-training leaves behind: weights with their origin, a log, a figure, and the table of its page."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from kgclip.models.backbones.base import Backbone

COMMAND = "python -m tools.pretrain_synthetic"
_BEGIN, _END = "<!-- figures: written by tools.pretrain_synthetic -->\n", "<!-- end of figures -->\n"


def write_weights(path: Path, backbone: Backbone, figures: dict) -> None:
    """Write the weights in half precision, with the spec, the command and the figures in the header, atomically."""
    weights = {name: tensor.half().contiguous() for name, tensor in backbone.state_dict().items()}
    lost = [name for name, tensor in weights.items() if not torch.isfinite(tensor).all()]
    if lost:
        raise ValueError(f"half precision does not hold {lost[0]}")
    metadata = {"spec": json.dumps(backbone.spec), "command": COMMAND, "figures": json.dumps(figures)}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    save_file(weights, temporary, metadata)
    temporary.chmod(0o644)
    temporary.replace(path)


def write_record(docs: Path, log: list[dict], figures: dict) -> None:
    """Write the log (JSONL), the figures (JSON), the curves (PNG) and the table of synthetic_clip.md."""
    generated = docs / "generated"
    generated.mkdir(parents=True, exist_ok=True)
    (docs / "images").mkdir(exist_ok=True)
    (generated / "synthetic_pretraining.jsonl").write_text("".join(f"{json.dumps(_rounded(row))}\n" for row in log))
    (generated / "synthetic_pretraining.json").write_text(json.dumps(figures, indent=2) + "\n")
    _draw_curves(docs / "images" / "synthetic_pretraining.png", log)
    page = docs / "synthetic_clip.md"
    if page.is_file():
        before, _, rest = page.read_text().partition(_BEGIN)
        _, _, after = rest.partition(_END)
        page.write_text(before + _BEGIN + _table(figures) + _END + after)


def _rounded(row: dict) -> dict:
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()}


def _table(figures: dict) -> str:
    options, speed, probes = figures["options"], figures["speed"], figures["probe"]
    rows = [
        ("Captions, frames drawn", f"{options['captions']}, {options['steps'] * options['batch']:,}"),
        (
            "Processor time, one core",
            f"{speed['total_cpu_s'] / 60:.1f} min, of it {speed['image_cpu_s'] / 60:.1f} for the image encoder",
        ),
        ("Training, drawing included", f"{speed['training_images_per_s']:,} images/s"),
        ("Encoding", f"{speed['encoding_images_per_s']:,} images/s"),
        ("Caption of a frame in a new scene, top-1", f"{figures['retrieval_top1']:.1%} of {options['captions']}"),
        *(
            (
                f"24 actions, linear probe, {count} clips an action, top-1",
                f"{top1['mean']:.1%} mean pooling, {top1['statistics']:.1%} statistics pooling",
            )
            for count, top1 in probes.items()
        ),
        ("24 actions by their names alone (chance 4.2%)", f"{figures['zero_shot_top1']:.1%}"),
    ]
    return "\n| | |\n|---|---|\n" + "".join(f"| {name} | {value} |\n" for name, value in rows) + "\n"


def _draw_curves(path: Path, log: list[dict]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3), layout="constrained")
    axes = figure.subplots(1, 2)
    for axis, stage in zip(axes, ("image", "text"), strict=True):
        rows = [row for row in log if row["stage"] == stage]
        steps = [row["step"] for row in rows]
        axis.plot(steps, [row["loss"] for row in rows], color="tab:red")
        axis.set(title=f"{stage} encoder", xlabel="step", ylabel="loss (red)")
        right = axis.twinx()
        right.plot(steps, [row["accuracy"] for row in rows], color="tab:blue")
        right.set(ylabel="caption top-1 (blue)", ylim=(0, 1))
    figure.savefig(path, dpi=110)
