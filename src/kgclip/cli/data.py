"""`kgclip data synthetic | check | features | shard`."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional

from kgclip.cli.output import Switch, parse, print_findings, print_json, say, workers_here
from kgclip.errors import KgclipError
from kgclip.synthetic.dataset import SyntheticOptions


@dataclass(frozen=True)
class SyntheticCommand:
    """Generate a data set of articulated figures in the layout of Kinetics-TPS: videos, annotations and lists.

    Examples:

      kgclip data synthetic --out figures

      kgclip data synthetic --out hard --train-per-action 40 --part-noise 0.3 --seed 1
    """

    out: Path
    """folder to write; must not exist"""
    options: Annotated[SyntheticOptions, tyro.conf.arg(name="")] = field(default_factory=SyntheticOptions)
    workers: int = 2
    """processes that draw"""


def synthetic(argv: Sequence[str]) -> int:
    """Run `kgclip data synthetic`."""
    command = parse(SyntheticCommand, argv, "data synthetic")
    from kgclip.synthetic.dataset import generate

    generate(command.out, command.options, workers=command.workers)
    return 0


@dataclass(frozen=True)
class CheckCommand:
    """Look for missing, broken and doubtful clips and annotations.

    The exit code is 1 if there is an error among the findings.

    Examples:

      kgclip data check Kinetics-TPS

      kgclip data check clips.csv --annotations parts/
    """

    data: Positional[Path]
    """Kinetics-TPS root, folder of class folders, or CSV file"""
    annotations: Path | None = None
    """part annotations of a folder or CSV data set"""
    source_pattern: str | None = None
    """regular expression whose group is the source in a clip's id, e.g. "^[^/]+/([a-z]+)_" """
    workers: int = 2
    """threads that open videos"""
    untrusted: Switch = False
    """open the videos in processes apart, with limits on memory and time, for files that you do not trust"""
    json: Switch = False
    """print one JSON object, with all cases of each finding in place of the first three"""


def check(argv: Sequence[str]) -> int:
    """Run `kgclip data check`."""
    command = parse(CheckCommand, argv, "data check")
    from kgclip.data.annotations import read_observations, without_movements
    from kgclip.data.check import check_dataset
    from kgclip.data.dataset import open_dataset
    from kgclip.engine.apart import Apart
    from kgclip.kg.inspect import Finding
    from kgclip.video.decode import probe

    dataset = open_dataset(command.data, command.annotations, command.source_pattern)
    findings = check_dataset(dataset, decode=Apart().probe if command.untrusted else probe, workers=command.workers)
    if dataset.annotations is not None:
        try:
            reason = without_movements(read_observations(dataset, workers=command.workers))
        except KgclipError as error:
            reason = str(error)
        findings += [Finding("error", "annotations", reason)] if reason else []
    about = f"{len(dataset.clips)} clips of {len(dataset.actions)} actions, "
    counts = {"clips": len(dataset.clips), "actions": len(dataset.actions)}
    return print_findings(findings, about=about, as_json=counts if command.json else None)


@dataclass(frozen=True)
class FeaturesCommand:
    """Encode frames once and keep the features, so that training takes minutes and any encoder can be used.

    A run that was ended goes on where it stopped when it is started again. An encoder of your own is a Python file
    with a function that takes the path of its weights and returns a callable from uint8 RGB frames [T, H, W, 3] to
    features [T, F]; see docs/data.md.

    Examples:

      kgclip data features figures --out features.safetensors

      kgclip data features clips.csv --out features.safetensors --encoder my_encoder.py:load --encoder-weights w.bin
    """

    data: Positional[Path]
    """Kinetics-TPS root, folder of class folders, CSV file or tar shards, or an address of one (docs/remote.md)"""
    out: Path
    """safetensors file to write; one that is there is never replaced"""
    backbone: str | None = None
    """whose image tower encodes: synthetic (the default), efficientnet-lite0, or a CLIP or SigLIP by name or folder"""
    encoder: str | None = None
    """an encoder of your own in place of a backbone: FILE.py:NAME"""
    encoder_weights: Path | None = None
    """file given to that encoder"""
    frames: int = 16
    """frames of each clip, from equal segments"""
    workers: int | None = None
    """threads that decode (default: 2); a Ray cluster has its own number"""
    untrusted: Switch = False
    """decode in processes apart, with limits on memory and time, for files that you do not trust"""
    engine: Literal["local", "ray"] = "local"
    """this machine, or the processes of a Ray cluster (docs/cluster.md)"""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """where a backbone runs"""
    keep_going: Switch = False
    """leave out clips that cannot be read, and report them"""
    json: Switch = False
    """print one JSON object"""


def features(argv: Sequence[str]) -> int:
    """Run `kgclip data features`."""
    command = parse(FeaturesCommand, argv, "data features")
    if command.frames < 1:
        raise KgclipError(f"--frames {command.frames}: needs at least one frame; give a number from 1")
    _check_encoder_options(command)
    workers = workers_here(command.workers, command.engine)
    if command.untrusted and command.engine != "local":
        raise KgclipError("--untrusted: is for this machine; leave it out, or --engine")
    from kgclip.data.dataset import open_dataset
    from kgclip.engine.apart import Apart
    from kgclip.engine.checkpoint import choose_device
    from kgclip.engine.encoder import EncoderSource, open_encoder
    from kgclip.engine.extract import extract_features
    from kgclip.video.frames import read_clip

    dataset = open_dataset(command.data)
    source = EncoderSource(command.backbone, command.encoder, command.encoder_weights, choose_device(command.device))
    encoder = open_encoder(source)
    done = extract_features(
        encoder,
        {clip.id: clip.path for clip in dataset.clips},
        command.frames,
        command.out,
        workers=workers,
        keep_going=command.keep_going,
        on_ray=source if command.engine == "ray" else None,
        read_clip=Apart().read_clip if command.untrusted else read_clip,
    )
    if command.json:
        print_json({"file": str(command.out), "encoder": encoder.identity} | asdict(done))
    else:
        for clip, reason in done.skipped.items():
            say(f"skipped  {clip:<24} {reason}")
        say(f"{command.out}: {done.clips} clips, {done.encoded} of them encoded now, {len(done.skipped)} skipped")
    return 0


@dataclass(frozen=True)
class ShardCommand:
    """Write the clips of a data set into tar files of about equal size, in the layout of WebDataset.

    `data features` and `predict` read them where they lie, here or elsewhere (docs/remote.md).

    Examples:

      kgclip data shard clips/ --out shards

      kgclip data shard s3://bucket/videos --out shards --size 500MB
    """

    data: Positional[Path]
    """Kinetics-TPS root, folder of class folders, CSV file, or an address of one"""
    out: Path
    """folder to write; must not exist"""
    size: str = "1GB"
    """of a shard: bytes, or a number with KB, MB or GB"""


def shard(argv: Sequence[str]) -> int:
    """Run `kgclip data shard`."""
    command = parse(ShardCommand, argv, "data shard")
    match = re.fullmatch(r"(\d{1,15})\s*(B|KB|MB|GB)?", command.size, re.IGNORECASE)
    if match is None or not int(match[1]):
        raise KgclipError(f"--size {command.size}: is no size; give bytes, or a number with KB, MB or GB, such as 1GB")
    most_bytes = int(match[1]) * 1000 ** ("B", "KB", "MB", "GB").index((match[2] or "B").upper())
    from kgclip.data.dataset import open_dataset
    from kgclip.data.shards import write_shards
    from kgclip.locks import claim_output

    claim_output(command.out)
    clips = open_dataset(command.data).clips
    say(f"{command.out}: {len(clips)} clips in {write_shards(clips, command.out, most_bytes)} shards")
    return 0


def _check_encoder_options(command: FeaturesCommand) -> None:
    """Refuse options that would have no effect."""
    if command.encoder is None and command.encoder_weights is not None:
        raise KgclipError("--encoder-weights: are for an encoder of your own; give --encoder FILE.py:NAME")
    if command.encoder is not None and command.backbone is not None:
        raise KgclipError("--encoder: encodes in place of a backbone; leave out --encoder or --backbone")
    if command.encoder is not None and command.device != "auto":
        raise KgclipError("--device: is where a backbone runs; an encoder of your own chooses its device itself")
