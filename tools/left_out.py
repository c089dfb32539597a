"""What `kgclip train` says of a model from left-out training clips, beside the same on test clips, with fewer labels.

kgclip data synthetic --out figures
kgclip data features figures --out figures.safetensors --backbone synthetic --frames 16
python -m tools.left_out figures --features figures.safetensors
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from kgclip.cli.output import print_table
from kgclip.config import ModelConfig, TrainConfig
from kgclip.data.features import FeatureFile
from kgclip.data.splits import SplitOptions
from kgclip.engine.evaluate import evaluate, open_evaluation
from kgclip.engine.train import train


def main() -> None:
    """Train with each share of the labels and each seed, and print the means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="an annotated data set")
    parser.add_argument("--features", type=Path, required=True, help="of its frames, by `kgclip data features`")
    parser.add_argument("--test-fraction", type=float, default=None, help="where the data set has no test part")
    parser.add_argument("--labels", type=float, nargs="+", default=[0.05, 0.1, 0.2, 1.0], help="shares of the labels")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    width = FeatureFile(given.features).feature_dim
    rows = []
    for share in given.labels:
        found = []
        for seed in range(given.seeds):
            split = SplitOptions(label_fraction=share, seed=seed)
            if given.test_fraction is not None:
                split = replace(split, test_fraction=given.test_fraction)
            with tempfile.TemporaryDirectory() as folder:
                model = ModelConfig(f"features:{width}")
                out = Path(folder) / "model"
                config = TrainConfig(given.data, out, features=given.features, split=split, seed=seed, model=model)
                checkpoint = train(config, show_progress=False)
                report, _ = evaluate(checkpoint, open_evaluation(checkpoint, given.data, "test", given.features))
            found.append((checkpoint.summary["left_out_top1"] or float("nan"), report["top1"], report["ece"]))
        rows.append((share, *(sum(column) / len(found) for column in zip(*found, strict=True))))
    print_table(
        f"{given.data}, {given.seeds} seeds", ("labels", "left-out top-1", "test top-1", "calibration error"), rows
    )


if __name__ == "__main__":
    main()
