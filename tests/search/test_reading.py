"""Clips are read for an index as they are for a prediction; sketches tell copies from other clips."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from kgclip.engine.predict import Recognizer
from kgclip.search.duplicates import ALIKE, patterns
from kgclip.search.reading import ClipReader, sketch
from kgclip.video.encode import writing_frames
from kgclip.video.frames import read_clip


@pytest.fixture(scope="module")
def clips(figures: Path) -> list[Path]:
    return sorted((figures / "test_videos").rglob("*.mp4"))[:12]


@pytest.fixture
def recognizer(kg_model: Path) -> Recognizer:
    """The tiny model, which has too few clips to be sure of any movement, as if it were sure of many."""
    recognizer = Recognizer.from_pretrained(kg_model)
    path = recognizer.model.path
    path.seen_from.copy_(torch.where(path.baseline > 0, path.baseline + 0.02, torch.inf))
    return recognizer


def test_a_clip_is_read_as_for_a_prediction(recognizer: Recognizer, clips: list[Path]):
    recognizer.checkpoint.summary["clip_s"] = 5.0
    reader, seen = ClipReader(recognizer), 0
    names = reader.vocabulary()["movements"]
    for clip in clips[:4]:
        [reading] = reader.read(clip)
        said = recognizer.predict(clip)
        expected = {row.action: row.probability for row in said.actions}
        found = dict(zip(recognizer.checkpoint.actions, reading.probability.tolist(), strict=True))
        assert found == pytest.approx(expected, abs=1e-6)
        spans = {(names[s.movement], s.start_s, s.end_s, s.strength) for s in reading.seen}
        listed = {(m.name, s.start_s, s.end_s, s.strength) for m in said.movements if m.seen for s in m.spans}
        assert {item for item in listed if item[3] >= 0.5} <= spans
        seen += len(listed)
        assert np.linalg.norm(reading.vector) == pytest.approx(1, abs=1e-5)
    assert seen


def test_a_longer_clip_is_read_in_stretches(recognizer: Recognizer, clips: list[Path]):
    clip = read_clip(clips[0], 1)
    duration_s, frame_s = clip.duration_s, 1 / clip.fps
    recognizer.checkpoint.summary["clip_s"] = duration_s / 3
    readings = ClipReader(recognizer).read(clips[0])
    assert len(readings) == 3
    assert [r.start_s for r in readings] == pytest.approx([0, duration_s / 3, duration_s * 2 / 3], abs=frame_s)
    assert [r.end_s for r in readings] == [*(r.start_s for r in readings[1:]), duration_s]
    for reading in readings:
        assert all(reading.start_s <= s.start_s <= s.end_s <= reading.end_s for s in reading.seen)


def test_only_what_a_model_is_sure_of_is_told(kg_model: Path, recognizer: Recognizer):
    assert any(ClipReader(recognizer).vocabulary()["told"])
    unsure = Recognizer.from_pretrained(kg_model)
    unsure.model.path.seen_from.fill_(torch.inf)
    reader = ClipReader(unsure)
    assert not any(reader.vocabulary()["told"])
    assert reader.identity["model"] != ClipReader(recognizer).identity["model"]


def test_a_text_gives_a_vector_of_the_length_of_a_clips(recognizer: Recognizer, clips: list[Path]):
    reader = ClipReader(recognizer)
    text = reader.text_vector("a figure that jumps")
    assert text.shape == reader.read(clips[0])[0].vector.shape
    assert np.linalg.norm(text) == pytest.approx(1, abs=1e-5)


def test_sketches_tell_copies_from_other_clips(clips: list[Path], tmp_path: Path):
    """Other sizes, other compression, and frames of a stretch that lie a little elsewhere."""
    sketches, copies = [], []
    for number, clip in enumerate(clips):
        frames = read_clip(clip, 100).distinct()
        with writing_frames(tmp_path / f"{number}.mp4", frames.fps) as writer:
            for image, time_s in zip(frames.images, frames.times_s.tolist(), strict=True):
                writer.write(np.asarray(Image.fromarray(image).resize((48, 48)).resize((96, 96))), time_s)
        sketches.append(sketch(read_clip(clip, 8).images))
        copies.append(sketch(read_clip(tmp_path / f"{number}.mp4", 8).images))
    alike = patterns(np.stack(sketches)) @ patterns(np.stack(copies)).T
    same = np.eye(len(clips), dtype=bool)
    assert alike[same].min() >= ALIKE
    assert alike[~same].max() < ALIKE
