"""Builds the docs site: the pages of docs/, the README as the first page, and references made from the code.

    python -m tools.docs_site OUT

The command line's reference is what `--help` prints, Python's comes from docstrings. Links are checked by zensical, and
the built pages must load nothing from anywhere.
"""

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stdout
from html.parser import HTMLParser
from pathlib import Path
from unittest import mock

from kgclip.cli.main import COMMANDS, run
from kgclip.errors import KgclipError
from kgclip.locks import free_output

ROOT = Path(__file__).resolve().parents[1]
# Sections of the reference of Python, and the names in each.
PYTHON = {
    "Recognize": ("engine.predict.Recognizer", "engine.explanation.Explanation", "engine.watch.Watcher"),
    "Train": ("engine.train.train", "config.TrainConfig", "engine.hub.load", "engine.checkpoint.Checkpoint"),
    "Graphs": ("kg.graph.KnowledgeGraph", "kg.build.build_graph", "kg.build.merge"),
    "Data": ("data.dataset.open_dataset", "data.dataset.DataSet", "data.features.FeatureFile"),
    "The model": ("models.kgclip.KGCLIP", "models.kgclip.Score"),
}
HELP_COLUMNS = "54"  # so that little is cut off on a phone
_ROLE = re.compile(r":(?:class|meth|func|attr|mod):`[~!]?([^`]+)`")
_LOADING = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src"}


def command_line_page() -> str:
    """A list of the commands, and what the help of each prints."""
    rows = [f"- [`kgclip {name}`](#kgclip-{name.replace(' ', '-')}): {text}" for name, (_, _, text) in COMMANDS.items()]
    parts = ["# Command line", "What each command says with `--help`.", "\n".join(rows)]
    for name in COMMANDS:
        parts += [f"## kgclip {name}", f"```text\n{_help(name).strip()}\n```"]
    return "\n\n".join(parts) + "\n"


def python_page() -> str:
    """Where docstrings go; the site's builder fills it in."""
    parts = [
        "# Python",
        "What you would call from Python. `from kgclip import Recognizer, KnowledgeGraph, KGCLIP, load`.",
    ]
    for title, names in PYTHON.items():
        parts += [f"## {title}", *(f"::: kgclip.{name}" for name in names)]
    return "\n\n".join(parts) + "\n"


def stage(folder: Path) -> None:
    """Write everything that the site is built from into an empty folder."""
    pages = folder / "docs"
    shutil.copytree(ROOT / "docs", pages)
    shutil.copy(ROOT / "zensical.toml", folder)
    for source, page in (("README.md", "index.md"), ("CONTRIBUTING.md", "contributing.md")):
        text = (ROOT / source).read_text(encoding="utf-8")
        (pages / page).write_text(text.replace("](docs/", "](").replace("](CONTRIBUTING.md", "](contributing.md"))
    for page in pages.rglob("*.md"):
        # Files outside of docs/ are not on the site: their names stay, without a link.
        text = re.sub(
            r"\[([^]]*)\]\(\.\./(?:src|tools|tests|experiments)/[^)]*\)", r"\1", page.read_text(encoding="utf-8")
        )
        page.write_text(text, encoding="utf-8")
    (pages / "cli.md").write_text(command_line_page(), encoding="utf-8")
    (pages / "python.md").write_text(python_page(), encoding="utf-8")
    for module in (ROOT / "src").rglob("*.py"):
        copy = folder / module.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(_ROLE.sub(r"`\1`", module.read_text(encoding="utf-8")), encoding="utf-8")


def build(out: Path) -> None:
    """Build the site into a new folder.

    Raises:
        KgclipError: a link leads nowhere, or a page would load something from elsewhere.
    """
    free_output(out)
    with tempfile.TemporaryDirectory(prefix="kgclip-docs-") as name:
        folder = Path(name)
        stage(folder)
        zensical = Path(sys.executable).with_name("zensical")
        ran = subprocess.run([zensical, "build", "--strict"], cwd=folder, capture_output=True, text=True, timeout=300)
        said = re.sub(r"\x1b\[[0-9;]*m", "", ran.stdout + ran.stderr).partition("Traceback")[0].strip()
        if ran.returncode:
            raise KgclipError(f"docs: the site was not built; put right what zensical found:\n{said}")
        found = list(loaded_from_elsewhere(folder / "site"))
        if found:
            raise KgclipError(
                f"docs: pages would load from elsewhere: {', '.join(found[:5])}; keep such files in docs/"
            )
        shutil.move(folder / "site", out)


def loaded_from_elsewhere(site: Path) -> Iterator[str]:
    """Scripts, styles, fonts and pictures of built pages that are not part of the site."""
    for page in sorted(site.rglob("*.html")):
        parser = _Loads()
        parser.feed(page.read_text(encoding="utf-8"))
        yield from (f"{page.name}: {address}" for address in parser.found if _elsewhere(address))
    for sheet in sorted(site.rglob("*.css")):
        text = sheet.read_text(encoding="utf-8")
        addresses = re.findall(r"url\(\s*[\"']?([^\"')]+)|@import\s+[\"']([^\"']+)", text)
        yield from (f"{sheet.name}: {a or b}" for a, b in addresses if _elsewhere(a or b))


class _Loads(HTMLParser):
    """Addresses of what a browser loads with a page; a diagram would load the program that draws it."""

    def __init__(self):
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "link" and {"stylesheet", "preload", "preconnect", "icon"} & set(values.get("rel", "").split()):
            self.found.append(values.get("href", ""))
        if tag in _LOADING:
            self.found.append(values.get(_LOADING[tag], ""))
        if "mermaid" in values.get("class", "").split():
            self.found.append("https: a diagram by mermaid")


def _elsewhere(address: str) -> bool:
    return re.match(r"(?:https?:)?//|https?:", address) is not None


def _help(name: str) -> str:
    printed = io.StringIO()
    with mock.patch.dict(os.environ, {"COLUMNS": HELP_COLUMNS, "NO_COLOR": "1"}), redirect_stdout(printed):
        try:
            run([*name.split(), "--help"])
        except SystemExit:
            return "\n".join(line.rstrip() for line in printed.getvalue().splitlines())
    raise AssertionError(f"kgclip {name} --help did not end by itself")


if __name__ == "__main__":
    try:
        build(Path(sys.argv[1]))
    except KgclipError as error:
        sys.exit(str(error))
