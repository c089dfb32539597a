"""Pages that are one file: a template, the style sheet, the script and one JSON object, with nothing to be loaded."""

import json
import re
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from kgclip.files import atomic_path

Kind = Literal["explanation", "evaluation", "film", "demo"]

# What each page runs, in this order: the first is shared by all.
SCRIPTS: dict[Kind, tuple[str, ...]] = {
    "explanation": ("page", "axis", "explanation", "clip", "lanes", "score", "paths", "whatif"),
    "evaluation": ("page", "evaluation", "matrix", "plots"),
    "film": ("page", "axis", "film"),
}
# A browser that keeps to it loads nothing from anywhere and runs nothing but what is in the page.
POLICY = (
    "default-src 'none';img-src data:;media-src data:;style-src 'unsafe-inline';script-src 'unsafe-inline';"
    "base-uri 'none';form-action 'none'"
)


def compose(kind: Kind, title: str, data: dict[str, Any]) -> str:
    """A page as text; names in the data come into it as text alone, whatever they hold.

    Args:
        kind: which page.
        title: until its script has run.
        data: what the script draws.
    """
    from markupsafe import Markup

    return render(kind, title=title, script=Markup(_script(kind)), data=Markup(as_script_data(data)))


def render(kind: Kind, **values: Any) -> str:
    """A page without a script; what is given to its template enters as text."""
    from jinja2 import Environment, PackageLoader
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("kgclip.report", "pages"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(f"{kind}.html.j2").render(policy=POLICY, style=Markup(_style(kind)), **values)


def write_page(file: Path, page: str) -> None:
    """Write a page as UTF-8; a half character, as in names of broken files, becomes its escape in JSON."""
    with atomic_path(file) as temporary:
        temporary.write_text(page, encoding="utf-8", errors="backslashreplace")


def as_script_data(data: Any) -> str:
    """JSON that may stand inside a script element: nothing in it can end the element or a line of it."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    for character in ("<", "\u2028", "\u2029"):
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


@cache
def _style(kind: Kind) -> str:
    """What the style sheet has for all pages and for this one, without blanks that say nothing."""
    sections = re.split(r"/\* == ([\w ]+) == \*/", _source("page.css"))
    chosen = zip(sections[1::2], sections[2::2], strict=True)
    text = " ".join(text for names, text in chosen if names == "all" or kind in names.split())
    return re.sub(r"(?<=[:;,{}]) | (?=[{}])", "", re.sub(r"\s+", " ", text)).strip()


@cache
def _script(kind: Kind) -> str:
    """The page's scripts one after the other, without lines of comments and blanks that say nothing."""
    lines = (line.strip() for name in SCRIPTS[kind] for line in _source(f"{name}.js").splitlines())
    text = "\n".join(_tight(line) for line in lines if line and not line.startswith("//"))
    # A statement may end with its line, but not after these characters, nor before those.
    return re.sub(r"(?<=[,;{(\[?:&|=])\n|\n(?=[})\].?:&|,])", "", text)


def _tight(line: str) -> str:
    """A line of a script without the blanks that separate nothing; strings stay as they are."""
    pieces = re.split(r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)""", line)
    pieces[::2] = [re.sub(" +", _blank, piece) for piece in pieces[::2]]
    return "".join(pieces)


def _blank(found: re.Match[str]) -> str:
    """What is left of blanks between two characters."""
    before, after = found.string[: found.start()][-1:], found.string[found.end() :][:1]
    words = re.fullmatch(r"[\w$]{2}", before + after)
    return " " if words or (before == after and before in ("+", "-")) else ""


def _source(name: str) -> str:
    return files("kgclip.report").joinpath("pages", name).read_text(encoding="utf-8")
