"""How the frame index of a file is made: from its header, its packets, or, in doubt, from decoding it once."""

from collections.abc import Iterable
from functools import partial

import numpy as np
from av.packet import Packet

from kgclip.video.container import VideoFile
from kgclip.video.index import FrameIndex, PacketStamp

# Below this size reading every packet takes a few milliseconds; above it, the header's sample table is used instead.
LARGE_FILE_BYTES = 32 * 2**20
# FFmpeg works the presentation times out for MPEG-4 in these containers, but leaves H.264's in decoding order.
WITHOUT_PRESENTATION_TIMES = ("avi", "asf", "mxf")


def index_file(file: VideoFile) -> FrameIndex | None:
    """The index of an open file, or None where its time stamps do not tell its frames apart."""
    return _index_from_header(file) or index_from_packets(file)


def _index_from_header(file: VideoFile) -> FrameIndex | None:
    """Index a large MP4 from its sample table, so that the cost of a read does not grow with the file's length."""
    if "mp4" not in file.container.format.name or file.path.stat().st_size < LARGE_FILE_BYTES:
        return None
    entries = [(e.timestamp, e.is_keyframe, not e.is_discard) for e in file.stream.index_entries]
    if len(entries) != file.stream.frames or not entries[0][1]:
        return None  # fragmented, or cut by an edit list
    times, keys, shown = (np.array(column) for column in zip(*entries, strict=True))
    starts = np.cumsum(shown)[keys] - shown[keys]
    read_gop = partial(_read_gop, file)
    return FrameIndex(starts.astype(np.int64), times[keys].astype(np.int64), int(shown.sum()), read_gop)


def index_from_packets(file: VideoFile) -> FrameIndex | None:
    """Index a file by reading its packets, or, in doubt, by decoding it once; None where both contradict."""
    packets = [_stamp(packet) for packet in file.packets()]
    keys = [(p.pts, p.pts if p.dts is None else p.dts) for p in packets if p.is_key and p.pts is not None]
    stamps = _known(p.pts for p in packets if p.is_shown)
    if not keys or _is_doubtful(file, stamps, first_key=min(keys)[0]):
        stamps = _known(frame.pts for frame in file.decode_all())
        if stamps != sorted(stamps):
            return None
    if not keys or not stamps or len(set(stamps)) != len(stamps):
        return None
    last = max(packets, key=lambda p: p.pts or 0)
    key_stamps, key_times = zip(*keys, strict=True)
    return FrameIndex.from_stamps(stamps, key_stamps, key_times, last.duration)


def _is_doubtful(file: VideoFile, stamps: list[int], first_key: int) -> bool:
    """Whether the packets may not be the frames that come out of the decoder, by presentation time."""
    in_file_order = file.container.format.name in WITHOUT_PRESENTATION_TIMES and stamps == sorted(stamps)
    if not stamps or (in_file_order and file.codec.has_b_frames):
        return True
    return min(stamps) < first_key  # the GOP of the first frames was cut away


def _read_gop(file: VideoFile, key_time: int, next_key_time: int | None) -> list[PacketStamp]:
    """The packets from one key frame to the last leading frame of the next, both given by decoding time."""
    gop: list[PacketStamp] = []
    end = None
    for packet in map(_stamp, file.packets(key_time)):
        if not gop and packet.dts != key_time:
            continue
        if end is not None and packet.pts is not None and packet.pts > end:
            break
        if packet.dts == next_key_time:
            end = packet.pts
        gop.append(packet)
    return gop


def _known(stamps: Iterable[int | None]) -> list[int]:
    """The time stamps, or none at all where some are missing."""
    read = list(stamps)
    known = [stamp for stamp in read if stamp is not None]
    return known if len(known) == len(read) else []


def _stamp(packet: Packet) -> PacketStamp:
    return PacketStamp(packet.pts, packet.dts, packet.duration or 0, packet.is_keyframe, not packet.is_discard)
