"""Clips in tar shards give what they give as files, are read in small pieces, and hostile archives are refused."""

import io
import json
import pickle
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from kgclip.cli.main import run
from kgclip.copies import local_file
from kgclip.data import shards
from kgclip.data.clip import Clip
from kgclip.data.dataset import DataSet, open_dataset
from kgclip.data.shards import read_shards, shards_at, write_shards
from kgclip.errors import KgclipError
from kgclip.remote import Member
from kgclip.video.cut import Cut


@pytest.fixture(scope="module")
def clips(figures: Path, tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    """Six clips of three actions in two parts, with the sources that their names tell."""
    root = tmp_path_factory.mktemp("clips")
    for folder in sorted((figures / "train_videos").iterdir())[:3]:
        for part, file in zip(("train", "test"), sorted(folder.iterdir()), strict=False):
            (root / part / folder.name).mkdir(parents=True)
            shutil.copy(file, root / part / folder.name / f"{file.stem}.x.mp4")
    return open_dataset(root)


@pytest.fixture(scope="module")
def written(clips: DataSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "shards"
    assert run(["data", "shard", str(clips.root), "--out", str(out), "--size", "8KB"]) == 0
    return out


def test_names_actions_parts_sources_and_bytes_are_kept(clips: DataSet, written: Path):
    dataset = open_dataset(written)
    facts = [[(clip.id, clip.action, clip.part, clip.source) for clip in each.clips] for each in (clips, dataset)]
    assert facts[0] == facts[1]
    names = sorted(file.name for file in written.iterdir())
    assert names == [f"data-{number:04}.tar" for number in range(len(names))]
    assert len(names) > 1
    for clip, member in zip(clips.clips, dataset.clips, strict=True):
        assert isinstance(clip.path, Path)
        assert isinstance(member.path, Member)
        sent = pickle.loads(pickle.dumps(member.path)).absolute()
        with local_file(sent) as file:
            assert file.read_bytes() == clip.path.read_bytes()
    with pytest.raises(KgclipError, match=r"data-0000\.tar/0.*mp4: no such|truncated or not a video"):
        raise_of(written / "data-0000.tar")


def raise_of(shard: Path) -> None:
    """What a damaged video in a shard is called."""
    from kgclip.video.frames import read_clip

    member = next(iter(read_shards([shard]))).path
    assert isinstance(member, Member)
    read_clip(Member.of(shard, member.name, 0, 100), 4)


def test_other_tools_read_them(clips: DataSet, written: Path):
    with tarfile.open(written / "data-0000.tar") as archive:
        label, video = archive.getnames()[:2]
        assert (label.partition(".")[0], label.partition(".")[2]) == (video.partition(".")[0], "json")
        assert video.partition(".")[2] == "mp4"
        content = archive.extractfile(label)
        assert content is not None
        assert json.load(content) == {
            name: getattr(clips.clips[0], name) for name in ("id", "action", "part", "source")
        }


@pytest.mark.slow
def test_features_and_predictions_are_those_of_the_files(
    clips: DataSet, written: Path, kg_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    last = len(list(written.iterdir())) - 1
    places = {"files": clips.root, "shards": written / f"data-{{0000..{last:04}}}.tar"}
    printed = {}
    for name, place in places.items():
        assert run(["data", "features", str(place), "--frames", "4", "--out", str(tmp_path / name)]) == 0
        capsys.readouterr()
        assert run(["predict", str(kg_model), str(place), "--json"]) == 0
        rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        printed[name] = sorted(json.dumps(row).replace(Path(row["file"]).name, "") for row in rows)
        printed[name] = [row.partition(", ")[2].partition(", ")[2] for row in printed[name]]  # all but the file
    assert (tmp_path / "files").read_bytes() == (tmp_path / "shards").read_bytes()
    assert len(printed["files"]) == 6
    assert sorted(printed["files"]) == sorted(printed["shards"])


def test_of_a_shard_no_more_is_read_than_names_and_labels(written: Path, monkeypatch: pytest.MonkeyPatch):
    (written.parent / "large").mkdir(exist_ok=True)
    shard = written.parent / "large/data.tar"
    with tarfile.open(shard, "w") as archive:
        for number in range(3):
            add(archive, f"{number}.json", b"{}")
            add(archive, f"{number}.mp4", bytes(2**20))
    asked = []
    read = shards.read_range

    def counted(path: Path, start: int, end: int) -> bytes:
        asked.append(end - start)
        return read(path, start, end)

    monkeypatch.setattr(shards, "read_range", counted)
    assert [entry.id for entry in read_shards([shard])] == ["0", "1", "2"]
    assert len(asked) == 4  # one a clip, and the end
    assert max(asked) == shards.WINDOW_BYTES


def add(archive: tarfile.TarFile, name: str, content: bytes = b"", **changes: object) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in changes.items():
        setattr(info, key, value)
    archive.addfile(info, io.BytesIO(content))


HOSTILE: dict[str, tuple[Callable[[tarfile.TarFile], None], str]] = {
    "traversal": (lambda tar: add(tar, "../a.mp4", b"a"), r"'\.\./a\.mp4', a name that leads out of it"),
    "absolute": (lambda tar: add(tar, "/etc/a.mp4", b"a"), "a name that leads out of it"),
    "link": (
        lambda tar: add(tar, "a.mp4", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        "'a.mp4', which is a link, a device or sparse",
    ),
    "hard link": (lambda tar: add(tar, "a.mp4", type=tarfile.LNKTYPE, linkname="b"), "which is a link"),
    "device": (lambda tar: add(tar, "a.mp4", type=tarfile.CHRTYPE), "which is a link, a device or sparse"),
    "large label": (lambda tar: add(tar, "a.json", b" " * 100_000), "has a label or header of 100,000 bytes"),
    "large header": (lambda tar: add(tar, "a.mp4", pax_headers={"comment": "x" * 100_000}), "has a label or header of"),
    "deep label": (lambda tar: add(tar, "a.json", b"[" * 30_000), "a.json: cannot be read as JSON"),
    "no label": (lambda tar: add(tar, "a.json", b"[]"), "a.json: is no JSON object"),
    "wrong label": (lambda tar: add(tar, "a.json", b'{"action": 7}'), "a.json: has action 7; expected a text"),
    "wrong part": (
        lambda tar: (add(tar, "a.json", b'{"part": "x"}'), add(tar, "a.mp4", b"a"))[0],
        "a.json has split 'x'; expected train",
    ),
    "two videos": (
        lambda tar: (add(tar, "a.mp4", b"a"), add(tar, "a.avi", b"a"))[0],
        "holds two videos named a; name one otherwise",
    ),
    "nothing": (lambda tar: add(tar, "a.jpg", b"a"), "holds no clip; expected .*, or tar shards"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_shard_is_refused_in_one_sentence(kind: str, tmp_path: Path):
    write, message = HOSTILE[kind]
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        write(archive)
    with pytest.raises(KgclipError, match=message) as raised:
        open_dataset(tmp_path / "a.tar")
    assert str(raised.value).startswith(f"{tmp_path / 'a.tar'}: ")


def test_sizes_that_lie_and_headers_without_end_are_refused(tmp_path: Path):
    def header(size: bytes, kind: bytes = b"0", name: str = "a.mp4") -> bytes:
        info = tarfile.TarInfo(name)
        block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
        block[124:136], block[156:157] = size, kind
        block[148:156] = b"%06o\0 " % (256 + sum(block[:148]) + sum(block[156:]))
        return bytes(block)

    cases = {
        "huge": header(b"77777777777\0") + bytes(1024),
        "negative": header(b"\xff" * 11 + b"\0") + bytes(1024),
        "nested": header(b"00000000000\0", b"x") * 5000 + header(b"00000000000\0"),
        "cut": header(b"00000010000\0") + bytes(100),
        "noise": bytes(range(256)) * 8,
        "compressed": b"\x1f\x8b\x08" + bytes(2000),
    }
    for kind, content in cases.items():
        (tmp_path / f"{kind}.tar").write_bytes(content)
        with pytest.raises(KgclipError, match=rf"{kind}\.tar: (is damaged|ends before|has a label)"):
            list(read_shards([tmp_path / f"{kind}.tar"]))


def test_what_names_shards(written: Path, clips: DataSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert shards_at(written / "data-{0000..0001}.tar") == [written / "data-0000.tar", written / "data-0001.tar"]
    with pytest.raises(KgclipError, match=r"data-0099\.tar: there is no such shard"):
        shards_at(written / "data-{0099..0100}.tar")
    with pytest.raises(KgclipError, match="names no shards or more than"):
        shards_at(written / "data-{2..1}.tar")
    # An archive beside class folders does not make a data set one of shards.
    (clips.root / "train/all.tar").write_bytes(b"")
    assert shards_at(clips.root / "train") == []
    (clips.root / "train/all.tar").unlink()
    for size in ("0", "1TB", "x"):
        assert run(["data", "shard", str(clips.root), "--out", str(tmp_path / "out"), "--size", size]) == 2
        assert capsys.readouterr().err.startswith(f"kgclip: --size {size}: is no size; give bytes")
    cut = Clip("a", Cut(Path("a.mp4"), 0.0, 1.0), "golf", "a", None)
    with pytest.raises(KgclipError, match="is part of a file, shards hold whole ones"):
        write_shards([cut], tmp_path / "out", 1, progress=False)
    assert list(tmp_path.iterdir()) == []
