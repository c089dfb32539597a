"""The benchmarks compare like with like, and the command says what it cannot do."""

import json
from pathlib import Path

import pytest
import torch

from benchmarks import harness
from benchmarks.epoch import ACTIONS, CLIPS, MOVEMENTS, random_graph
from benchmarks.head import DIM, ReleasedHead, head, units
from kgclip.cli.main import run


@torch.no_grad()
def test_the_released_head_scores_pairs_and_ours_too():
    clips, actions = units(3), units(4)
    released = ReleasedHead(DIM).eval()
    together = released(clips, actions)
    assert together.shape == (3, 4)
    torch.testing.assert_close(together[1:2, 2:3], released(clips[1:2], actions[2:3]), atol=1e-5, rtol=0)
    assert head().halves(clips, actions).output.shape == (3, 4)


def test_the_graph_has_the_published_size():
    import numpy as np

    clips = tuple(f"{index:04d}" for index in range(CLIPS))
    graph = random_graph(clips, np.random.default_rng(0))
    assert [len(graph.entities(kind)) for kind in ("video", "action", "movement")] == [CLIPS, ACTIONS, MOVEMENTS]
    assert len(graph.edges("performs")) == CLIPS


def test_the_command_writes_and_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    import benchmarks.startup as startup

    row = harness.Row("start", "them", 0.1, 0.4, 4.0, 4.0, 4.0)
    monkeypatch.setattr(startup, "benchmark", lambda: [row])
    file = tmp_path / "table.json"
    assert run(["bench", "startup", "--out", str(file), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads(file.read_text())
    assert printed["rows"][0]["ratio"] == 4.0
    monkeypatch.setattr(startup, "benchmark", lambda: [harness.Row("start", "them", 0.1, 0.1, 1.0, 1.0, 1.0)])
    assert run(["bench", "startup", "--check", str(file)]) == 1
    assert "start against them: 1×, the committed table says 4×" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fly"], "bench fly: there is no such benchmark"),
        (["head", "--check", "absent.json"], "absent.json: cannot be"),
    ],
)
def test_mistakes_are_one_sentence(words: list[str], message: str, capsys: pytest.CaptureFixture[str]):
    assert run(["bench", *words]) == 2
    assert message in capsys.readouterr().err
