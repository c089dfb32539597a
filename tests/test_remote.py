"""Libraries elsewhere give what they give here: an S3 server on loopback, with what can go wrong with one."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from kgclip import remote
from kgclip.cli.main import run
from kgclip.data.dataset import open_dataset
from kgclip.errors import KgclipError
from kgclip.remote import Stored, at, files_under, local_file
from kgclip.search.index import SearchIndex
from tests.s3_server import Buckets, serve

SECRET = "do-not-print-this"


@pytest.fixture(scope="module")
def root(figures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of buckets; one holds class folders of two actions, with a name that addresses must not take apart."""
    root = tmp_path_factory.mktemp("buckets")
    for folder in sorted((figures / "train_videos").iterdir())[:2]:
        (root / "films/my lib" / folder.name).mkdir(parents=True)
        for clip in sorted(folder.iterdir())[:2]:
            shutil.copy(clip, root / "films/my lib" / folder.name / clip.name)
    clip.rename(root / "films/my lib" / folder.name / "50% ü #1.mp4")
    shutil.copy(root / "films/my lib" / folder.name / clip.name, root / "films/my lib" / folder.name / "50% ü #1.mp4")
    return root


@pytest.fixture
def s3(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Buckets]:
    monkeypatch.setattr(remote, "WAITS_S", (0.01, 0.01))
    remote._filesystem.cache_clear()
    remote._copies.cache_clear()
    with serve(root) as buckets:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{buckets.port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", buckets.access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        yield buckets
    remote._filesystem.cache_clear()


def test_features_annotations_predictions_and_an_index_are_those_of_the_same_files_here(
    s3: Buckets, root: Path, figures: Path, kg_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    places = {"here": str(root / "films/my lib"), "there": "s3://films/my lib"}
    printed: dict[str, list[dict]] = {}
    for name, place in places.items():
        out = tmp_path / name
        assert run(["data", "features", place, "--frames", "4", "--out", str(out / "features.safetensors")]) == 0
        words = ["--pose", str(figures / "keypoints.parquet"), "--out", str(out / "parts")]
        assert run(["annotate", place, *words]) == 2  # one clip has none
        assert run(["index", place, "--model", str(kg_model), "--out", str(out / "index")]) == 0
        capsys.readouterr()
        assert run(["predict", str(kg_model), place, "--json"]) == 0
        printed[name] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for file in ("features.safetensors", "parts/keypoints.parquet"):
        assert (tmp_path / "here" / file).read_bytes() == (tmp_path / "there" / file).read_bytes(), file
    for here, there in zip(printed["here"], printed["there"], strict=True):
        assert there.pop("file") == here.pop("file").replace(places["here"], places["there"])
        assert here == there
    here, there = (SearchIndex(tmp_path / name / "index") for name in places)
    assert [(file.file, file.size, file.clip) for file in here.files] == [
        (file.file, file.size, file.clip) for file in there.files
    ]
    np.testing.assert_array_equal(here.vectors, there.vectors)
    assert str(there.library) == places["there"]
    assert not list(Path(remote._copies()._folder).glob("*.csv"))


def test_an_index_is_renewed_by_what_has_changed_there(
    s3: Buckets, root: Path, kg_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    library = root / "films/changing"
    clips = sorted((root / "films/my lib").rglob("*.mp4"))
    library.mkdir()
    for number, clip in enumerate(clips[:2]):
        shutil.copy(clip, library / f"{number}.mp4")
    words = ["index", "s3://films/changing", "--model", str(kg_model), "--out", str(tmp_path / "index")]
    assert run(words) == 0
    s3.asked.clear()
    assert run(words) == 0
    assert not any(key.endswith(".mp4") for _, key in s3.asked)  # nothing has changed, nothing is fetched
    shutil.copy(clips[2], library / "1.mp4")
    capsys.readouterr()
    assert run(words) == 0
    assert "1 clips read, 1 gone or changed" in capsys.readouterr().out
    assert {key for method, key in s3.asked if method == "GET" and key} == {"changing/1.mp4"}
    shutil.rmtree(library)


def test_a_server_that_breaks_off_is_asked_again_and_one_that_is_gone_sets_files_aside(
    s3: Buckets, root: Path, kg_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    s3.broken = 2
    file = Stored("s3:", "films/my lib") / next(iter(files_under(Stored("s3:", "films/my lib"))))
    with local_file(file) as copy:
        assert copy.read_bytes() == (root / "films" / file.relative_to("s3:/films")).read_bytes()
    assert s3.broken == 0
    s3.broken = 3
    monkeypatch.setattr(remote, "_copies", remote._Copies)
    with pytest.raises(KgclipError, match=r"s3://films/my lib/.*: cannot be read from there, asked 3 times \("):
        local_file(file).__enter__()
    lists = remote.files_under

    def then_gone(folder: Stored):
        found = lists(folder)
        s3.gone = True
        return found

    monkeypatch.setattr("kgclip.data.listing.files_under", then_gone)
    assert run(["predict", str(kg_model), "s3://films/my lib", "--json"]) == 2
    captured = capsys.readouterr()
    rows = [json.loads(line) for line in captured.out.splitlines()]
    assert len(rows) == 5
    assert all("cannot be read from there, asked 3 times" in row["error"] for row in rows)
    assert SECRET not in captured.out + captured.err


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("s3://nowhere/lib", "s3://nowhere/lib: there is no such bucket; check the address"),
        ("s3://films/nothing", "s3://films/nothing: there is no such folder, or it is empty; check the address"),
        ("s3://me:word@films/lib", "s3://…: holds a password; leave it out"),
        ("file:///tmp", "file://tmp: is no address that is read"),
        ("zip://a.mp4::s3://films/a.zip", "is no address that is read"),
    ],
)
def test_what_is_not_there_is_one_sentence(
    s3: Buckets, place: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert run(["data", "features", place, "--out", str(tmp_path / "f.safetensors")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert "word@" not in error


def test_without_rights_one_sentence_says_how_to_give_them(
    s3: Buckets, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kg_model: Path
):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another")
    assert run(["predict", str(kg_model), "s3://films/my lib/a.mp4"]) == 2
    text = "".join(capsys.readouterr())
    assert "access is denied; give the rights by environment variables, such as AWS_ACCESS_KEY_ID" in text
    assert SECRET not in text


def test_without_its_package_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    remote._filesystem.cache_clear()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(KgclipError, match=r"pip install 'kgclip\[remote\]'"):
        files_under(Stored("s3:", "films"))


def test_lists_name_files_of_their_library_alone(s3: Buckets, root: Path):
    (root / "films/my lib/list.csv").write_text(
        "video,label,start,end\nin/a.mp4,golf,0,1\nin/b.mp4,run,,\n", encoding="utf-8"
    )
    dataset = open_dataset(Path("s3://films/my lib/list.csv"))
    assert [str(clip.path) for clip in dataset.clips] == [
        "s3://films/my lib/in/a.mp4#t=0,1",
        "s3://films/my lib/in/b.mp4",
    ]
    (root / "films/my lib/list.csv").write_text("video,label\n../../etc/a.mp4,golf\n", encoding="utf-8")
    with pytest.raises(KgclipError, match="does not lie in or below its folder; leave it out"):
        open_dataset(Path("s3://films/my lib/list.csv"))
    (root / "films/my lib/list.csv").unlink()


def test_copies_are_bounded_and_those_in_use_stay(monkeypatch: pytest.MonkeyPatch):
    import fsspec

    memory = fsspec.filesystem("memory")
    for name in "abc":
        memory.pipe_file(f"/copies/{name}.mp4", name.encode() * 10)
    monkeypatch.setattr(remote, "KEPT_BYTES", 10)
    monkeypatch.setattr(remote, "PIECE_BYTES", 3)
    copies = remote._Copies()
    monkeypatch.setattr(remote, "_copies", lambda: copies)
    place = at("memory://copies")
    assert isinstance(place, Stored)
    assert sorted(files_under(place)) == ["a.mp4", "b.mp4", "c.mp4"]
    with local_file(place / "a.mp4") as a:
        for name in "bc":
            with local_file(place / f"{name}.mp4") as other:
                assert other.read_bytes() == name.encode() * 10
        assert a.read_bytes() == b"a" * 10
        assert sorted(path.read_bytes()[:1] for path in a.parent.iterdir()) == [b"a", b"c"]
    assert [path.read_bytes()[:1] for path in a.parent.iterdir()] == [b"a"]
    monkeypatch.setattr(remote, "MOST_BYTES", 9)
    with pytest.raises(KgclipError, match=r"memory://copies/b\.mp4: has 10 bytes, at most 9 are fetched"):
        local_file(place / "b.mp4").__enter__()
    memory.rm("/copies", recursive=True)


def test_what_is_here_stays_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a/b.mp4", "/a/b.mp4", "a:b/c.mp4", "nonsense://a/b"):
        assert type(at(name)) is type(Path())
    Path("s3:/bucket").mkdir(parents=True)
    assert at("s3://bucket") == Path("s3:/bucket")
    with local_file(Path("s3:/bucket")) as path:
        assert path == Path("s3:/bucket")
