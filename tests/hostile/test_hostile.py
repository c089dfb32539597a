"""Every hostile file ends in one sentence or is read, within bounds, on the command line too."""

import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

from kgclip.cli.main import run as kgclip
from kgclip.visible import HIDDEN
from tests.fuzz.child import limited
from tests.fuzz.readers import READERS
from tests.fuzz.seeds import write_encoders, write_model, write_seeds
from tests.hostile.__main__ import PAGE
from tests.hostile.case import REFUSED
from tests.hostile.catalog import CASES
from tests.hostile.child import restore, tree
from tests.hostile.parent import Ending, page, run


@pytest.fixture(scope="module")
def seeds(kg_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seeds")
    write_seeds(folder)
    write_encoders(folder)
    write_model(folder, kg_model)
    return folder


@pytest.mark.slow
def test_every_hostile_file_is_read_or_refused(seeds: Path) -> None:
    endings = run(seeds)
    assert [each.number for each in endings] == list(range(len(CASES)))
    assert [(CASES[each.number], each.problem) for each in endings if each.problem] == []


def test_the_kept_table_is_of_these_files() -> None:
    counts = Counter(case.reader for case in CASES)
    assert counts.keys() == READERS.keys()
    assert len({(case.reader, case.name) for case in CASES}) == len(CASES) > 1000
    rows = re.findall(r"^\| (.+?) \| (\d+) \| \d+ \| \d+ \| 0 \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert dict(rows) == {reader: str(count) for reader, count in counts.items()} | {"all": str(len(CASES))}


def test_what_goes_wrong_is_counted() -> None:
    sound = Ending(0, "refused", "f: x", "", 0.0)
    other = Ending(1, "took longer than 10 s", "", "took longer than 10 s", 10.0)
    reader = CASES[0].reader
    assert CASES[1].reader == reader
    assert f"| {reader} | 2 | 1 | 0 | 1 |\n| all | 2 | 1 | 0 | 1 |" in page([sound, other])


COMMANDS = {
    "list, own columns": "data features {file} --out {out}.safetensors",
    "definitions": "kg build --definitions {file} --out {out}.parquet",
    "graph, TSV": "kg stats {file}",
    "graph, Parquet": "kg stats {file}",
    "CVAT": "data import cvat {file} --out {out}",
    "ELAN": "data import elan {file} --out {out}.csv",
    "BORIS, project": "data import boris {file} --out {out}.csv",
    "BORIS, aggregated": "data import boris {file} --out {out}.csv",
    "Label Studio": "data import label-studio {file} --fps 25 --out {out}.csv",
    "HAKE": "data import hake {file} --out {out}",
    "spans": "data export elan {file} --video films/gym.mp4 --out {out}",
    "video, gif": "predict --backbone synthetic --actions jump,lunge {file}",
}


@pytest.mark.parametrize("reader", COMMANDS)
def test_the_command_line_says_it_in_one_line(
    reader: str, seeds: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(seeds, folder, ignore=shutil.ignore_patterns("model", "sentences", "clip", "older-clip"))
    monkeypatch.chdir(folder)
    file = folder / READERS[reader].file
    refused = [case for case in CASES if case.reader == reader and case.end == REFUSED and case.name != "no permission"]
    assert len(refused) > 20
    for case in refused:
        case.make(file)
        before = tree(folder)
        with limited():
            code = kgclip(COMMANDS[reader].format(file=file, out=folder / "out").split())
        out, err = capfd.readouterr()
        assert code == 2, (case.name, err)
        assert err.startswith("kgclip: "), (case.name, err)
        assert (err.count("\n"), out) == (1, ""), (case.name, err, out)
        assert not HIDDEN.search(err.rstrip("\n"))
        assert tree(folder) == before, case.name
        restore(seeds, folder, file)
