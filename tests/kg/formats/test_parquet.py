import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgclip.errors import KgclipError
from kgclip.kg.formats import parquet
from kgclip.kg.graph import Edge, KnowledgeGraph
from tests.mutations import damaged_bytes, damaged_json, outcomes

EDGES = [
    Edge("clip", "performs", "jump"),
    Edge("clip", "shows", "left leg bend", 0.5, ((11, 16), (1, 6))),
    Edge("jump", "consists_of", "left leg bend", 0.25),
]


@given(data=st.data())
@settings(deadline=None, max_examples=25)
def test_save_and_load_are_the_identity(draw_graph, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory):
    graph = draw_graph(data)
    path = tmp_path_factory.mktemp("graph") / "g.parquet"
    graph.save(path)
    loaded = KnowledgeGraph.load(path)
    assert (loaded.names, loaded.frames, loaded.rule) == (graph.names, graph.frames, graph.rule)
    assert (loaded.split_hash, loaded.hash) == (graph.split_hash, graph.hash)
    for name in ("kinds", "triples", "support"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(graph, name), strict=True)


def test_a_damaged_file_never_loads_as_another_graph(tmp_path: Path):
    path = tmp_path / "g.parquet"
    graph = KnowledgeGraph.from_edges(EDGES, isolated={"video": ["alone"]}, rule={"source": "labels"})
    graph.save(path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(KgclipError, match=r"g\.parquet: not a readable Parquet file"):
            KnowledgeGraph.load(path)
    num_refused = 0
    flips = random.Random(0).sample(range(len(whole)), 200)
    for position in flips:
        damaged = bytearray(whole)
        damaged[position] ^= 0x41
        path.write_bytes(damaged)
        try:
            assert KnowledgeGraph.load(path).hash == graph.hash
        except KgclipError:
            num_refused += 1
    assert num_refused > 100


def test_a_file_changed_by_hand_does_not_match_its_hash(tmp_path: Path):
    path = tmp_path / "g.parquet"
    KnowledgeGraph.from_edges(EDGES).save(path)
    table = pq.read_table(path)
    pq.write_table(table.slice(0, 2), path)
    with pytest.raises(KgclipError, match=r"g\.parquet: its content does not match its hash"):
        KnowledgeGraph.load(path)
    pq.write_table(table.drop_columns(["support"]), path)
    with pytest.raises(KgclipError, match=r"g\.parquet: its columns are not those of a knowledge graph"):
        KnowledgeGraph.load(path)


@pytest.mark.parametrize(
    "change",
    [
        {"isolated": None},
        {"isolated": ["a"]},
        {"isolated": {"video": "abc"}},
        {"isolated": {"video": [1]}},
        {"rule": None},
        {"rule": [1]},
        {"rule": {"merged": 3}},
        {"rule": {"merged": [{"repeated": "two"}]}},
        {"split_hash": 7},
    ],
    ids=str,
)
def test_metadata_of_another_type_is_one_sentence(tmp_path: Path, change: dict[str, Any]):
    path = tmp_path / "g.parquet"
    KnowledgeGraph.from_edges(EDGES).save(path)
    table = pq.read_table(path)
    header = json.loads(table.schema.metadata[b"kgclip"]) | change
    pq.write_table(table.replace_schema_metadata({"kgclip": json.dumps(header)}), path)
    with pytest.raises(KgclipError, match=r"g\.parquet: its kgclip metadata is not that of a knowledge graph"):
        KnowledgeGraph.load(path)


def test_a_graph_of_too_many_rows_is_refused_by_its_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "g.parquet"
    KnowledgeGraph.from_edges(EDGES).save(path)
    monkeypatch.setattr(parquet, "_MOST_EDGES", 2)
    assert KnowledgeGraph.load(path).hash  # its bytes are those of three rows
    monkeypatch.setattr(parquet, "_LEAST_BYTES_ON_DISK", 2**20)
    with pytest.raises(KgclipError, match=r"g\.parquet: has 3 rows; a knowledge graph of at most 2 can be read"):
        KnowledgeGraph.load(path)


def test_ranges_without_numbers_are_refused(tmp_path: Path):
    path = tmp_path / "g.parquet"
    KnowledgeGraph.from_edges(EDGES).save(path)
    table = pq.read_table(path)
    column = table.schema.get_field_index("frames")
    field = table.schema.field(column)
    spans = pa.array([[], [{"first": 1, "last": None}], []], type=field.type)
    changed = table.set_column(column, field, spans).replace_schema_metadata(table.schema.metadata)
    pq.write_table(changed, path)
    with pytest.raises(KgclipError, match=r"g\.parquet: its columns are not those of a knowledge graph"):
        KnowledgeGraph.load(path)


def rewritten(path: Path, table: pa.Table, header: dict[str, Any]) -> None:
    pq.write_table(table.replace_schema_metadata({"kgclip": json.dumps(header)}), path)


def test_a_small_file_of_millions_of_edges_takes_no_memory(tmp_path: Path):
    path = tmp_path / "g.parquet"
    KnowledgeGraph.from_edges(EDGES[:1]).save(path)
    table = pq.read_table(path)
    many = table.take(pa.array(np.zeros(1_900_000, np.int64)))
    pq.write_table(many.replace_schema_metadata(table.schema.metadata), path, compression="zstd")
    assert path.stat().st_size < 100_000
    del many
    before = pa.total_allocated_bytes()
    with pytest.raises(KgclipError, match=r"g\.parquet: holds edges more than once; build it again"):
        KnowledgeGraph.load(path)
    assert pa.total_allocated_bytes() - before < 2**20


def test_damaged_graphs_are_one_sentence(tmp_path: Path):
    path = tmp_path / "g.parquet"
    graph = KnowledgeGraph.from_edges(EDGES, isolated={"video": ["alone"]}, rule={"source": "labels", "merged": []})
    graph.save(path)
    whole, table = path.read_bytes(), pq.read_table(path)
    header = json.loads(table.schema.metadata[b"kgclip"])

    def attempt(rng: random.Random) -> None:
        if rng.random() < 0.5:
            path.write_bytes(damaged_bytes(whole, rng))
        else:
            rewritten(path, table, damaged_json(header, rng))
        assert KnowledgeGraph.load(path).names

    refused, others = outcomes(400, attempt)
    assert others == []
    assert refused > 300
