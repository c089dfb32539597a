"""Pictures of the pages, for docs: drives Chromium over pages that the product made.

    python -m tools.screenshots --model demo/kg-clip --out docs/images
    python -m tools.screenshots --page demo/pages/clip.html --name explanation --out docs/images

A picture is a row of SHOTS, or one given by --page and --name: what is opened, how wide, and what is done before.
"""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import tyro
from PIL import Image

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
MOST_BYTES = 150_000
# Colors of a picture, fewer until it is small enough.
COLORS = (256, 128, 64, 32)
SETTLE_MS = 1200


@dataclass(frozen=True)
class Shot:
    """One picture.

    Attributes:
        name: of the file, without its ending.
        width, height: of the window, in pixels.
        steps: what is done in the page before.
    """

    name: str
    width: int = 1280
    height: int = 900
    steps: Callable[[Any], None] = lambda page: None


def explain(page: Any) -> None:
    """See an example explained."""
    page.get_by_role("button", name="Example: lunge").click()
    page.frame_locator("iframe.explanation").locator("#say").wait_for()


def edit(page: Any) -> None:
    """Take the first movement away from what was recognized, and add an action."""
    explain(page)
    page.get_by_text("What if actions consisted").click()
    page.get_by_role("checkbox").first.uncheck()
    page.get_by_role("button", name="Rank again").click()
    page.locator("#kg-change").wait_for()
    page.get_by_label("An action that the model does not know").fill("squat: left leg bend, right leg bend")
    page.get_by_role("button", name="Add the action").click()
    page.locator("#kg-edits li", has_text="squat is new").wait_for()
    page.evaluate("document.activeElement.blur(), scrollTo(0, 0)")


SHOTS = (Shot("app", 1280, 1400, explain), Shot("app-phone", 390, 844, explain), Shot("app-edited", 1280, 1000, edit))


@dataclass(frozen=True)
class Options:
    """Which pictures to take."""

    out: Path
    """folder to write PNG files into; those of these names are replaced"""
    model: Path | None = None
    """a model that knows the synthetic actions: pictures of `kgclip app` with it"""
    page: tuple[Path, ...] = ()
    """pages that the product wrote (explanation, evaluation, film)"""
    name: tuple[str, ...] = ()
    """names of their pictures"""


@contextmanager
def serving(model: Path) -> Iterator[str]:
    """The address of `kgclip app` with a model."""
    words = [sys.executable, "-m", "kgclip", "app", str(model), "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        try:
            said = "" if server.stdout is None else server.stdout.readline()
            found = re.match(r"http://\S+", said)
            if found is None:
                raise SystemExit("kgclip app did not start")
            yield found[0]
        finally:
            server.terminate()


def small(png: bytes) -> bytes:
    """A picture with as many colors as fit into MOST_BYTES."""
    image = Image.open(BytesIO(png)).convert("RGB")
    for colors in COLORS:
        buffer = BytesIO()
        image.quantize(colors, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
        if buffer.tell() <= MOST_BYTES:
            return buffer.getvalue()
    raise SystemExit(f"a picture has more than {MOST_BYTES} bytes with {COLORS[-1]} colors; make it smaller")


def take(address: str, shots: tuple[Shot, ...], out: Path) -> None:
    """Open an address for each picture and write it."""
    from playwright.sync_api import sync_playwright

    out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for shot in shots:
            page = browser.new_page(viewport={"width": shot.width, "height": shot.height})
            page.goto(address)
            shot.steps(page)
            page.wait_for_timeout(SETTLE_MS)
            (out / f"{shot.name}.png").write_bytes(small(page.screenshot()))
            page.close()
        browser.close()


def main() -> None:
    """Take the pictures that are asked for."""
    options = tyro.cli(Options, description=__doc__)
    if options.model is not None:
        with serving(options.model) as address:
            take(address, SHOTS, options.out)
    for file, name in zip(options.page, options.name, strict=True):
        take(file.resolve().as_uri(), (Shot(name),), options.out)


if __name__ == "__main__":
    main()
