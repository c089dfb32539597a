"""The formats of other tools: what each reads and writes, with which options; one call adds another."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from kgclip.data.bridges import boris, coco, cvat, elan, hake, label_studio, part_frames
from kgclip.data.bridges.intervals import Interval, by_film, read_intervals, write_list
from kgclip.data.dataset import open_dataset
from kgclip.data.wording import count_of
from kgclip.errors import KgclipError
from kgclip.files import atomic_folder
from kgclip.pose.keypoints import read_keypoints
from kgclip.video.cut import VideoPath


@dataclass(frozen=True)
class BridgeOptions:
    """What is asked of a bridge; a field that is None was not given.

    Attributes:
        out: file or folder to write, which is not there.
        videos: folder of the films that the files name.
        fps: frames a second, where a format counts frames.
        tier: names of tiers to read.
        clip: the clip that annotations are of.
        data: data set of the clips.
        states: length of the list of states that a file counts in.
        video: the film that spans are of.
    """

    out: Path
    videos: Path | None = None
    fps: float | None = None
    tier: tuple[str, ...] = ()
    clip: str | None = None
    data: Path | None = None
    states: int | None = None
    video: Path | None = None


Read = Callable[[tuple[Path, ...], BridgeOptions], list[str]]
Write = Callable[[Path, BridgeOptions], list[str]]


@dataclass(frozen=True)
class Bridge:
    """One format of another tool.

    Attributes:
        what: the files, for messages.
        read: writes what files hold in a format of this project, and says in sentences what became of it.
        write: the other way round, from one file or folder; None where there is none.
        read_options, write_options: the fields of :class:`BridgeOptions`, but for ``out``, that each takes.
    """

    name: str
    what: str
    read: Read
    write: Write | None = None
    read_options: frozenset[str] = frozenset()
    write_options: frozenset[str] = frozenset()


_added: list[Bridge] = []


def register_bridge(bridge: Bridge) -> None:
    """Add a format of one's own, in place of a built-in one of that name."""
    _added.insert(0, bridge)


def bridges() -> dict[str, Bridge]:
    """Every format by its name."""
    return {bridge.name: bridge for bridge in (*_BUILT_IN, *reversed(_added))}


def _fps(files: Iterable[Path], options: BridgeOptions) -> float:
    if options.fps is None or not 0 < options.fps < 10_000:
        raise KgclipError(
            f"{next(iter(files))}: counts frames and does not say how many a second; give --fps, the frameRate of the "
            "<Video> tag (24 where the tag has none)"
        )
    return options.fps


def _read_elan(files: tuple[Path, ...], options: BridgeOptions) -> list[str]:
    found = [(file, each) for file in files for each in elan.read_eaf(file, options.tier)]
    return write_list(found, options.out, options.videos)


def _write_elan(source: Path, options: BridgeOptions) -> list[str]:
    films = by_film(read_intervals(source, options.video))
    if options.out.suffix.lower() != ".eaf":
        return _in_folder(options.out, films, elan.write_eaf)
    if len(films) > 1:
        raise KgclipError(
            f"--out {options.out}: {source} has {len(films)} films, and an ELAN file is of one; name a folder"
        )
    elan.write_eaf(options.out, next(iter(films.values())))
    return [f"{options.out}: {count_of(sum(map(len, films.values())), 'interval')}"]


def _in_folder(out: Path, films: dict[str, list[Interval]], write: Callable[[Path, list[Interval]], None]) -> list[str]:
    """A file for each film in a new folder, named after it; films of one name are numbered."""
    taken: set[str] = set()
    with atomic_folder(out) as folder:
        for video, found in films.items():
            stem = Path(video).stem
            names = (stem if number == 1 else f"{stem}-{number}" for number in range(1, len(taken) + 2))
            name = next(name for name in names if name not in taken)
            taken.add(name)
            write(folder / f"{name}.eaf", found)
    return [f"{out}: {count_of(sum(map(len, films.values())), 'interval')} of {count_of(len(films), 'film')}"]


def _read_boris(files: tuple[Path, ...], options: BridgeOptions) -> list[str]:
    found: list[tuple[Path, Interval]] = []
    notes: list[str] = []
    for file in files:
        events = boris.read_boris(file)
        found += [(file, each) for each in events.intervals]
        notes += [f"{file}: {note}" for note in events.notes()]
    return write_list(found, options.out, options.videos) + notes


def _write_boris(source: Path, options: BridgeOptions) -> list[str]:
    intervals = read_intervals(source, options.video)
    boris.write_boris(options.out, intervals)
    return [f"{options.out}: {count_of(len(intervals), 'interval')}"]


def _read_label_studio(files: tuple[Path, ...], options: BridgeOptions) -> list[str]:
    fps = _fps(files, options)
    found = [(file, each) for file in files for each in label_studio.read_tasks(file, fps)]
    return write_list(found, options.out, options.videos)


def _write_label_studio(source: Path, options: BridgeOptions) -> list[str]:
    fps, intervals = _fps([source], options), read_intervals(source, options.video)
    label_studio.write_tasks(options.out, intervals, fps, predicted=options.video is not None)
    what = "predictions" if options.video is not None else "annotations"
    return [f"{options.out}: {count_of(len(intervals), 'interval')} as {what}, in frames of {fps:g} a second"]


def _read_cvat(files: tuple[Path, ...], options: BridgeOptions) -> list[str]:
    if options.clip is not None and len(files) > 1:
        raise KgclipError(
            f"--clip {options.clip}: names one clip, {len(files)} files are given; import them one by one"
        )
    clips: dict[str, part_frames.Frames] = {}
    notes: list[str] = []
    for file in files:
        task = cvat.read_cvat(file)
        clip = options.clip or task.clip
        if clip in clips:
            raise KgclipError(f"{file}: is the second task of the clip {clip}; give one file a clip")
        clips[clip], notes = task.frames, notes + task.notes
    part_frames.write_clips(options.out, clips)
    frames = sum(len(dict(frames)) for frames in clips.values())
    return [f"{options.out}: {count_of(frames, 'frame')} of {count_of(len(clips), 'clip')}", *notes]


def _write_cvat(source: Path, options: BridgeOptions) -> list[str]:
    clips = part_frames.read_clips(source)
    without_box = 0
    with atomic_folder(options.out) as folder:
        for clip, frames in clips.items():
            without_box += cvat.write_cvat(folder / f"{clip}.xml", clip, frames)
    notes = [f"{options.out}: {count_of(len(clips), 'clip')}, a file for each"]
    if without_box:
        notes.append(f"{count_of(without_box, 'state')} without a box left out, as CVAT draws boxes")
    return notes


def _read_coco(files: tuple[Path, ...], options: BridgeOptions) -> list[str]:
    file, *more = files
    if more:
        raise KgclipError(f"{more[0]}: is a second file; import COCO keypoints one file at a time")
    if options.data is None:
        raise KgclipError(f"{file}: has no times of frames; give the data set of its clips with --data")
    if options.out.suffix != ".parquet":
        raise KgclipError(f"--out {options.out}: becomes a file of keypoints; give it a name that ends in .parquet")
    clips: dict[str, VideoPath] = {clip.id: clip.path for clip in open_dataset(options.data).clips}
    return coco.read_coco(file, clips, options.out)


def _write_coco(source: Path, options: BridgeOptions) -> list[str]:
    poses, _ = read_keypoints(source)
    coco.write_coco(options.out, poses)
    return [f"{options.out}: keypoints of {count_of(len(poses), 'clip')}"]


def _read_hake(files: tuple[Path, ...], options: BridgeOptions) -> list[str]:
    images: dict[str, part_frames.Frames] = {}
    notes: list[str] = []
    for file in files:
        found = hake.read_hake(file, options.states)
        if twice := images.keys() & found.images.keys():
            raise KgclipError(f"{file}: holds the image {min(twice)} of another file, too; give each image once")
        images |= {name: {1: states} for name, states in found.images.items()}
        if found.unmapped:
            cases = ", ".join(f"{name} ({count_of(count, 'time')})" for name, count in found.unmapped.items())
            notes.append(f"{file}: left out what no state of this project says: {cases}")
    part_frames.write_clips(options.out, images)
    return [f"{options.out}: {count_of(len(images), 'image')}, each a clip of one frame", *notes]


_INTERVALS, _SPANS = frozenset({"videos"}), frozenset({"video"})
_BUILT_IN = (
    Bridge("elan", elan.WHAT, _read_elan, _write_elan, _INTERVALS | {"tier"}, _SPANS),
    Bridge("boris", boris.WHAT, _read_boris, _write_boris, _INTERVALS, _SPANS),
    Bridge(
        "label-studio",
        label_studio.WHAT,
        _read_label_studio,
        _write_label_studio,
        _INTERVALS | {"fps"},
        _SPANS | {"fps"},
    ),
    Bridge("cvat", cvat.WHAT, _read_cvat, _write_cvat, frozenset({"clip"})),
    Bridge("coco", "COCO keypoints (.json)", _read_coco, _write_coco, frozenset({"data"})),
    Bridge("hake", hake.WHAT, _read_hake, None, frozenset({"states"})),
)
