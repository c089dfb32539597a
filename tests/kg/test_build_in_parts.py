"""Graphs built in parts are those built at once."""

import errno
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from kgclip.errors import KgclipError
from kgclip.kg import build_in_parts as in_parts
from kgclip.kg.build import MovementRule, build_graph, merge, shown_ranges
from kgclip.kg.build_in_parts import Tables, build_in_parts
from kgclip.kg.graph import Edge, KnowledgeGraph
from kgclip.kg.observations import FRAMES_SCHEMA, PARTS_SCHEMA, Observations
from kgclip.kg.tables import read_clips, scan_annotations, words_of

RULES = [MovementRule(), MovementRule(0.0, 1.0), MovementRule(0.34, 0.2), MovementRule(0.0, 0.0)]
DEFINITIONS = KnowledgeGraph.from_edges(
    [Edge("fly", "consists_of", "left arm raise", 0.5), Edge("action 1", "consists_of", "head nod", 1.0)],
    rule={"source": "definitions"},
)


def seen(num_clips: int = 60) -> tuple[dict[str, str | None], Observations]:
    """Clips of six actions, some without label, annotation or either; rows in no order, and some given twice."""
    draw = np.random.default_rng(0)
    labels = {f"clip {number}é": None if number % 7 == 0 else f"action {number % 6}" for number in range(num_clips)}
    parts, frames = [], []
    for clip in [*labels, "test"]:
        annotated = sorted(draw.choice(30, draw.integers(0, 5), replace=False) + 1)
        frames += [(clip, int(frame)) for frame in annotated]
        for frame in annotated:
            for _ in range(draw.integers(0, 5)):
                part, state = draw.choice(["head", "left arm", "hip"]), draw.choice(["bend", "nod", "none", "others"])
                parts.append((clip, int(frame), 0, part, state, ["ball", "none", None][draw.integers(3)]))
    parts += parts[:20]
    order = draw.permutation(len(parts))
    rows = pl.DataFrame([parts[row] for row in order], schema=PARTS_SCHEMA, orient="row")
    return labels, Observations(rows, pl.DataFrame(frames, schema=FRAMES_SCHEMA, orient="row"))


def written(folder: Path, labels: dict[str, str | None], observations: Observations, *, files: int = 1) -> Tables:
    """The same on disk: clips in no order, annotations in so many files."""
    clips = pl.DataFrame(
        {"clip": list(labels), "action": list(labels.values())}, schema=dict.fromkeys(("clip", "action"), pl.String)
    )
    clips.sample(fraction=1.0, shuffle=True, seed=0).write_parquet(folder / "clips.parquet")
    observations.save(folder / "all.parquet")
    rows = pl.read_parquet(folder / "all.parquet")
    (folder / "rows").mkdir()
    for number in range(files):
        rows[number::files].write_parquet(folder / "rows" / f"{number}.parquet")
    annotations = scan_annotations(folder / "rows")
    words = words_of(annotations, folder)
    return Tables(read_clips(folder / "clips.parquet"), annotations, words, int(words["rows"].sum()), folder)


def check_same(counts: dict[str, Any], path: Path, expected: KnowledgeGraph) -> None:
    graph = KnowledgeGraph.load(path)
    assert graph.all_edges() == expected.all_edges()
    assert graph.hash == expected.hash == counts["hash"]
    assert counts["entities"] == {kind: len(expected.entities(kind)) for kind in counts["entities"]}
    assert counts["edges"] == {name: len(expected.edges(name)) for name in counts["edges"]}


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("rows", [40, 4_000_000])
def test_the_graph_is_that_of_the_builder_in_memory(
    rule: MovementRule, rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(in_parts, "ROWS_OF_A_PART", rows)
    labels, observations = seen()
    tables = written(tmp_path, labels, observations, files=3)
    counts = build_in_parts(tables, rule, tmp_path / "out" / "g.parquet", split_hash="5911")
    check_same(counts, tmp_path / "out" / "g.parquet", build_graph(labels, observations, rule, split_hash="5911"))
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["g.parquet"]


def test_a_clip_may_have_more_rows_than_a_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(in_parts, "ROWS_OF_A_PART", 1)
    labels, observations = seen(20)
    counts = build_in_parts(written(tmp_path, labels, observations), MovementRule(), tmp_path / "g.parquet")
    check_same(counts, tmp_path / "g.parquet", build_graph(labels, observations, MovementRule()))


def test_rows_that_lie_on_a_few_clips_are_read_in_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(in_parts, "_MOST_FILES", 1)
    monkeypatch.setattr(in_parts, "ROWS_OF_A_PART", 40)
    labels, observations = seen()
    most = []
    monkeypatch.setattr(in_parts, "shown_ranges", lambda *args: (most.append(len(args[0])), shown_ranges(*args))[1])
    counts = build_in_parts(written(tmp_path, labels, observations), MovementRule(), tmp_path / "g.parquet")
    assert len(most) > 3
    assert max(most) <= 60
    check_same(counts, tmp_path / "g.parquet", build_graph(labels, observations, MovementRule()))


def test_annotations_of_no_clip_at_all_are_refused(tmp_path: Path):
    labels, observations = seen()
    tables = written(tmp_path, labels, observations)
    clips = tables.clips.with_columns(clip=pl.concat_str(pl.lit("golf/"), pl.col("clip")))
    others = replace(tables, clips=clips)
    with pytest.raises(KgclipError, match=r"none of its rows is of the .* clips to learn from; .* such as 'golf/"):
        build_in_parts(others, MovementRule(), tmp_path / "g.parquet")
    assert not (tmp_path / "g.parquet").exists()


def test_definitions_are_merged_and_graphs_with_clips_refused(tmp_path: Path):
    labels, observations = seen()
    tables = written(tmp_path, labels, observations)
    counts = build_in_parts(tables, MovementRule(), tmp_path / "g.parquet", others=[DEFINITIONS])
    check_same(counts, tmp_path / "g.parquet", merge(build_graph(labels, observations, MovementRule()), DEFINITIONS))
    with pytest.raises(KgclipError, match="a graph with clips does not merge with tables"):
        build_in_parts(
            tables, MovementRule(), tmp_path / "h.parquet", others=[build_graph(labels, None, MovementRule())]
        )


def test_clips_that_nothing_is_known_of_stand_in_the_header_up_to_a_million(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    labels, observations = seen()
    tables = written(tmp_path, labels, observations)
    monkeypatch.setattr("kgclip.kg.formats.parts._MOST_ISOLATED", 1)
    with pytest.raises(KgclipError, match="clips have neither a label nor a movement, and a graph can name 1 of those"):
        build_in_parts(tables, MovementRule(1.0, 1.0), tmp_path / "g.parquet")
    assert not list(tmp_path.glob(".*"))


FULL = """
import resource, signal, sys
from pathlib import Path
from kgclip.data.part_tables import PartTables
from kgclip.kg.build import MovementRule
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))  # a disk with room for a thousand bytes
folder = Path(sys.argv[1])
try:
    PartTables.of_table(folder / "clips.parquet").build(folder / "rows", MovementRule(), folder / "out" / "g.parquet")
except Exception as error:
    print(type(error).__name__, error)
"""


def test_a_full_disk_is_a_sentence_and_leaves_nothing(tmp_path: Path):
    labels, observations = seen()
    written(tmp_path, labels, observations)
    command = [sys.executable, "-c", FULL, str(tmp_path)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert said.startswith(f"KgclipError {tmp_path}/out/g.parquet: cannot be written ({os.strerror(errno.EFBIG)})")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_name_that_no_terminal_survives_is_refused(tmp_path: Path):
    labels, observations = seen()
    tables = written(tmp_path, labels | {"clip\x1b": "jump"}, observations)
    with pytest.raises(KgclipError, match=r"entity name .*control character"):
        build_in_parts(tables, MovementRule(), tmp_path / "g.parquet")
