"""Tables inside the pages of docs/."""

from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def fill(page: Path, name: str, text: str) -> None:
    """Put a text between the lines ``<!-- name -->`` and ``<!-- end of name -->`` of a page, for what stood there."""
    start, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, started, rest = page.read_text().partition(start)
    _, ended, after = rest.partition(end)
    if not started or not ended:
        raise SystemExit(f"{page}: lacks the lines {start} and {end}; add them where the table belongs")
    page.write_text(f"{before}{start}\n{text}\n{end}{after}")
