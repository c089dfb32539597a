"""A real browser for tests, as a fixture; tests import it from here."""

import os
from collections.abc import Iterator

import pytest

CHROMIUM = "/usr/bin/chromium"
# A test machine has neither a display nor a sandbox, and nothing of the browser is to ask anything of the network.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:  # noqa: F821 - playwright may be absent
    """Chromium, driven by Playwright; the test is skipped where one of them is absent."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is absent: pip install playwright")
    if not os.access(CHROMIUM, os.X_OK):
        pytest.skip(f"{CHROMIUM} is absent: apt-get install chromium")
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield started
        started.close()
