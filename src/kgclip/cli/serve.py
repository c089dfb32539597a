"""`kgclip serve`."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from kgclip.cli.output import parse, say
from kgclip.cli.predict import trained_recognizer
from kgclip.errors import KgclipError
from kgclip.serving import Limits

TOKEN = "KGCLIP_TOKEN"
LEAST_TOKEN = 16
_MOST_TOKEN_BYTES = 4096


@dataclass(frozen=True)
class ServeCommand:
    """Serve a model to other programs: clips in, explanations out, over HTTP.

    It answers this machine alone unless --host says otherwise, and deletes each clip once it was read. SIGTERM or
    Ctrl-C ends it when the clips it has taken are answered. The environment variable KGCLIP_TOKEN, or a file, can hold
    a token that every request must then bring.

    Examples:

      kgclip serve model

      kgclip serve model --host 0.0.0.0 --port 8000 --token-file token
    """

    model: Positional[Path]
    """the folder that `kgclip train` wrote"""
    host: str = "127.0.0.1"
    """address to listen at; another than the default lets other machines ask, whoever they are: use a token"""
    port: int = 8000
    """port to listen at; 0 takes any that is free"""
    token_file: Path | None = None
    """file with the token that every request must bring; default: the environment variable KGCLIP_TOKEN, or none"""
    queue: int = 32
    """most clips that wait or are worked on; who sends more is told to come again"""
    readers: int = 2
    """processes that read files"""
    max_size_mb: int = 100
    """greatest file that is taken, in MB"""
    max_length_s: float = 60.0
    """longest video that is taken, in seconds"""
    max_wait_s: float = 60.0
    """seconds after which a clip ends without an answer"""
    encoder: str | None = None
    """for a model that takes features: their encoder, FILE.py:NAME"""
    encoder_weights: Path | None = None
    """file given to that encoder"""
    pose: str | None = None
    """for a model that reads pose: its estimator, or none to do without; default: the one in its folder"""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """where the model runs"""


def serve(argv: Sequence[str]) -> int:
    """Run the command."""
    command = parse(ServeCommand, argv, "serve")
    for package in ("fastapi", "uvicorn", "prometheus_client"):
        if find_spec(package) is None:
            raise KgclipError(
                f"serve: needs {package}, which is not installed; install it with: pip install 'kgclip[serve]'"
            )
    limits = Limits(command.max_size_mb, command.max_length_s, command.max_wait_s)
    limits.check_options()
    for option in ("queue", "readers"):
        if getattr(command, option) < 1:
            raise KgclipError(f"--{option} {getattr(command, option)}: takes nothing; give 1 or more")
    token = _token(command.token_file)
    from kgclip.serve.server import serve as run
    from kgclip.serve.service import Sizes

    recognizer = trained_recognizer(
        command.model, command.encoder, command.encoder_weights, command.pose, command.device
    )
    run(
        recognizer,
        limits,
        Sizes(command.queue, command.readers),
        command.host,
        command.port,
        lambda address: say(f"{address} (Ctrl-C ends it)"),
        token=token,
    )
    return 0


def _token(file: Path | None) -> str | None:
    """The token, which no process that is started later inherits; None where there is none.

    Raises:
        KgclipError: it is too short to be kept secret, or holds what no header can.
    """
    from kgclip.reading import read_bytes

    given = os.environ.pop(TOKEN, None)
    where = TOKEN if file is None else f"{file}"
    token = given if file is None else read_bytes(file, _MOST_TOKEN_BYTES).decode("utf-8", "replace").strip()
    if token is None:
        return None
    if len(token) < LEAST_TOKEN or not (token.isascii() and token.isprintable()) or " " in token:
        raise KgclipError(
            f"{where}: is no token, expected at least {LEAST_TOKEN} letters and digits; make one with: "
            "openssl rand -hex 32"
        )
    return token
