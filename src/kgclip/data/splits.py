"""Which clips train, validate and test a model: reproducible, nested and grouped by source."""

import hashlib
import json
import logging
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import combinations
from pathlib import Path

import numpy as np

from kgclip.data.carving import carve, deal, groups_of, share_of
from kgclip.data.clip import Clip
from kgclip.data.dataset import DataSet
from kgclip.data.tables import read_lines
from kgclip.data.wording import count_of, examples_of
from kgclip.errors import KgclipError
from kgclip.files import read_text, write_json
from kgclip.reading import parse_json

logger = logging.getLogger(__name__)

# Independent streams of random numbers from one seed: another test_fraction leaves the order of training clips alone.
_TEST_STREAM, _VAL_STREAM, _ORDER_STREAM, _FOLD_STREAM = range(4)


@dataclass(frozen=True)
class Split:
    """Clip ids of the three parts, and the training clips whose action label may be used, each sorted."""

    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]
    labelled: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in ("train", "val", "test", "labelled"):
            object.__setattr__(self, name, tuple(sorted(getattr(self, name))))

    @cached_property
    def hash(self) -> str:
        """The first 16 hex digits of the SHA-256 of the content: equal for equal splits, wherever they come from."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    def save(self, path: Path) -> None:
        """Write the split as JSON."""
        write_json(path, {"hash": self.hash, **asdict(self)})

    @classmethod
    def load(cls, path: Path) -> "Split":
        """Read a split written by ``save``; in one written by hand, ``hash`` and ``labelled`` (all) may be absent.

        Raises:
            KgclipError: the file is no split, its parts overlap, or it was changed after its hash was taken.
        """
        if not path.exists():
            raise KgclipError(f"{path}: not found; expected a split in JSON")
        try:
            content = parse_json(read_text(path))
        except ValueError as error:
            raise KgclipError(f"{path}: is no split in JSON ({error}); expected lists train, val and test") from None
        if not isinstance(content, dict) or "train" not in content:
            raise KgclipError(f"{path}: is no split; expected an object with the lists train, val and test")
        parts = {name: content.get(name, []) for name in ("train", "val", "test")}
        parts["labelled"] = content.get("labelled", parts["train"])
        for name, ids in parts.items():
            if not isinstance(ids, list) or not all(isinstance(clip_id, str) for clip_id in ids):
                raise KgclipError(f"{path}: {name} is no list of clip ids; write it as a JSON list of strings")
        split = cls(**{name: tuple(ids) for name, ids in parts.items()})
        _check_disjoint(split, str(path))
        if content.get("hash", split.hash) != split.hash:
            raise KgclipError(
                f"{path}: was changed after it was saved (its hash is {content['hash']}, its content's {split.hash}); "
                "restore the file, or remove its hash if the change is meant"
            )
        return split

    def check(self, dataset: DataSet) -> None:
        """Raise KgclipError if the split names a clip that the data set does not hold."""
        unknown = sorted({*self.train, *self.val, *self.test} - dataset.by_id.keys())
        if unknown:
            raise KgclipError(
                f"{dataset.root}: lacks {count_of(len(unknown), 'clip')} of the split: {examples_of(unknown)}; "
                "give the data set that the split was made from, or make a new split"
            )


@dataclass(frozen=True)
class SplitOptions:
    """How a data set is split into training, validation and test clips."""

    file: Path | None = None
    """A saved split (JSON); it is taken as it is, and the three options on training clips apply to it."""
    val_fraction: float = 0.15
    """Share of the training clips kept for validation where something is chosen on them, unless the data set has a
    validation part; a head that is solved in closed form chooses nothing on them and takes all."""
    test_fraction: float = 0.0
    """Share of the clips kept for the test, unless the data set has a test part."""
    train_fraction: float = 1.0
    """Share of the training clips used; a smaller share lies inside a larger one of the same seed."""
    shots: int | None = None
    """Number of training clips per action, beside those kept for validation; fewer shots lie inside more."""
    label_fraction: float = 1.0
    """Share of the training clips used whose action label is used, beside those kept for validation; a smaller share
    lies inside a larger one."""
    group_by_source: bool = True
    """Keep the clips that were cut from one video on one side."""
    seed: int = 0
    """Seed of every random choice."""

    def __post_init__(self) -> None:
        for name in ("val_fraction", "test_fraction"):
            if not 0 <= getattr(self, name) < 1:
                raise KgclipError(f"{name}: got {getattr(self, name)}, expected at least 0 and less than 1")
        for name in ("train_fraction", "label_fraction"):
            if not 0 < getattr(self, name) <= 1:
                raise KgclipError(f"{name}: got {getattr(self, name)}, expected more than 0 and at most 1")
        if self.shots is not None and self.shots < 1:
            raise KgclipError(f"shots: got {self.shots}, expected at least 1 clip per action")
        if self.seed < 0:
            raise KgclipError(f"seed: got {self.seed}, expected 0 or more")


def make_split(dataset: DataSet, options: SplitOptions, *, validate: bool = True) -> Split:
    """Split a data set.

    A test or validation part that the data set prescribes is kept. Otherwise it is carved from the rest, stratified by
    action and, with ``group_by_source``, a source at a time. Validation and test do not depend on ``train_fraction``,
    ``shots`` and ``label_fraction``, and every action keeps a labeled training clip where it has one. Clips without an
    action are never carved for validation or test.

    With ``validate`` False there is no validation part; its clips, also those that the data set prescribes, train.

    Raises:
        KgclipError: the saved split does not fit the data set, or no clip is left for training.
    """
    if options.file is not None:
        split = Split.load(options.file)
        split.check(dataset)
    else:
        pool = [clip for clip in dataset.clips if clip.part in (None, "train")]
        val, test = ([clip for clip in dataset.clips if clip.part == part] for part in ("val", "test"))
        grouped = options.group_by_source
        if not test and options.test_fraction > 0:
            test, pool = carve(pool, options.test_fraction, grouped, _rng(options.seed, _TEST_STREAM))
            if not test:
                logger.warning(
                    "%s: no test clip could be set aside: that takes an action with %s",
                    dataset.root,
                    "labeled clips of two sources, one of them without unlabeled clips"
                    if grouped
                    else "two labeled clips",
                )
        if validate and not val and options.val_fraction > 0:
            val, pool = carve(pool, options.val_fraction, grouped, _rng(options.seed, _VAL_STREAM))
        split = _split_of(pool, val, test)
        if grouped:
            _warn_of_shared_sources(split, dataset)
    if not validate:
        split = without_validation(split, dataset)
    split = _narrow(split, dataset, options)
    if not split.train:
        raise KgclipError(
            f"{dataset.root}: no clip is left for training; lower the other fractions, or label some clips"
        )
    return split


def without_validation(split: Split, dataset: DataSet) -> Split:
    """The split with its validation clips among the training clips, their labels among those that may be used."""
    labeled = tuple(clip for clip in split.val if dataset.by_id[clip].action is not None)
    return Split(split.train + split.val, (), split.test, split.labelled + labeled)


def group_folds(dataset: DataSet, num_folds: int, seed: int, val_fraction: float = 0.15) -> list[Split]:
    """Split a data set into folds for cross-validation, grouped by source and stratified by action.

    Each fold is the test part of one split, whose validation part is carved from its remaining clips. Clips of a test
    part that the data set prescribes are left out; clips without an action are training clips of every split whose
    test part has no clip of their source.

    Raises:
        KgclipError: fewer than 2 folds are asked for, or more than there are sources.
    """
    clips = [clip for clip in dataset.clips if clip.part != "test"]
    groups = groups_of([clip for clip in clips if clip.action is not None], by_source=True)
    if not 2 <= num_folds <= len(groups):
        raise KgclipError(
            f"{dataset.root}: cannot be cut into {num_folds} folds; "
            f"choose at least 2 and at most {len(groups)}, its number of sources"
        )
    splits = []
    for test in deal(groups, num_folds, _rng(seed, _FOLD_STREAM)):
        tested = {clip.source for clip in test}
        others = [clip for clip in clips if clip.source not in tested]
        val, train = carve(others, val_fraction, True, _rng(seed, _VAL_STREAM))
        splits.append(_split_of(train, val, test))
    return splits


def read_published_split(train_txt: Path, test_txt: Path) -> Split:
    """Read a published split, two text files with one clip id a line; it has no validation part.

    Raises:
        KgclipError: a file is missing or empty, or a clip is in both.
    """
    train, test = (tuple(filter(None, map(str.strip, read_lines(path)))) for path in (train_txt, test_txt))
    for path, ids in ((train_txt, train), (test_txt, test)):
        if not ids:
            raise KgclipError(f"{path}: is empty; expected one clip id a line")
    split = Split(train, (), test, labelled=train)
    _check_disjoint(split, f"{train_txt} and {test_txt}")
    return split


def _rng(seed: int, stream: int) -> np.random.Generator:
    return np.random.default_rng([seed, stream])


def _split_of(train: Sequence[Clip], val: Sequence[Clip], test: Sequence[Clip]) -> Split:
    labelled = tuple(clip.id for clip in train if clip.action is not None)
    parts = [tuple(clip.id for clip in clips) for clips in (train, val, test)]
    return Split(*parts, labelled=labelled)


def _check_disjoint(split: Split, where: str) -> None:
    seen = Counter([*split.train, *split.val, *split.test])
    twice = sorted(clip_id for clip_id, count in seen.items() if count > 1)
    if twice:
        raise KgclipError(
            f"{where}: lists {count_of(len(twice), 'clip')} twice: {examples_of(twice)}; "
            "list each clip once, in train, val or test"
        )
    unknown = sorted(set(split.labelled) - set(split.train))
    if unknown:
        what = f"{count_of(len(unknown), 'clip')} not in train: {examples_of(unknown)}"
        raise KgclipError(f"{where}: labelled holds {what}")


def _narrow(split: Split, dataset: DataSet, options: SplitOptions) -> Split:
    """Apply train_fraction, shots and label_fraction: each takes the first clips of one random order per action."""
    wanted, usable = set(split.train), set(split.labelled)
    by_action: dict[str | None, list[str]] = defaultdict(list)
    for index in _rng(options.seed, _ORDER_STREAM).permutation(len(dataset.clips)):
        clip = dataset.clips[index]
        if clip.id in wanted:
            by_action[clip.action].append(clip.id)
    train: list[str] = []
    labelled: list[str] = []
    for action, clips in by_action.items():
        used = clips[: max(1, share_of(options.train_fraction, len(clips)))]
        if options.shots is not None:
            # K shots are K labeled clips per action and nothing else.
            used = used[: options.shots] if action is not None else []
        train += used
        if action is not None:
            candidates = [clip_id for clip_id in used if clip_id in usable]
            labelled += candidates[: max(1, share_of(options.label_fraction, len(candidates)))]
    return replace(split, train=tuple(train), labelled=tuple(labelled))


def _warn_of_shared_sources(split: Split, dataset: DataSet) -> None:
    for one, other in combinations(("train", "val", "test"), 2):
        sources = [{dataset.by_id[clip].source for clip in getattr(split, part)} for part in (one, other)]
        if shared := sorted(sources[0] & sources[1]):
            logger.warning(
                "%s: the %s and %s parts share %s (%s), so that results look better than they are",
                *(dataset.root, one, other, count_of(len(shared), "source"), examples_of(shared)),
            )
