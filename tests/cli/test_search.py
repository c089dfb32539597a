"""`kgclip index` and `kgclip search`, as docs/search.md shows them."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from kgclip.cli.main import run
from kgclip.engine.checkpoint import Checkpoint
from tests.test_docs import commands


@pytest.fixture(scope="module")
def place(figures: Path, kg_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with videos, an example, and a model that is sure of most movements."""
    folder = tmp_path_factory.mktemp("search")
    clips = sorted((figures / "test_videos").rglob("*.mp4"))
    (folder / "videos" / "in").mkdir(parents=True)
    for clip in clips[:4]:
        shutil.copy(clip, folder / "videos" / clip.name)
    shutil.copy(clips[0], folder / "videos" / "in" / "copy.mp4")
    shutil.copy(clips[5], folder / "example.mp4")
    checkpoint = Checkpoint.load(kg_model)
    path = checkpoint.model.path
    path.seen_from.copy_(torch.where(path.baseline > 0, path.baseline + 0.02, torch.inf))
    checkpoint.save(folder / "model")
    return folder


def test_the_commands_of_the_page(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(place)
    monkeypatch.setenv("COLUMNS", "200")
    lines = [line.partition("  #")[0] for page, line in commands() if page == "docs/search.md"]
    assert len(lines) == 5
    known = Checkpoint.load(place / "model")
    sure = [
        name
        for name, seen_from in zip(known.movements, known.model.path.seen_from.tolist(), strict=True)
        if seen_from < 1
    ]
    printed = []
    for line in lines:
        # The tiny model need not know the names of the page.
        line = line.replace("left arm raise", sure[0]).replace("right leg kick", sure[1])
        words = [word for part in line.replace("push up", known.actions[0]).split('"') for word in [part]]
        argv = [item for number, part in enumerate(words) for item in ([part] if number % 2 else part.split())]
        assert run(argv[1:]) == 0, line
        printed.append(capsys.readouterr().out)
    assert printed[0].startswith("index: 5 files (")
    assert "4 clips read" in printed[0]
    assert sure[0] in printed[1]
    hits = [json.loads(hit) for hit in printed[2].splitlines()]
    assert len(hits) == 4
    assert hits[0].keys() == {"file", "copies", "start_s", "end_s", "measure", "value", "seen"}
    assert hits == sorted(hits, key=lambda hit: -hit["value"])
    assert "cosine" in printed[3]
    assert "same bytes" in printed[4]
    assert "copy.mp4" in printed[4]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["index"], "takes either a query or --duplicates"),
        (["index", "left arm", "--duplicates"], "takes either a query or --duplicates"),
        (["videos", "jump"], "is no index, it has no index.json"),
        (["own", "zzzz"], "'zzzz': names nothing that this index knows, and its model compares no texts with frames"),
        (["own", "jump", "--top", "0"], "--top 0: is too small"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    words: list[str],
    message: str,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(place)
    if not Path("own").exists():
        assert run(["index", "videos", "--model", "model", "--out", "own"]) == 0
    capsys.readouterr()
    assert run(["search", *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith("kgclip: ")
    assert message in error
    assert error.count("\n") == 1


def test_broken_files_and_other_models(
    place: Path, kg_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(place)
    shutil.copytree("videos", "with-broken")
    Path("with-broken/broken.mp4").write_bytes(b"no video")
    assert run(["index", "with-broken", "--model", "model", "--out", "third"]) == 2
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1
    assert printed.err.startswith("kgclip: with-broken/broken.mp4: ")
    assert "5 files" in printed.out
    assert "1 left out" in printed.out
    assert run(["search", "third", "example.mp4", "--model", str(kg_model)]) == 2
    assert "third: was made by the model" in capsys.readouterr().err
    assert run(["index", "with-broken", "--model", str(kg_model), "--out", "third"]) == 2
    assert "third: was made by the model" in capsys.readouterr().err
