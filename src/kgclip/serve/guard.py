"""Around every request: who may ask, under which name it is logged, how long it took, and what browsers are told."""

import hashlib
import hmac
import json
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from kgclip.serve.metrics import Metrics

log = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

OPEN = ("/health", "/ready")
"""Answered without a token, as those who watch over the service have none."""
MOST_HEADERS = 100
_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_METHODS = ("GET", "POST", "DELETE", "HEAD", "OPTIONS", "PUT", "PATCH")
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


class Guard:
    """An application around another.

    Args:
        app: the other.
        token: that every request must bring, but for health and readiness; None lets everybody in.
        hosts: names by which the service may be called; None allows any. A page of elsewhere whose name is made to lead
            to this machine gets nothing.
        metrics: what counts the requests.
    """

    def __init__(self, app: App, token: str | None, hosts: tuple[str, ...] | None, metrics: Metrics):
        self._app, self._hosts, self._metrics = app, hosts, metrics
        self._token = None if token is None else _hashed(token.encode())

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, began = dict(scope["headers"]), time.monotonic()
        given = headers.get(b"x-request-id", b"")
        request = given.decode() if _ID.fullmatch(given) else secrets.token_hex(8)
        scope.setdefault("state", {})["request"] = request
        status = 500

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                more = {"x-request-id": request, **HEADERS}
                message["headers"] = [*message["headers"], *((k.encode(), v.encode()) for k, v in more.items())]
            await send(message)

        try:
            refused = self._refusal(scope["path"], headers, len(scope["headers"]))
            if refused is not None:
                await _refuse(sent, *refused, request)
            else:
                await self._app(scope, receive, sent)
        finally:
            self._count(scope, status, time.monotonic() - began, request)

    def _refusal(self, path: str, headers: dict[bytes, bytes], num_headers: int) -> tuple[int, str] | None:
        if num_headers > MOST_HEADERS:
            return 400, f"the request has {num_headers} headers, at most {MOST_HEADERS} are taken; send fewer"
        host = re.sub(rb":\d+$", b"", headers.get(b"host", b"")).decode("latin-1").lower()
        if self._hosts is not None and host not in self._hosts:
            return 400, "the service does not go by this name; call it by its address"
        if self._token is not None and path not in OPEN:
            kind, _, token = headers.get(b"authorization", b"").partition(b" ")
            if kind.lower() != b"bearer" or not hmac.compare_digest(_hashed(token.strip()), self._token):
                return 401, "the token is missing or wrong; send it as Authorization: Bearer TOKEN"
        return None

    def _count(self, scope: Message, status: int, took_s: float, request: str) -> None:
        # The path as it was declared: those with ids in them are no end of names, and ids are secrets.
        route = getattr(scope.get("route"), "path", "other")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.request_seconds.labels(route).observe(took_s)
        if route not in (*OPEN, "/metrics"):
            log.info("request %s: %s %s %d in %.3f s", request, method, route, status, took_s)


def _hashed(token: bytes) -> bytes:
    """Of one length, whatever is given: comparing takes the same time."""
    return hashlib.sha256(token).digest()


async def _refuse(send: Send, status: int, sentence: str, request: str) -> None:
    body = json.dumps({"error": sentence, "request": request}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
