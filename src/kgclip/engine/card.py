"""The card of a model (README.md of its folder): what is recorded and measured of it, and nothing else."""

import dataclasses
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kgclip.config import TrainConfig
from kgclip.data.wording import count_of
from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.left_out import summarize
from kgclip.kg.schema import ENTITY_KINDS, RELATIONS

CARD_FILE = "README.md"
UNKNOWN_LICENSE = "unknown"
MOST_CONFUSIONS = 5


@dataclass(frozen=True)
class Measured:
    """An evaluation on clips that the model never saw.

    Attributes:
        data: the data set that holds them.
        data_hash: of these clips (:func:`kgclip.data.fingerprint.data_hash`).
        clips, sources: how many.
        figures: rows with ``key``, ``label``, ``value``, ``interval`` and ``what``.
        note: what the intervals are.
        recognized_as: of each action, what its clips were given, with the number of clips.
    """

    data: str
    data_hash: str
    clips: int
    sources: int
    figures: Sequence[Mapping[str, Any]]
    note: str
    recognized_as: Mapping[str, Mapping[str, int]]


def model_card(checkpoint: Checkpoint, measured: Measured | None = None, license: str = UNKNOWN_LICENSE) -> str:
    """The card as Markdown, with the head that hubs read.

    Args:
        checkpoint: the model.
        measured: an evaluation; None where none is at hand, which the card says.
        license: identifier of the license under which the model is given on.
    """
    sections = {
        "Data": _data(checkpoint, measured),
        "How good it is": _figures(checkpoint, measured),
        "What it confuses": _confusions(checkpoint, measured),
        "Graph": _graph(checkpoint),
        "Limits": _limits(checkpoint, measured),
        "To make it again": _again(checkpoint),
    }
    body = "\n".join(f"## {title}\n\n" + "\n".join(lines) + "\n" for title, lines in sections.items())
    actions = ", ".join(checkpoint.actions)
    first = f"Recognizes {len(checkpoint.actions)} actions in short videos, and says by which movements: {actions}."
    return f"{_head(measured, license)}\n# kgclip model\n\n{first}\n\n{_USE}\n{body}"


_USE = """```python
from kgclip import Recognizer

recognizer = Recognizer.from_pretrained("FOLDER")
print(recognizer.predict("clip.mp4").actions[0].action)
```
"""


def _head(measured: Measured | None, license: str) -> str:
    lines = ["---", "library_name: kgclip", "pipeline_tag: video-classification", f"license: {license}"]
    lines += ["tags:", "- action-recognition", "- knowledge-graph"]
    if measured is not None:
        lines += ["model-index:", "- name: kgclip model", "  results:", "  - task:", "      type: video-classification"]
        lines += [
            "    dataset:",
            f"      name: {Path(measured.data).name!r}",
            f"      type: {measured.data_hash[:16]!r}",
        ]
        lines += ["    metrics:"]
        for row in measured.figures:
            lines += [f"    - type: {row['key']}", f"      name: {row['label']}", f"      value: {row['value']}"]
    return "\n".join([*lines, "---", ""])


def _data(checkpoint: Checkpoint, measured: Measured | None) -> list[str]:
    split, made = checkpoint.split, checkpoint.summary
    clips, labeled = made.get("train_clips", len(split.train)), made.get("labeled_clips", len(split.labelled))
    added = len(split.train) - clips
    lines = [
        f"- Trained on `{checkpoint.config.data}`: {clips} clips, {labeled} of them labeled; "
        f"{len(split.val)} for validation, {len(split.test)} for the test.",
        *([f"- `kgclip add-action` gave it {count_of(added, 'clip')} more."] if added else []),
        f"- Split: `{split.hash}`. Clips of one recording are on one side where their source is known.",
    ]
    if measured is not None:
        lines.append(f"- Measured on `{measured.data}`, the videos and labels with the SHA-256 `{measured.data_hash}`.")
    return lines


def _figures(checkpoint: Checkpoint, measured: Measured | None) -> list[str]:
    lines = []
    if measured is None:
        lines = ["No evaluation is at hand: `kgclip card MODEL --data DATA` measures the model on clips it never saw."]
    else:
        lines = [f"On {measured.clips} clips of {measured.sources} recordings that it never saw ({measured.note}):", ""]
        lines += ["| figure | value | 95 % interval | |", "| --- | ---: | ---: | --- |"]
        for row in measured.figures:
            low, high = row["interval"]
            lines.append(f"| {row['label']} | {row['value']:.3f} | {low:.3f} to {high:.3f} | {row['what']} |")
    found = summarize(checkpoint.left_out)
    if found.judged:
        clips = "Training clips whose recording was left out"
        if checkpoint.config.trains:
            held = checkpoint.summary["val_clips"]
            clips = (
                "Validation clips by the last head without their recording" if held else f"{clips} of the head alone"
            )
        lines += ["", f"{clips}: {found.right} of {found.judged} are recognized."]
    return lines


def _confusions(checkpoint: Checkpoint, measured: Measured | None) -> list[str]:
    if measured is not None:
        rows = [
            (count, sum(given.values()), action, other)
            for action, given in measured.recognized_as.items()
            for other, count in given.items()
            if other != action
        ]
        rows.sort(key=lambda row: (-row[0], *row[2:]))
        said = [f"- {action} for {other}: {count} of {total} clips" for count, total, action, other in rows]
        return [*said[:MOST_CONFUSIONS], *_more(said)] or ["Nothing, on the clips it was measured on."]
    found = summarize(checkpoint.left_out).confusions
    said = [f"- {action} for {other}: {n} of {total} left-out training clips" for action, other, n, total in found]
    return said or ["Not measured."]


def _more(said: Sequence[str]) -> list[str]:
    return [f"- and {len(said) - MOST_CONFUSIONS} pairs more"] if len(said) > MOST_CONFUSIONS else []


def _graph(checkpoint: Checkpoint) -> list[str]:
    graph = checkpoint.graph
    edges = Counter(RELATIONS[relation].name for relation in graph.triples[:, 1].tolist())
    kinds = ", ".join(f"{len(graph.entities(kind))} of kind {kind}" for kind in ENTITY_KINDS)
    used = "" if checkpoint.config.model.graph else " The model was trained without it."
    return [
        f"- Entities: {kinds}.",
        f"- Edges: {len(graph.triples)} ({', '.join(f'{count} {name}' for name, count in edges.items())}).{used}",
        f"- Hash: `{graph.hash}`.",
    ]


def _limits(checkpoint: Checkpoint, measured: Measured | None) -> list[str]:
    lines = [
        f"- It knows these {len(checkpoint.actions)} actions, and gives every clip one of them.",
        f"- It was made for {checkpoint.config.frames} frames of a clip that shows one action from end to end.",
    ]
    if checkpoint.unknown is None:
        lines.append(
            "- It has no threshold below which an action is unknown: too few clips, or no wrong guess, were there to "
            "choose one."
        )
    else:
        lines.append(f"- Below a probability of {checkpoint.unknown.value:.2f} it says unknown: {checkpoint.unknown}.")
    if checkpoint.pose is not None:
        lines.append(f"- It reads poses by {checkpoint.pose['pose']}; without them it is less accurate than stated.")
    if measured is None:
        lines.append("- Whether it works on videos of other recordings is not measured.")
    else:
        lines.append("- The figures are of these recordings; those of other cameras, places and people may differ.")
    return lines


def _again(checkpoint: Checkpoint) -> list[str]:
    made = checkpoint.summary
    versions = [f"kgclip {made.get('kgclip') or '(version not recorded)'}"]
    versions.append(f"commit {made.get('commit') or 'not recorded'}")
    versions.append(f"torch {made.get('torch') or '(version not recorded)'}")
    return ["```sh", train_command(checkpoint.config), "```", "", f"With {', '.join(versions)}.", _EDITED]


_EDITED = "Actions that `kgclip add-action` added later are not in this command."


def train_command(config: TrainConfig) -> str:
    """The `kgclip train` that has this configuration."""
    words = ["kgclip", "train", "--data", str(config.data), "--out", str(config.out)]
    return shlex.join([*words, *_options(config, TrainConfig(config.data, config.out))])


def _options(config: Any, default: Any, prefix: str = "") -> Iterator[str]:
    for field in dataclasses.fields(config):
        value, usual, name = getattr(config, field.name), getattr(default, field.name), field.name.replace("_", "-")
        if dataclasses.is_dataclass(value):
            yield from _options(value, usual, f"{prefix}{name}.")
        elif value != usual:
            if isinstance(value, bool):
                yield f"--{prefix}{'' if value else 'no-'}{name}"
            else:
                yield f"--{prefix}{name}"
                yield from map(str, value if isinstance(value, tuple) else (value,))
