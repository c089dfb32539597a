"""A rehearsal of a training run: its own code on frames of the right shape, timed, before anything trains."""

import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from kgclip.config import TrainConfig
from kgclip.data.loader import Batch, FeatureSource, Source, in_order
from kgclip.engine.checkpoint import build_model
from kgclip.engine.encoder import backbone_encoder
from kgclip.engine.extract import extract_features
from kgclip.engine.loop import Sources, Trainer, trains
from kgclip.engine.prepare import Prepared, graph_targets
from kgclip.engine.state import TrainingState
from kgclip.engine.train import CACHED_PER_FRAME, open_sources, start
from kgclip.models.backbones.registry import load_backbone
from kgclip.models.tuning import set_trainable

# Clips on which the closed-form start is timed, and those on which decoding and encoding are.
START_CLIPS = 384
DECODED_CLIPS = 6


def median_s(work: Callable[[], Any], repeats: int = 3) -> float:
    """Median of the seconds that some work takes, after once for warming up."""
    work()
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


@dataclass(frozen=True)
class Pace:
    """What passes over clips take.

    Attributes:
        begin_s: seconds until the first clip is there.
        clip_s: seconds for each clip.
    """

    begin_s: float
    clip_s: float

    def seconds(self, num_clips: int) -> float:
        """Of one pass."""
        return self.begin_s + num_clips * self.clip_s


def pace(seconds_of: Callable[[int], float], few: int) -> Pace:
    """The pace of passes, from one over few clips and one over four times as many, after one that warms up."""
    seconds_of(few)
    short, long = seconds_of(few), seconds_of(4 * few)
    clip_s = max(0.0, long - short) / (3 * few)
    return Pace(max(0.0, short - few * clip_s), clip_s)


def reset_peak_memory(device: torch.device) -> None:
    """Forget the most memory used so far, where the system allows it."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif sys.platform == "linux":
        Path("/proc/self/clear_refs").write_text("5")


def available_memory() -> int:
    """Bytes that this process may still take: of the machine, and of its control group if that sets a limit."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if sys.platform == "linux":
        free = 1024 * int(Path("/proc/meminfo").read_text().partition("MemAvailable:")[2].split()[0])
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    if limit.exists() and used.exists() and limit.read_text().strip() != "max":
        free = min(free, int(limit.read_text()) - int(used.read_text()))
    return free


def peak_memory(device: torch.device) -> int:
    """The most bytes used at once: by torch on a GPU, else by this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text()
        return 1024 * int(status.partition("VmHWM:")[2].split()[0])
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


class RandomFrames:
    """Stands for the clips of a run where only their number and shape matter.

    Args:
        clip: shape of one clip's frames.
        num_clips: how many there are.
    """

    def __init__(self, clip: Sequence[int], num_clips: int):
        self.clip, self.num_clips = tuple(clip), num_clips
        self.drawn = torch.empty(0, *self.clip)

    def __len__(self) -> int:
        return self.num_clips

    def batches(self, order: Sequence[Sequence[int]], epoch: int = 0) -> Iterator[Batch]:
        """Batches of random frames, the same in every batch."""
        for positions in order:
            size = len(positions)
            if size > len(self.drawn):
                self.drawn = torch.randn(size, *self.clip)
            yield Batch(torch.tensor(positions), self.drawn[:size], torch.zeros(size, dtype=torch.bool))


class Rehearsal:
    """The trainer of a run before it runs; nothing that it does is kept.

    Args:
        config: the run.
        prepared: its clips and graph.
        folder: for what would be written.
    """

    def __init__(self, config: TrainConfig, prepared: Prepared, folder: Path):
        self.config, self.prepared, self.folder = config, prepared, folder
        torch.manual_seed(config.seed)
        backbone = load_backbone(config.model.backbone, config.model.text)
        set_trainable(backbone, config.model.tuning, config.model.lora_rank, config.model.partial_layers)
        self.model = build_model(config, backbone, prepared.graph)
        self.num_clips = len(prepared.split.train)
        actions = tuple(prepared.dataset.actions)
        self.targets = graph_targets(prepared.graph, actions, prepared.split.train)
        self.on_pixels = trains(backbone, "image")

    @cached_property
    def sources(self) -> Sources:
        """The run's clips: given features as they are, random ones where features or pixels would have to be made."""
        config, split, backbone = self.config, self.prepared.split, self.model.backbone
        if config.features is not None or "image" not in backbone.towers():
            return open_sources(config, self.prepared, backbone, self.folder, show_progress=False)
        if self.on_pixels:
            clip = (config.frames, 3, backbone.image_size, backbone.image_size)
            train, val = RandomFrames(clip, self.num_clips), RandomFrames(clip, len(split.val))
            return Sources(train, train, val if split.val else None)
        cached = CACHED_PER_FRAME * config.frames

        def features(num_clips: int, *, training: bool = False) -> Source:
            clips = [torch.randn(cached, backbone.frame_dim) for _ in range(num_clips)]
            return FeatureSource(clips, config.frames, training=training)

        return Sources(
            features(self.num_clips, training=True),
            features(self.num_clips),
            features(len(split.val)) if split.val else None,
        )

    @cached_property
    def trainer(self) -> Trainer:
        """The run's trainer."""
        state = TrainingState(self.folder, {})
        return Trainer(self.config, self.prepared, self.model, self.sources, self.targets, state)

    @cached_property
    def _set_up(self) -> tuple[Any, Any]:
        trainer = self.trainer
        set_up = trainer.fabric.setup(trainer.step_module, trainer.optimizer)
        if not trains(self.model.backbone, "text"):
            trainer.step_module.fix_texts()
        return set_up

    @cached_property
    def files(self) -> Sources:
        """The run's clips, decoded from their files by its workers."""
        return open_sources(self.config, self.prepared, self.model.backbone, self.folder, show_progress=False)

    def steps_s(self, num_clips: int, batch_size: int, source: Source | None = None) -> float:
        """Seconds that the training steps over that many clips take, once; from ready frames or another source."""
        trainer = self.trainer
        optim = replace(self.config.optim, batch_size=batch_size, accumulate=1, epochs=1)
        trainer.config = replace(self.config, optim=optim)
        trainer.sources = replace(self.sources, train=source or _First(self.sources.train, num_clips))
        started = time.perf_counter()
        trainer.train_epoch(1, *self._set_up, lambda _: None)
        return time.perf_counter() - started

    def training_pace(self, batch_size: int, few: int) -> Pace:
        """Of epochs on decoded clips, from some over few of them and four times as many.

        Decoding takes cores from the steps, and how much they lose by it is no sum of the two: it is measured.
        """

        def seconds_of(num_clips: int) -> float:
            return self.steps_s(num_clips, batch_size, _Repeated(self.files.train, num_clips))

        return pace(seconds_of, few)

    @torch.no_grad()
    def embedding_pace(self, batch_size: int, few: int) -> Pace:
        """Of passes that embed clips, as validation does, in the same way."""
        self.model.eval()
        device = self.trainer.fabric.to_device
        if not self.on_pixels:
            size = min(self.num_clips, self.config.optim.batch_size)
            frames = device(next(iter(self.sources.train.batches([list(range(size))]))).frames)
            return Pace(0.0, median_s(lambda: self.model.embed_clips(frames)) / size)

        def seconds_of(num_clips: int) -> float:
            started = time.perf_counter()
            for batch in _Repeated(self.files.fit, num_clips).batches(in_order(num_clips, batch_size)):
                self.model.embed_clips(device(batch.frames))
            return time.perf_counter() - started

        return pace(seconds_of, few)

    @torch.no_grad()
    def actions_s(self) -> float:
        """Seconds that embedding the actions' names takes, as before every validation."""
        self.model.eval()
        prompts = self.config.prompts.actions(self.targets.actions)
        return median_s(lambda: self.model.embed_texts(prompts))

    def features_s(self) -> float:
        """Seconds that encoding the frames of all clips takes before a run with a frozen image tower."""
        if self.config.features is not None or self.on_pixels:
            return 0.0
        split = self.prepared.split
        clips = (split.train + split.val)[:DECODED_CLIPS]
        paths = dict(zip(clips, self.prepared.paths(clips), strict=True))
        encoder = backbone_encoder(self.model.backbone)
        num_frames, workers = CACHED_PER_FRAME * self.config.frames, self.config.workers

        def encode() -> None:
            sample = self.folder / "sample"
            sample.unlink(missing_ok=True)
            extract_features(encoder, paths, num_frames, sample, workers=workers, progress=False)

        return median_s(encode) / len(paths) * (self.num_clips + len(split.val))

    def start_s(self) -> float:
        """Seconds that solving for the heads takes."""
        few = min(self.num_clips, START_CLIPS)
        rows = torch.arange(few)
        targets = replace(self.targets, performs=self.targets.performs[rows], shows=self.targets.shows[rows])
        sources = replace(self.sources, fit=_First(self.sources.fit, few))
        seconds = median_s(lambda: start(self.config, self.model, sources, targets))
        # A singular value decomposition of clips × statistics.
        width = self.model.pooling.linear.in_features
        return seconds * (self.num_clips * min(self.num_clips, width)) / (few * min(few, width))


class _Repeated:
    """As many clips as wanted: those of a source over and over."""

    def __init__(self, source: Source, num_clips: int):
        self.source, self.num_clips = source, num_clips

    def __len__(self) -> int:
        return self.num_clips

    def batches(self, order: Sequence[Sequence[int]], epoch: int = 0) -> Iterator[Batch]:
        return self.source.batches([[position % len(self.source) for position in batch] for batch in order], epoch)


class _First:
    """The first clips of a source."""

    def __init__(self, source: Source, num_clips: int):
        self.source, self.num_clips = source, min(num_clips, len(source))

    def __len__(self) -> int:
        return self.num_clips

    def batches(self, order: Sequence[Sequence[int]], epoch: int = 0) -> Iterator[Batch]:
        return self.source.batches(order, epoch)
