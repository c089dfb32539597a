import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgclip.video.index import UNKNOWN, FrameIndex, IndexFaultError, PacketStamp

# An open GOP: frames 6 and 7 are leading frames, they follow the key frame 8 in the file and are shown before it.
FILE_ORDER = [0, 2, 1, 4, 3, 5, 8, 6, 7, 10, 9, 12, 11, 13]
KEYS = (0, 8, 12)
PACKETS = [PacketStamp(10 * frame, 10 * place, 10, frame in KEYS, True) for place, frame in enumerate(FILE_ORDER)]


def from_header(packets: list[PacketStamp], num_frames: int) -> FrameIndex:
    """What an mp4's sample table tells: decoding times and key frames."""

    places = [place for place, packet in enumerate(packets) if packet.is_key]
    starts = [sum(packet.is_shown for packet in packets[:place]) for place in places]

    def read_gop(time: int, next_time: int | None) -> list[PacketStamp]:
        gop = [packet for packet in packets if packet.dts >= time]
        if next_time is None:
            return gop
        end = next((packet.pts for packet in gop if packet.dts == next_time), None)
        count = next((n for n, p in enumerate(gop) if p.dts > next_time and p.pts > end), len(gop))
        return gop[:count]

    times = [packets[place].dts for place in places]
    return FrameIndex(np.array(starts), np.array(times), num_frames, read_gop)


def from_stamps(packets: list[PacketStamp]) -> FrameIndex:
    keys = [packet for packet in packets if packet.is_key]
    return FrameIndex.from_stamps(
        [p.pts for p in packets if p.is_shown], [p.pts for p in keys], [p.dts for p in keys], 10
    )


@pytest.mark.parametrize("index", [from_stamps(PACKETS), from_header(PACKETS, 14)])
def test_frames_are_found_with_the_key_frame_shown_before_them(index: FrameIndex) -> None:
    assert index.num_frames == 14
    for frame in (13, 7, 0, 8, 11, 12, 6):
        stamp, gop = index.locate(frame)
        assert stamp == 10 * frame
        assert KEYS[gop] == max(key for key in KEYS if key <= frame)
        assert (index.key_stamps[gop], index.key_ranks[gop]) == (10 * KEYS[gop], KEYS[gop])


def test_only_the_gops_asked_for_are_read() -> None:
    index = from_header(PACKETS, 14)
    index.locate(13)
    assert index.key_ranks.tolist() == [UNKNOWN, UNKNOWN, 12]


def test_ticks_count_from_the_first_frame() -> None:
    later = [packet._replace(pts=1000 + packet.pts * packet.pts) for packet in PACKETS]
    for index in (from_stamps(later), from_header(later, 14)):
        assert index.ticks([13, 0, 7, 7]).tolist() == [16900, 0, 4900, 4900]


def test_times_that_do_not_ascend_are_a_fault() -> None:
    index = from_stamps(PACKETS)
    index._stamps[5] = 0
    with pytest.raises(IndexFaultError):
        index.ticks([5])


@given(st.lists(st.tuples(st.integers(1, 20), st.integers(0, 3), st.booleans()), min_size=1, max_size=8))
def test_header_and_packets_agree(gops: list[tuple[int, int, bool]]) -> None:
    """GOPs of any length and number of leading frames, each with or without a hidden frame after its key frame."""
    packets: list[PacketStamp] = []
    shown = 0
    for length, num_leading, hides in gops:
        leading = num_leading if packets else 0
        order = [leading, *range(leading), *range(leading + 1, leading + length)]
        for frame in order:
            is_hidden = hides and frame == leading + 1 and length > 1
            packets.append(PacketStamp(7 * (shown + frame), len(packets), 7, frame == leading, not is_hidden))
        shown += leading + length
    num_frames = sum(packet.is_shown for packet in packets)
    exact, lazy = from_stamps(packets), from_header(packets, num_frames)
    for frame in reversed(range(num_frames)):
        assert lazy.locate(frame) == exact.locate(frame)


def test_a_header_that_contradicts_the_packets_is_a_fault() -> None:
    with pytest.raises(IndexFaultError):
        from_header(PACKETS, 15).locate(13)
    with pytest.raises(IndexFaultError):
        from_header([packet._replace(pts=None) if packet.pts == 100 else packet for packet in PACKETS], 14).locate(9)
    with pytest.raises(IndexFaultError):  # the first frames are shown before the first key frame
        from_header([packet._replace(pts=packet.pts - 200 * (packet.pts == 20)) for packet in PACKETS], 14).locate(0)


def test_runs_group_what_one_pass_decodes() -> None:
    index = from_stamps(PACKETS)
    assert index.runs([1, 3]) == [(0, {10: 1, 30: 3})]
    assert index.runs([1, 9, 13]) == [(0, {10: 1}), (1, {90: 9, 130: 13})]
    assert index.runs([6, 8]) == [(0, {60: 6, 80: 8})]
    assert index.runs(range(14)) == [(0, {10 * frame: frame for frame in range(14)})]
