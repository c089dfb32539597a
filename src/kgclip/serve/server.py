"""The server: this machine alone unless told otherwise; told to stop, it finishes what it has taken."""

import asyncio
import socket
from collections.abc import Callable
from ipaddress import ip_address
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from kgclip.engine.predict import Recognizer
from kgclip.remains import scratch_folder
from kgclip.serve.api import make_api
from kgclip.serve.guard import Guard
from kgclip.serve.service import Service, Sizes
from kgclip.serving import Limits, address_of, listen

HEAD_S = 15.0
"""Time for the head of a request, and for what remains of one that was refused."""
TAKE_S = 60.0
"""Time for taking an answer."""
MOST_CONNECTIONS = 1000
_GRACE_S = 2
_MOST_HEAD = 16_384


def serve(
    recognizer: Recognizer,
    limits: Limits,
    sizes: Sizes,
    host: str,
    port: int,
    ready: Callable[[str], None],
    *,
    token: str | None = None,
) -> None:
    """Serve until Ctrl-C or SIGTERM, and then until the clips that were taken are answered.

    Args:
        recognizer: of the model.
        limits: of each clip.
        sizes: of queue and processes.
        host: address to listen at.
        port: 0 takes any that is free.
        ready: is told the address as soon as it answers.
        token: that every request must bring; None lets everybody in.

    Raises:
        KgclipError: the address cannot be listened at, or the processes that read files do not start.
    """
    listener = listen(host, port)
    # Uploads lie here, and nowhere else; what is left of them goes with the server, or with the next one.
    with scratch_folder("serve") as folder, listener:
        service = Service(recognizer, limits, sizes, folder)
        try:
            service.start()
            Server(service, listener, token, ready).run(sockets=[listener])
        finally:
            service.close()


class Server(uvicorn.Server):
    """A server that lets a service finish.

    Args:
        service: which has started.
        listener: at which it is asked.
        token: as of `serve`.
        ready: as of `serve`.
    """

    def __init__(
        self, service: Service, listener: socket.socket, token: str | None, ready: Callable[[str], None] = print
    ):
        host = listener.getsockname()[0]
        hosts = ("localhost", "127.0.0.1", "[::1]", host) if ip_address(host).is_loopback else None
        super().__init__(
            uvicorn.Config(
                Guard(make_api(service), token, hosts, service.metrics),
                http=Protocol,
                ws="none",
                lifespan="on",
                log_level="error",
                access_log=False,
                server_header=False,
                h11_max_incomplete_event_size=_MOST_HEAD,
                limit_concurrency=MOST_CONNECTIONS,
                timeout_graceful_shutdown=_GRACE_S,
            )
        )
        self._service, self._listener, self._ready = service, listener, ready
        self._stop: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self._ready(address_of(self._listener))

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop when what was taken is answered; told again, stop at once."""
        if self._service.stopping:
            self.should_exit = self.force_exit = True
        self._service.stopping = True
        self._loop.call_soon_threadsafe(self._begin_to_stop)

    def _begin_to_stop(self) -> None:
        if self._stop is None:
            self._stop = self._loop.create_task(self._stop_in_order())

    async def _stop_in_order(self) -> None:
        await self._service.stop()
        self.should_exit = True


class Protocol(H11Protocol):
    """HTTP in which a connection ends on which nothing is being answered, whatever it sends, or no answer is taken."""

    _clock: asyncio.TimerHandle | None = None
    _stuck: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:  # noqa: D102 (of asyncio)
        super().connection_made(transport)
        self._wind()

    def handle_events(self) -> None:  # noqa: D102 (of uvicorn)
        super().handle_events()
        if self.cycle is not None and not self.cycle.response_complete and self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def on_response_complete(self) -> None:  # noqa: D102 (of uvicorn)
        super().on_response_complete()
        self._wind()

    def pause_writing(self) -> None:  # noqa: D102 (of asyncio)
        super().pause_writing()
        self._stuck = self.loop.call_later(TAKE_S, self.transport.abort)

    def resume_writing(self) -> None:  # noqa: D102 (of asyncio)
        super().resume_writing()
        if self._stuck is not None:
            self._stuck.cancel()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: D102 (of asyncio)
        super().connection_lost(exc)
        for clock in (self._clock, self._stuck):
            if clock is not None:
                clock.cancel()

    def _wind(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
        self._clock = self.loop.call_later(HEAD_S, self._end)

    def _end(self) -> None:
        # Which waits for the last bytes to be taken.
        self.transport.close()
        self._clock = self.loop.call_later(TAKE_S, self.transport.abort)
