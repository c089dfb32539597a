"""The description of a data set is one that Croissant's own library reads, and says what the data set holds."""

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest

from kgclip.cli.main import run
from kgclip.data import croissant
from kgclip.data.dataset import open_dataset
from kgclip.files import digest

mlcroissant = pytest.importorskip("mlcroissant", reason="the extra croissant is not installed")


def opened(file: Path) -> Any:
    with warnings.catch_warnings():
        # rdflib warns of its own classes while it reads.
        warnings.simplefilter("ignore", DeprecationWarning)
        return mlcroissant.Dataset(jsonld=str(file))


def test_the_library_reads_every_clip(figures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "figures.json"
    words = ["--license", "mit", "--url", "https://example.org/figures", "--description", "Figures that move."]
    assert run(["data", "croissant", str(figures), "--out", str(out), *words]) == 0
    clips = open_dataset(figures).clips
    assert capsys.readouterr().out == f"{out}: {len(clips)} clips of 24 actions\n"
    dataset = opened(out)
    assert dataset.metadata.issues.errors == set()
    assert (dataset.metadata.name, dataset.metadata.license) == ("synthetic", ["mit"])
    rows = [{key.partition("/")[2]: value for key, value in row.items()} for row in dataset.records("clips")]
    assert [row["id"] for row in rows] == [clip.id for clip in clips]
    assert [row["action"] for row in rows] == [clip.action for clip in clips]
    assert [row["part"] for row in rows] == [clip.part for clip in clips]
    for row, clip in zip(rows[:5], clips, strict=False):
        assert (tmp_path / row["video"]).samefile(clip.path)
        assert row["sha256"] == digest(clip.path)
    files = json.loads(out.read_text())["distribution"]
    assert [file["sha256"] for file in files] == [row["sha256"] for row in rows]


def test_names_of_people_and_clips_without_labels(figures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    clip = next(figures.glob("test_videos/*/*.mp4"))
    (tmp_path / "clips").mkdir()
    for name in ("größer 1.mp4", "b.mp4"):
        shutil.copy(clip, tmp_path / "clips" / name)
    (tmp_path / "clips.csv").write_text("video,label\nclips/größer 1.mp4,push up\nclips/b.mp4,\n")
    out = tmp_path / "out" / "clips.json"
    assert run(["data", "croissant", str(tmp_path / "clips.csv"), "--out", str(out)]) == 0
    assert capsys.readouterr().out.endswith("; Croissant asks for --description, --license, --url too\n")
    rows = list(opened(out).records("clips"))
    assert {row["clips/id"]: row["clips/action"] for row in rows} == {
        "clips/b": "",
        "clips/größer 1": "push up",
    }
    assert all((out.parent / row["clips/video"]).is_file() for row in rows)


def test_bad_input_is_one_sentence(
    figures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def refused(sentence: str, data: Path, out: Path) -> None:
        assert run(["data", "croissant", str(data), "--out", str(out)]) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"kgclip: {sentence}")
        assert error.count("\n") == 1

    (tmp_path / "mine.json").write_text("mine")
    refused(f"{tmp_path / 'mine.json'}: exists already", figures, tmp_path / "mine.json")
    refused(f"{tmp_path / 'gone'}", tmp_path / "gone", tmp_path / "out.json")
    monkeypatch.setattr(croissant, "PACKAGE", "no_such_package")
    refused("data croissant: needs no_such_package, which is not installed; run: pip install", figures, tmp_path / "o")
    assert [file.name for file in tmp_path.iterdir()] == ["mine.json"]
