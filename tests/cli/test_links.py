"""`kgclip experiment links`."""

from pathlib import Path

import pytest

from kgclip.cli.main import run


def test_a_run_on_triples(tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch):
    from kgclip.experiments import link_runs

    monkeypatch.setattr(
        link_runs, "EDGE_ARMS", {"cosine": link_runs.LinkArm(), "diagonal, no ε": link_runs.LinkArm("diagonal")}
    )
    lines = [f"clip{n}\tperforms\taction{n % 3}" for n in range(12)]
    lines += [f"clip{n}\tshows\tleft arm state{m}" for n in range(12) for m in (n % 3, 3 + n % 2)]
    lines += [f"action{k}\tconsists_of\tleft arm state{m}" for k in range(3) for m in (k, 3, 4)]
    folder = tmp_path / "published"
    folder.mkdir()
    (folder / "graph.tsv").write_text("\n".join(lines) + "\n")
    assert run(["experiment", "links", "--out", str(tmp_path / "out"), "--triples", str(folder), "--seeds", "2"]) == 0
    text = capsys.readouterr().out
    assert "## published" in text
    assert "kgclip experiment links --out" in text
    assert (tmp_path / "out" / "links.parquet").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "no graph; give --data, --triples or both"),
        (["--triples", "x", "--seeds", "1"], "--seeds 1: is too small"),
        (["--triples", "x", "--features", "f"], "belongs to a data set; give --data too"),
        (["--triples", "gone"], "gone: not found"),
    ],
)
def test_what_cannot_be(words: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture):
    assert run(["experiment", "links", "--out", str(tmp_path / "out"), *words]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
