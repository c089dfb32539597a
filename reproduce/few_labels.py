"""Does the graph help on puppets? `python -m reproduce.few_labels`: five data sets, all labels and few.

Few labels: action labels on 20 % of the training clips, movements on all of them. Every seed draws its own data set,
split, initialization and order. Model selection sees validation clips only; the test clips are of other sources.
"""

import tempfile
import time
from pathlib import Path

from kgclip.config import TrainConfig
from kgclip.data.dataset import open_dataset
from kgclip.data.puppet.dataset import PuppetOptions, generate
from kgclip.data.splits import SplitOptions
from kgclip.engine.extract import backbone_encoder, extract_features
from kgclip.models.backbone import load_backbone
from reproduce.arms import ARMS, CLIP_ONLY, run_arms
from reproduce.comparison import provenance, summarize, write_result

SEEDS = range(5)
SETTINGS = {"all labels": 1.0, "labels on 20 %": 0.2}
FRAMES = 16


def main() -> None:
    """Run all cells and write ``docs/generated/few_labels.json``."""
    started = time.monotonic()
    encoder = backbone_encoder(load_backbone("puppet"))
    top1: dict[str, dict[str, list[float]]] = {name: {arm: [] for arm in ARMS} for name in SETTINGS}
    options = [PuppetOptions(test_per_action=20, seed=seed) for seed in SEEDS]
    for seed, puppets in zip(SEEDS, options, strict=True):
        with tempfile.TemporaryDirectory() as folder:
            data, features = Path(folder) / "puppets", Path(folder) / "features.safetensors"
            generate(data, puppets, workers=2)
            extract_features(encoder, {clip.id: clip.path for clip in open_dataset(data).clips}, FRAMES, features)
            for name, fraction in SETTINGS.items():
                config = TrainConfig(
                    data=data,
                    out=Path(folder) / "model",
                    features=features,
                    seed=seed,
                    split=SplitOptions(label_fraction=fraction, seed=seed),
                )
                for arm, value in run_arms(config).items():
                    top1[name][arm].append(value)
                    print(f"seed {seed}  {name:<16} {arm:<42} {100 * value:.1f}", flush=True)
    write_result(
        "few_labels",
        {
            "title": "Puppets: 24 actions, 20 training clips each, 480 test clips",
            "against": CLIP_ONLY,
            "settings": {name: summarize(values, CLIP_ONLY) for name, values in top1.items()},
            "provenance": provenance("python -m reproduce.few_labels", time.monotonic() - started),
        },
    )


if __name__ == "__main__":
    main()
