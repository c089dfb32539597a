"""A model that says much, whatever it learned: movements count as seen early, no answer is unknown; and its page."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kgclip.engine.checkpoint import Checkpoint

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),
]
WAIT_MS = 20_000
# After a recording gradio asks another server for a program that trims it; the page's policy keeps it from that.
REFUSED = "Failed to fetch dynamically imported module: blob:"
Opener = Callable[..., Any]


@pytest.fixture(scope="session")
def clips(figures: Path) -> list[Path]:
    """Test clips of all actions."""
    return sorted((figures / "test_videos").rglob("*.mp4"))


@pytest.fixture(scope="session")
def talkative_model(kg_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of such a model."""
    checkpoint = Checkpoint.load(kg_model)
    path = checkpoint.model.path
    path.seen_from.copy_(path.baseline + 0.02)
    out = tmp_path_factory.mktemp("models") / "talkative"
    replace(checkpoint, unknown=None).save(out)
    return out


@pytest.fixture(scope="module")
def uploads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server makes its temporary folder."""
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def address(talkative_model: Path, uploads: Path) -> Iterator[str]:
    """Of the page, served by the command."""
    words = [sys.executable, "-m", "kgclip", "app", str(talkative_model), "--port", "0", "--max-size-mb", "1"]
    environment = os.environ | {"TMPDIR": str(uploads), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as server:
        try:
            assert server.stdout is not None
            said = server.stdout.readline()
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+ \(Ctrl-C ends it\)\n", said)
            yield said.split()[0]
        finally:
            server.send_signal(signal.SIGINT)
            code = server.wait(20)
    assert code == 0
    assert list(uploads.iterdir()) == []


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is absent: pip install playwright")
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        launched.close()


def is_failure(message: Any) -> bool:
    """Whether a script or the policy complains; that a recording is gone already, which the camera shows, is right."""
    return message.type == "error" and not message.text.startswith(("Failed to load resource", "Failed to fetch"))


@pytest.fixture
def opened(browser: Any, address: str) -> Iterator[Opener]:
    """Opens the page as one more person; at the end nothing may have come from elsewhere, nor a script have failed."""
    contexts, asked, failures = [], [], []

    def open_page(width: int = 1280, height: int = 900) -> Any:
        context = browser.new_context(viewport={"width": width, "height": height})
        contexts.append(context)
        context.on("request", lambda request: asked.append(request.url))
        page = context.new_page()
        page.on("pageerror", lambda error: failures.append(str(error)) if REFUSED not in str(error) else None)
        page.on("console", lambda message: failures.append(message.text) if is_failure(message) else None)
        page.set_default_timeout(WAIT_MS)
        page.goto(address)
        page.get_by_role("button", name="Example: lunge").wait_for()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert asked
    assert [url for url in asked if not url.startswith((f"{address}/", "data:", f"blob:{address}/"))] == []
    assert failures == []
