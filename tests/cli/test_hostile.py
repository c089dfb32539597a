"""What files, names and signals do to the command line: one sentence, a calm terminal, nothing left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kgclip.cli.main import run
from kgclip.cli.output import print_table
from kgclip.kg.graph import Edge, KnowledgeGraph
from kgclip.report.figures import confusion_figure
from kgclip.visible import visible

ESCAPE = "\x1b[2J\x1b]0;title\x07"
HIDDEN = (*"\x00\x1b\x07\x7f\x9b\r\n\u202e\u2066\u200f\u2028\u200b\ufeff", "\U000e0041")


def test_hidden_characters_are_shown():
    assert visible(f"a{ESCAPE}b\nc\u202ed") == r"a\x1b[2J\x1b]0;title\x07b\nc\u202ed"
    assert visible("naïve – 日本 🏃‍♂️ «x»") == "naïve – 日本 🏃‍♂️ «x»"
    assert not [mark for mark in HIDDEN if visible(mark) == mark]


@pytest.mark.parametrize("mark", HIDDEN)
def test_a_graph_has_no_hidden_characters(mark: str):
    with pytest.raises(Exception, match="empty or with a control character"):
        KnowledgeGraph.from_edges([Edge("clip", "performs", f"a{mark}b")])


@pytest.mark.parametrize("words", [("kg", "stats"), ("predict", "model"), ("data", "check"), ("watch", "model")])
def test_names_of_files_do_not_steer_the_terminal(words: tuple[str, ...], capfd: pytest.CaptureFixture[str]):
    assert run([*words, f"missing{ESCAPE}\u202e.parquet"]) == 2
    out, err = capfd.readouterr()
    assert not [mark for mark in HIDDEN if mark in out + err and mark != "\n"]
    assert err.count("\n") == 1


def test_names_are_no_markup(capsys: pytest.CaptureFixture[str]):
    print_table("[bold]title[/bold] [/x]", ("name", "n"), [("[red]a[/red]", 1), ("[/]", 2), (f"b{ESCAPE}", 3.5)])
    out = capsys.readouterr().out
    for text in ("[bold]title[/bold] [/x]", "[red]a[/red]", "[/]", r"b\x1b[2J"):
        assert text in out
    assert "\x1b" not in out


def test_a_table_in_a_pipe_keeps_every_word(capsys):
    columns = [f"a column with a long name, number {index}" for index in range(12)]
    print_table("wide", columns, [[f"value {index} of the row" for index in range(12)]])
    printed = capsys.readouterr().out
    assert all(column in printed for column in columns)
    assert "value 11 of the row" in printed


def test_clips_of_odd_names_are_listed_calmly(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    folder = tmp_path / f"push{ESCAPE}up"
    folder.mkdir()
    for name in (f"a{ESCAPE}", "b\u202e", "[red]c"):
        (folder / f"{name}.mp4").write_bytes(b"no video")
    assert run(["data", "check", str(tmp_path)]) == 1
    out, err = capfd.readouterr()
    assert not [mark for mark in HIDDEN if mark in out + err and mark != "\n"]


def test_names_are_no_formulas_of_a_picture(tmp_path: Path):
    actions = ["$x^{", "a $b$ c", "\\frac{"]
    confusion_figure({actions[0]: {actions[1]: 1}}, actions).savefig(tmp_path / "confusion.png")
    assert (tmp_path / "confusion.png").stat().st_size > 0


def commands(folder: Path, odd: str, clip: Path) -> list[list[str]]:
    """Commands that read the odd file in place of each kind of file."""
    return [
        ["kg", "stats", f"{odd}.parquet"],
        ["kg", "build", "--definitions", f"{odd}.yaml", "--out", str(folder / "g.parquet")],
        ["kg", "build", "--graphs", f"{odd}.tsv", "--out", str(folder / "g.parquet")],
        ["data", "features", f"{odd}.csv", "--out", str(folder / "f.safetensors")],
        ["data", "features", f"{odd}.txt", "--out", str(folder / "f.safetensors")],
        ["annotate", f"{odd}.mp4", "--out", str(folder / "a"), "--pose", f"{odd}.json"],
        ["annotate", str(clip), "--out", str(folder / "b"), "--pose", f"{odd}.parquet"],
        ["annotate", str(clip), "--out", str(folder / "c"), "--pose", f"{odd}.tflite"],
        ["predict", "--backbone", "synthetic", "--actions", f"{odd}.txt", str(clip)],
        ["predict", str(folder / "odd"), str(clip)],
    ]


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_nothing_but_files_is_read(
    kind: str, figures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """A pipe would be waited for without end, a device read without end."""
    monkeypatch.chdir(tmp_path)
    clip = next(figures.glob("test_videos/*/*.mp4"))
    (tmp_path / "odd").mkdir()
    for suffix in ("parquet", "yaml", "tsv", "csv", "txt", "mp4", "json", "tflite"):
        make(kind, tmp_path / f"odd.{suffix}")
    make(kind, tmp_path / "odd" / "config.json")
    for command in commands(tmp_path, "odd", clip):
        signal.alarm(30)
        code = run(command)
        signal.alarm(0)
        err = capsys.readouterr().err
        assert code == 2, (command, err)
        assert err.count("\n") == 1, (command, err)


def make(kind: str, path: Path) -> None:
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()


def test_deep_and_long_json_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"no video")
    for number, content in enumerate(["[" * 1_000_000, "9" * 6000, '{"a":' * 500 + "1" + "}" * 500, "{", "3", "[[1]]"]):
        file = tmp_path / f"{number}.json"
        file.write_text(content)
        assert run(["annotate", str(clip), "--out", str(tmp_path / "a"), "--pose", str(file)]) == 2
        (tmp_path / f"model{number}").mkdir()
        (tmp_path / f"model{number}" / "config.json").write_text(content)
        assert run(["predict", str(tmp_path / f"model{number}"), str(clip)]) == 2
        assert run(["predict", "--backbone", str(tmp_path / f"model{number}"), "--actions", "a,b", str(clip)]) == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 3, err


STOPPED = """
import sys, time, pathlib
from kgclip.cli import main
from kgclip.files import atomic_folder, atomic_path
def work(argv):
    with atomic_folder(pathlib.Path(argv[0]) / "model") as folder, atomic_path(pathlib.Path(argv[0]) / "f") as file:
        (folder / "half").touch()
        print("begun", flush=True)
        time.sleep(60)
main.COMMANDS["work"] = ("__main__", "work", "")
sys.argv = ["kgclip", "work", sys.argv[1]]
main.main()
"""


def test_a_run_that_is_told_to_end_leaves_nothing_half_written(tmp_path: Path):
    command = [sys.executable, "-c", STOPPED, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGTERM)
        started = time.monotonic()
        assert process.wait(30) == 128 + signal.SIGTERM
        assert time.monotonic() - started < 20
    assert list(tmp_path.iterdir()) == []


def test_the_hash_of_a_model_is_shown(kg_model: Path, figures: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["evaluate", str(kg_model), "--data", str(figures), "--frames", "1", "--workers", "0", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert len(report["model_hash"]) == 64
    assert report["model_hash"] != report["graph_hash"]
