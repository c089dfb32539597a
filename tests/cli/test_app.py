"""`kgclip app` before it serves: what is missing, or cannot be, is one sentence."""

import socket
from importlib.util import find_spec
from pathlib import Path

import pytest

from kgclip.app.server import serve
from kgclip.cli.main import run
from kgclip.engine.predict import Recognizer
from kgclip.errors import KgclipError
from kgclip.serving import Limits


def test_without_gradio_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("kgclip.cli.app.find_spec", lambda name: None if name == "gradio" else find_spec(name))
    assert run(["app", str(tmp_path)]) == 2
    message = "kgclip: app: needs gradio, which is not installed; install it with: pip install 'kgclip[app]'\n"
    assert capsys.readouterr().err == message


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--max-size-mb", "0"], "--max-size-mb 0: takes nothing; give more than 0"),
        (["--max-length-s", "nan"], "--max-length-s nan: takes nothing; give more than 0"),
        (["--encoder-weights", "w"], "--encoder-weights: are for an encoder of your own; give --encoder FILE.py:NAME"),
    ],
)
def test_options_that_cannot_be(words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["app", str(tmp_path), *words]) == 2
    assert capsys.readouterr().err == f"kgclip: {message}\n"


def test_a_port_that_is_taken(kg_model: Path):
    recognizer = Recognizer.from_pretrained(kg_model)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(KgclipError, match=rf"--host 127\.0\.0\.1 --port {port}: cannot listen there"):
            serve(recognizer, Limits(), "127.0.0.1", port, print)
    with pytest.raises(KgclipError, match="--port 99999: is none; give one from 0 to 65535"):
        serve(recognizer, Limits(), "127.0.0.1", 99_999, print)
