"""Every hostile file ends in one sentence or is read, within bounds; and what the catalog found."""

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.fuzz.readers import READERS
from tests.fuzz.seeds import write_model, write_seeds, write_sentences
from tests.hostile.__main__ import PAGE
from tests.hostile.catalog import CASES
from tests.hostile.parent import Ending, page, run


@pytest.fixture(scope="module")
def seeds(kg_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seeds")
    write_seeds(folder)
    write_sentences(folder)
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


def test_what_goes_wrong_is_seen(seeds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = Ending(0, "refused", "f: x", "", 0.0)
    other = Ending(1, "took longer than 10 s", "", "took longer than 10 s", 10.0)
    reader = CASES[0].reader
    assert CASES[1].reader == reader
    assert f"| {reader} | 2 | 1 | 0 | 1 |\n| all | 2 | 1 | 0 | 1 |" in page([sound, other])
