"""The contract of the command line: options, exit codes, one sentence for bad input, one JSON value on stdout."""

import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from kgclip.cli.main import COMMANDS, run
from kgclip.errors import KgclipError
from kgclip.kg.graph import KnowledgeGraph

GOLDEN = Path(__file__).parents[1] / "golden" / "cli_options.json"
TRAIN = ["--workers", "0", "--device", "cpu", "--frames", "4"]
FEATURES = ["--backbone", "synthetic", "--frames", "4", "--workers", "1"]


def options_of(command: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    with pytest.raises(SystemExit) as caught:
        run([*command.split(), "--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert "Examples" in text
    # An option stands at the left of a column, and columns stand side by side.
    options = sorted(set(re.findall(r"(?:^|[│ ] )(--[a-z][a-z0-9.-]*)(?=[\s,])", text.partition(" options ")[2])))
    assert options
    return options


def test_options_change_consciously(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Run with KGCLIP_GOLDEN=1 to write the list anew."""
    monkeypatch.setenv("COLUMNS", "200")
    found = {command: options_of(command, capsys) for command in COMMANDS}
    if os.environ.get("KGCLIP_GOLDEN"):
        GOLDEN.write_text(json.dumps(found, indent=1) + "\n")
    assert found == json.loads(GOLDEN.read_text())


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]):
    assert run([]) == 0
    text = capsys.readouterr().out
    assert all(f"kgclip {command} " in text for command in COMMANDS)
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("kgclip ")


@pytest.mark.parametrize("words", [["kg"], ["kg", "--help"], ["data", "-h"]])
def test_a_group_lists_its_commands(words: list[str], capsys: pytest.CaptureFixture[str]):
    assert run(words) == 0
    text = capsys.readouterr().out
    for command in COMMANDS:
        assert (f"kgclip {command} " in text) == command.startswith(words[0])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fly"], "there is no command 'fly'; see kgclip --help"),
        (["trian", "--data", "x"], "there is no command 'trian --data'; did you mean 'train'?"),
        (["predcit"], "there is no command 'predcit'; did you mean 'predict'?"),
        (["data", "fetures", "x"], "there is no command 'data fetures'; did you mean 'data features'?"),
        (["kg", "fly"], "there is no command 'kg fly'; did you mean 'kg lint'?"),
        (["kg", "--x"], "there is no command 'kg --x'; see kgclip --help"),
    ],
)
def test_unknown_commands_exit_with_2(words: list[str], message: str, capsys: pytest.CaptureFixture[str]):
    assert run(words) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", f"kgclip: {message}\n")


def test_a_mistyped_option_gets_a_suggestion(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        run(["evaluate", "model", "--data", "x", "--devise", "cpu"])
    assert "--device" in capsys.readouterr().err


def test_switches_that_are_on_show_both_forms_and_others_one(capsys: pytest.CaptureFixture[str]):
    options = options_of("train", capsys)
    assert {"--model.graph", "--resume", "--json"} <= set(options)
    assert not {"--no-resume", "--no-json", "--no-dry-run"} & set(options)


def test_what_ends_a_command_is_a_sentence_and_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    for error, code, message in (
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(28, "No space left on device", "out/x"), 2, "out/x: No space left on device; check the path, its"),
        (OSError("odd"), 2, "the file system: odd; check the path"),
        (PermissionError(13, "Permission denied", "x"), 2, "x: Permission denied"),
        (KgclipError("a: b; c"), 2, "a: b; c"),
    ):

        def fail(argv: list[str], error: BaseException = error) -> int:
            raise error

        monkeypatch.setattr("kgclip.cli.train.train", fail)
        assert run(["train"]) == code
        assert capsys.readouterr().err.startswith(f"kgclip: {message}")


@pytest.mark.parametrize(
    "words", [["train"], ["evaluate"], ["kg", "show"], ["data", "synthetic"], ["kg", "stats", "--x"]]
)
def test_wrong_options_exit_with_2(words: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as caught:
        run(words)
    assert caught.value.code == 2
    assert capsys.readouterr().out == ""


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., str]:
    """Run words that must be refused: exit code 2, one line on stderr, nothing on stdout, nothing written."""

    def files() -> list[Path]:
        # Features that are encoded are kept for the next run.
        return sorted(path for path in tmp_path.rglob("*") if ".kgclip-part" not in str(path))

    def check(*words: object) -> str:
        before = files()
        capsys.readouterr()
        assert run([str(word) for word in words]) == 2
        captured = capsys.readouterr()
        lines = captured.err.splitlines()
        assert captured.out == ""
        assert len(lines) == 1, captured.err
        assert lines[0].startswith("kgclip: ")
        assert files() == before
        return lines[0]

    return check


@pytest.fixture
def folder(figures: Path, tmp_path: Path) -> Path:
    """Class folders with two good clips in each of two classes."""
    root = tmp_path / "clips"
    for action in ("push_up", "pull_ups"):
        (root / action).mkdir(parents=True)
        for number, file in enumerate(sorted((figures / "train_videos").rglob("*.mp4"))[:2]):
            shutil.copy(file, root / action / f"{action}{number}.mp4")
    return root


def audio_only(file: Path) -> None:
    with av.open(str(file), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:300])


@pytest.mark.parametrize(
    "damage",
    [lambda file: file.write_bytes(b""), truncate, audio_only, lambda file: file.write_text("text")],
    ids=["empty", "truncated", "audio", "text"],
)
def test_files_that_are_no_videos(
    damage: Callable[[Path], object],
    folder: Path,
    refused: Callable[..., str],
    kg_model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    bad, good = folder / "push_up" / "push_up0.mp4", folder / "push_up" / "push_up1.mp4"
    damage(bad)
    out = tmp_path / "out"
    only = ["--model.no-graph", "--split.val-fraction", "0"]
    assert run([str(word) for word in ("train", "--data", folder, "--out", out, *TRAIN, *only)]) == 2
    assert "push_up0.mp4" in capsys.readouterr().err
    assert "push_up0.mp4" in refused("data", "features", folder, "--out", out, *FEATURES)
    assert run(["predict", str(kg_model), str(bad), str(good), "--json"]) == 2
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert "push_up0.mp4" in first["error"]
    assert second["actions"]


def test_training_goes_on_past_a_clip_that_cannot_be_read(
    figures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    data, out = tmp_path / "tps", tmp_path / "model"
    shutil.copytree(figures, data)
    bad = max((data / "train_videos").rglob("*.mp4"), key=lambda file: file.stem)
    truncate(bad)
    words = ["train", "--data", str(data), "--out", str(out), *TRAIN]
    assert run(words) == 2
    error = capsys.readouterr().err
    assert bad.name in error
    assert "of 96 clips are encoded" in error
    # What is encoded waits beside the model for the next run.
    assert run(words) == 2
    assert "add --resume to go on" in capsys.readouterr().err
    assert run([*words, "--resume", "--keep-going", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["train_clips"] == 95
    stored = json.loads((out / "split.json").read_text())
    assert bad.stem not in stored["train"]
    assert bad.stem not in KnowledgeGraph.load(out / "graph.parquet").entities("video")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "tps"]


def test_data_that_is_not_there(refused: Callable[..., str], kg_model: Path, tmp_path: Path, folder: Path):
    gone, out = tmp_path / "gone", tmp_path / "out"
    assert "not found" in refused("train", "--data", gone, "--out", out)
    assert "not found" in refused("evaluate", kg_model, "--data", gone)
    assert "not found" in refused("data", "features", gone, "--out", out)
    assert "not found" in refused("data", "check", gone)
    assert "gone" in refused("kg", "stats", gone)
    graph = tmp_path / "out.parquet"
    assert "gone" in refused("kg", "build", "--data", gone, "--out", graph)
    assert "gone" in refused("kg", "build", "--graphs", gone, "--out", graph)
    assert "nothing to build from" in refused("kg", "build", "--out", graph)
    assert f"{out}: a graph in the format parquet is known by its name; let it end with .parquet" in refused(
        "kg", "build", "--data", gone, "--out", out
    )
    assert "not a model folder" in refused("evaluate", folder, "--data", folder)
    assert "not a model folder" in refused("predict", gone, folder)
    fitted = tmp_path / "fitted"
    (fitted / "model").mkdir(parents=True)
    (fitted / "model" / "config.json").touch()
    assert f"it has no config.json; give {fitted}/model" in refused("predict", fitted, folder)
    assert "no such preset" in refused("train", "--preset", "best", "--data", folder, "--out", out)
    assert "no movement is known" in refused("train", "--data", folder, "--out", out, *TRAIN)
    assert "exists already" in refused("train", "--data", folder, "--out", folder, *TRAIN)
    (folder / "squat").mkdir()
    assert "without a clip" in refused("train", "--data", folder, "--out", out, *TRAIN)


def test_encoders_that_do_not_exist(
    refused: Callable[..., str], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # what an import leaves beside the file is Python's
    out, file = tmp_path / "out", tmp_path / "encoder.py"
    file.write_text("def load():\n    return None\n")
    words = ["data", "features", folder, "--out", out, "--encoder"]
    assert "there is no file" in refused(*words, f"{tmp_path}/gone.py:load")
    assert "defines no function or class 'other'" in refused(*words, f"{file}:other")
    assert "config.json" in refused("data", "features", folder, "--out", out, "--backbone", folder)


def write_tps(root: Path, figures: Path, change: Callable[[dict], None] | str) -> Path:
    """A copy of the data set with one frame's annotation changed or replaced."""
    shutil.copytree(figures, root)
    file = next((root / "train_annotations").rglob("img_00001.json"))
    if isinstance(change, str):
        file.write_text(change)
    else:
        content = json.loads(file.read_text())
        change(content)
        file.write_text(json.dumps(content))
    return root


def test_a_malformed_annotation(refused: Callable[..., str], figures: Path, tmp_path: Path):
    root = write_tps(tmp_path / "tps", figures, '{"humans": [')
    assert "img_00001.json" in refused(
        "kg", "build", "--data", root, "--out", tmp_path / "g.parquet", "--split.val-fraction", 0
    )
    assert "img_00001.json" in refused("train", "--data", root, "--out", tmp_path / "out", *TRAIN)


def test_an_unknown_state(refused: Callable[..., str], figures: Path, tmp_path: Path):
    root = tmp_path / "tps"
    shutil.copytree(figures, root)
    words = root / "list" / "part_stat.txt"
    words.write_text("".join(line + "\n" for line in words.read_text().splitlines() if line != "bend"))
    assert "bend" in refused("kg", "build", "--data", root, "--out", tmp_path / "g.parquet")


@pytest.mark.parametrize("text", ["push up: [", "push up: [left tail wag]", "- a"])
def test_definitions_that_do_not_fit(text: str, refused: Callable[..., str], folder: Path, tmp_path: Path):
    file = tmp_path / "definitions.yaml"
    file.write_text(text)
    said = refused("train", "--data", folder, "--definitions", file, "--out", tmp_path / "out", *TRAIN)
    assert "definitions.yaml" in said


def test_features_of_another_encoder_or_other_clips(
    refused: Callable[..., str], kg_model: Path, figures: Path, synthetic_features: Path, folder: Path, tmp_path: Path
):
    encoder = tmp_path / "encoder.py"
    encoder.write_text(
        "import torch\ndef load():\n    return lambda frames: torch.tensor(frames.mean((1, 2))).float()\n"
    )
    narrow = tmp_path / "narrow.safetensors"
    words = ["data", "features", figures, "--out", narrow, "--encoder", f"{encoder}:load", "--frames", "4"]
    assert run([str(word) for word in words]) == 0
    out = tmp_path / "out"
    assert "holds features by load" in refused("evaluate", kg_model, "--data", figures, "--features", narrow)
    assert "features:3" in refused("train", "--data", figures, "--features", narrow, "--out", out, *TRAIN)
    few = ["train", "--data", folder, "--features", synthetic_features, "--model.no-graph", "--out", out, *TRAIN]
    assert "lacks the features" in refused(*few)
    assert "not found" in refused("train", "--data", figures, "--features", tmp_path / "no", "--out", out, *TRAIN)


def test_a_graph_must_be_of_the_same_split(
    refused: Callable[..., str], figures: Path, synthetic_features: Path, tmp_path: Path
):
    same, other = tmp_path / "same.parquet", tmp_path / "other.parquet"
    for file, labels in ((same, "1"), (other, "0.5")):
        assert run(["kg", "build", "--data", str(figures), "--out", str(file), "--split.label-fraction", labels]) == 0
    words = ["train", "--data", figures, "--features", synthetic_features, *TRAIN]
    assert "built from split" in refused(*words, "--graph", other, "--out", tmp_path / "out")
    assert run([str(word) for word in (*words, "--graph", same, "--out", tmp_path / "out")]) == 0
    assert KnowledgeGraph.load(same).hash == KnowledgeGraph.load(tmp_path / "out" / "graph.parquet").hash
    gradient = (*words, "--model.head", "gradient", "--optim.epochs", "1", "--out", tmp_path / "trained")
    assert "--validation" in refused(*gradient, "--graph", same)
    held_out = tmp_path / "held-out.parquet"
    assert run(["kg", "build", "--data", str(figures), "--out", str(held_out), "--validation"]) == 0
    assert run([str(word) for word in (*gradient, "--graph", held_out)]) == 0


def test_json_is_alone_on_stdout(
    capsys: pytest.CaptureFixture[str], figures: Path, synthetic_features: Path, kg_model: Path, tmp_path: Path
):
    def value(*words: object) -> dict:
        capsys.readouterr()
        assert run([*map(str, words), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    graph = tmp_path / "graph.parquet"
    built = value("kg", "build", "--data", figures, "--out", graph)
    stats = value("kg", "stats", graph)
    assert set(built) == {"entities", "edges", "hash"} <= set(stats)
    assert set(stats["entities"]) == {"video", "action", "movement"}
    assert set(stats["edges"]) == {"shows", "consists_of", "performs"}
    assert stats["hash"] == KnowledgeGraph.load(graph).hash
    assert value("kg", "show", "push up", "--graph", graph)["action"] == "push up"
    assert value("kg", "lint", graph, "--data", figures).keys() == {"findings"}
    assert value("data", "check", figures)["clips"] == 24 * 5
    out = tmp_path / "results"
    report = value("evaluate", kg_model, "--data", figures, "--features", synthetic_features, "--out", out)
    assert {"top1", "top5", "num_clips", "parts"} <= set(report)
    assert set(report["parts"]) == {"mm", "tri", "pose", "path"}
    assert json.loads((out / "report.json").read_text()) == report
    assert (out / "confusion.png").read_bytes().startswith(b"\x89PNG")
    several = value("evaluate", kg_model, "--data", figures, "--features", synthetic_features, "--frames", 1, 2, 4)
    assert [row["frames"] for row in several["by_frames"]] == [1, 2, 4]
    assert several["top1"] == report["top1"]
    clip = next((figures / "test_videos").rglob("*.mp4"))
    result = value("predict", kg_model, clip)
    assert result["format"] == "kgclip.explanation/1"
    assert {"file", "clip", "answer", "actions", "movements", "triplets", "fusion", "provenance"} == set(result) - {
        "format"
    }
    assert {"action", "probability", "s_mm", "s_tri"} <= set(result["actions"][0])
    summary = value("train", "--data", figures, "--features", synthetic_features, "--out", tmp_path / "m", *TRAIN)
    assert summary["epochs"] == 0
