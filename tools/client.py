"""One who asks `kgclip serve`, for its tests and the load on it."""

import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

ANSWER_S = 120.0
"""Longest that an answer is waited for."""


@dataclass(frozen=True)
class Answer:
    """What a service answered: status, headers in lower case, body."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Client:
    """One who asks a service, over one connection.

    Args:
        address: of the service, such as "http://127.0.0.1:8000".
        token: where it wants one.
    """

    def __init__(self, address: str, token: str | None = None):
        place = urlsplit(address)
        self._connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=ANSWER_S)
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """One request; names of headers are given with _ for -."""
        with self.asked(method, path, body, **headers) as response:
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())

    def asked(self, method: str, path: str, body: Any = None, **headers: str) -> http.client.HTTPResponse:
        """The response to one request, its body not yet read."""
        given = self._headers | {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            self._connection.request(method, path, body, given, encode_chunked=False)
            return self._connection.getresponse()
        except (ConnectionError, http.client.HTTPException):
            self._connection.close()
            raise

    def send(self, name: str, content: Any, *, page: bool = False) -> Answer:
        """Send a clip: bytes, or pieces of them."""
        place = f"/v1/jobs?name={quote(name, safe='')}" + "&page=true" * page
        return self.ask("POST", place, content, Content_Type="application/octet-stream")

    def events(self, job: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        """The events of a job until the last: their names and data."""
        with self.asked("GET", job["events"]) as response:
            name = ""
            for line in response:
                key, _, value = line.decode().rstrip("\n").partition(": ")
                if key == "event":
                    name = value
                elif key == "data":
                    yield name, json.loads(value)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()
