"""How long training from pixels waits for its data: an epoch against the same epoch without the waiting.

python -m benchmarks.waiting; the figures are drawn in a temporary folder.
"""

import json
import statistics
import tempfile
from pathlib import Path

from benchmarks.harness import REPEATS, Row, markdown
from kgclip.config import ModelConfig, OptimConfig, TrainConfig
from kgclip.engine.train import train
from kgclip.synthetic.dataset import SyntheticOptions, generate

WORKERS = 2


def log_of_run(folder: Path, options: SyntheticOptions, epochs: int) -> list[dict[str, float]]:
    """The training log of a whole image tower on freshly drawn figures, and otherwise the defaults."""
    generate(folder / "synthetic", options, workers=WORKERS, progress=False)
    config = TrainConfig(
        data=folder / "synthetic",
        out=folder / "model",
        workers=WORKERS,
        device="cpu",
        model=ModelConfig(tuning="full"),
        optim=OptimConfig(epochs=epochs),
    )
    train(config, show_progress=False)
    return [json.loads(line) for line in (config.out / "log.jsonl").read_text().splitlines()]


def benchmark(options: SyntheticOptions | None = None, epochs: int = REPEATS) -> list[Row]:
    """The data set that `kgclip data synthetic` writes, without its test clips."""
    options = SyntheticOptions(test_per_action=0) if options is None else options
    with tempfile.TemporaryDirectory() as folder:
        log = log_of_run(Path(folder), options, epochs)
    shares = [1 - epoch["wait_s"] / epoch["wall_s"] for epoch in log]
    return [
        Row(
            f"an epoch on the pixels of {24 * options.train_per_action} synthetic clips, {WORKERS} workers",
            "the same epoch less its waiting for data",
            statistics.median(epoch["wall_s"] for epoch in log),
            statistics.median(epoch["wall_s"] - epoch["wait_s"] for epoch in log),
            statistics.median(shares),
            min(shares),
            max(shares),
            goal=0.95,
        )
    ]


if __name__ == "__main__":
    print(markdown(benchmark()))
