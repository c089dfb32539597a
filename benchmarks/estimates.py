"""What `kgclip train --dry-run` predicts, against what the same run then takes.

python -m benchmarks.estimates
"""

import resource
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from benchmarks.harness import Row, in_new_process, markdown
from kgclip.config import ModelConfig, OptimConfig, TrainConfig
from kgclip.engine.estimate import estimate
from kgclip.engine.train import train
from kgclip.synthetic.dataset import SyntheticOptions, generate

# The prediction may be off by a quarter.
GOAL = 0.75
SYNTHETIC = SyntheticOptions(train_per_action=10, test_per_action=0)


def runs(data: Path) -> dict[str, TrainConfig]:
    """Runs whose time goes to different things: steps on pixels, features and steps on them, and the start."""
    frozen = TrainConfig(data=data, out=data.with_name("model"), device="cpu", workers=2)
    by_gradient = replace(frozen, model=ModelConfig(pooling="mean"), optim=OptimConfig(epochs=20))
    tower = replace(frozen, model=ModelConfig(pooling="mean", tuning="full"), optim=OptimConfig(epochs=3))
    adapters = replace(frozen, model=ModelConfig(pooling="mean", tuning="lora"), optim=OptimConfig(epochs=3))
    return {
        "heads in closed form": frozen,
        "heads by gradient, 20 epochs": by_gradient,
        "the whole tower, 3 epochs": tower,
        "adapters, 3 epochs": adapters,
    }


def predicted(config: TrainConfig) -> tuple[float, float]:
    """Seconds and GiB that the run is said to take."""
    told = estimate(config)
    return told.wall_s, told.memory_bytes / 2**30


def measured(config: TrainConfig) -> tuple[float, float]:
    """Seconds and GiB that it takes."""
    started = time.perf_counter()
    train(config, show_progress=False)
    # The system tells KiB.
    return time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def row(name: str, unit: str, told: float, taken: float) -> Row:
    """How near the two are: 1 less the error as a share of what was taken."""
    near = 1 - abs(told / taken - 1)
    return Row(name, "what --dry-run predicts", taken, told, near, near, near, GOAL, unit)


def benchmark(options: SyntheticOptions = SYNTHETIC) -> list[Row]:
    """Time and memory of each run."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "synthetic"
        generate(data, options, progress=False)
        for name, config in runs(data).items():
            told, taken = in_new_process(predicted, config), in_new_process(measured, replace_out(config, name))
            what = f"training on {24 * options.train_per_action} synthetic clips, {name}"
            rows += [row(f"time of {what}", "s", told[0], taken[0]), row(f"memory of {what}", "GiB", told[1], taken[1])]
    return rows


def replace_out(config: TrainConfig, name: str) -> TrainConfig:
    """The run with a folder of its own."""
    return replace(config, out=config.out.with_name(f"model-{name.partition(',')[0].replace(' ', '-')}"))


if __name__ == "__main__":
    print(markdown(benchmark()))
