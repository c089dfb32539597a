"""Libraries elsewhere give what they give here: an S3 server on loopback, with what can go wrong with one."""

import json
import pickle
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from kgclip import copies, remote
from kgclip.cli.main import run
from kgclip.copies import local_file
from kgclip.data.dataset import open_dataset
from kgclip.data.listing import library_at
from kgclip.errors import KgclipError
from kgclip.remote import Listed, Stored, at, files_under
from kgclip.search.index import SearchIndex
from kgclip.video.cut import video_at
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
    shutil.copy(clip, root / "films/my lib" / folder.name / "50% ü #1.mp4")
    return root


@pytest.fixture
def s3(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Buckets]:
    monkeypatch.setattr(remote, "WAITS_S", (0.01, 0.01))
    remote._filesystem.cache_clear()
    copies._copies.cache_clear()
    with serve(root) as buckets:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{buckets.port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", buckets.access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        yield buckets
    remote._filesystem.cache_clear()


@pytest.mark.slow
def test_the_commands_of_the_page_give_what_they_give_of_the_same_files_here(
    s3: Buckets,
    root: Path,
    figures: Path,
    kg_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    text = (Path(__file__).parents[1] / "docs/remote.md").read_text(encoding="utf-8")
    lines = re.findall(r"^kgclip (.*)$", text, flags=re.MULTILINE)
    assert [line.split()[0] for line in lines] == ["data", "annotate", "predict", "index", "data", "data", "predict"]
    printed: dict[str, list[dict]] = {}
    for name, place in {"here": str(root / "films/my lib"), "there": "s3://films/my lib"}.items():
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        Path("model").symlink_to(kg_model)
        Path("keypoints.parquet").symlink_to(figures / "keypoints.parquet")
        for line in lines:
            words = [place if word == "s3://bucket/videos" else word for word in shlex.split(line)]
            words = [word.replace("{0000..0009}", "{0000..0000}") for word in words]
            more = ["--workers", "1"] if words[0] == "annotate" else []
            assert run([*words, *more]) == (2 if more else 0)  # one clip has no keypoints
            if words[0] == "predict":
                rows = capsys.readouterr().out.replace(json.dumps(place)[1:-1], "").splitlines()
                printed[name] = printed.get(name, []) + [json.loads(row) for row in rows if row.startswith("{")]
    assert len(printed["here"]) == 10
    assert printed["here"] == printed["there"]
    for file in ("features.safetensors", "shards.safetensors", "parts/keypoints.parquet", "shards/data-0000.tar"):
        assert (tmp_path / "here" / file).read_bytes() == (tmp_path / "there" / file).read_bytes(), file
    here, there = (SearchIndex(tmp_path / name / "index") for name in ("here", "there"))
    assert str(there.library) == "s3://films/my lib"
    for one, other in zip(here.files, there.files, strict=True):
        assert (one.file, one.size, one.clip) == (other.file, other.size, other.clip)
    np.testing.assert_array_equal(here.vectors, there.vectors)


@pytest.mark.slow
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
    words = ["predict", str(kg_model), "s3://films/changing/0.mp4#t=0,0.2"]
    assert run([*words, "--html", str(tmp_path / "pages")]) == run([*words, "--untrusted"]) == 0
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
    monkeypatch.setattr(copies, "_copies", copies._Copies)
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


def test_names_that_no_file_can_have_are_left_out(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    names = ["a/good.mp4", "../b.mp4", "a/../../c.mp4", "/d.mp4", "a//e.mp4", "a/good.mp4/f.mp4", f"a/{'g' * 300}.mp4"]
    listed = {name: Listed(2**50, 7) for name in [*names, "a/h\0.mp4", "a/notes.pdf"]}
    monkeypatch.setattr("kgclip.data.listing.files_under", lambda folder: listed)
    with library_at(Stored("s3:", "films", "lib")) as library:
        assert library.folder.parent.name.startswith("kgclip-")
        (file,) = (path for path in library.folder.parent.rglob("*") if path.is_file())
        assert (file.relative_to(library.folder).as_posix(), file.stat().st_size) == ("a/good.mp4", 2**34 + 1)
        assert str(library.original(file)) == "s3://films/lib/a/good.mp4"
    assert not library.folder.exists()
    assert len([record for record in caplog.records if "as no file can be named so" in record.message]) == 7


_KILLED = """
import os, signal, sys
import fsspec
from kgclip import copies, remote
fsspec.filesystem("memory").pipe_file("/lib/a.mp4", b"a")
with copies.local_file(remote.at("memory://lib/a.mp4")) as file:
    print(file.parent, file.read_text(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_copies_go_also_where_the_process_is_killed():
    done = subprocess.run([sys.executable, "-c", _KILLED], capture_output=True, text=True, timeout=60, check=False)
    folder, content = done.stdout.split()
    assert (done.returncode, content) == (-signal.SIGKILL, "a")
    ends = time.monotonic() + 10
    while Path(folder).exists() and time.monotonic() < ends:
        time.sleep(0.02)
    assert not Path(folder).exists()


def test_addresses_stay_themselves_on_the_way_to_other_processes():
    place = Stored("s3:", "films") / "a" / "b.mp4"
    assert pickle.loads(pickle.dumps(place)) == place.absolute() == place.resolve() == place
    assert (str(place.parent), place.name, str(video_at(str(place)))) == ("s3://films/a", "b.mp4", "s3://films/a/b.mp4")


def test_copies_are_bounded_and_those_in_use_stay(monkeypatch: pytest.MonkeyPatch):
    import fsspec

    memory = fsspec.filesystem("memory")
    for name in "abc":
        memory.pipe_file(f"/copies/{name}.mp4", name.encode() * 10)
    monkeypatch.setattr(copies, "KEPT_BYTES", 10)
    monkeypatch.setattr(copies, "PIECE_BYTES", 3)
    kept = copies._Copies()
    monkeypatch.setattr(copies, "_copies", lambda: kept)
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
    monkeypatch.setattr(copies, "MOST_BYTES", 9)
    with pytest.raises(KgclipError, match=r"memory://copies/b\.mp4: has 10 bytes, at most 9 are fetched"):
        local_file(place / "b.mp4").__enter__()
    memory.rm("/copies", recursive=True)


def test_what_is_here_stays_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a/b.mp4", "/a/b.mp4", "a:b/c.mp4"):
        assert type(at(name)) is type(Path())
    with pytest.raises(KgclipError, match="nonsense://a/b: no address that begins so is read"):
        at("nonsense://a/b")
    Path("s3:/bucket").mkdir(parents=True)
    assert at("s3://bucket") == Path("s3:/bucket")
    with local_file(Path("s3:/bucket")) as path:
        assert path == Path("s3:/bucket")


def test_shards_are_read_where_they_lie(
    s3: Buckets, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    out = root / "films/shards"
    assert run(["data", "shard", "s3://films/my lib", "--out", str(out), "--size", "8KB"]) == 0
    names = sorted(file.name for file in out.iterdir())
    place = f"s3://films/shards/data-{{0000..{len(names) - 1:04}}}.tar"
    monkeypatch.setattr("kgclip.data.shards.WINDOW_BYTES", 2048)
    for name, data in {"shards": place, "folder": "s3://films/shards", "files": str(root / "films/my lib")}.items():
        assert run(["data", "features", data, "--frames", "4", "--out", str(tmp_path / name)]) == 0
        assert (tmp_path / name).read_bytes() == (tmp_path / "shards").read_bytes()
    assert ("GET", f"shards/{names[0]}") in s3.asked
    shutil.rmtree(out)
