"""A training run from its configuration: checks, sources of frames, the loop, and the model folder."""

import logging
import shutil
import time
from pathlib import Path

import torch

from kgclip.config import TrainConfig, to_json
from kgclip.data.features import FeatureFile
from kgclip.data.loader import VideoSource
from kgclip.engine.checkpoint import CONFIG_FILE, Checkpoint, build_model, check_device
from kgclip.engine.extract import backbone_encoder, extract_features, pixels_of
from kgclip.engine.loop import Sources, Trainer, embed_frames, trains
from kgclip.engine.prepare import GraphTargets, Prepared, feature_source, graph_targets, prepare
from kgclip.engine.start import StartTexts, closed_form_start, fit_readout
from kgclip.engine.state import TrainingState
from kgclip.errors import KgclipError
from kgclip.files import free_output, lock
from kgclip.models.backbone import Backbone, load_backbone
from kgclip.models.kgclip import KGCLIP
from kgclip.models.tuning import merge_lora, set_trainable

log = logging.getLogger(__name__)

# Frames cached a clip, for each frame that a step takes: enough for random sampling inside the segments.
CACHED_PER_FRAME = 2


def train(
    config: TrainConfig, *, prepared: Prepared | None = None, resume: bool = False, show_progress: bool = True
) -> Checkpoint:
    """Train a model, choose its best epoch on the validation clips, and write it to ``config.out``.

    Args:
        config: the run.
        prepared: its data, split and graph where they are at hand; None prepares them.
        resume: go on with the state that a killed run left beside ``config.out``.
        show_progress: a progress bar on stderr.

    Raises:
        KgclipError: anything wrong with the input, found before training wherever possible.
    """
    check_device(config.device)
    folder = state_folder(config.out)
    with lock(config.out):
        _check_folders(config.out, folder, resume)
        fresh = not folder.exists()
        try:
            return _train(config, prepared or prepare(config), folder, show_progress=show_progress)
        except (KgclipError, OSError):
            # Bad input that shows late (a broken video) and a full disk leave nothing behind, unless there are epochs
            # to go on from.
            if fresh and not any(folder.glob("epoch-*")):
                shutil.rmtree(folder, ignore_errors=True)
            raise


def state_folder(out: Path) -> Path:
    """Where a run keeps its state until its model folder is written."""
    return out.with_name(out.name + ".training")


def _train(config: TrainConfig, prepared: Prepared, folder: Path, *, show_progress: bool) -> Checkpoint:
    started = time.monotonic()
    torch.manual_seed(config.seed)
    backbone = load_backbone(config.model.backbone, config.model.text)
    set_trainable(backbone, config.model.tuning, config.model.lora_rank, config.model.partial_layers)
    model = build_model(config, backbone, prepared.graph)
    identity = {
        "config": {
            key: value for key, value in to_json(config).items() if key not in ("out", "workers", "save_every_s")
        },
        "split": prepared.split.hash,
        "graph": prepared.graph.hash,
    }
    folder.mkdir(parents=True, exist_ok=True)
    state = TrainingState(folder, identity)
    state.check_identity()
    sources = open_sources(config, prepared, backbone, folder, show_progress=show_progress)
    targets = graph_targets(prepared.graph, tuple(prepared.dataset.actions), prepared.split.train)
    trainer = Trainer(config, prepared, model, sources, start(config, model, sources, targets), state)
    summary = trainer.run(show_progress=show_progress)
    if config.model.graph and not solvable(model):
        fit_readout(model, embed_frames(model, sources.fit), targets)
    merge_lora(model.backbone)
    checkpoint = Checkpoint(
        model.eval(),
        config,
        trainer.actions,
        prepared.graph,
        prepared.split,
        0.0,
        1.0,
        summary | {"torch": torch.__version__},
    )
    checkpoint = trainer.with_fusion(checkpoint)
    checkpoint.summary["wall_s"] = round(time.monotonic() - started, 2)
    checkpoint.save(config.out, extra=state.log_file)
    shutil.rmtree(folder)
    return checkpoint


def _check_folders(out: Path, state: Path, resume: bool) -> None:
    if resume and (out / CONFIG_FILE).is_file():
        raise KgclipError(f"{out}: this run has ended and its model is there; nothing is left to --resume")
    free_output(out)
    if state.exists() and not resume:
        raise KgclipError(f"{state}: a run that did not end left its state here; add --resume to go on, or remove it")


def open_sources(
    config: TrainConfig, prepared: Prepared, backbone: Backbone, folder: Path, *, show_progress: bool
) -> Sources:
    """The clips as frames: given features; features computed once where the image tower is frozen; else pixels.

    Raises:
        KgclipError: features of the wrong width, or a file that cannot be read.
    """
    split = prepared.split
    frozen = not trains(backbone, "image")
    file = config.features
    if file is None and "image" not in backbone.towers():
        raise KgclipError(
            f"{config.model.backbone}: takes features, not pixels; give --features FILE (see `kgclip data features`)"
        )
    if file is None and frozen:
        file = folder / "features.safetensors"
        if not file.exists():
            clips = split.train + split.val
            paths = dict(zip(clips, prepared.paths(clips), strict=True))
            num_frames = CACHED_PER_FRAME * config.frames
            extract_features(
                backbone_encoder(backbone), paths, num_frames, file, workers=config.workers, progress=show_progress
            )
    if file is not None:
        if not frozen:
            raise KgclipError(f"{file}: features are of a frozen encoder; set --model.tuning to frozen or text")
        features = FeatureFile(file)
        if features.feature_dim != backbone.frame_dim:
            raise KgclipError(
                f"{file}: has {features.feature_dim} features a frame, {config.model.backbone} takes "
                f"{backbone.frame_dim}; name the backbone features:{features.feature_dim}"
            )
        return Sources(
            feature_source(features, split.train, config.frames, training=True, seed=config.seed),
            feature_source(features, split.train, config.frames),
            feature_source(features, split.val, config.frames) if split.val else None,
        )
    pixels = pixels_of(backbone)
    train_source = VideoSource(
        prepared.paths(split.train),
        config.frames,
        pixels,
        augmentation=config.augmentation,
        seed=config.seed,
        workers=config.workers,
    )

    def centers(clips: tuple[str, ...]) -> VideoSource:
        return VideoSource(prepared.paths(clips), config.frames, pixels, workers=config.workers)

    return Sources(train_source, centers(split.train), centers(split.val) if split.val else None)


def solvable(model: KGCLIP) -> bool:
    """Whether the heads can be solved for: statistics of frames whose embeddings stay as they are."""
    return model.pooling.kind == "statistics" and not trains(model.backbone, "image")


def start(config: TrainConfig, model: KGCLIP, sources: Sources, targets: GraphTargets) -> GraphTargets:
    """Bring the model to where gradient training starts; returns the targets, labels completed where that is possible.

    With statistics pooling over a frozen image tower that is the closed-form solution. Where the image tower trains,
    features change and a solution for today's would not hold: it starts at the cosine of the embeddings.
    """
    if model.pooling.kind != "statistics":
        return targets
    frames = embed_frames(model, sources.fit)
    if not solvable(model):
        model.pooling.fit(frames)
        return targets
    with torch.no_grad():
        actions = model.backbone.encode_text(config.prompts.actions(targets.actions))
        movements = model.backbone.encode_text(config.prompts.movements(targets.movements) or [""])
    return closed_form_start(model, frames, targets, StartTexts(actions, movements[: len(targets.movements)]))
