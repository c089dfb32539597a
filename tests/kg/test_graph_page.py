import re
from pathlib import Path

import pytest

from kgclip.kg.formats.definitions import read_definitions
from kgclip.kg.graph import Edge
from kgclip.kg.io import FORMATS
from kgclip.kg.shipped import shipped_definitions

PAGE = Path(__file__).resolve().parents[2] / "docs" / "graph.md"


def test_the_snippets_of_the_page_run_and_say_what_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("kgclip.kg.io.FORMATS", dict(FORMATS))
    names: dict = {}
    snippets = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for snippet in snippets:
        exec(compile(snippet, str(PAGE), "exec"), names)
    assert len(snippets) == 9
    (shown,) = names["graph"].edges("shows")
    assert (shown.support, shown.frames) == (pytest.approx(2 / 3), ((1, 6),))
    assert names["graph"].edges("consists_of")[0].support == pytest.approx(1 / 3)
    assert names["merged"].entities("action") == ["jump", "push up"]
    definition = names["definition"]
    assert (definition.action, definition.field) == ("push up", "kinetics_tps")
    assert definition.shares["left arm bend"] == 0.5
    assert "377 come with it" in PAGE.read_text(encoding="utf-8")
    assert len(shipped_definitions()) == 377
    assert names["project"](names["triples"]) == [Edge("push up", "consists_of", "left arm bend", 1.0)]
    assert names["graph_stats"](names["merged"])["edges"] == {"shows": 1, "consists_of": 3, "performs": 2}
    best = names["describe_action"](names["merged"], "push up")["movements"][0]
    assert best == {"movement": "left arm bend", "share": pytest.approx(0.9), "clips": 1}
    assert {finding.rule for finding in names["lint"](names["merged"])} == {
        "action-without-clips",
        "video-without-movements",
    }


def test_the_yaml_of_the_page_defines_actions(tmp_path: Path):
    (text,) = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    (tmp_path / "actions.yaml").write_text(text)
    assert len(read_definitions(tmp_path / "actions.yaml").edges("consists_of")) == 5
