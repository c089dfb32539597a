"""The data of an experiment: made or opened once, and cut into the setting of each cell."""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments.hold_out import hold_out
from experiments.protocol import TOWER_VAL_FRACTION, DataSpec, Point
from experiments.setting import Setting
from kgclip.compare import encode_clips
from kgclip.config import ModelConfig, TrainConfig, to_json
from kgclip.data.annotations import read_observations
from kgclip.data.dataset import DataSet, open_dataset
from kgclip.data.features import FeatureFile
from kgclip.data.splits import Split, SplitOptions, group_folds, read_published_split
from kgclip.engine.prepare import prepare
from kgclip.errors import KgclipError
from kgclip.files import atomic_folder, write_json
from kgclip.identity import describe, is_same
from kgclip.models.backbones.registry import load_backbone
from kgclip.parallel import map_in_workers
from kgclip.synthetic.dataset import SyntheticOptions, generate
from kgclip.video.decode import open_video
from kgclip.video.encode import write_video

# The folder under a process' scratch that a cell writes to.
CELL = "cell"


@dataclass(frozen=True)
class OpenData:
    """A data set that is ready for cells.

    Attributes:
        spec: what it was made from.
        root: where the clips lie.
        features: cached features of all clips.
        backbone: of the models (see :class:`kgclip.config.ModelConfig`).
        hash: of features, labels and annotations; results of other data are never mistaken for those of this.
        work: where splits are kept.
    """

    spec: DataSpec
    root: Path
    features: Path
    backbone: str
    hash: str
    work: Path


def check_inputs(spec: DataSpec, points: Sequence[Point]) -> None:
    """Refuse, before anything is made, what would stop a cell later.

    Raises:
        KgclipError: a backbone, sentence encoder or published split cannot be read, or the folds cannot be cut.
    """
    load_backbone(spec.backbone, spec.text)
    for point in points:
        if point.published is not None:
            published_split(spec, point)
    if spec.root is not None and spec.folds:
        group_folds(open_dataset(spec.root, spec.annotations), spec.folds, 0)


def open_data(spec: DataSpec, seed: int, work: Path, *, workers: int = 1, show_progress: bool = False) -> OpenData:
    """Open a data set, or generate its figures; features of its frames are computed if none are given.

    What is made lies in ``work``, appears there whole, and is taken from there the next time.

    Args:
        spec: the data set.
        seed: of generated figures; a data set on disk is the same for every seed.
        work: a folder.
        workers: processes that draw and threads that decode.
        show_progress: progress bars on stderr.

    Raises:
        KgclipError: the data or the features cannot be read, or do not belong together.
    """
    if spec.root is None:
        return _open_synthetic(spec, seed, work, workers=workers, show_progress=show_progress)
    dataset = open_dataset(spec.root, spec.annotations)
    if dataset.annotations is None:
        raise KgclipError(
            f"{spec.root}: has no part annotations, and experiments compare arms that learn from them; give a data set "
            "in the layout of Kinetics-TPS, or --annotations"
        )
    if not spec.folds and not any(clip.part == "test" for clip in dataset.clips):
        raise KgclipError(f"{spec.root}: has no test part; give --folds, such as --folds 5")
    features = spec.features
    if features is None:
        place = json.dumps([str(spec.root.resolve()), spec.backbone, _listing(dataset)])
        features = work / f"features-{_digest(place)}.safetensors"
        if not features.exists():
            encode_clips(dataset, spec.backbone, features, workers=workers, show_progress=show_progress)
    file = FeatureFile(features)
    file.check([clip.id for clip in dataset.clips])
    digest = data_hash(dataset, features, spec.keypoints)
    return OpenData(spec, spec.root, features, backbone_of(spec, file), digest, work)


def _open_synthetic(spec: DataSpec, seed: int, work: Path, *, workers: int, show_progress: bool) -> OpenData:
    if spec.features is not None:
        raise KgclipError("--features: is for a data set on disk; give --data with its path, or leave --features out")
    options = SyntheticOptions(
        seed=seed,
        part_noise=spec.part_noise,
        train_per_action=spec.clips_per_action,
        test_per_action=spec.test_per_action,
    )
    look = ["negative"] if spec.negative else []
    folder = work / f"figures-{seed}-{_digest(json.dumps([to_json(options), spec.backbone, *look]))}"
    root, features, known = folder / "synthetic", folder / "features.safetensors", folder / "hash.json"
    # Each file appears whole and after those that it is made from, so that a killed run goes on here.
    if not known.exists():
        drawn = folder / "drawn" if spec.negative else root
        if not root.exists() and not drawn.exists():
            generate(drawn, options, workers=workers, progress=show_progress)
        if not root.exists():
            _in_negative(drawn, root, workers)
        dataset = open_dataset(root)
        if not features.exists():
            encode_clips(dataset, spec.backbone, features, workers=workers, show_progress=show_progress)
        write_json(known, data_hash(dataset, features))
    return OpenData(spec, root, features, spec.backbone, json.loads(known.read_text()), work)


def _in_negative(drawn: Path, root: Path, workers: int) -> None:
    """The same data set with every frame in negative; takes the place of the first."""
    with atomic_folder(root) as made:
        shutil.copytree(drawn, made, dirs_exist_ok=True)
        list(map_in_workers(_turn_to_negative, sorted(made.rglob("*.mp4")), workers, place=str(root), chunk=16))
    shutil.rmtree(drawn)


def _turn_to_negative(video: Path) -> None:
    with open_video(video) as opened:
        images, fps = opened.read(np.arange(opened.num_frames)), round(opened.fps)
    write_video(video, 255 - images, fps)


def backbone_of(spec: DataSpec, features: FeatureFile) -> str:
    """The backbone that takes these features: the spec's own, or one for features of a foreign encoder.

    Raises:
        KgclipError: a backbone was named that the features are not of.
    """
    if not spec.backbone.startswith("features:"):
        backbone = load_backbone(spec.backbone)
        if backbone.image_identity is not None and is_same(features.encoder, backbone.image_identity):
            return spec.backbone
        if spec.backbone == DataSpec.backbone:
            return f"features:{features.feature_dim}"
    elif spec.backbone == f"features:{features.feature_dim}":
        return spec.backbone
    raise KgclipError(
        f"{features.path}: holds {features.feature_dim} features a frame by {describe(features.encoder)}, which "
        f"are not those of --backbone {spec.backbone}; leave one of the two options out"
    )


def data_hash(dataset: DataSet, features: Path, keypoints: Path | None = None) -> str:
    """The first 16 hex digits of the SHA-256 of labels, sources, annotations, features and keypoints."""
    digest = hashlib.sha256(_listing(dataset).encode())
    observations = read_observations(dataset, progress=False)
    for table in (observations.parts, observations.frames):
        # Binary forms of equal tables differ by how they came into memory.
        digest.update(table.write_csv().encode())
    for path in filter(None, (features, keypoints)):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def _listing(dataset: DataSet) -> str:
    return json.dumps([[clip.id, clip.action, clip.source, clip.part] for clip in dataset.clips])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def open_setting(data: OpenData, point: Point, seed: int, fold: int, scratch: Path) -> Setting:
    """The setting that the arms of one point, seed and fold share.

    Args:
        data: the data set of that seed.
        point: of the protocol.
        seed: of the split, of initialization and order.
        fold: which of the data's folds is the test part; 0 where there are none.
        scratch: where arms may write.

    Raises:
        KgclipError: the split cannot be made, or the features do not fit.
    """
    config = TrainConfig(
        data=data.root,
        # What hold_out keeps beside it outlives the arms, which write to a folder of their own.
        out=scratch / "setting" / "model",
        annotations=data.spec.annotations,
        keypoints=data.spec.keypoints,
        features=None if data.spec.pixels else data.features,
        frames=point.frames,
        seed=seed,
        workers=1,
        device="auto" if data.spec.pixels else "cpu",
        model=ModelConfig(data.backbone, data.spec.text, tuning="full" if data.spec.pixels else "frozen"),
        split=SplitOptions(
            file=_split_file(data, point, seed, fold),
            train_fraction=point.train_fraction,
            shots=point.shots,
            label_fraction=point.label_fraction,
            val_fraction=TOWER_VAL_FRACTION if data.spec.pixels else 0.0,
            seed=seed,
        ),
    )
    setting = Setting(config, prepare(config), definitions=data.spec.definitions, cached=data.features)
    if point.novel_fraction > 0:
        setting = hold_out(setting, point.novel_fraction, seed)
    return dataclasses.replace(setting, config=dataclasses.replace(setting.config, out=scratch / CELL / "model"))


def _split_file(data: OpenData, point: Point, seed: int, fold: int) -> Path | None:
    """The published split or that of one fold, saved where it is not yet; None for the data set's own test part.

    Two processes that save one write the same.
    """
    if point.published is not None:
        split = published_split(data.spec, point)
        file = data.work / f"published-{data.hash}-{split.hash}.json"
        split.save(file)
        return file
    if not data.spec.folds:
        return None
    file = data.work / f"folds-{data.hash}-{data.spec.folds}" / f"seed-{seed}-fold-{fold}.json"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        split = group_folds(open_dataset(data.root, data.spec.annotations), data.spec.folds, seed)[fold]
        everything = {"train": (*split.train, *split.val), "labelled": (*split.labelled, *split.val), "val": ()}
        dataclasses.replace(split, **everything).save(file)
    return file


def published_split(spec: DataSpec, point: Point) -> Split:
    """The published split of a point.

    Raises:
        KgclipError: there is no folder of splits, or a file of it cannot be read.
    """
    if spec.splits is None:
        raise KgclipError(f"{point.name}: is a published split; give --splits with the folder of split_20_train.txt")
    train, test = (spec.splits / f"split_{point.published}_{part}.txt" for part in ("train", "test"))
    return read_published_split(train, test)
