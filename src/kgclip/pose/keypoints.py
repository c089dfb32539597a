"""The keypoints of clips: people over time in pixels, and the Parquet file that holds them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
from jaxtyping import Float64, Int32, Int64

from kgclip.errors import KgclipError
from kgclip.files import read_table, write_table
from kgclip.pose.body import Body, measure
from kgclip.pose.motion import GRID_RATE, grid_times, on_grid, smooth
from kgclip.pose.skeleton import NUM_JOINTS, PersonTrack
from kgclip.reading import one_sentence
from kgclip.video.cut import ends_of

T = TypeVar("T")
KEYPOINTS_FILE = "keypoints.parquet"
CONTENT, VERSION = "keypoints", 1
SCHEMA = pa.schema(
    [
        ("clip", pa.dictionary(pa.int32(), pa.string())),
        ("frame_index", pa.int32()),
        ("time_s", pa.float64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("person", pa.int16()),
        ("keypoints", pa.list_(pa.float32(), 3 * NUM_JOINTS)),
    ]
)


@dataclass(frozen=True)
class Track:
    """One person of a clip.

    Attributes:
        rows: which of the clip's observed frames show the person, ascending.
        keypoints: x and y in pixels and score of the joints in these frames.
    """

    rows: Int64[np.ndarray, " T"]
    keypoints: PersonTrack


@dataclass(frozen=True)
class ClipPose:
    """The people in the observed frames of one clip.

    Attributes:
        frame_index: 0-based, ascending.
        time_s: when each of these frames is shown, in seconds from the start of the clip.
        width: of the frames, in pixels.
        height: of the frames, in pixels.
        tracks: the people; the first is the clip's subject.
    """

    frame_index: Int32[np.ndarray, " T"]
    time_s: Float64[np.ndarray, " T"]
    width: int
    height: int
    tracks: tuple[Track, ...]

    def body(self, person: int = 1) -> Body | None:
        """What a person does over the clip, on the grid that starts at its first observed frame.

        Args:
            person: 1 for the clip's subject.

        Returns:
            None where the clip has fewer people.
        """
        if person > len(self.tracks):
            return None
        track = self.tracks[person - 1]
        return measure(smooth(on_grid(track.keypoints, self.time_s[track.rows], grid_times(self.time_s))))

    @property
    def steps(self) -> Int64[np.ndarray, " T"]:
        """The step of the body's grid at each observed frame."""
        return np.rint((self.time_s - self.time_s[0]) * GRID_RATE).astype(np.int64)


def pose_of(poses: Mapping[str, T], clip: str) -> T | None:
    """What is known of a clip's pose: by its id, or by as much of its end as one clip has, at least the file name.

    The same file may lie in class folders here and in a data set whose ids have none there.
    """
    for end in ends_of(clip):
        if end in poses:
            return poses[end]
        same = [other for other in poses if other.endswith(f"/{end}")]
        if same:
            return poses[same[0]] if len(same) == 1 else None
    return None


def write_keypoints(path: Path, poses: Mapping[str, ClipPose], origin: Mapping[str, object]) -> None:
    """Write the keypoints of clips, with where they come from; a frame without people has one row without a person."""
    tables = [_rows(clip, poses[clip]) for clip in sorted(poses)]
    table = pa.concat_tables(tables).unify_dictionaries() if tables else SCHEMA.empty_table()
    write_table(table, path, {"content": CONTENT, "version": VERSION, "origin": dict(origin)})


def read_keypoints(path: Path) -> tuple[dict[str, ClipPose], dict[str, object]]:
    """Read a file that `write_keypoints` wrote: the poses of each clip, and where they come from.

    Raises:
        KgclipError: the file is missing, damaged, or of another kind, or a number in it is not finite.
    """
    table, header = read_table(path, CONTENT, VERSION)
    if table.schema.remove_metadata() != SCHEMA or not isinstance(header.get("origin"), dict):
        raise KgclipError(f"{path}: its columns are not those of keypoints; write it with write_keypoints")
    with one_sentence(path, CONTENT):
        poses = _poses(table)
    for clip, pose in poses.items():
        for track in pose.tracks:
            broken = ~np.isfinite(track.keypoints).all(axis=(1, 2))
            if broken.any():
                frame = int(pose.frame_index[track.rows[broken.argmax()]])
                raise KgclipError(
                    f"{path}: {clip}, frame {frame}: a position or score of a joint is not finite; where a joint was "
                    "not found, write 0, 0 and score 0, or read the poses again with kgclip annotate"
                )
    return poses, header["origin"]


def _poses(table: pa.Table) -> dict[str, ClipPose]:
    """The poses of each clip."""
    table = table.combine_chunks()
    codes = table["clip"].combine_chunks()
    names = codes.dictionary.to_pylist()
    clip = codes.indices.to_numpy()
    bounds = np.flatnonzero(np.diff(clip)) + 1
    starts = [0, *bounds.tolist()] if len(clip) else []
    ends = [*bounds.tolist(), len(clip)]
    return {names[clip[a]]: _pose(table.slice(a, b - a)) for a, b in zip(starts, ends, strict=False)}


def _rows(clip: str, pose: ClipPose) -> pa.Table:
    row = np.concatenate([track.rows for track in pose.tracks] or [np.empty(0, np.int64)])
    person = np.repeat(np.arange(1, len(pose.tracks) + 1), [len(track.rows) for track in pose.tracks])
    empty = np.setdiff1d(np.arange(len(pose.frame_index)), row)
    row = np.concatenate([row, empty])
    nobody = np.arange(len(row)) >= len(person)
    values = np.zeros((len(row), 3 * NUM_JOINTS), np.float32)
    if len(person):
        values[: len(person)] = np.concatenate([track.keypoints for track in pose.tracks]).reshape(len(person), -1)
    columns = [
        pa.DictionaryArray.from_arrays(np.zeros(len(row), np.int32), [clip]),
        pa.array(pose.frame_index[row], pa.int32()),
        pa.array(pose.time_s[row], pa.float64()),
        pa.array(np.full(len(row), pose.width, np.int32)),
        pa.array(np.full(len(row), pose.height, np.int32)),
        pa.array(np.concatenate([person, np.zeros(len(empty))]).astype(np.int16), pa.int16(), mask=nobody),
        pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), 3 * NUM_JOINTS, mask=pa.array(nobody)),
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def _pose(table: pa.Table) -> ClipPose:
    frame = table["frame_index"].to_numpy()
    frame_index, first = np.unique(frame, return_index=True)
    person = table["person"].to_numpy().astype(np.float64)
    keypoints = np.zeros((len(frame), NUM_JOINTS, 3), np.float32)
    # Rows without a person have no list, and flattening passes them over.
    keypoints[~np.isnan(person)] = table["keypoints"].combine_chunks().flatten().to_numpy().reshape(-1, NUM_JOINTS, 3)
    tracks = []
    for number in np.unique(person[~np.isnan(person)]):
        mine = person == number
        tracks.append(Track(np.searchsorted(frame_index, frame[mine]), keypoints[mine]))
    width, height = (int(table[name][0].as_py()) for name in ("width", "height"))
    return ClipPose(frame_index, table["time_s"].to_numpy()[first], width, height, tuple(tracks))
