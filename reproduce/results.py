"""Makes docs/results.md and the table of the README from docs/generated: `python -m reproduce.results`."""

import json
from pathlib import Path
from typing import Any

from reproduce.comparison import GENERATED, markdown

ROOT = GENERATED.parents[1]
BEGIN, END = "<!-- results: written by reproduce.results -->", "<!-- end of results -->"
# Rows that the README shows; the page has all.
README_ARMS = ("ridge", "CLIP only", "KG-CLIP")


def load(name: str) -> dict[str, Any]:
    """A result that a script of this folder wrote."""
    return json.loads((GENERATED / f"{name}.json").read_text())


def section(result: dict[str, Any]) -> str:
    """Title, table and provenance of one comparison."""
    origin = result["provenance"]
    return (
        f"## {result['title']}\n\n{markdown(result['settings'], result['against'])}\n\n"
        f"`{origin['command']}`, commit {origin['commit']}, {origin['wall_s']} s on {origin['cpus']} cores, "
        f"Python {origin['python']}, torch {origin['torch']}."
    )


def readme_table(results: list[dict[str, Any]]) -> str:
    """The README's rows: every data set and setting, three arms."""
    lines = [f"| top-1, % | {' | '.join(README_ARMS)} | KG-CLIP − CLIP only |", "|---" * (len(README_ARMS) + 2) + "|"]
    for result in results:
        for setting, rows in result["settings"].items():
            cells = [f"{rows[arm]['mean']:.1f} ± {rows[arm]['interval']:.1f}" for arm in README_ARMS]
            gain = f"{rows['KG-CLIP']['difference']:+.1f} ± {rows['KG-CLIP']['difference_interval']:.1f}"
            lines.append(f"| {result['title'].split(':')[0]}, {setting} | {' | '.join(cells)} | {gain} |")
    return "\n".join(lines)


def replace_between(file: Path, text: str) -> None:
    """Put text between the markers of a page."""
    before, _, rest = file.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    file.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


def main() -> None:
    """Write both pages."""
    results = [load("few_labels"), load("jhmdb_tps")]
    replace_between(ROOT / "docs" / "results.md", "\n\n".join(section(result) for result in results))
    replace_between(ROOT / "README.md", readme_table(results))


if __name__ == "__main__":
    main()
