"""Makes the tables of docs/results.md and of the README from runs of `python -m experiments`.

    python -m experiments.pages DIR...     keep what is shown of these runs in docs/generated, then write both pages
    python -m experiments.pages            write both pages from what is kept
    python -m experiments.pages --check    say whether they are as what is kept makes them

Between the markers `<!-- results: NAME -->` and `<!-- end of results -->` nothing is written by hand; outside of
them everything is.
"""

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from experiments.blocks import blocks
from experiments.kept import keep, load

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("docs/results.md", "README.md")
END = "<!-- end of results -->"
_BLOCK = re.compile(rf"<!-- results: ([a-z-]+) -->\n.*?{END}", re.DOTALL)


@dataclass(frozen=True)
class Results:
    """Make the tables of docs/results.md and of the README.

    Attributes:
        runs: folders that `python -m experiments --out` wrote, of one experiment or of all; what is kept of other
            experiments stays.
        check: write nothing; say whether the pages are up to date.
    """

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional] = ()
    check: bool = False


def filled(text: str, parts: dict[str, str]) -> str:
    """A page with its blocks filled.

    Raises:
        ValueError: a marker names no block, or has no end.
    """

    def fill(match: re.Match[str]) -> str:
        name = match[1]
        if name not in parts:
            raise ValueError(f"<!-- results: {name} -->: there is no such block; choose one of {', '.join(parts)}")
        if "<!-- results:" in match[0][1:]:
            raise ValueError(f"<!-- results: {name} -->: has no {END}; write it before the next marker")
        return f"<!-- results: {name} -->\n{parts[name]}\n{END}"

    return _BLOCK.sub(fill, text)


def make_pages(root: Path) -> dict[Path, str]:
    """Both pages as what is kept makes them."""
    results = load(root / "docs" / "generated")
    parts = blocks(results, root / "docs" / "results.md")
    return {root / page: filled((root / page).read_text(), parts) for page in PAGES}


def main(options: Results, root: Path = ROOT) -> int:
    """Keep, write or check; 1 where a page is not as it should be."""
    if options.check:
        stale = [page for page, text in make_pages(root).items() if page.read_text() != text]
        for page in stale:
            print(f"{page}: differs from docs/generated between its markers; run python -m experiments.pages")
        return int(bool(stale))
    if options.runs:
        keep(options.runs, root / "docs" / "generated")
    for page, text in make_pages(root).items():
        page.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Results)))
