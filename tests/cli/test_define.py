"""`kgclip define` from the command line."""

from pathlib import Path

import pytest

from kgclip.cli.main import run
from kgclip.data.dataset import open_dataset
from kgclip.data.splits import SplitOptions, make_split
from kgclip.engine.prepare import graph_of_split
from kgclip.kg.build import MovementRule
from kgclip.kg.formats.definitions import read_definitions
from kgclip.kg.graph import KnowledgeGraph
from kgclip.kg.shipped import find_shipped


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """A list of clips of an action that is known, and of one that is not; nothing opens them."""
    for action in ("push up", "fly"):
        (tmp_path / "clips" / action).mkdir(parents=True)
        (tmp_path / "clips" / action / f"{action}.mp4").write_bytes(b"")
    return tmp_path / "clips"


def test_a_folder_of_clips(clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "new" / "actions.yaml"
    assert run(["define", str(clips), "--out", str(out)]) == 0
    assert capsys.readouterr().out == (
        f"{out}: 1 action with a definition of kgclip, 1 action left for you to write (fly); correct it and give it as "
        "--definitions\n"
    )
    assert read_definitions(out).entities("action") == ["push up"]
    assert "\n#fly:  # nothing is known of it" in out.read_text()


def test_the_file_lies_where_one_is_unless_told(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert run(["define", "clips"]) == 0
    assert (tmp_path / "actions.yaml").is_file()


def test_clips_without_labels_have_no_action(clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "clips.csv").write_text("video,label\nclips/fly/fly.mp4,\n")
    assert run(["define", str(tmp_path / "clips.csv"), "--out", str(tmp_path / "d.yaml")]) == 2
    assert "clips.csv: no clip has a label, so there is no action to define" in capsys.readouterr().err
    assert not (tmp_path / "d.yaml").exists()


def test_a_file_that_is_there_stays(clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "actions.yaml").write_text("mine")
    assert run(["define", str(clips), "--out", str(tmp_path / "actions.yaml")]) == 2
    assert "actions.yaml: exists already; choose another --out or remove it" in capsys.readouterr().err
    assert (tmp_path / "actions.yaml").read_text() == "mine"


def test_where_nothing_is_known_the_command_says_what_to_do(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (clips / "push up").rename(clips / "glide")
    assert run(["define", str(clips), "--out", str(tmp_path / "d.yaml")]) == 0
    assert capsys.readouterr().out == (
        f"{tmp_path / 'd.yaml'}: nothing is known of 2 actions (fly, glide); write the movements of at least one "
        "before you give it as --definitions\n"
    )


def test_annotated_clips_say_what_is_seen_in_training_clips(figures: Path, tmp_path: Path):
    out = tmp_path / "d.yaml"
    assert run(["define", str(figures), "--out", str(out), "--workers", "1"]) == 0
    dataset = open_dataset(figures)
    assert read_definitions(out).entities("action") == dataset.actions
    split = make_split(dataset, SplitOptions(), validate=False)
    graph = graph_of_split(dataset, split, MovementRule(), workers=1, keep_going=False)
    text = out.read_text()
    action = dataset.actions[0]
    shares = {edge.tail: edge.support for edge in graph.edges("consists_of") if edge.head == action}
    entry = text.split(f"\n{action}:")[1].split("\n\n")[0].splitlines()[1:]
    lines = [line.strip().lstrip("#") for line in entry if "seen" in line]
    found = {line.partition(":")[0]: float(line.partition("# seen ")[2][:4]) for line in lines}
    assert found
    assert found == {name: pytest.approx(shares.get(name, 0), abs=0.0051) for name in found}
    assert "# objects   of this data set's own list:" in text


def test_shipped_definitions_serve_a_graph(
    figures: Path, clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "graph.parquet"
    assert run(["kg", "build", "--data", str(clips), "--definitions", "shipped", "--out", str(out)]) == 0
    (action,) = KnowledgeGraph.load(out).heads("consists_of")
    shipped = find_shipped(action)
    assert shipped is not None
    assert set(KnowledgeGraph.load(out).entities("movement")) == set(shipped.shares)
    assert run(["kg", "build", "--definitions", "shipped", "--out", str(tmp_path / "g.parquet")]) == 2
    assert "--definitions shipped: holds none of the actions" in capsys.readouterr().err


def test_definitions_are_read_in_the_words_of_the_graph(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "own.tsv").write_text("squat\tconsists_of\tleft arm bent\n")
    (tmp_path / "d.yaml").write_text("Squat: [left arm bent, left leg bent, left arm bends]\n")
    words = ["--graphs", str(tmp_path / "own.tsv"), "--definitions", str(tmp_path / "d.yaml")]
    assert run(["kg", "build", *words, "--out", str(tmp_path / "g.parquet")]) == 0
    graph = KnowledgeGraph.load(tmp_path / "g.parquet")
    assert graph.entities("action") == ["squat"]
    assert graph.entities("movement") == ["left arm bend", "left arm bent", "left leg bent"]
