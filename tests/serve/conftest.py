"""Services on loopback, in a thread of the tests, that end with the test; each waits WAIT_S at most."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from kgclip.engine.predict import Recognizer
from kgclip.serve.server import Server
from kgclip.serve.service import Service, Sizes
from kgclip.serving import Limits, listen
from tools.client import Client

WAIT_S = 60.0


class Running:
    """A service that answers."""

    def __init__(self, address: str, service: Service, server: Server, token: str | None = None):
        self.address, self.service, self.server, self.token = address, service, server, token
        self.clients: list[Client] = []

    def client(self, token: str | None = None) -> Client:
        """One that hangs up when the service ends."""
        self.clients.append(Client(self.address, token))
        return self.clients[-1]

    @property
    def place(self) -> tuple[str, int]:
        """Host and port."""
        host, port = self.address.removeprefix("http://").split(":")
        return host, int(port)

    def connection(self) -> socket.socket:
        """One on which anything may be said."""
        return socket.create_connection(self.place, WAIT_S)

    def uploads(self) -> list[Path]:
        return list(self.service.uploads.iterdir())


@contextmanager
def running(recognizer: Recognizer, folder: Path, limits: Limits, sizes: Sizes, token: str | None) -> Iterator[Running]:
    folder.mkdir()
    listener, answers = listen("127.0.0.1", 0), threading.Event()
    service = Service(recognizer, limits, sizes, folder)
    address: list[str] = []

    def ready(given: str) -> None:
        address.append(given)
        answers.set()

    server = Server(service, listener, token, ready)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    try:
        service.start()
        thread.start()
        assert answers.wait(WAIT_S)
        found = Running(address[0], service, server, token)
        yield found
        for client in found.clients:
            client.close()
    finally:
        server.should_exit = True
        thread.join(WAIT_S)
        service.close()
        listener.close()
    assert not thread.is_alive()
    assert list(folder.iterdir()) == []


Starter = Callable[..., Running]


@pytest.fixture(scope="session")
def clips(figures: Path) -> list[Path]:
    """Test clips of all actions."""
    return sorted((figures / "test_videos").rglob("*.mp4"))


@pytest.fixture(scope="session")
def recognizer(kg_model: Path) -> Recognizer:
    return Recognizer.from_pretrained(kg_model)


@pytest.fixture
def start(recognizer: Recognizer, tmp_path: Path) -> Iterator[Starter]:
    """Starts services of a test's own."""
    with ExitStack() as stack:

        def begin(limits: Any = None, sizes: Any = None, token: str | None = None, model: Any = None) -> Running:
            given = (limits or Limits(), sizes or Sizes(readers=1), token)
            return stack.enter_context(running(model or recognizer, tmp_path / "uploads", *given))

        yield begin


@pytest.fixture(scope="module")
def served(recognizer: Recognizer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The service that tests share, which takes 1 MB and 20 s."""
    folder = tmp_path_factory.mktemp("serve") / "uploads"
    with running(recognizer, folder, Limits(size_mb=1, length_s=20.0), Sizes(readers=1), None) as service:
        yield service
