"""The docs site: whole, with every page within reach, and nothing loaded from elsewhere."""

import html
import re
import tomllib
from pathlib import Path

import pytest

from kgclip.cli.main import COMMANDS
from kgclip.errors import KgclipError
from tools import docs_site

ROOT = docs_site.ROOT


@pytest.mark.slow
def test_the_site_is_built_with_all_pages_and_references(tmp_path: Path):
    site = tmp_path / "site"
    docs_site.build(site)
    pages = {page.relative_to(ROOT / "docs").with_suffix(".html") for page in (ROOT / "docs").rglob("*.md")}
    assert {page for page in pages if not (site / page).is_file()} == set()
    commands = html.unescape((site / "cli.html").read_text(encoding="utf-8"))
    assert all(f"usage: kgclip {name}" in commands for name in COMMANDS)
    python = (site / "python.html").read_text(encoding="utf-8")
    for name in (name for names in docs_site.PYTHON.values() for name in names):
        assert f'id="kgclip.{name}"' in python
    assert ":class:`" not in python
    assert 'name="viewport" content="width=device-width' in (site / "index.html").read_text(encoding="utf-8")
    with pytest.raises(KgclipError, match="exists already"):
        docs_site.build(site)


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of three pages."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "page.md").write_text("# A page\n")
    (tmp_path / "README.md").write_text("# Home\n\n[a page](docs/page.md)\n")
    (tmp_path / "CONTRIBUTING.md").write_text("# Contributing\n")
    config = re.sub(r"nav = \[.*?\n\]\n", "", (ROOT / "zensical.toml").read_text(encoding="utf-8"), flags=re.DOTALL)
    (tmp_path / "zensical.toml").write_text(config)
    monkeypatch.setattr(docs_site, "ROOT", tmp_path)
    monkeypatch.setattr(docs_site, "PYTHON", {})
    return tmp_path


@pytest.mark.slow
def test_a_link_that_leads_nowhere_is_named(small: Path):
    (small / "docs" / "page.md").write_text("# A page\n\n[gone](nowhere.md)\n")
    with pytest.raises(KgclipError, match=r"page\.md:3"):
        docs_site.build(small / "site")
    assert not (small / "site").exists()


@pytest.mark.parametrize(
    "tag",
    [
        '<script src="https://example.org/a.js"></script>',
        '<link rel="stylesheet" href="//example.org/a.css">',
        '<img src="http://example.org/a.png">',
        '<pre class="mermaid"></pre>',
    ],
)
def test_what_a_page_would_load_from_elsewhere_is_found(tag: str, tmp_path: Path):
    (tmp_path / "page.html").write_text(f'<a href="https://example.org">a link</a><img src="a.png">{tag}')
    assert len(list(docs_site.loaded_from_elsewhere(tmp_path))) == 1


def test_fonts_of_style_sheets_are_found(tmp_path: Path):
    (tmp_path / "a.css").write_text(
        "@import 'https://example.org/a.css'; a { src: url(//example.org/f.woff2), url(a.png) }"
    )
    assert len(list(docs_site.loaded_from_elsewhere(tmp_path))) == 2


def test_every_page_is_in_the_navigation():
    nav = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]["nav"]
    rows = re.findall(r"[\w/]+\.md", str(nav))
    made = {"index.md", "contributing.md", "cli.md", "python.md"}
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} | made
    assert pages - set(rows) == set(), "give each of these a row in nav of zensical.toml"
    assert set(rows) - pages == set(), "these rows of nav in zensical.toml name no page"
    assert len(rows) == len(set(rows))
