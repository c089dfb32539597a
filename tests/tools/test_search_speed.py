"""What the tool measures is there: both ways, with the recall of one against the other."""

import re

import pytest

from tools.search_speed import main


def test_a_table_of_both(capsys: pytest.CaptureFixture[str]):
    main(["--rows", "500", "--dim", "8", "--queries", "5"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("500 rows of 8 dimensions, 5 queries for 10 rows each")
    assert re.match(r"\| numpy, exact \| 0 s \|.* 1\.000 \|$", lines[4])
    assert re.match(r"\| usearch \| \d+ s \|.* \| (0\.9\d\d|1\.000) \|$", lines[5])
