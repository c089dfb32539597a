"""Where the frames of a video lie: time stamps in display order, and the key frames decoding can start from."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

UNKNOWN = -1
# Decoding this many frames that nobody asked for costs no more than seeking over them.
LONGEST_GAP = 2

# Frames that are best decoded in one go: the GOP to start from, and their numbers by time stamp.
Run = tuple[int, dict[int, int]]


class PacketStamp(NamedTuple):
    """What the container says of one coded frame, without decoding it; times are in ticks of the stream."""

    pts: int | None
    dts: int | None
    duration: int
    is_key: bool
    is_shown: bool


class IndexFaultError(Exception):
    """The container's own index contradicts its packets."""


class FrameIndex:
    """Display-order frame numbers, each with its time stamp and the key frame to decode it from.

    A group of pictures (GOP) is a key frame and the frames after it in the file, up to the next key frame. Its
    *leading* frames are shown before its key frame and need the GOP before (an open GOP); the index numbers frames by
    display and gives each the last key frame shown no later.

    Attributes:
        num_frames: frames shown.
        key_stamps: presentation time of each key frame, in ticks; `UNKNOWN` ranks have none yet.
        key_times: decoding time of each key frame, in ticks.
        key_ranks: number of frames shown before each key frame, or `UNKNOWN`.
        last_duration: of the frame shown last, in ticks; 0 where the file does not say.
    """

    def __init__(
        self,
        starts: Int[np.ndarray, " G"],
        key_times: Int[np.ndarray, " G"],
        num_frames: int,
        read_gop: Callable[[int, int | None], list[PacketStamp]] | None = None,
    ):
        """Start with what a container's header tells: shown frames before each key frame in decoding order, and times.

        `read_gop`, called when they are needed, gives the packets from the key frame decoded at the first time up to
        the end of the leading frames of the key frame decoded at the second time (`None`: to the end of the file).
        """
        self.num_frames, self.key_times = num_frames, key_times
        self.key_stamps = np.zeros_like(starts)
        self.key_ranks = np.full_like(starts, UNKNOWN)
        self.last_duration = 0
        self._starts = starts
        self._stamps = np.zeros(num_frames, dtype=np.int64)
        self._read_gop = read_gop

    @classmethod
    def from_stamps(
        cls, stamps: Sequence[int], key_stamps: Sequence[int], key_times: Sequence[int], last_duration: int
    ) -> "FrameIndex":
        """Index a file of which every packet is known: presentation times of the shown frames and of the key frames."""
        ordered = np.sort(np.array(stamps, dtype=np.int64))
        keys, times = np.array(sorted(zip(key_stamps, key_times, strict=True)), dtype=np.int64).T
        ranks = np.searchsorted(ordered, keys).astype(np.int64)
        index = cls(ranks, times, len(ordered))
        index.key_stamps, index.key_ranks, index._stamps = keys, ranks, ordered
        index.last_duration = last_duration
        return index

    def locate(self, frame_index: int) -> tuple[int, int]:
        """The presentation time of a frame and the number of the GOP to decode it from.

        Raises:
            IndexFaultError: if the packets are not what the container's header promised.
        """
        gop = int(np.searchsorted(self._starts, frame_index, side="right")) - 1
        while gop >= 0:
            if self.key_ranks[gop] == UNKNOWN:
                self._fill(gop)
            if self.key_ranks[gop] <= frame_index:
                return int(self._stamps[frame_index]), gop
            gop -= 1  # a leading frame, shown before the key frame that it follows in the file
        raise IndexFaultError

    def runs(self, wanted: Sequence[int]) -> list[Run]:
        """Group ascending frames that are best decoded in one go; raises as `locate`."""
        runs: list[Run] = []
        following = 0
        for frame_index in wanted:
            stamp, gop = self.locate(frame_index)
            if not runs or self.key_ranks[gop] > following + LONGEST_GAP:
                runs.append((gop, {}))
            runs[-1][1][stamp] = frame_index
            following = frame_index + 1
        return runs

    def ticks(self, frame_indices: Sequence[int] | np.ndarray) -> Int[np.ndarray, " T"]:
        """The presentation times of frames, counted from that of the first frame.

        Raises:
            IndexFaultError: as `locate`, and if the times do not ascend with the frames.
        """
        numbers, rows = np.unique([0, *frame_indices], return_inverse=True)
        stamps = np.array([self.locate(number)[0] for number in numbers.tolist()], dtype=np.int64)
        if np.any(np.diff(stamps) <= 0):
            raise IndexFaultError
        return (stamps - stamps[0])[rows[1:]]

    def _fill(self, gop: int) -> None:
        """Read the packets of one GOP, and number its frames by presentation time."""
        last = gop + 1 == len(self._starts)
        next_time = None if last else int(self.key_times[gop + 1])
        packets = self._read_gop(int(self.key_times[gop]), next_time) if self._read_gop else []
        stamps = [p.pts for p in packets if p.is_shown and p.pts is not None]
        if not packets or packets[0].pts is None or len(stamps) != sum(p.is_shown for p in packets):
            raise IndexFaultError
        key = packets[0].pts
        next_key = next((p.pts for p in packets if p.dts == next_time), None) if not last else None
        own = sorted({s for s in stamps if s >= key and (next_key is None or s < next_key)})
        rank = int(self._starts[gop]) + sum(s < key for s in stamps)
        end = rank + len(own)
        if end > self.num_frames or (last and end < self.num_frames):
            raise IndexFaultError
        if last:
            self.last_duration = max(packets, key=lambda p: p.pts or 0).duration
        self._stamps[rank:end] = own
        self.key_stamps[gop], self.key_ranks[gop] = key, rank
