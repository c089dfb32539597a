"""`kgclip app`."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from kgclip.cli.output import parse
from kgclip.cli.predict import trained_recognizer
from kgclip.errors import KgclipError
from kgclip.serving import Limits


@dataclass(frozen=True)
class AppCommand:
    """Serve a page where people drop videos, see what is done in them and why, and try other definitions.

    It answers this machine alone, loads nothing from elsewhere, and deletes each video once it was read.
    Ctrl-C ends it.

    Examples:

      kgclip app model

      kgclip app model --port 8000 --max-length-s 20
    """

    model: Positional[Path]
    """the folder that `kgclip train` wrote"""
    host: str = "127.0.0.1"
    """address to listen at; another than the default lets other machines use the page, whoever they are"""
    port: int = 7860
    """port to listen at; 0 takes any that is free"""
    max_size_mb: int = 100
    """greatest file that is taken, in MB"""
    max_length_s: float = 60.0
    """longest video that is taken, in seconds"""
    max_wait_s: float = 60.0
    """seconds after which a question ends without an answer"""
    encoder: str | None = None
    """for a model that takes features: their encoder, FILE.py:NAME"""
    encoder_weights: Path | None = None
    """file given to that encoder"""
    pose: str | None = None
    """for a model that reads pose: its estimator, or none to do without; default: the one in its folder"""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """where the model runs"""


def app(argv: Sequence[str]) -> int:
    """Run the command."""
    command = parse(AppCommand, argv, "app")
    if find_spec("gradio") is None:
        raise KgclipError("app: needs gradio, which is not installed; install it with: pip install 'kgclip[app]'")
    limits = Limits(command.max_size_mb, command.max_length_s, command.max_wait_s)
    limits.check_options()
    from kgclip.app.server import serve

    recognizer = trained_recognizer(
        command.model, command.encoder, command.encoder_weights, command.pose, command.device
    )
    serve(
        recognizer, limits, command.host, command.port, lambda address: print(f"{address} (Ctrl-C ends it)", flush=True)
    )
    return 0
