"""Actions that no clip showed: their clips are taken from training, and a definition is all that is left of them."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor

from kgclip.config import TrainConfig
from kgclip.data.dataset import open_dataset
from kgclip.data.splits import Split, SplitOptions, make_split
from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.evaluate import evaluate, open_evaluation
from kgclip.files import atomic_path
from kgclip.kg.movement import Movement
from kgclip.synthetic.actions import actions

COUNT = 6
"""A quarter of the actions of synthetic figures."""
DEFINITIONS_FILE, SPLIT_FILE = "definitions.yaml", "unseen-split.json"


@dataclass(frozen=True)
class HeldOut:
    """A run that never sees some actions.

    Attributes:
        config: of the run, with the definitions of these actions.
        definitions: the movements of each of them, as written in the file.
    """

    config: TrainConfig
    definitions: dict[str, list[str]]


def hold_out(config: TrainConfig, folder: Path) -> HeldOut:
    """Take the training clips of `COUNT` actions, drawn by the run's seed, out of a run on synthetic figures.

    Split and definitions are written to the folder. A definition lists what the figure's parts are meant to do; no clip
    has a part in it.
    """
    drawn = np.random.default_rng(config.seed).permutation(sorted(actions()))[:COUNT]
    definitions = {
        str(action): [Movement(part, *does).name for part, does in actions()[str(action)].items()]
        for action in sorted(drawn)
    }
    dataset = open_dataset(config.data)
    split = make_split(dataset, config.split, validate=config.trains)

    def shown(clips: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(clip for clip in clips if dataset.by_id[clip].action not in definitions)

    Split(shown(split.train), shown(split.val), split.test, shown(split.labelled)).save(folder / SPLIT_FILE)
    with atomic_path(folder / DEFINITIONS_FILE) as temporary:
        temporary.write_text(yaml.safe_dump(definitions), encoding="utf-8")
    options = SplitOptions(file=folder / SPLIT_FILE, seed=config.split.seed)
    config = dataclasses.replace(config, split=options, graph=None, definitions=folder / DEFINITIONS_FILE)
    return HeldOut(config, definitions)


def measure_unseen(checkpoint: Checkpoint, held_out: HeldOut) -> dict[str, Any]:
    """How often the test clips of unseen actions are recognized, as shares in [0, 1].

    Returns:
        ``top1`` among all actions and ``chance``; ``top1_among_unseen`` and ``chance_among_unseen``, where only the
        unseen actions are to choose from; ``seen_top1``, among all actions, on the clips of the others; ``num_clips``
        of unseen actions and ``num_actions`` in all; ``actions``: of each unseen one its ``movements`` and how many of
        its ``clips`` are ``right`` among all actions.
    """
    config = held_out.config
    evaluation = open_evaluation(checkpoint, config.data, "test", config.features)
    scores, labels = evaluate(checkpoint, evaluation)[1].total, evaluation.labels
    unseen = torch.tensor([checkpoint.actions.index(action) for action in held_out.definitions])
    rows = torch.isin(labels, unseen)
    right = scores.argmax(dim=1) == labels
    among = unseen[scores[:, unseen].argmax(dim=1)] == labels

    def share(hits: Tensor) -> float:
        return float(hits.double().mean())

    return {
        "top1": share(right[rows]),
        "chance": 1 / len(checkpoint.actions),
        "top1_among_unseen": share(among[rows]),
        "chance_among_unseen": 1 / len(unseen),
        "seen_top1": share(right[~rows]),
        "num_clips": int(rows.sum()),
        "num_actions": len(checkpoint.actions),
        "actions": {
            action: {
                "movements": movements,
                "right": int(right[labels == index].sum()),
                "clips": int((labels == index).sum()),
            }
            for index, (action, movements) in zip(unseen, held_out.definitions.items(), strict=True)
        },
    }
