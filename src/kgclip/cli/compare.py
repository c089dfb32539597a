"""`kgclip compare`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kgclip.cli.output import Switch, parse, print_json, print_table, say, warn_of_synthetic
from kgclip.config import ModelConfig, TrainConfig


@dataclass(frozen=True)
class CompareCommand:
    """Does the graph help on your clips? Compare KG-CLIP with CLIP only and with a plain baseline, on clips unseen.

    Every seed cuts the clips anew into folds that keep the clips of one source together, and each fold is the test part
    once. The plain baseline is ridge regression on standardized statistics of the frames' features. With --keypoints
    all of them read pose too, the baseline by a second ridge regression on pose numbers.

    Examples:

      kgclip compare --data clips --annotations parts --backbone openai/clip-vit-base-patch16

      kgclip compare --data clips --annotations fitted/annotations --keypoints fitted/annotations/keypoints.parquet
      --features fitted/features.safetensors --backbone auto

      kgclip compare --data clips --definitions actions.yaml --features features.safetensors --backbone features:512
    """

    data: Path
    """data set: class folders, a list, or a Kinetics-TPS root"""
    annotations: Path | None = None
    """folder of part annotations, one JSON a frame"""
    keypoints: Path | None = None
    """keypoints that `kgclip annotate` wrote: all arms read pose too"""
    definitions: Path | None = None
    """YAML file of what the actions consist of, or the word shipped"""
    features: Path | None = None
    """cached features, see `kgclip data features`; default: made once by the backbone"""
    backbone: str = "synthetic"
    """synthetic, auto, the name or folder of a CLIP or SigLIP model, or features:<F> for features of another encoder"""
    seeds: int = 5
    """how many times the clips are cut anew"""
    folds: int = 3
    """test parts of each seed"""
    frames: int = 8
    """frames of a clip"""
    keep_going: Switch = False
    """skip broken annotations and clips that cannot be encoded, with a warning"""
    json: Switch = False
    """print one JSON object"""


def compare(argv: Sequence[str]) -> int:
    """Run the command."""
    command = parse(CompareCommand, argv, "compare")
    from kgclip.compare import CLIP_ONLY, KG_CLIP, PLAIN, in_words, mean_and_interval
    from kgclip.compare import compare as run_comparison
    from kgclip.engine.train import with_backbone

    config = TrainConfig(
        data=command.data,
        out=Path(),
        annotations=command.annotations,
        keypoints=command.keypoints,
        definitions=command.definitions,
        features=command.features,
        frames=command.frames,
        keep_going=command.keep_going,
        device="cpu",
        model=ModelConfig(backbone=command.backbone),
    )
    warn_of_synthetic(config, "--backbone auto")
    comparison = run_comparison(with_backbone(config), command.seeds, command.folds)
    if command.json:
        print_json(comparison.to_json())
        return 0
    rows = []
    for arm in (PLAIN, CLIP_ONLY, KG_CLIP):
        differs = None if arm == KG_CLIP else in_words(*comparison.difference(KG_CLIP, arm), "+")
        rows.append((arm, in_words(*mean_and_interval(comparison.top1[arm])), differs))
    print_table(
        f"{comparison.clips} clips of {comparison.actions} actions",
        ("", "top-1, %", "KG-CLIP minus this, points"),
        rows,
    )
    say(comparison.verdict())
    return 0
