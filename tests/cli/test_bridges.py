"""`kgclip data import` and `kgclip data export`: every format there and back, and options that cannot be."""

import csv
import json
from pathlib import Path

import pytest

from kgclip.cli.main import run
from kgclip.data.bridges.registry import Bridge, BridgeOptions, register_bridge
from kgclip.data.dataset import open_dataset
from kgclip.pose.keypoints import read_keypoints
from tests.data.bridges.examples import write_examples


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files of all formats, and the film that most of them are about: six seconds."""
    monkeypatch.chdir(tmp_path)
    write_examples(tmp_path)
    return tmp_path


def rows(file: str) -> list[list[str]]:
    with Path(file).open(newline="") as handle:
        return list(csv.reader(handle))


@pytest.mark.parametrize(
    ("words", "intervals"),
    [
        (["elan", "gym.eaf"], [("push up", "1.2", "3.45"), ("lunge & turn", "3.45", "5")]),
        (["elan", "gym.eaf", "--tier", "note"], [("slow", "1.2", "3.45")]),
        (["boris", "gym.csv"], [("push up", "1.2", "3.45")]),
        (["label-studio", "project.json", "--fps", "25"], [("push up", "0", "2"), ("lunge", "3", "4")]),
    ],
)
def test_intervals_are_a_data_set(words, intervals, folder, capsys):
    assert run(["data", "import", *words, "--videos", "films", "--out", "list.csv"]) == 0
    header, *found = rows("list.csv")
    assert header == ["video", "label", "start", "end"]
    assert found == [["films/gym.mp4", *interval] for interval in intervals]
    assert "interval" in capsys.readouterr().out
    assert run(["data", "check", "list.csv"]) == 0
    assert len(open_dataset(Path("list.csv")).clips) == len(intervals)


def test_what_a_project_of_boris_holds_besides_is_named(folder, capsys):
    assert run(["data", "import", "boris", "gym.boris", "--out", "list.csv"]) == 0
    out = capsys.readouterr().out
    assert "list.csv: 2 intervals of 1 film\n" in out
    assert "gym.boris: 1 point event left out, which last no time\n" in out
    assert "gym.boris: 1 observation without a film left out: live\n" in out


@pytest.mark.parametrize(
    ("words", "back"),
    [
        (["elan", "--out", "out.eaf"], ["elan", "out.eaf"]),
        (["elan", "--out", "eaf"], ["elan", "eaf/gym.eaf"]),
        (["boris", "--out", "out.boris"], ["boris", "out.boris"]),
        (["boris", "--out", "out.tsv"], ["boris", "out.tsv"]),
        (["label-studio", "--fps", "25", "--out", "out.json"], ["label-studio", "--fps", "25", "out.json"]),
    ],
)
def test_a_list_goes_there_and_back(words, back, folder, capsys):
    list_ = "video,label,start,end\nfilms/gym.mp4,push up,1.2,3.44\nfilms/gym.mp4,lunge,3.44,5\n"
    (folder / "list.csv").write_text(list_)
    assert run(["data", "export", words[0], "list.csv", *words[1:]]) == 0
    assert "2 intervals" in capsys.readouterr().out
    assert run(["data", "import", *back, "--out", "back.csv"]) == 0
    assert (folder / "back.csv").read_text() == list_


def test_spans_of_watch_are_exported(folder):
    film = ["--video", "films/gym.mp4"]
    for words in (
        ["elan", "--out", "a.eaf"],
        ["boris", "--out", "a.boris"],
        ["label-studio", "--fps", "25", "--out", "a.json"],
    ):
        assert run(["data", "export", words[0], "spans.jsonl", *film, *words[1:]]) == 0
    assert run(["data", "import", "elan", "a.eaf", "--out", "a.csv"]) == 0
    assert rows("a.csv")[1] == ["films/gym.mp4", "lunge", "1", "2"]
    assert "predictions" in json.loads(Path("a.json").read_text())[0]


def test_parts_and_keypoints(folder, capsys):
    assert run(["data", "import", "cvat", "annotations.xml", "--clip", "gym", "--out", "parts"]) == 0
    assert "1 track of other labels left out: car" in capsys.readouterr().out
    assert run(["data", "export", "cvat", "parts", "--out", "cvat"]) == 0
    assert run(["data", "import", "cvat", "cvat/gym.xml", "--out", "again"]) == 0
    files = [sorted(path.read_bytes() for path in Path(name, "gym").iterdir()) for name in ("parts", "again")]
    assert files[0] == files[1]
    assert run(["data", "import", "hake", "hake.json", "--out", "hake"]) == 0
    assert "left out what no state of this project says: hand: touch (1 time)" in capsys.readouterr().out
    humans = json.loads(Path("hake/HICO_1/img_00001.json").read_text())["humans"]
    assert humans == [{"number": 1, "parts": {"left_hand": {"name": "left_hand", "verb": "hold"}}}]
    assert run(["data", "import", "coco", "keypoints.json", "--data", "clips.csv", "--out", "c/k.parquet"]) == 0
    poses, _ = read_keypoints(Path("c/k.parquet"))
    assert list(poses) == ["films/gym"]
    assert run(["data", "export", "coco", "c/k.parquet", "--out", "c/k.json"]) == 0
    assert len(json.loads(Path("c/k.json").read_text())["annotations"]) == 6


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["import", "elam", "gym.eaf"],
            "elam: is no format; expected elan, boris, label-studio, cvat, coco, hake, did you",
        ),
        (["import", "elan", "gym.eaf", "--fps", "25"], "--fps: has no meaning for elan; leave the option out"),
        (["import", "cvat", "annotations.xml", "--tier", "x"], "--tier: has no meaning for cvat"),
        (["import", "elan"], "data import elan: no file given; name an ELAN file (.eaf)"),
        (
            ["import", "label-studio", "project.json"],
            "project.json: counts frames and does not say how many a second; gi",
        ),
        (["import", "label-studio", "project.json", "--fps", "0"], "project.json: counts frames"),
        (
            ["import", "coco", "keypoints.json"],
            "keypoints.json: has no times of frames; give the data set of its clips",
        ),
        (["import", "coco", "keypoints.json", "--data", "films"], "--out new: becomes a file of keypoints"),
        (["import", "coco", "keypoints.json", "b.json"], "b.json: is a second file"),
        (["import", "hake", "hake.json", "gym.eaf"], "gym.eaf: is no whole JSON"),
        (["import", "hake", "hake.json", "hake.json"], "hake.json: holds the image HICO_1 of another file, too"),
        (
            ["import", "cvat", "annotations.xml", "annotations.xml"],
            "annotations.xml: is the second task of the clip gym.v2",
        ),
        (
            ["import", "cvat", "a.xml", "b.xml", "--clip", "a"],
            "--clip a: names one clip, 2 files are given; import them",
        ),
        (["import", "elan", "gym.eaf"], "--out new: becomes a list of intervals; give it a name that ends in .csv"),
        (["export", "hake", "parts"], "data export hake: is not written, only read"),
        (["export", "elan", "spans.jsonl"], "spans.jsonl: does not name its film; give the film that was watched"),
        (["export", "cvat", "films"], "films: holds no frame annotation"),
        (["export", "coco", "films/gym.mp4"], "films/gym.mp4: not a readable Parquet file"),
        (["export", "boris", "spans.jsonl", "--video", "a.mp4"], "--out new: expected a BORIS project (.boris)"),
    ],
)
def test_what_cannot_be(words, message, folder, capsys):
    before = set(folder.rglob("*"))
    assert run(["data", *words, "--out", "new"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"kgclip: {message}")
    assert error.count("\n") == 1
    assert set(folder.rglob("*")) == before


def test_an_elan_file_is_of_one_film(folder, capsys):
    (folder / "list.csv").write_text("video,label,start,end\na/x.mp4,one,0,1\nb/x.mp4,two,0,1\n")
    assert run(["data", "export", "elan", "list.csv", "--out", "x.eaf"]) == 2
    assert "--out x.eaf: list.csv has 2 films, and an ELAN file is of one; name a folder" in capsys.readouterr().err
    assert run(["data", "export", "elan", "list.csv", "--out", "eaf"]) == 0
    assert sorted(path.name for path in Path("eaf").iterdir()) == ["x-2.eaf", "x.eaf"]


def test_what_is_there_stays(folder, capsys):
    for words in (["import", "elan", "gym.eaf"], ["export", "elan", "gym.csv"]):
        assert run(["data", *words, "--out", "project.json"]) == 2
        assert "project.json: exists already" in capsys.readouterr().err


def test_a_format_of_ones_own(folder, monkeypatch, capsys):
    monkeypatch.setattr("kgclip.data.bridges.registry._added", [])

    def read(files: tuple[Path, ...], options: BridgeOptions) -> list[str]:
        return [f"{options.out} from {files[0]}"]

    register_bridge(Bridge("mine", "my files", read))
    assert run(["data", "import", "mine", "gym.csv", "--out", "new"]) == 0
    assert capsys.readouterr().out == "new from gym.csv\n"
