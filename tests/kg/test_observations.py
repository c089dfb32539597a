from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from kgclip.errors import KgclipError
from kgclip.kg.graph import KnowledgeGraph
from kgclip.kg.observations import FRAMES_SCHEMA, PARTS_SCHEMA, Observations


def test_save_and_load_keep_parts_and_empty_frames(tmp_path: Path, jump_observations: Observations):
    jump_observations.save(tmp_path / "o.parquet")
    loaded = Observations.load(tmp_path / "o.parquet")
    assert_frame_equal(loaded.parts, jump_observations.parts)
    assert_frame_equal(loaded.frames, jump_observations.frames.sort("clip", "frame"))


def test_only_keeps_the_clips_asked_for(jump_observations: Observations):
    some = jump_observations.only({"sit", "jump 2", "absent"})
    assert set(some.parts["clip"]) == {"sit", "jump 2"}
    assert sorted(some.frames.rows()) == [("jump 2", 2), ("jump 2", 3), ("sit", 3)]
    assert len(jump_observations.only([]).frames) == 0


def test_columns_and_frames_are_checked(jump_observations: Observations):
    with pytest.raises(KgclipError, match="observations: parts has columns"):
        Observations(jump_observations.parts.drop("object"), jump_observations.frames)
    with pytest.raises(KgclipError, match="observations: frames has columns"):
        Observations(jump_observations.parts, jump_observations.frames.cast({"frame": pl.Int64}))
    with pytest.raises(KgclipError, match="has parts but is not in the list of annotated frames"):
        Observations(jump_observations.parts, pl.DataFrame(schema=FRAMES_SCHEMA))


def test_a_file_with_something_else_is_refused(tmp_path: Path):
    KnowledgeGraph.from_edges([]).save(tmp_path / "g.parquet")
    with pytest.raises(KgclipError, match=r"g\.parquet: holds kgclip knowledge graph, expected .* observations table"):
        Observations.load(tmp_path / "g.parquet")


def test_no_annotations_at_all_are_allowed(tmp_path: Path):
    Observations(pl.DataFrame(schema=PARTS_SCHEMA), pl.DataFrame(schema=FRAMES_SCHEMA)).save(tmp_path / "o.parquet")
    assert len(Observations.load(tmp_path / "o.parquet").frames) == 0


def test_parts_of_one_frame_need_not_follow_each_other(tmp_path: Path):
    rows = [("a", frame, 0, "hip", "stoop", None) for frame in (2, 1, 2)]
    parts = pl.DataFrame(rows, schema=PARTS_SCHEMA, orient="row")
    frames = pl.DataFrame([("a", 2), ("a", 1)], schema=FRAMES_SCHEMA, orient="row")
    Observations(parts, frames).save(tmp_path / "o.parquet")
    loaded = Observations.load(tmp_path / "o.parquet")
    assert loaded.parts.rows() == rows
    assert loaded.frames.rows() == [("a", 1), ("a", 2)]
