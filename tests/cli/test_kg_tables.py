"""`kgclip kg build` from Parquet tables makes the graph that it makes from the same annotations in JSON."""

import json
from pathlib import Path

import polars as pl
import pytest

from kgclip.cli.main import run
from kgclip.data.annotations import read_observations
from kgclip.data.dataset import open_dataset
from kgclip.kg.graph import KnowledgeGraph


@pytest.fixture(scope="module")
def tables(figures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clips and the annotations of a data set as tables."""
    folder = tmp_path_factory.mktemp("tables")
    dataset = open_dataset(figures)
    clips = [(clip.id, clip.action, clip.part) for clip in dataset.clips]
    pl.DataFrame(clips, schema=["clip", "action", "part"], orient="row").write_parquet(folder / "clips.parquet")
    read_observations(dataset, cache=False, progress=False).save(folder / "annotations.parquet")
    return folder


def built(out: Path, *words: object) -> KnowledgeGraph:
    assert run(["kg", "build", *map(str, words), "--out", str(out)]) == 0
    return KnowledgeGraph.load(out)


@pytest.mark.parametrize(
    "options", [[], ["--definitions", "shipped", "--split.shots", "2", "--rule.min-support", "0.3"]]
)
def test_tables_of_a_data_set_make_its_graph(options: list[str], figures: Path, tables: Path, tmp_path: Path):
    expected = built(tmp_path / "a.parquet", "--data", figures, *options)
    found = built(tmp_path / "b.parquet", "--data", figures, "--annotations", tables / "annotations.parquet", *options)
    assert found.hash == expected.hash
    assert found.all_edges() == expected.all_edges()


def test_clips_of_a_table_have_no_split(
    figures: Path, tables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    expected = built(tmp_path / "a.parquet", "--data", figures)
    capsys.readouterr()
    words = ["--data", tables / "clips.parquet", "--annotations", tables / "annotations.parquet", "--json"]
    found = built(tmp_path / "b.parquet", *words)
    assert found.all_edges() == expected.all_edges()
    assert found.split_hash is None
    assert json.loads(capsys.readouterr().out)["hash"] == found.hash


def test_what_tables_lack_is_said(figures: Path, tables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    def refused(*words: object) -> str:
        assert run(["kg", "build", *map(str, words), "--out", str(tmp_path / "g.parquet")]) == 2
        assert not list(tmp_path.glob("*g.parquet*"))
        return capsys.readouterr().err

    rows = tables / "annotations.parquet"
    assert "give --data too" in refused("--annotations", rows)
    assert "a table of clips is not split" in refused(
        "--data", tables / "clips.parquet", "--annotations", rows, "--split.shots", "2"
    )
    pl.read_parquet(rows).cast({"state": pl.String}).with_columns(state=pl.lit("fly")).write_parquet(
        tmp_path / "r.parquet"
    )
    assert "rows of an unknown state such as 'fly'" in refused(
        "--data", figures, "--annotations", tmp_path / "r.parquet"
    )
    kept = built(tmp_path / "k.parquet", "--data", figures, "--annotations", tmp_path / "r.parquet", "--keep-going")
    assert not kept.edges("shows")
