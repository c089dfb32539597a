"""The benchmark of big graphs makes the clips that it says."""

import numpy as np
import polars as pl

from benchmarks.big_graph import FRAMES, MOVEMENTS_OF_CLIP, annotation_rows


def test_each_clip_has_its_movements_whichever_file_it_is_in():
    rows = annotation_rows(np.arange(50))
    movements = rows.group_by("clip").agg(pl.struct("part", "state", "object").n_unique().alias("movements"))
    assert movements["movements"].to_list() == [MOVEMENTS_OF_CLIP] * 50
    assert rows["frame"].is_in(FRAMES.tolist()).all()
    alone = annotation_rows(np.array([41]))
    assert rows.filter(pl.col("clip") == alone["clip"][0]).equals(alone)
