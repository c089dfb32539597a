"""The tutorial as a newcomer follows it: every command runs in its order, and says what the page shows."""

import re
import shlex
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from kgclip.cli.main import run

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"
PAGE = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
POSE = "movenet_lightning.tflite"
FIGURE = re.compile(r"\d+(?:\.\d+)?")
# The ten clips and the two new ones that the printed lines of the page come from.
REAL = {
    "clips/golf": ("golf", "Ariya_Swing", "Casie_Cathrea", "Ernie_Els"),
    "clips/pull_up": ("pullup", "100_pullups", "10_Pull_Ups", "35_pull_ups", "pull_ups_pullup_u_nm_np1_ba_med_0"),
    "clips/push": ("push", "Ashleigh_Staley", "box_pushing_1", "pushing_cart"),
    "new": ("pullup", "Girl_does_12"),
    "bow": ("shoot_bow", "HannahFront22May08"),
}
# Figures that show every movement of the page, under its names.
FIGURES = {"clips/golf": "belly_dancing", "clips/pull_up": "pull_ups", "clips/push": "skipping_rope"}


def test_the_commands_run_on_synthetic_figures(figures: Path, tmp_path: Path, monkeypatch, capsys):
    for folder, action in FIGURES.items():
        (tmp_path / folder).mkdir(parents=True)
        for clip in sorted((figures / "train_videos" / action).iterdir())[: 4 if "pull" in folder else 3]:
            shutil.copy(clip, tmp_path / folder)
    new, bow = sorted((figures / "test_videos").rglob("*.mp4"))[:2]
    shutil.copy(new, tmp_path / "new.mp4")
    shutil.copy(bow, tmp_path / "bow.mp4")
    shutil.copy(figures / "keypoints.parquet", tmp_path)
    monkeypatch.chdir(tmp_path)
    # Estimators find no figure: their joints are brought, and the encoder that knows them is theirs.
    page = PAGE.replace(POSE, "keypoints.parquet --backbone synthetic")
    page = re.sub(r"^kgclip (predict|whatif|watch) .*", r"\g<0> --pose none", page, flags=re.MULTILINE)
    assert len(list(printed(page, capsys))) > 5
    assert {"pages", "film.html", "film.srt", "graph.parquet", "larger"} <= {path.name for path in tmp_path.iterdir()}
    assert "<video" in Path("pages/new.html").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason=f"{SHARED} is absent: real clips are not part of the project")
def test_what_the_page_shows_is_what_real_clips_give(tmp_path: Path, monkeypatch, capsys):
    for target, (action, *names) in REAL.items():
        for name in names:
            clip = min((SHARED / "jhmdb-tps" / "train_videos" / action).glob(f"{name}*.mp4"))
            to = tmp_path / target / clip.name if "/" in target else tmp_path / f"{target}.mp4"
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(clip, to)
    shutil.copy(next((SHARED / "pose").glob("*.tflite")), tmp_path / POSE)
    monkeypatch.chdir(tmp_path)
    for shown, said in printed(PAGE, capsys):
        for line in shown.splitlines():
            assert is_said(line, said), f"the page shows {line!r}, but what was said is:\n{said}"


def printed(page: str, capsys: pytest.CaptureFixture[str]) -> Iterator[tuple[str, str]]:
    """Run the page from top to bottom; gives each text that it shows after a command, and what the command gave."""
    said = ""
    for language, block in re.findall(r"^```(\w+)\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE):
        if language == "python":
            exec(compile(block, "docs/tutorial.md", "exec"), {})
        elif language == "sh":
            said = "".join(said_by(line, capsys) for line in block.splitlines())
        else:
            assert language == "text"
            yield block, said


def said_by(line: str, capsys: pytest.CaptureFixture[str]) -> str:
    program, *words = shlex.split(line)
    assert program == "kgclip", line
    assert run(words) == 0, f"{line}\n{capsys.readouterr().err}"
    written = Path(words[-1]).read_text(encoding="utf-8") if words[-1].endswith(".yaml") else ""
    return capsys.readouterr().out + written


def is_said(line: str, text: str) -> bool:
    """Whether a text holds the words of a line, and figures like its own, which differ a little between machines."""
    words, own = FIGURE.split(line.strip()), [float(figure) for figure in FIGURE.findall(line)]
    found = re.finditer(f"({FIGURE.pattern})".join(map(re.escape, words)), text)
    return any(own == pytest.approx([float(figure) for figure in each.groups()], rel=0.1, abs=0.05) for each in found)


@pytest.mark.parametrize(
    ("line", "said"), [("seen 0.82 s", True), ("seen 0.88 s", True), ("seen 0.12 s", False), ("heard 0.82 s", False)]
)
def test_figures_near_those_of_the_page_are_the_same(line: str, said: bool):
    assert is_said(line, "a row\n  seen 0.84 s\n") == said


def test_what_the_page_installs_is_declared():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    found = re.search(r"pip install '\.\[([\w,]+)\]'", PAGE)
    assert found is not None
    assert set(found[1].split(",")) <= set(extras)
