"""How long training from pixels waits for its data: an epoch against the same epoch without the waiting.

python -m benchmarks.waiting; the puppets are drawn in a temporary folder.
"""

import json
import statistics
import tempfile
from pathlib import Path

from kgclip.bench.harness import REPEATS, Row, markdown
from kgclip.config import ModelConfig, OptimConfig, TrainConfig
from kgclip.data.puppet.dataset import PuppetOptions, generate
from kgclip.engine.train import train

WORKERS = 2


def log_of_run(folder: Path, options: PuppetOptions, epochs: int) -> list[dict[str, float]]:
    """The training log of a whole image tower on freshly drawn puppets, and otherwise the defaults."""
    generate(folder / "puppets", options, workers=WORKERS, progress=False)
    config = TrainConfig(
        data=folder / "puppets",
        out=folder / "model",
        workers=WORKERS,
        device="cpu",
        model=ModelConfig(tuning="full"),
        optim=OptimConfig(epochs=epochs),
    )
    train(config, show_progress=False)
    return [json.loads(line) for line in (config.out / "log.jsonl").read_text().splitlines()]


def benchmark(options: PuppetOptions | None = None, epochs: int = REPEATS) -> list[Row]:
    """The data set that `kgclip data puppet` writes, without its test clips."""
    options = PuppetOptions(test_per_action=0) if options is None else options
    with tempfile.TemporaryDirectory() as folder:
        log = log_of_run(Path(folder), options, epochs)
    shares = [1 - epoch["wait_s"] / epoch["wall_s"] for epoch in log]
    return [
        Row(
            f"an epoch on the pixels of {24 * options.train_per_action} puppet clips, {WORKERS} workers",
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
