"""An index appears whole, is renewed by what has changed, and reads no clip twice."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from kgclip.errors import KgclipError
from kgclip.search import indexing, nearest
from kgclip.search.index import INDEX_FILE, SearchIndex
from kgclip.search.indexing import index_folder
from tests.search.conftest import WrittenReader, write_clip

MODEL = Path("model")


def run(reader: WrittenReader, library: Path, out: Path) -> indexing.Indexed:
    return index_folder(reader, MODEL, library, out, progress=False)


def test_only_what_is_new_is_read(reader: WrittenReader, library: Path, tmp_path: Path):
    out = tmp_path / "index"
    done = run(reader, library, out)
    assert (done.files, done.rows, done.read, done.gone, done.faults) == (4, 5, 4, 0, {})
    first = SearchIndex(out)
    assert [file.file for file in first.files] == ["a.mp4", "b.mp4", "in/c.mp4", "in/d.mp4"]
    assert first.places.clips.tolist() == [file.clip for file in first.files] + [first.files[-1].clip]
    vectors, ids, spans = first.vectors, first.places.ids, first.spans  # read while they are there
    stamp = (out / INDEX_FILE).stat().st_mtime_ns

    assert run(reader, library, out).read == 0
    assert (out / INDEX_FILE).stat().st_mtime_ns == stamp  # nothing has changed, nothing is written

    reader.read_files.clear()
    (library / "a.mp4").unlink()
    (library / "b.mp4").rename(library / "moved.mp4")
    write_clip(library / "in" / "c.mp4", {"vector": [3, 4]})
    write_clip(library / "new.mp4", {"vector": [0, -1]})
    shutil.copy(library / "new.mp4", library / "same.mp4")
    done = run(reader, library, out)
    assert sorted(reader.read_files) == ["c.mp4", "new.mp4"]
    assert (done.files, done.rows, done.read, done.gone) == (5, 5, 2, 3)
    second = SearchIndex(out)
    kept = {file.file: file.clip for file in second.files}
    assert kept["moved.mp4"] == first.files[1].clip
    assert kept["new.mp4"] == kept["same.mp4"]
    # Rows that stay keep their ids, and their columns stay with them.
    assert second.places.ids.tolist() == [1, 3, 4, 5, 6]
    np.testing.assert_array_equal(second.vectors[:3], vectors[[1, 3, 4]])
    expected = [(ids[row], item) for row, item in zip(spans.row, spans.items(), strict=True)]
    kept_spans = [item for item in expected if item[0] in (1, 3, 4)]
    now = zip(second.places.ids[second.spans.row], second.spans.items(), strict=True)
    assert list(now) == kept_spans
    assert sorted(entry.name for entry in out.iterdir()) == ["2", INDEX_FILE]


def test_a_file_that_cannot_be_read_stops_nothing(reader: WrittenReader, library: Path, tmp_path: Path):
    (library / "bad.mp4").write_text("no clip")
    done = run(reader, library, tmp_path / "index")
    assert (done.files, done.faults) == (4, {str(library / "bad.mp4"): f"{library / 'bad.mp4'}: is damaged"})
    for path in library.rglob("*.mp4"):
        path.write_text("no clip")
    with pytest.raises(KgclipError, match=r"none of 5 videos can be read; the first: .*is damaged"):
        run(reader, library, tmp_path / "index")
    assert len(SearchIndex(tmp_path / "index").files) == 4


def test_a_run_that_was_broken_off_goes_on(
    reader: WrittenReader, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(indexing, "SAVE_EVERY_S", 0.0)
    read = WrittenReader.read

    def interrupted(self: WrittenReader, path: Path):
        if path.name == "c.mp4":
            raise KeyboardInterrupt
        return read(self, path)

    monkeypatch.setattr(WrittenReader, "read", interrupted)
    out = tmp_path / "index"
    with pytest.raises(KeyboardInterrupt):
        run(reader, library, out)
    assert not out.exists()
    with pytest.raises(KgclipError, match="another model that was broken off; remove it"):
        run(WrittenReader("b" * 64), library, out)
    monkeypatch.setattr(WrittenReader, "read", read)
    assert run(reader, library, out).read == 2
    assert sorted(reader.read_files) == ["a.mp4", "b.mp4", "c.mp4", "d.mp4"]
    assert {path.name for path in tmp_path.iterdir()} == {"index", "videos"}
    whole = run(WrittenReader(), library, tmp_path / "other")
    assert whole.rows == 5
    np.testing.assert_array_equal(SearchIndex(out).vectors, SearchIndex(tmp_path / "other").vectors)


def test_what_cannot_be_is_one_sentence(reader: WrittenReader, library: Path, tmp_path: Path):
    out = tmp_path / "index"
    run(reader, library, out)
    with pytest.raises(KgclipError, match="was made by the model aaaaaaaaaaaa, not bbbbbbbbbbbb"):
        run(WrittenReader("b" * 64), library, out)
    other = tmp_path / "others"
    write_clip(other / "x.mp4", {"vector": [1, 0]})
    with pytest.raises(KgclipError, match=r"is the index of .*videos, not of .*others; give another --out"):
        run(reader, other, out)
    (tmp_path / "empty").mkdir()
    with pytest.raises(KgclipError, match="holds no video"):
        run(reader, tmp_path / "empty", out)
    with pytest.raises(KgclipError, match="is no folder"):
        run(reader, tmp_path / "gone", out)
    with pytest.raises(KgclipError, match=f"is no index, it has no {INDEX_FILE}"):
        run(reader, library, library)
    (out / INDEX_FILE).write_text("[]")
    with pytest.raises(KgclipError, match="is not of an index of format 1"):
        SearchIndex(out)
    assert sorted(path.name for path in library.iterdir()) == ["a.mp4", "b.mp4", "in"]


def test_a_library_that_was_moved_is_known(reader: WrittenReader, library: Path, tmp_path: Path):
    run(reader, library, tmp_path / "index")
    library.rename(tmp_path / "moved")
    write_clip(tmp_path / "moved" / "new.mp4", {"vector": [1, 0]})
    assert run(reader, tmp_path / "moved", tmp_path / "index").read == 1
    assert SearchIndex(tmp_path / "index").library == tmp_path / "moved"


def test_where_only_the_places_have_changed_the_index_names_the_new_ones(
    reader: WrittenReader, library: Path, tmp_path: Path
):
    run(reader, library, tmp_path / "index")
    library.rename(tmp_path / "moved")
    index_folder(reader, tmp_path / "renamed", tmp_path / "moved", tmp_path / "index", progress=False)
    index = SearchIndex(tmp_path / "index")
    assert (index.library, index.model) == (tmp_path / "moved", tmp_path / "renamed")


def test_a_name_that_is_not_utf8_stops_nothing(reader: WrittenReader, library: Path, tmp_path: Path):
    odd = os.path.join(os.fsencode(library), b"\xff\xe9.mp4")  # noqa: PTH118
    shutil.copy(library / "a.mp4", odd)
    done = run(reader, library, tmp_path / "index")
    assert done.files == 4
    (fault,) = done.faults.values()
    assert fault.endswith("\\xff\\xe9.mp4: has a name that is not UTF-8; rename the file or folder")


def test_past_the_limit_usearch_finds_the_same(
    reader: WrittenReader, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run(reader, library, tmp_path / "exact")
    monkeypatch.setattr(nearest, "MOST_EXACT", 4)
    run(reader, library, tmp_path / "graph")
    write_clip(library / "new.mp4", {"vector": [0.2, 1]})
    for name in ("exact", "graph"):
        monkeypatch.setattr(nearest, "MOST_EXACT", 4 if name == "graph" else 100)
        run(reader, library, tmp_path / name)
    exact, graph = (SearchIndex(tmp_path / name) for name in ("exact", "graph"))
    assert (graph.content / "vectors.usearch").is_file()
    assert not (exact.content / "vectors.usearch").is_file()
    query = np.array([0.3, 0.9], np.float32)
    assert graph.nearest(query, 3)[0].tolist() == exact.nearest(query, 3)[0].tolist()


def test_what_killed_runs_left_goes(reader: WrittenReader, library: Path, tmp_path: Path, ended_process: int):
    out = tmp_path / "index"
    run(reader, library, out)
    temporary = f"kgclip-{ended_process}-abcd1234"
    # Before the new content had a name, before it was the one that counts, and after.
    left = [tmp_path / f".index.{temporary}", out / f".2.{temporary}", out / f".{INDEX_FILE}.{temporary}", out / "2"]
    # A part that was being removed.
    left.append(tmp_path / f"..index.kgclip-part.{temporary}")
    for path in left:
        path.mkdir()
    run(reader, library, out)
    assert {path.name for path in tmp_path.iterdir()} == {"index", "videos"}
    assert sorted(path.name for path in out.iterdir()) == ["1", INDEX_FILE]


def test_a_part_that_vanishes_is_said(
    reader: WrittenReader, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(indexing, "SAVE_EVERY_S", 0.0)
    read = WrittenReader.read

    def vanish(self: WrittenReader, path: Path):
        if path.name == "c.mp4":
            shutil.rmtree(tmp_path / ".index.kgclip-part")
        return read(self, path)

    monkeypatch.setattr(WrittenReader, "read", vanish)
    with pytest.raises(KgclipError, match="part: was removed or moved while it was written; run it again"):
        run(reader, library, tmp_path / "index")
    monkeypatch.setattr(WrittenReader, "read", read)
    (tmp_path / ".index.kgclip-part" / "1").mkdir(parents=True)  # what is left of it
    assert run(reader, library, tmp_path / "index").read == 4
    assert {path.name for path in tmp_path.iterdir()} == {"index", "videos"}
