"""A model to take away: a folder with the drawing (ONNX) and one JSON that says everything else."""

import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from kgclip.data.loader import worker_deaths
from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.evaluate import Evaluation, frames_source
from kgclip.engine.exported import (
    FRAMES,
    POSE,
    Exported,
    batches,
    check_packages,
    draw,
    example,
    largest_difference,
    reduce_to_int8,
)
from kgclip.engine.provenance import provenance
from kgclip.errors import KgclipError
from kgclip.files import atomic_folder, write_json
from kgclip.kg.schema import ENTITY_KINDS, RELATIONS
from kgclip.locks import claim_output
from kgclip.models.portable import Portable
from kgclip.pose.numbers import number_names

FORMAT = "kgclip.export/1"
MODEL_FILE, INT8_FILE, JSON_FILE = "model.onnx", "model.int8.onnx", "model.json"
# What onnxruntime may differ by from torch; more is a mistake, and nothing is written.
TOLERANCE = 1e-4
MEANINGS = {
    "s_mm": "S_mm of every action",
    "s_tri": "S_tri of every action",
    "s_pose": "S_pose of every action; 0 for clips without a pose",
    "s_path": "path evidence of every action",
    "s_output": "S_output: S_mm and S_tri, and S_pose, in one",
    "score": "S_output and path evidence in one, which ranks the actions",
    "probability": "softmax of the score over the temperature",
    "shares": "estimated share of every movement in the clip",
    "contributions": "what every movement adds to the score of every action",
}


def export(
    checkpoint: Checkpoint, out: Path, evaluation: Evaluation | None = None, *, int8: bool = False, workers: int = 2
) -> dict[str, Any]:
    """Write a model as ONNX into a folder that is not there yet, whole or not at all.

    Args:
        checkpoint: the model; one that was trained in bf16 computes in float32 from here on.
        out: the folder.
        evaluation: clips to compare it on with torch.
        int8: write a second model too, whose image tower computes on bytes, measured on these clips.
        workers: processes that decode.

    Returns:
        What the folder's JSON says.

    Raises:
        KgclipError: a package is missing, torch cannot draw the model, onnxruntime says something else than torch, or
            int8 is asked for without clips or of a model without image tower.
    """
    check_packages()
    claim_output(out, "--onnx")
    if int8 and evaluation is None:
        raise KgclipError("--int8: costs accuracy, which has to be measured; name clips with --data")
    if int8 and "image" not in checkpoint.model.backbone.towers():
        raise KgclipError("--int8: makes the image tower smaller, and this model takes features; leave the option out")
    checkpoint.model.backbone.in_bf16 = False
    portable = Portable(checkpoint.model.cpu())
    with atomic_folder(out) as folder:
        draw(portable, folder / MODEL_FILE)
        exported = Exported(folder / MODEL_FILE)
        stated = {"on_noise": check_on_noise(portable, exported), "on_clips": None, "int8": None}
        if int8:
            reduce_to_int8(folder / MODEL_FILE, folder / INT8_FILE)
        if evaluation is not None:
            files = {"onnx": exported} | ({"int8": Exported(folder / INT8_FILE)} if int8 else {})
            stated |= compare(checkpoint, portable, files, evaluation, workers)
        description = describe(checkpoint, portable) | {"compared_with_torch": stated}
        write_json(folder / JSON_FILE, description)
    return description


def check_on_noise(portable: Portable, exported: Exported) -> float:
    """The largest difference from torch on clips of noise, of every number of frames that has a solution.

    Raises:
        KgclipError: it is more than TOLERANCE.
    """
    counts = portable.model.solved.counts
    found = []
    for clips, frames in [(2, count) for count in counts] + [(1, 1)]:
        inputs = example(portable, clips, frames)
        with torch.no_grad():
            found.append(largest_difference(exported.run(*inputs), portable(*inputs)))
    if max(found) > TOLERANCE:
        raise KgclipError(
            f"export: onnxruntime differs from torch by {max(found):.1g}, more than {TOLERANCE:g}; nothing was written"
        )
    return max(found)


@worker_deaths()
def compare(
    checkpoint: Checkpoint, portable: Portable, files: dict[str, Exported], evaluation: Evaluation, workers: int
) -> dict[str, Any]:
    """Torch and what was exported on the same clips: differences, accuracy, and seconds a clip."""
    source = frames_source(checkpoint, evaluation, checkpoint.config.frames, workers)
    labels, numbers = evaluation.labels, evaluation.numbers
    runs: dict[str, Any] = {"torch": portable} | {name: file.run for name, file in files.items()}
    guesses = {name: torch.zeros_like(labels) for name in runs}
    seconds, worst = dict.fromkeys(runs, 0.0), dict.fromkeys(runs, 0.0)
    for index, inputs in batches(source, numbers):
        torch_says: dict[str, torch.Tensor] = {}
        for name, run in runs.items():
            started = time.perf_counter()
            with torch.no_grad():
                says = run(*inputs)
            seconds[name] += time.perf_counter() - started
            torch_says = torch_says or says
            guesses[name][index] = says["score"].argmax(dim=1)
            worst[name] = max(worst[name], largest_difference(says, torch_says))
    top1 = {name: float((guess == labels).double().mean()) for name, guess in guesses.items()}

    def row(name: str) -> dict[str, Any]:
        return {
            "clips": len(labels),
            "frames": checkpoint.config.frames,
            "largest_difference": worst[name],
            "top1_torch": top1["torch"],
            "top1": top1[name],
            "same_first_action": float((guesses[name] == guesses["torch"]).double().mean()),
            "time_by_time_of_torch": seconds[name] / seconds["torch"],
        }

    return {"on_clips": row("onnx"), "int8": row("int8") if "int8" in files else None}


def describe(checkpoint: Checkpoint, portable: Portable) -> dict[str, Any]:
    """Everything but the drawing that a program needs to recognize actions with it, as plain JSON values."""
    model, unknown = portable.model, checkpoint.unknown
    with torch.no_grad():
        outputs = portable(*example(portable, 1, 1))
    axes = {"shares": ["batch", "movements"], "contributions": ["batch", "actions", "movements"]}
    return {
        "format": FORMAT,
        "inputs": _inputs(portable),
        "outputs": {
            name: {"axes": axes.get(name, ["batch", "actions"]), "what": what}
            for name, what in MEANINGS.items()
            if name in outputs
        },
        "frames": {"trained": checkpoint.config.frames, "at_most": portable.most_frames, "solved": model.solved.counts},
        "preprocessing": _preprocessing(checkpoint),
        "actions": list(checkpoint.actions),
        "movements": list(checkpoint.movements),
        "graph": _graph(checkpoint),
        "calibration": {
            "temperature": float(model.temperature),
            "unknown_below": None if unknown is None else unknown.value,
            "chosen_as": None if unknown is None else str(unknown),
        },
        "trained_in": checkpoint.config.optim.precision,
        "computes_in": "float32",
        "provenance": provenance(checkpoint) | {"graph": checkpoint.graph.hash, "split": checkpoint.split.hash},
    }


def _inputs(portable: Portable) -> dict[str, Any]:
    frames, *numbers = example(portable, 1, 1)
    inputs: dict[str, Any] = {FRAMES: {"type": "float32", "shape": ["batch", "frames", *frames.shape[2:]]}}
    if numbers:
        names = number_names()
        inputs[POSE] = {
            "type": "float32",
            "shape": ["batch", len(names)],
            "unknown": "NaN; all of them for a clip without a pose",
            "made_by": "kgclip.pose.numbers.clip_numbers, which needs numpy and no torch",
            "numbers": list(names),
        }
    return inputs


def _preprocessing(checkpoint: Checkpoint) -> dict[str, Any]:
    """What becomes of a video before the drawing."""
    backbone = checkpoint.model.backbone
    if not backbone.image_size:
        return {"features_of": backbone.image_identity}
    return {
        "sampling": "frame floor((2 k + 1) n / (2 T)) of n frames, for k = 0 … T - 1",
        "color": "RGB, 0 to 255, as displayed",
        "size": backbone.image_size,
        "resize": "shorter side to size, longer to floor(size · longer / shorter); bicubic (a = -0.5), antialiased, in "
        "bytes, first along rows, as Pillow does",
        "crop": "size × size from floor of half of what is too much",
        "mean": list(backbone.mean),
        "std": list(backbone.std),
        "normalize": "(value / 255 - mean) / std of each channel",
    }


def _graph(checkpoint: Checkpoint) -> dict[str, Any]:
    """The graph's size and hash, and what actions consist of as the model has it."""
    graph, definitions = checkpoint.graph, checkpoint.model.path.definitions
    edges = Counter(RELATIONS[relation].name for relation in graph.triples[:, 1].tolist())
    consists_of = {
        action: {
            checkpoint.movements[m]: round(float(definitions[k, m]), 4) for m in definitions[k].nonzero()[:, 0].tolist()
        }
        for k, action in enumerate(checkpoint.actions)
    }
    return {
        "hash": graph.hash,
        "entities": {kind: len(graph.entities(kind)) for kind in ENTITY_KINDS},
        "edges": dict(edges),
        "consists_of": {action: shares for action, shares in consists_of.items() if shares},
    }
