"""Long video: each frame encoded and posed once, spans as they end, and memory that does not grow."""

import itertools
import resource
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kgclip.engine.encoder import FrameEncoder
from kgclip.engine.film_pose import POSE_RATE, PosedFrame, pose_between, with_people
from kgclip.engine.predict import Recognizer
from kgclip.engine.views import view_box, view_of
from kgclip.engine.watch import Shown, Watcher, WatchOptions
from kgclip.errors import KgclipError
from kgclip.pose.keypoints import ClipPose, Track
from kgclip.video.frames import read_clip
from kgclip.video.stream import StreamFrame

OPTIONS = WatchOptions(window_s=1.0, step_s=0.25, enter=0.3)


@pytest.fixture
def recognizer(kg_model: Path) -> Recognizer:
    return Recognizer.from_pretrained(kg_model)


@pytest.fixture(scope="session")
def film(figures: Path) -> list[PosedFrame]:
    """Four test clips, two seconds of each, at 8 frames a second."""
    clips = sorted((figures / "test_videos").rglob("*.mp4"))[::6]
    images = [image for clip in clips for image in read_clip(clip, 16).images]
    return [PosedFrame(image, number / 8) for number, image in enumerate(images)]


class Counting:
    """An encoder that counts the frames it is given."""

    def __init__(self, inner: FrameEncoder):
        self.inner, self.counts = inner, list[int]()
        self.encoder = FrameEncoder(inner.identity, self)

    def __call__(self, frames: np.ndarray) -> object:
        self.counts.append(len(frames))
        return self.inner.function(frames)


def test_spans_are_what_prediction_says_of_their_windows(recognizer: Recognizer, film: list[PosedFrame]):
    watcher = Watcher(recognizer, OPTIONS, rate=8.0)
    spans = list(watcher.spans(film))
    assert spans
    for span in spans:
        assert 0 <= span.start_s < span.end_s <= 8
        start_s, end_s = span.window_s
        # T = 4 frames of 8 a second: the first of every quarter of a second.
        inside = [frame for frame in film if start_s <= frame.time_s < end_s][::2]
        alone = recognizer.predict_frames("film", np.stack([f.image for f in inside]), [f.time_s for f in inside])
        assert alone.actions[0].action == span.action
        assert alone.actions[0].probability == pytest.approx(span.probability, abs=1e-5)
        assert span.probability >= 0.3
        assert [m.contribution for m in span.movements] == sorted(
            (m.contribution for m in span.movements), reverse=True
        )
    assert all(before.end_s <= after.start_s for before, after in itertools.pairwise(spans))
    values = spans[0].to_json()
    assert set(values) == {"start_s", "end_s", "action", "probability", "window_s", "movements", "reasons", "person"}


def test_each_frame_is_encoded_and_posed_once(recognizer: Recognizer, film: list[PosedFrame]):
    counting = Counting(recognizer.encoder)
    recognizer.encoder = counting.encoder
    posed = []

    def estimator(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for frame in frames:
            posed.append(frame)
            yield np.zeros((0, 17, 3), np.float32)

    watcher = Watcher(recognizer, replace(OPTIONS, step_s=0.125), posed=True)
    assert watcher.plan.rate == POSE_RATE
    frames = with_people((StreamFrame(frame.image, frame.time_s) for frame in film), estimator)
    list(watcher.spans(frames))
    assert sum(counting.counts) == 8 * 4
    assert len(posed) <= len(film)
    assert len({id(frame) for frame in posed}) == len(posed)


def test_spans_come_before_the_film_has_ended(recognizer: Recognizer, film: list[PosedFrame]):
    taken = []

    def source() -> Iterator[PosedFrame]:
        for frame in film:
            taken.append(frame)
            yield frame

    watcher = Watcher(recognizer, OPTIONS, live=True)
    first = next(watcher.spans(source()))
    assert len(taken) < 3 * len(film)
    # A span is known once the gap after it is too long to be closed, or another has lasted.
    assert taken[-1].time_s <= first.end_s + 4 * watcher.plan.window_s


def test_a_gap_ends_spans_and_a_short_film_is_one_window(recognizer: Recognizer, film: list[PosedFrame]):
    whole = list(Watcher(recognizer, replace(OPTIONS, enter=0.0, leave=0.0)).spans(film))
    assert (whole[0].start_s, whole[-1].end_s) == (0.0, pytest.approx(8.0, abs=0.2))
    later = [replace(frame, time_s=frame.time_s + 60) for frame in film[:8]]
    parts = list(Watcher(recognizer, replace(OPTIONS, enter=0.0, leave=0.0)).spans([*film[:8], *later]))
    assert min(span.start_s for span in parts) < 0.3
    assert min(span.start_s for span in parts if span.end_s > 60) < 60.3
    assert [span for span in parts if span.end_s > 1.3 and span.start_s < 60] == []
    short = list(Watcher(recognizer, replace(OPTIONS, enter=0.0, window_s=5.0, step_s=1.0)).spans(film[:8]))
    assert len(short) == 1
    assert short[0].window_s[0] == 0
    assert list(Watcher(recognizer, OPTIONS).spans([])) == []


def test_every_frame_is_shown_once_with_what_was_read_around_it(recognizer: Recognizer, film: list[PosedFrame]):
    shown: list[Shown] = []
    watcher = Watcher(recognizer, OPTIONS, show=shown.append, pictures=True, rate=8.0)
    spans = list(watcher.spans(film))
    assert [frame.time_s for frame in shown] == [frame.time_s for frame in film]
    for span in spans:
        middle = (span.start_s + span.end_s) / 2
        assert min(shown, key=lambda frame: abs(frame.time_s - middle)).labels[0].action == span.action
        assert span.picture is not None
    outside = [f for f in shown if not any(s.start_s <= f.time_s < s.end_s for s in spans)]
    assert len([f for f in outside if not f.labels]) >= len(outside) - 2 * len(spans)


def test_memory_does_not_grow_with_the_film(recognizer: Recognizer):
    """Two minutes of frames that would take 460 MB together."""
    noise = np.random.default_rng(0).integers(0, 256, (400, 800, 3), np.uint8)

    def source(minutes: float) -> Iterator[PosedFrame]:
        for number in range(int(minutes * 60 * 4)):
            yield PosedFrame(np.roll(noise, number, axis=0), number / 4)

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

    def watch(minutes: float) -> None:
        watcher = Watcher(recognizer, replace(OPTIONS, step_s=1.0), show=lambda shown: None)
        assert all(span.picture is None for span in watcher.spans(source(minutes)))

    watch(0.2)
    before = resident()
    watch(2)
    assert resident() - before < 100e6


def two_people(film: list[PosedFrame], leaves_s: float = 9.0) -> list[PosedFrame]:
    """Two clips of the film side by side, a person in each; the second one leaves."""
    joints = np.random.default_rng(1).uniform(20, 44, (17, 3)).astype(np.float32)
    joints[:, 2] = 0.9
    both = np.stack([joints, joints + np.array([64, 0, 0], np.float32)])
    return [
        PosedFrame(
            np.concatenate([one.image, other.image], axis=1), one.time_s, both[: 2 if one.time_s < leaves_s else 1]
        )
        for one, other in zip(film[:32], film[32:], strict=True)
    ]


def test_of_several_people_each_has_a_row_read_from_what_is_around_them(recognizer: Recognizer, film: list[PosedFrame]):
    always = replace(OPTIONS, enter=0.0, leave=0.0)
    shown: list[Shown] = []
    watcher = Watcher(recognizer, always, posed=True, rate=8.0, pictures=True, show=shown.append)
    spans = list(watcher.spans(two_people(film)))
    assert {span.person for span in spans} == {1, 2}
    for person in (1, 2):
        own = sorted((span for span in spans if span.person == person), key=lambda span: span.start_s)
        assert (own[0].start_s, own[-1].end_s) == (0.0, pytest.approx(4.0, abs=0.2))
        assert all(before.end_s <= after.start_s for before, after in itertools.pairwise(own))
    for span in spans:
        frames = [f for f in two_people(film) if span.window_s[0] <= f.time_s < span.window_s[1]][::2]
        boxes = [view_box(f.people[span.person - 1], 128, 64) for f in frames if f.people is not None and span.person]
        views = np.stack([view_of(f.image, box) for f, box in zip(frames, boxes, strict=True)])
        alone = recognizer.predict_frames("film", views, [f.time_s for f in frames])
        assert alone.actions[0].action == span.action
        assert alone.actions[0].probability == pytest.approx(span.probability, abs=1e-5)
        assert span.picture is not None
        assert span.picture.shape[1] < 128
    assert {tuple(label.person for label in frame.labels) for frame in shown} == {(1, 2)}
    (subject,) = {s.person for s in Watcher(recognizer, replace(always, people=1), posed=True).spans(two_people(film))}
    assert subject is None


def test_who_leaves_has_no_row_any_more(recognizer: Recognizer, film: list[PosedFrame]):
    always = replace(OPTIONS, enter=0.0, leave=0.0)
    spans = list(Watcher(recognizer, always, posed=True, rate=8.0).spans(two_people(film, leaves_s=1.5)))
    assert max(span.end_s for span in spans if span.person == 2) <= 2.1
    assert max(span.end_s for span in spans if span.person == 1) == pytest.approx(4.0, abs=0.2)


def test_a_view_is_a_part_of_the_frame_with_the_person_in_it():
    pose = np.zeros((17, 3), np.float32)
    pose[5], pose[11] = (90, 20, 0.9), (100, 40, 0.9)
    left, top, right, bottom = view_box(pose, 120, 80)
    assert (right - left, bottom - top) == (40, 30)  # 1.5 times the 20 pixels of its height, 4 to 3
    assert left <= 90 < 100 <= right <= 120
    assert 0 <= top <= 20 < 40 <= bottom
    assert view_of(np.zeros((80, 120, 3), np.uint8), (left, top, right, bottom)).shape == (80, 106, 3)
    assert view_of(np.zeros((512, 768, 3), np.uint8), (0, 0, 40, 30)).shape == (256, 341, 3)
    left, top, right, bottom = view_box(pose * np.array([1, 40, 1], np.float32), 120, 1600)
    assert (right - left, bottom - top) == (90, 1200)  # of a narrow frame, its shape


def test_of_a_films_keypoints_a_window_has_its_own():
    time_s = np.arange(10) / 10
    still, moving = (np.full((10, 17, 3), 5.0, np.float32) for _ in range(2))
    moving[:, :, 0] += np.arange(10)[:, None] * 3
    for keypoints in (still, moving):
        keypoints[:, ::2, :2] += 20
    tracks = (Track(np.arange(0, 5), still[:5]), Track(np.arange(10), moving))
    pose = ClipPose(np.arange(10, dtype=np.int32), time_s, 64, 64, tracks)
    part = pose_between(pose, 0.2, 0.6)
    assert part is not None
    np.testing.assert_allclose(part.pose.time_s, time_s[2:6])
    assert [track.rows.tolist() for track in part.pose.tracks] == [[0, 1, 2, 3], [0, 1, 2]]
    assert part.numbers == (2, 1)
    assert [len(track.rows) for track in part.of(1).tracks] == [3, 4]
    assert part.lasting(4) == (2, 1)
    assert part.lasting(1) == (2,)
    assert pose_between(pose, 2.0, 3.0) is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (WatchOptions(window_s=0.0), "--window-s 0"),
        (WatchOptions(step_s=9.0), "--step-s 9"),
        (WatchOptions(enter=0.2, leave=0.5), "leave ≤ enter"),
        (WatchOptions(people=0), "--people 0"),
        (WatchOptions(actions=("fly",)), "fly: is no action of the model"),
    ],
)
def test_what_cannot_be_is_refused(options: WatchOptions, message: str, recognizer: Recognizer):
    with pytest.raises(KgclipError, match=message):
        Watcher(recognizer, options)


def test_the_window_follows_the_training_clips(recognizer: Recognizer):
    summary = recognizer.checkpoint.summary
    # 12 to 16 frames at 15 to 30 frames a second.
    assert 0.4 <= summary["clip_s"] <= 1.07
    watcher = Watcher(recognizer)
    assert watcher.plan.window_s == pytest.approx(0.7 * summary["clip_s"])
    threshold = recognizer.checkpoint.unknown
    assert threshold is None or threshold.value >= 1 or watcher.rule.enter == threshold.value
