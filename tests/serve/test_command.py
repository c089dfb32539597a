"""`kgclip serve`: options, the token, the commands of its page, and the end."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from kgclip.cli.main import run
from tests.serve.conftest import Running
from tests.test_docs import blocks
from tools.client import Client

WAIT_S = 60
TOKEN = "0123456789abcdef"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--max-size-mb", "0"], "--max-size-mb 0: takes nothing; give more than 0"),
        (["--queue", "0"], "--queue 0: takes nothing; give 1 or more"),
        (["--encoder-weights", "w"], "--encoder-weights: are for an encoder of your own; give --encoder FILE.py:NAME"),
    ],
)
def test_options_that_cannot_be(words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["serve", str(tmp_path), *words]) == 2
    assert capsys.readouterr().err == f"kgclip: {message}\n"


def test_without_its_packages_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("kgclip.cli.serve.find_spec", lambda name: None if name == "uvicorn" else find_spec(name))
    assert run(["serve", str(tmp_path)]) == 2
    message = "kgclip: serve: needs uvicorn, which is not installed; install it with: pip install 'kgclip[serve]'\n"
    assert capsys.readouterr().err == message


@pytest.mark.parametrize("token", ["short", "with a space in it", "Ünïcode-Ünïcode-Ünïcode"])
def test_tokens_that_protect_nothing(
    token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("KGCLIP_TOKEN", token)
    assert run(["serve", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("kgclip: KGCLIP_TOKEN: is no token, expected at least 16 letters and digits")
    assert token not in error
    assert "KGCLIP_TOKEN" not in os.environ
    (tmp_path / "token").write_text(token + "\n")
    assert run(["serve", str(tmp_path), "--token-file", str(tmp_path / "token")]) == 2
    assert capsys.readouterr().err.startswith(f"kgclip: {tmp_path / 'token'}: is no token")


@pytest.fixture
def command(kg_model: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The running command, with a token, and its address."""
    words = [sys.executable, "-m", "kgclip", "serve", str(kg_model), "--port", "0", "--readers", "1"]
    environment = os.environ | {"TMPDIR": str(tmp_path), "OMP_NUM_THREADS": "1", "KGCLIP_TOKEN": TOKEN}
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().split(" ")[0]
        finally:
            if process.poll() is None:
                process.kill()


def test_told_to_stop_it_finishes_what_it_has_taken(
    command: tuple[subprocess.Popen[str], str], clips: list[Path], tmp_path: Path
):
    process, address = command
    client, late = Client(address, TOKEN), Client(address, TOKEN)
    assert client.ask("GET", "/ready").status == 200
    jobs = [client.send(clip.name, clip.read_bytes(), page=True).json() for clip in clips[:3]]
    process.send_signal(signal.SIGTERM)
    # Readiness may be asked before the signal is heard.
    for _ in range(1000):
        if late.ask("GET", "/ready").status == 503:
            break
    refused = late.send("late.mp4", b"x")
    assert (refused.status, refused.headers["retry-after"]) == (503, "5")
    for job in jobs:
        *_, (last, _) = client.events(job)
        assert last == "done"
        assert client.ask("GET", job["explanation"]).json()["format"] == "kgclip.explanation/1"
    for each in (client, late):
        each.close()
    out, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0
    assert TOKEN not in out + err
    assert "done in" in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_the_commands_of_the_page_run(clips: list[Path], tmp_path: Path, served: Running):
    if shutil.which("curl") is None:
        pytest.skip("curl is absent, with which docs/serve.md asks")
    shutil.copy(clips[0], tmp_path / "clip.mp4")
    script = next(block for block in blocks("docs/serve.md", "sh") if "curl" in block)
    script = script.replace("http://127.0.0.1:8000", served.address)
    done = subprocess.run(["bash", "-euc", script], cwd=tmp_path, capture_output=True, text=True, timeout=WAIT_S)
    assert done.returncode == 0, done.stderr
    assert "event: done" in done.stdout
    assert '"format":"kgclip.explanation/1"' in (tmp_path / "clip.json").read_text()
    assert (tmp_path / "clip.html").read_text().startswith("<!")
