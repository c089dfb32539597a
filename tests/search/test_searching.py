"""Hits are ranked by what was measured, and say which movements were seen when."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kgclip.errors import KgclipError
from kgclip.search.duplicates import find_duplicates
from kgclip.search.index import FILES_FILE, SearchIndex
from kgclip.search.indexing import index_folder
from kgclip.search.searching import Answer, Searcher
from tests.search.conftest import WrittenReader, write_clip


@pytest.fixture
def searcher(reader: WrittenReader, library: Path, tmp_path: Path) -> Searcher:
    index_folder(reader, Path("model"), library, tmp_path / "index", progress=False)
    reader.read_files.clear()
    return Searcher(SearchIndex(tmp_path / "index"), lambda: reader)


def names(answer: Answer) -> list[str]:
    return [Path(hit.file).name for hit in answer.hits]


def test_movements_in_order(searcher: Searcher):
    answer = searcher.search("left arm raise before right leg kick")
    assert names(answer) == ["a.mp4"]
    hit = answer.hits[0]
    assert (hit.measure, hit.value, hit.start_s, hit.end_s) == ("strength", 0.6, 0.1, 0.8)
    assert [(m.movement, m.start_s, m.end_s) for m in hit.seen] == [
        ("left arm raise", 0.1, 0.3),
        ("right leg kick", 0.5, 0.8),
    ]
    assert names(searcher.search("left arm raise then right leg kick")) == ["c.mp4", "a.mp4"]
    assert names(searcher.search("right leg kick before left arm raise")) == ["b.mp4"]
    assert names(searcher.search("left arm raise with right leg kick")) == ["c.mp4"]
    assert names(searcher.search("head turn before left arm raise")) == ["d.mp4"]  # in two stretches of one clip
    assert len(searcher.search("left arm raise and right leg kick", top=2).hits) == 2
    nothing = searcher.search("head turn before right leg kick")
    assert nothing == Answer(
        (),
        "no clip shows this: of 4 clips, head turn in 1, right leg kick in 3, all of them in 0, never so in time",
    )


def test_an_action_lists_the_movements_it_consists_of(searcher: Searcher):
    answer = searcher.search("push up")
    assert names(answer) == ["a.mp4", "d.mp4", "c.mp4", "b.mp4"]
    assert [hit.measure for hit in answer.hits] == ["probability"] * 4
    assert answer.hits[0].value == pytest.approx(0.9, abs=1e-3)
    assert [[m.movement for m in hit.seen] for hit in answer.hits[:1]] == [["left arm raise"]]
    assert (answer.hits[1].start_s, answer.hits[1].end_s) == (1, 2)


def test_an_example_is_read_unless_it_is_known(searcher: Searcher, reader: WrittenReader, library: Path):
    answer = searcher.search(str(library / "a.mp4"))
    assert reader.read_files == []
    assert names(answer) == ["d.mp4", "b.mp4", "c.mp4"]
    assert answer.hits[1].value == pytest.approx(0.5**0.5, abs=1e-5)
    example = write_clip(library.parent / "example.mp4", {"vector": [0, 2]})
    assert names(searcher.search(str(example), top=2)) == ["c.mp4", "b.mp4"]
    assert reader.read_files == ["example.mp4"]
    assert names(searcher.search("the first of words")) == ["a.mp4", "d.mp4", "b.mp4", "c.mp4"]


def test_another_model_is_refused(searcher: Searcher, reader: WrittenReader):
    reader.model = "b" * 64
    with pytest.raises(KgclipError, match="was made by the model aaaaaaaaaaaa, not bbbbbbbbbbbb"):
        searcher.search("some words")


def test_copies_are_one_hit_and_near_copies_a_pair(reader: WrittenReader, library: Path, tmp_path: Path):
    gray = {"vector": [1, 0], "sketch": [10, 200, 30, 90]}
    write_clip(library / "p.mp4", gray)
    write_clip(library / "copy.mp4", gray)
    write_clip(library / "near.mp4", gray | {"sketch": [12, 205, 31, 88]})
    write_clip(library / "far.mp4", gray | {"sketch": [200, 10, 30, 90]})
    index_folder(reader, Path("model"), library, tmp_path / "index", progress=False)
    index = SearchIndex(tmp_path / "index")
    pairs = find_duplicates(index)
    found = [(Path(pair.first.file).name, Path(pair.second.file).name, pair.same_bytes) for pair in pairs]
    assert found[0] == ("copy.mp4", "p.mp4", True)
    assert [set(pair[:2]) for pair in found[1:]] == [{"copy.mp4", "near.mp4"}]
    assert 0.98 <= pairs[1].correlation < 1
    hits = Searcher(index, lambda: reader).search("the first", top=20).hits
    assert [hit.copies for hit in hits if hit.file.endswith("copy.mp4")] == [(str(library / "p.mp4"),)]


def test_files_of_a_clip_without_rows_are_refused(reader: WrittenReader, library: Path, tmp_path: Path):
    index_folder(reader, Path("model"), library, tmp_path / "index", progress=False)
    index = SearchIndex(tmp_path / "index")
    file = index.content / FILES_FILE
    table = pq.read_table(file)
    other = table.slice(0, 1).set_column(table.column_names.index("clip"), "clip", pa.array(["f" * 64]))
    pq.write_table(pa.concat_tables([table, other, other]), file)
    with pytest.raises(KgclipError, match=r"rows\.parquet: does not go with the other files of the index"):
        find_duplicates(index)


def test_many_sketches_are_compared_by_usearch(
    reader: WrittenReader, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name, last in (("p", 90), ("q", 91)):
        write_clip(library / f"{name}.mp4", {"vector": [1, 0], "sketch": [10, 200, 30, last]})
    index_folder(reader, Path("model"), library, tmp_path / "index", progress=False)
    exact = find_duplicates(SearchIndex(tmp_path / "index"))
    monkeypatch.setattr("kgclip.search.duplicates.MOST_COMPARED", 2)
    [pair] = find_duplicates(SearchIndex(tmp_path / "index"))
    assert [(pair.first, pair.second)] == [(other.first, other.second) for other in exact]
    assert pair.correlation == pytest.approx(exact[0].correlation, abs=1e-6)
