"""The pages say what is so: their Python runs, and their commands and options exist."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from kgclip.cli.main import COMMANDS, run
from kgclip.data.bridges.hake_states import STATES_93
from tests.data.bridges.examples import write_examples

ROOT = Path(__file__).resolve().parents[1]
DOCS = sorted((ROOT / "docs").rglob("*.md"))
PAGES = (
    "README.md",
    "docs/data.md",
    "docs/explanation.md",
    "docs/video.md",
    "docs/watch.md",
    "docs/synthetic.md",
    "docs/metrics.md",
    "docs/experiments.md",
)


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", PAGES)
def test_the_python_of_a_page_runs(
    page: str, figures: Path, kg_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("kgclip.data.readers.registry._added", [])  # a page adds one
    Path("Kinetics-TPS").symlink_to(figures)
    Path("demo").mkdir()
    Path("demo/kg-clip").symlink_to(kg_model)
    shutil.copy(next(figures.glob("test_videos/*/*.mp4")), "clip.mp4")
    snippets = blocks(page, "python")
    assert snippets
    for snippet in snippets:
        # A page shows a data set of a useful size; here one clip an action must do.
        small = snippet.replace("per_action=20", "per_action=1").replace("per_action=10", "per_action=1")
        exec(compile(small, page, "exec"), {})


def commands() -> list[tuple[str, str]]:
    pages = ["README.md", *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").glob("*.md")))]
    lines = [(page, line) for page in pages for block in blocks(page, "sh") for line in block.splitlines()]
    # What torchrun starts is a command, too.
    lines = [(page, re.sub(r"^torchrun .*-m kgclip", "kgclip", line)) for page, line in lines]
    return [(page, line) for page, line in lines if line.startswith("kgclip ")]


@pytest.mark.parametrize(("page", "line"), commands())
def test_the_commands_of_a_page_exist(page: str, line: str, capsys: pytest.CaptureFixture[str]):
    words = line.partition(" #")[0].split()[1:]
    length = next(n for n in (2, 1) if " ".join(words[:n]) in COMMANDS)
    with pytest.raises(SystemExit):
        run([*words[:length], "--help"])
    text = capsys.readouterr().out
    for option in (word.partition("=")[0] for word in words if word.startswith("--")):
        assert option in text, f"{page}: {line}"


def test_the_commands_of_the_bridges_run(
    kg_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    write_examples(tmp_path)
    Path("model").symlink_to(kg_model)
    lines = [line for block in blocks("docs/bridges.md", "sh") for line in block.splitlines() if line]
    assert len(lines) == 17
    for line in lines:
        assert run(shlex.split(line)[1:]) == 0, f"{line}: {capsys.readouterr().err}"


def test_the_page_of_bridges_has_the_states_of_hake():
    page = (ROOT / "docs/bridges.md").read_text(encoding="utf-8")
    for kind, states in STATES_93.items():
        row = next(line for line in page.splitlines() if line.startswith(f"| {kind} |"))
        _, _, mapped, left, _ = map(str.strip, row.split("|"))
        pairs = {
            name: ours
            for group in mapped.split("; ")
            for ours, names in [group.split(": ")]
            for name in names.split(", ")
        }
        pairs |= dict.fromkeys(left.split(", "), None)
        assert pairs == {name: ours for name, ours in states.items() if name != "no_interaction"}


def prose(page: Path) -> str:
    """A page without its code."""
    text = re.sub(r"^( *)```.*?^\1```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`\n]*`", lambda code: code[0].replace("[", "").replace("]", ""), text)


def anchors(page: Path) -> set[str]:
    """Where links can lead to in a page: its headings, in small letters with hyphens between."""
    headings = re.findall(r"^#+ +(.+?) *$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", *(str(page.relative_to(ROOT)) for page in DOCS)])
def test_links_and_pictures_lead_somewhere(name: str):
    page = ROOT / name
    for address in re.findall(r"\]\(([^)\s]*)\)", prose(page)):
        if re.match(r"[a-z]+:", address):
            assert re.fullmatch(r"https?://[\w.-]+\.\w+(/[^\s<>]*)?", address), f"{name}: {address} is no address"
            continue
        file, _, anchor = address.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), f"{name}: {address} is not there"
        assert not anchor or anchor in anchors(target), f"{name}: {address} is no heading there"
