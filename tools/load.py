"""How `kgclip serve` bears load: clients that ask on this machine for a while, and one process that just predicts.

    python -m tools.load MODEL clips/*.mp4 --clients 8 --seconds 30

The service is started on loopback and stopped again; everything is bounded. Memory is that of the service with the
processes that read files, and its slope that of a line through the second half of the time.
"""

import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np
import tyro
from tyro.conf import Positional

from kgclip.engine.predict import Recognizer
from kgclip.errors import KgclipError

START_S, ANSWER_S, EVERY_S = 120.0, 120.0, 0.5
MIB = 2**20


@dataclass(frozen=True)
class Options:
    """The options of the command line."""

    model: Positional[Path]
    """the folder that `kgclip train` wrote"""
    clips: Positional[tuple[Path, ...]]
    """videos that are sent, in turn"""
    clients: int = 8
    """who ask at the same time"""
    seconds: float = 30.0
    """how long they do, and how long the one process before them predicts"""


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


@dataclass
class Tally:
    """What the clients saw.

    Attributes:
        seconds: from sending a clip to its explanation, of those that were answered.
        refused: answers 429.
        errors: any other failure, by what it was.
    """

    seconds: list[float] = field(default_factory=list)
    refused: int = 0
    errors: Counter[str] = field(default_factory=Counter)


def ask_until(end: float, address: str, contents: list[bytes], tally: Tally) -> None:
    """Send clips, each when the one before is answered, until a time of the monotonic clock."""
    client, number = Client(address), 0
    while time.monotonic() < end:
        begun = time.monotonic()
        try:
            sent = client.send("clip.mp4", contents[number % len(contents)])
            if sent.status == 429:
                tally.refused += 1
                time.sleep(min(int(sent.headers["retry-after"]), max(0.0, end - time.monotonic())))
                continue
            job = sent.json()
            *_, (last, _) = client.events(job)
            status = client.ask("GET", job["explanation"]).status
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            tally.errors[type(error).__name__] += 1
            continue
        if (sent.status, last, status) == (202, "done", 200):
            tally.seconds.append(time.monotonic() - begun)
        else:
            tally.errors[f"{sent.status}, {last}, {status}"] += 1
        number += 1
    client.close()


def memory_of(process: int) -> int:
    """Bytes that a process and those it started have in memory."""
    children = [int(n) for file in Path(f"/proc/{process}/task").glob("*/children") for n in file.read_text().split()]
    pages = sum(int(Path(f"/proc/{each}/statm").read_text().split()[1]) for each in (process, *children))
    return pages * os.sysconf("SC_PAGE_SIZE")


def slope(samples: list[tuple[float, int]]) -> float:
    """MiB a minute, of a line through the second half of samples of time in seconds and bytes."""
    half = np.array(samples[len(samples) // 2 :])
    return float(np.polyfit(half[:, 0], half[:, 1], 1)[0]) * 60 / MIB


def loop(options: Options) -> float:
    """Clips a second that this process predicts, one after the other."""
    recognizer, count = Recognizer.from_pretrained(options.model), 0
    recognizer.predict(options.clips[0])
    begun = time.monotonic()
    while time.monotonic() < begun + options.seconds:
        recognizer.predict(options.clips[count % len(options.clips)]).to_json()
        count += 1
    return count / (time.monotonic() - begun)


def load(options: Options) -> tuple[Tally, list[tuple[float, int]]]:
    """What clients see of a service that is started for them, and its memory over time."""
    words = [sys.executable, "-m", "kgclip", "serve", str(options.model), "--port", "0"]
    contents = [clip.read_bytes() for clip in options.clips]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline().split(" ")[0].strip()
            if not address:
                raise KgclipError(f"{options.model}: the service does not start; try kgclip serve {options.model}")
            tally, begun, samples = Tally(), time.monotonic(), []
            end = begun + options.seconds
            clients = [
                threading.Thread(target=ask_until, args=(end, address, contents, tally)) for _ in range(options.clients)
            ]
            for client in clients:
                client.start()
            while time.monotonic() < end:
                samples.append((time.monotonic() - begun, memory_of(server.pid)))
                time.sleep(EVERY_S)
            for client in clients:
                client.join()
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(ANSWER_S)
    return tally, samples


def report(options: Options, alone: float, tally: Tally, samples: list[tuple[float, int]]) -> str:
    """All of it in a few lines."""
    errors = dict(tally.errors) or "none"
    if len(tally.seconds) < 2:
        raise KgclipError(f"{len(tally.seconds)} clips were answered, errors: {errors}; give more --seconds")
    parts = statistics.quantiles(tally.seconds, n=100, method="inclusive")
    together = len(tally.seconds) / options.seconds
    return "\n".join(
        (
            f"{options.clients} clients for {options.seconds:g} s: {len(tally.seconds)} clips answered, "
            f"{tally.refused} refused (429), errors: {errors}",
            f"seconds a clip: p50 {parts[49]:.3f}, p95 {parts[94]:.3f}, p99 {parts[98]:.3f}",
            f"clips a second: {together:.1f}, one process that predicts: {alone:.1f}, ratio {together / alone:.2f}",
            f"memory: {samples[-1][1] / MIB:.0f} MiB, slope {slope(samples):+.1f} MiB a minute",
        )
    )


def main(argv: list[str]) -> int:
    """Run the command."""
    options = tyro.cli(Options, args=argv, prog="python -m tools.load", description=__doc__)
    try:
        print(report(options, loop(options), *load(options)))
    except KgclipError as error:
        print(f"load: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
