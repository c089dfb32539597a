"""From clips to a checked model in one call: poses, movements, features and graph, each kept where it is done."""

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from kgclip.config import ModelConfig, TrainConfig
from kgclip.data.annotations import read_observations
from kgclip.data.check import check_dataset
from kgclip.data.dataset import DataSet, open_dataset
from kgclip.data.features import FeatureFile
from kgclip.data.splits import SplitOptions
from kgclip.data.wording import count_of
from kgclip.engine import extract
from kgclip.engine.checkpoint import CONFIG_FILE, Checkpoint, choose_device
from kgclip.engine.clip_traits import CLIPS, known_traits, traits_of, unchanged, write_traits
from kgclip.engine.dry_run import peak_memory, seconds_of
from kgclip.engine.encoder import FrameEncoder, backbone_encoder
from kgclip.engine.extract import extract_features
from kgclip.engine.frames import CACHED_PER_FRAME
from kgclip.engine.prepare import with_definitions
from kgclip.engine.train import state_folder, train, with_backbone
from kgclip.errors import KgclipError
from kgclip.kg.graph import KnowledgeGraph
from kgclip.kg.inspect import Finding
from kgclip.locks import lock
from kgclip.models.backbones.registry import load_backbone
from kgclip.pose import annotate as pose_annotate
from kgclip.pose.annotate import KEYPOINTS_FILE, PoseSource, annotate, observe, workers_for
from kgclip.pose.brought import is_keypoints
from kgclip.progress import progress_bar
from kgclip.remains import is_ours, remove_folder
from kgclip.video.cut import VideoPath
from kgclip.video.frames import read_clip

log = logging.getLogger(__name__)

MODEL, ANNOTATIONS, FEATURES = "model", "annotations", "features.safetensors"
# Clips that the estimate is timed on, and seconds that it leaves for loading and solving.
TIMED_CLIPS, OTHER_S = 2, 15.0


@dataclass(frozen=True)
class FitOptions:
    """What a model is made from.

    Attributes:
        clips: a folder or a list, in any layout (docs/data.md).
        out: folder to write or to go on with.
        pose: an estimator of poses, or keypoints; None reads no pose.
        detector: the person detector of a ViTPose model.
        annotations: part annotations in place of those that are made from the poses.
        definitions: a file of definitions of actions, or the word "shipped".
        backbone: see :class:`kgclip.config.ModelConfig`.
        frames: T, frames a clip.
        source_pattern: see :class:`kgclip.config.TrainConfig`.
        keep_going: leave out broken annotations, and clips that cannot be encoded.
        workers: processes that look at clips.
        device: where the image tower runs.
    """

    clips: Path
    out: Path
    pose: str | None = None
    detector: str | None = None
    annotations: Path | None = None
    definitions: Path | None = None
    backbone: str = "auto"
    frames: int = 8
    source_pattern: str | None = None
    keep_going: bool = False
    workers: int = 2
    device: str = "auto"


@dataclass(frozen=True)
class FitEstimate:
    """What the steps that are left will take.

    Attributes:
        seconds: of each step.
        memory_bytes: of all processes together, roughly.
    """

    seconds: dict[str, float]
    memory_bytes: int


@dataclass(frozen=True)
class Fitting:
    """A model being made: the options with the backbone found, and the clips that can be read.

    Attributes:
        options: with the name of a backbone in place of "auto".
        config: of the training.
        dataset: the clips.
        findings: what is wrong or doubtful with them.
    """

    options: FitOptions
    config: TrainConfig
    dataset: DataSet
    findings: tuple[Finding, ...]

    @classmethod
    def open(cls, options: FitOptions, *, progress: bool = True) -> "Fitting":
        """Check the clips and the options.

        Raises:
            KgclipError: no clip can be used, or an option does not fit.
        """
        choose_device(options.device)
        _check_out(options.out, options.clips)
        dataset = open_dataset(options.clips, options.annotations, options.source_pattern)
        with_definitions(KnowledgeGraph.from_edges([]), options.definitions, dataset)
        findings = check_dataset(dataset, workers=options.workers, progress=progress)
        errors = [finding for finding in findings if finding.severity == "error"]
        if errors:
            raise KgclipError(f"{options.clips}: {errors[0].message}; see `kgclip data check {options.clips}`")
        labeled = {clip.action for clip in dataset.clips if clip.action is not None}
        if len(labeled) < 2:
            raise KgclipError(
                f"{options.clips}: shows {count_of(len(labeled), 'action')}, at least 2 are needed to choose between; "
                "add a folder of clips of another action"
            )
        return cls(options, _config(options, dataset), dataset, tuple(findings))

    def estimate(self) -> FitEstimate:
        """Time the steps that are left on a few clips.

        Raises:
            KgclipError: a clip or the estimator cannot be read.
        """
        options, clips = self.options, self.dataset.clips
        same = unchanged(options.out, traits_of(self._paths))
        features = len(clips) - len(same & extract.encoded_clips(options.out / FEATURES))
        poses = len(clips) - len(same & pose_annotate.annotated_clips(options.out / ANNOTATIONS))
        few = clips[:: max(1, len(clips) // TIMED_CLIPS)][:TIMED_CLIPS]
        seconds = {}
        source, workers = self._source, 0
        if source is not None and poses:
            observe(few[0].id, few[0].path, source)  # loads the estimator
            a_clip = seconds_of(lambda: [observe(clip.id, clip.path, source) for clip in few]) / len(few)
            workers = workers_for(source, options.workers)
            seconds["poses"] = a_clip * poses / max(1, workers)
        if features:
            encoder = backbone_encoder(load_backbone(self.config.model.backbone, self.config.model.text))
            frames = self._num_frames
            encoder.encode(read_clip(few[0].path, frames).images)
            a_clip = seconds_of(lambda: [encoder.encode(read_clip(c.path, frames).images) for c in few]) / len(few)
            seconds["features"] = a_clip * features
        memory = peak_memory() * (1 + (workers if workers > 1 else 0))
        return FitEstimate(seconds | {"the rest": OTHER_S}, memory)

    def run(self, say: Callable[[str], None] = log.info, *, progress: bool = True) -> Checkpoint:
        """Make the model; what an earlier run has read of clips that have not changed since is taken from there.

        Args:
            say: is told of each step.
            progress: progress bars on stderr.

        Raises:
            KgclipError: a clip cannot be read, there is too little to learn from, or the folder holds poses or
                features of another kind.
        """
        options, config = self.options, self.config
        model = config.model
        encoder = backbone_encoder(load_backbone(model.backbone, model.text).to(choose_device(options.device)))
        with lock(options.out):
            self._let_go(encoder, say)
            if self._source is not None:
                say(f"reading poses by {options.pose}")
                self._annotate(progress)
                config = replace(config, keypoints=options.out / ANNOTATIONS / KEYPOINTS_FILE)
            say(f"encoding frames by {config.model.backbone}")
            self._encode(encoder, progress)
            return self._train(config, say)

    @property
    def _source(self) -> PoseSource | None:
        pose = self.options.pose
        return None if pose is None else PoseSource(pose, self.options.detector)

    def _annotate(self, progress: bool) -> None:
        assert self._source is not None
        with progress_bar("reading poses", len(self._paths), "clips", show=progress) as advance:
            folder = self.options.out / ANNOTATIONS
            annotate(self._paths, folder, self._source, workers=self.options.workers, advance=advance)

    def _encode(self, encoder: FrameEncoder, progress: bool) -> None:
        out, num_frames, workers = self.options.out / FEATURES, self._num_frames, self.options.workers
        keep_going = self.options.keep_going
        extract_features(
            encoder, self._paths, num_frames, out, workers=workers, keep_going=keep_going, progress=progress
        )

    def _let_go(self, encoder: FrameEncoder, say: Callable[[str], None]) -> None:
        """Let go of what was read of clips that are gone or are other files now, before anything new is read.

        Raises:
            KgclipError: the folder holds poses or features of another kind.
        """
        out, paths, traits = self.options.out, self._paths, traits_of(self._paths)
        same = unchanged(out, traits)
        if (out / FEATURES).exists():  # refused before poses are let go
            frames = FeatureFile(out / FEATURES).num_frames // CACHED_PER_FRAME
            if frames != self.options.frames:
                raise KgclipError(
                    f"--frames {self.options.frames}: {out} was made with {frames}; give that, or another --out"
                )
            extract.same_kind(encoder, self._num_frames, out / FEATURES)
        pose_annotate.let_go(out / ANNOTATIONS, same, self._source)
        extract.let_go(encoder, paths, self._num_frames, out / FEATURES, same)
        if same and len(same) < len(paths):
            say(f"{len(paths) - len(same)} of {count_of(len(paths), 'clip')} are new or have changed")
        write_traits(out, traits)

    @property
    def _paths(self) -> dict[str, VideoPath]:
        return {clip.id: clip.path for clip in self.dataset.clips}

    @property
    def _num_frames(self) -> int:
        return CACHED_PER_FRAME * self.options.frames

    def _train(self, config: TrainConfig, say: Callable[[str], None]) -> Checkpoint:
        out = config.out
        before = out.with_name(f"{out.name}.before")
        if not _has_movements(config):
            if config.definitions is not None:
                raise KgclipError(
                    f"--definitions {config.definitions}: no movement is known for these clips, so that definitions "
                    "cannot be used; give --pose or --annotations"
                )
            say("no movement is known for these clips, so that the model has no graph; --pose makes one")
            config = replace(config, model=replace(config.model, graph=False))
        # A run that was killed here has left its model there, or under the name that it waits under.
        remove_folder(state_folder(out))
        if out.exists():
            remove_folder(before)
            out.rename(before)
        try:
            checkpoint = train(config, show_progress=False)
            estimator = Path(self.options.pose or "")
            if estimator.is_file() and not is_keypoints(str(estimator)):
                shutil.copy(estimator, out / estimator.name)
        except BaseException:
            if before.exists():
                shutil.rmtree(out, ignore_errors=True)
                before.rename(out)
            raise
        remove_folder(before)
        return checkpoint


def _check_out(out: Path, clips: Path) -> None:
    """Refuse a folder that holds something else, or lies among the clips: what an earlier run left in it is replaced.

    Raises:
        KgclipError: it does, or it is a file.
    """
    if clips.is_dir() and out.resolve().is_relative_to(clips.resolve()):
        raise KgclipError(f"--out {out}: lies in {clips}, whose folders are actions; choose one outside of it")
    if not out.exists():
        return
    model = out / MODEL
    if out.is_dir() and all(is_ours(entry.name) for entry in out.iterdir()):
        return
    known, names = bool(known_traits(out)), (ANNOTATIONS, FEATURES, f".{FEATURES}.kgclip-part")
    begun = out.is_dir() and (known or any((out / name).exists() for name in names))
    if not begun or ((out / CLIPS).exists() and not known) or (model.exists() and not (model / CONFIG_FILE).is_file()):
        raise KgclipError(f"{out}: exists and is no folder that `kgclip fit` wrote; choose another --out")


def _config(options: FitOptions, dataset: DataSet) -> TrainConfig:
    """The training that these options stand for: all clips but a test part of the data train."""
    annotations = dataset.annotations
    if options.annotations is None and options.pose is not None:
        annotations = options.out / ANNOTATIONS
    return with_backbone(
        TrainConfig(
            data=options.clips,
            out=options.out / MODEL,
            definitions=options.definitions,
            annotations=annotations,
            source_pattern=options.source_pattern,
            features=options.out / FEATURES,
            frames=options.frames,
            keep_going=options.keep_going,
            workers=options.workers,
            model=ModelConfig(options.backbone),
            split=SplitOptions(),
        )
    )


def _has_movements(config: TrainConfig) -> bool:
    """Whether annotations show a movement of any clip."""
    if config.annotations is None:
        return False
    dataset = open_dataset(config.data, config.annotations, config.source_pattern)
    options = {"keep_going": config.keep_going, "workers": config.workers}
    return not read_observations(dataset, **options, progress=False).parts.is_empty()
