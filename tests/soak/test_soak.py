"""A short form of `make soak`: a few kills and faults, in a process that everything is imported in."""

import subprocess
import sys
from pathlib import Path

from tests.soak.faults import Trial
from tests.soak.kills import Tally
from tests.soak.page import page

ROOT = Path(__file__).resolve().parents[2]


def test_what_is_killed_goes_on_and_faults_are_sentences():
    words = "--kills 4 --commands annotate index --faults full_disk"
    command = [sys.executable, "-m", "tests.soak", *words.split()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == [f"{name}: 2 kills, 2 survived, 2 identical" for name in ("annotate", "index")]
    assert "full disk, annotate: kgclip: " in lines[2]
    assert all("cannot be written (" in line for line in lines[2:4])


def test_the_page_shows_what_went_wrong():
    tally = Tally("train", 1.5, kills=4, survived=3, identical=2, findings=["half.json is half-written"])
    text = page(
        [tally], [Trial("full disk", "train", "kgclip: run: cannot be written", None), Trial("a", "b", "", "c")]
    )
    assert "| train | 1.5 | 4 | 3 | 2 |\n| all |  | 4 | 3 | 2 |" in text
    assert "| full disk | train | yes | kgclip: run: cannot be written |\n| a | b | **no** | ends well |" in text
    assert str(tally).endswith("half.json is half-written")
