"""The server of the page: this machine alone unless told otherwise, and nothing loaded from elsewhere."""

import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from importlib.resources import files
from ipaddress import ip_address
from pathlib import Path

from kgclip.app.desk import Desk
from kgclip.app.examples import write_examples
from kgclip.app.parts import SCRIPT
from kgclip.engine.predict import Recognizer
from kgclip.remains import scratch_folder
from kgclip.serving import MEGABYTE, Limits, address_of, listen

# What the browser is told: scripts, fonts and data from this server alone.
POLICY = (
    "default-src 'self';script-src 'self' 'unsafe-inline' 'unsafe-eval';style-src 'self' 'unsafe-inline';"
    "img-src 'self' data: blob:;media-src 'self' data: blob:;font-src 'self' data:;connect-src 'self' data: blob:;"
    "worker-src 'self' blob:;object-src 'none';base-uri 'self';form-action 'self';frame-ancestors 'none'"
)
HEADERS = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"}
# At the end, connections of open pages are given so long.
_GRACE_S = 1


def serve(recognizer: Recognizer, limits: Limits, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve the page until Ctrl-C.

    Args:
        recognizer: of the model.
        limits: of what is taken.
        host: address to listen at.
        port: 0 takes any that is free.
        ready: is told the page's address as soon as it answers.

    Raises:
        KgclipError: the address cannot be listened at, or the process that opens videos does not start.
    """
    listener = listen(host, port)
    # Uploads lie here, and nowhere else; what is left of them goes with the server, or with the next one.
    with scratch_folder("app") as folder, listener:
        uploads, shown = folder / "uploads", folder / "examples"
        uploads.mkdir()
        shown.mkdir()
        os.environ |= {"GRADIO_TEMP_DIR": str(uploads), "GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}
        desk = Desk(recognizer, limits, uploads)
        examples = write_examples(shown, recognizer.checkpoint.actions)
        # A server that is told to end cleans up as after Ctrl-C.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            desk.videos.start()
            with suppress(KeyboardInterrupt):
                _run(desk, examples, listener, ready)
        finally:
            desk.close()


def _run(desk: Desk, examples: dict[str, Path], listener: socket.socket, ready: Callable[[str], None]) -> None:
    import gradio as gr
    import uvicorn
    from fastapi import FastAPI
    from gradio.themes import Default
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    from kgclip.app.page import Page

    host = listener.getsockname()[0]
    app = FastAPI(openapi_url=None)
    app.middleware("http")(_with_headers)
    if ip_address(host).is_loopback:
        # A page of elsewhere whose name is made to lead here gets nothing.
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=["localhost", "127.0.0.1", host])
    sans = ("system-ui", "sans-serif")
    gr.mount_gradio_app(
        app,
        Page(desk, examples).blocks,
        path="/",
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        show_error=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        max_file_size=desk.limits.size_mb * MEGABYTE,
        theme=Default(primary_hue="blue", font=sans, font_mono=("ui-monospace", "monospace")),
        css=files("kgclip.app").joinpath("app.css").read_text(),
        head=SCRIPT,
    )
    ready(address_of(listener))
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=_GRACE_S)
    uvicorn.Server(config).run(sockets=[listener])


async def _with_headers(request, call_next):
    response = await call_next(request)
    for name, value in HEADERS.items():
        response.headers[name] = value
    return response
