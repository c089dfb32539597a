"""Does the graph help on real clips? `python -m reproduce.jhmdb_tps DATA FEATURES`: five seeds of five folds each.

DATA is a data set in the Kinetics-TPS layout with a `source` a clip; FEATURES are cached features of its frames, such
as `kgclip data features DATA --encoder benchmarks/squeezenet.py:squeezenet …` writes. Folds keep the clips of one
source together; each fold is the test part once, validation is carved from the rest.
"""

import dataclasses
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from kgclip.config import ModelConfig, TrainConfig
from kgclip.data.dataset import open_dataset
from kgclip.data.features import FeatureFile
from kgclip.data.splits import SplitOptions, group_folds
from reproduce.arms import ARMS, CLIP_ONLY, run_arms
from reproduce.comparison import provenance, summarize, write_result

SEEDS = range(5)
FOLDS = 5
SETTINGS = {"all labels": 1.0, "labels on 20 %": 0.2}


def main(data: Path, features: Path) -> None:
    """Run all cells and write ``docs/generated/jhmdb_tps.json``; a seed's figure is the mean over its folds' clips."""
    started = time.monotonic()
    dataset = open_dataset(data)
    width = FeatureFile(features).feature_dim
    top1: dict[str, dict[str, list[float]]] = {name: {arm: [] for arm in ARMS} for name in SETTINGS}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "fold.json"
        base = TrainConfig(
            data=data, out=Path(folder), features=features, model=ModelConfig(backbone=f"features:{width}")
        )
        for seed in SEEDS:
            folds = group_folds(dataset, FOLDS, seed)
            sizes = [len(fold.test) for fold in folds]
            cells: dict[str, dict[str, list[float]]] = {name: {arm: [] for arm in ARMS} for name in SETTINGS}
            for fold in folds:
                fold.save(file)
                for name, fraction in SETTINGS.items():
                    split = SplitOptions(file=file, label_fraction=fraction, seed=seed)
                    for arm, value in run_arms(dataclasses.replace(base, seed=seed, split=split)).items():
                        cells[name][arm].append(value)
            for name, arms in cells.items():
                for arm, values in arms.items():
                    top1[name][arm].append(float(np.average(values, weights=sizes)))
                    print(f"seed {seed}  {name:<16} {arm:<42} {100 * top1[name][arm][-1]:.1f}", flush=True)
    write_result(
        "jhmdb_tps",
        {
            "title": f"JHMDB-TPS: {len(dataset.clips)} real clips of {len(dataset.actions)} actions, F = {width}",
            "against": CLIP_ONLY,
            "settings": {name: summarize(values, CLIP_ONLY) for name, values in top1.items()},
            "provenance": provenance("python -m reproduce.jhmdb_tps DATA FEATURES", time.monotonic() - started),
        },
    )


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m reproduce.jhmdb_tps DATA FEATURES")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
