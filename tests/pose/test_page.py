"""docs/pose.md says what is so."""

import re
from pathlib import Path

import pytest

from kgclip.pose.keypoints import write_keypoints
from kgclip.pose.rules import RULES
from tests.pose.test_frames import clip_pose, figure

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "pose.md").read_text(encoding="utf-8")


def test_every_rule_has_its_row():
    rows = re.findall(r"^\| (?!part)([a-z, ]+) \| ([a-z ]+) \| ", PAGE, flags=re.MULTILINE)
    written = {(part, state) for parts, state in rows for part in parts.split(", ")}
    assert written == {(part, state) for part, (named, rest) in RULES.items() for state in (*dict(named), rest)}


def test_its_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_keypoints(tmp_path / "annotations" / "keypoints.parquet", {"a": clip_pose(figure(6)), "b": clip_pose()}, {})
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
    exec(compile(code, "docs/pose.md", "exec"), names)
    assert names["numbers"].shape == (2, len(names["names"]))


def test_where_pose_fails_is_as_measured():
    """Each percentage of the section stands on the generated page."""
    measured = (DOCS / "generated" / "pose_conditions.md").read_text(encoding="utf-8")
    section = PAGE.split("## Where pose fails")[1]
    figures = re.findall(r"\b\d+\.\d\b", section)
    assert len(figures) > 10
    assert [figure for figure in figures if not re.search(rf"(?<![\d.]){re.escape(figure)}\b", measured)] == []
