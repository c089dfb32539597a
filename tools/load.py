"""How `kgclip serve` bears load: clients that ask on this machine for a while, and one process that just predicts.

    python -m tools.load --clients 1 10 50 --seconds 600
    python -m tools.load MODEL clips/*.mp4 --clients 8 --seconds 30

The service is started on loopback and stopped again; everything is bounded. Without a model, one of synthetic figures
is trained, which takes a minute. Exit code 1 says that a client saw an error other than 429.
"""

import http.client
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tyro
from tyro.conf import FlagCreatePairsOff, Positional

from kgclip.config import OptimConfig, TrainConfig
from kgclip.engine.predict import Recognizer
from kgclip.engine.train import train
from kgclip.errors import KgclipError
from kgclip.files import atomic_path
from kgclip.synthetic.dataset import SyntheticOptions, generate
from tools.client import ANSWER_S, Client

PAGE = Path(__file__).resolve().parents[1] / "docs" / "generated" / "load.md"
EVERY_S = 1.0
FIRST = 0.1
"""Numbers of clients before the last, and the one process, have this share of the time."""
WARM_UP = 0.25
"""Share of the time after which memory counts."""
MIB = 2**20


@dataclass(frozen=True)
class Options:
    """The options of the command line."""

    paths: Positional[tuple[Path, ...]] = ()
    """the folder that `kgclip train` wrote, and videos that are sent, in turn"""
    clients: tuple[int, ...] = (1, 10, 50)
    """who ask at the same time; of several numbers one after the other, of one service"""
    seconds: float = 30.0
    """how long the last number of clients does; those before, and the one process, a tenth of that"""
    write: FlagCreatePairsOff[bool] = False
    """write docs/generated/load.md"""


@dataclass
class Tally:
    """What some clients saw.

    Attributes:
        clients: their number.
        seconds: from sending a clip to its explanation, of those that were answered.
        refused: answers 429.
        errors: any other failure, by what it was.
        took_s: from the first clip to the last answer.
    """

    clients: int = 1
    seconds: list[float] = field(default_factory=list)
    refused: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    took_s: float = 0.0

    @property
    def a_second(self) -> float:
        """Clips that were answered."""
        return len(self.seconds) / self.took_s


Sample = tuple[float, dict[str, int]]
"""Seconds, and bytes by process."""


def ask_until(end: float, address: str, contents: Sequence[bytes], tally: Tally) -> None:
    """Send clips, each when the one before is answered, until a time of the monotonic clock."""
    client, number = Client(address), 0
    while time.monotonic() < end:
        begun = time.monotonic()
        try:
            sent = client.send("clip.mp4", contents[number % len(contents)])
            if sent.status == 429:
                tally.refused += 1
                client.close()  # as the service does, where nothing is asked for some seconds
                time.sleep(max(0.0, min(int(sent.headers["retry-after"]), end - time.monotonic())))
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


def memory_of(process: int) -> dict[str, int]:
    """Bytes that the service and each process it started hold for themselves, which no file could give back."""
    children = {int(n) for file in Path(f"/proc/{process}/task").glob("*/children") for n in file.read_text().split()}
    names = {"service": process} | {f"reader {n}": pid for n, pid in enumerate(sorted(children), 1)}
    return {name: _anonymous(pid) for name, pid in names.items()}


def _anonymous(process: int) -> int:
    for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) * 1024
    raise KgclipError(f"process {process}: its memory is not to be seen here; run this on Linux")


def slope(samples: Sequence[Sample], process: str | None = None) -> float:
    """MiB a minute of a process, or of all together: of the least squares' line through samples after the warm-up."""
    first = samples[0][0] + WARM_UP * (samples[-1][0] - samples[0][0])
    warm = [
        (at, sum(held.values()) if process is None else held[process])
        for at, held in samples
        if at >= first and (process is None or process in held)
    ]
    times_s, held = np.array(warm, np.float64).T
    return round(float(np.polyfit(times_s, held, 1)[0]) * 60 / MIB, 2) + 0.0  # no "-0.00"


def loop(model: Path, clips: Sequence[Path], seconds: float) -> float:
    """Clips a second that this process predicts, one after the other."""
    recognizer, count = Recognizer.from_pretrained(model), 0
    recognizer.predict(clips[0])
    begun = time.monotonic()
    while time.monotonic() < begun + seconds:
        recognizer.predict(clips[count % len(clips)]).to_json()
        count += 1
    return count / (time.monotonic() - begun)


@contextmanager
def service(model: Path) -> Iterator[tuple[str, int]]:
    """The address and the process of a service that runs so long."""
    words = [sys.executable, "-m", "kgclip", "serve", str(model), "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline().split(" ")[0].strip()
            if not address:
                raise KgclipError(f"{model}: the service does not start; try kgclip serve {model}")
            yield address, server.pid
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(ANSWER_S)


def load(
    address: str, process: int, contents: Sequence[bytes], clients: int, seconds: float
) -> tuple[Tally, list[Sample]]:
    """What so many clients see of a service, and its memory over the time."""
    tally, begun, samples = Tally(clients), time.monotonic(), []
    end = begun + seconds
    threads = [threading.Thread(target=ask_until, args=(end, address, contents, tally)) for _ in range(clients)]
    for thread in threads:
        thread.start()
    while time.monotonic() < end:
        with suppress(OSError):  # a reader was replaced in this moment
            samples.append((time.monotonic() - begun, memory_of(process)))
        time.sleep(EVERY_S)
    for thread in threads:
        thread.join()
    tally.took_s = time.monotonic() - begun
    return tally, samples


def report(alone: float, tallies: Sequence[Tally], samples: Sequence[Sample]) -> str:
    """All of it in two tables."""
    lines = [
        "| clients | answered | refused (429) | other errors | p50 s | p95 s | p99 s | clips/s | of one process |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for tally in tallies:
        if not tally.seconds:
            raise KgclipError(
                f"{tally.clients} clients: no clip was answered, {dict(tally.errors)}; give more --seconds"
            )
        errors = ", ".join(f"{count} {what}" for what, count in tally.errors.items()) or "0"
        parts = " | ".join(f"{part:.3f}" for part in np.percentile(tally.seconds, (50, 95, 99)))
        lines.append(
            f"| {tally.clients} | {len(tally.seconds)} | {tally.refused} | {errors} | {parts} | {tally.a_second:.1f} | "
            f"{tally.a_second / alone:.2f} |"
        )
    lines += ["", f"One process that calls `predict` in a loop: {alone:.1f} clips a second.", ""]
    lines += ["| process | MiB at the end | MiB a minute |", "|---|---|---|"]
    last = samples[-1][1]
    for name in last:
        lines.append(f"| {name} | {last[name] / MIB:.0f} | {slope(samples, name):+.2f} |")
    lines.append(f"| together | {sum(last.values()) / MIB:.0f} | {slope(samples):+.2f} |")
    return "\n".join(lines)


def page(options: Options, text: str, what: str) -> str:
    """docs/generated/load.md."""
    machine = f"{os.cpu_count()} cores ({platform.machine()})"
    return (
        "# Load on the service\n\n"
        f"Made by `make load` on {machine}, the clients on the same machine, with {what}. The last row's clients asked "
        f"for {options.seconds:g} s, those before and the one process for a tenth of that. Times are from sending "
        "a clip to its explanation, of clips that were not refused; who is refused comes again after `Retry-After`. "
        "Memory is that of the last row, anonymous pages; its slope is that of least squares after the first "
        f"{WARM_UP:.0%} of the time.\n\n{text}\n"
    )


@contextmanager
def figures() -> Iterator[tuple[Path, ...]]:
    """A model of synthetic figures, and clips."""
    with tempfile.TemporaryDirectory(prefix="kgclip-load-") as folder:
        data, model = Path(folder) / "data", Path(folder) / "model"
        generate(data, SyntheticOptions(train_per_action=4, test_per_action=1), progress=False)
        train(TrainConfig(data, model, workers=0, device="cpu", optim=OptimConfig(epochs=3)), show_progress=False)
        yield model, *sorted(data.glob("test_videos/*/*.mp4"))


@contextmanager
def given(options: Options) -> Iterator[tuple[Path, ...]]:
    """The model and the clips."""
    if not options.paths:
        with figures() as made:
            yield made
    elif len(options.paths) == 1:
        raise KgclipError(f"{options.paths[0]}: no clips are named to send; name some after the model, or no model")
    else:
        yield options.paths


def measure(options: Options) -> tuple[str, bool]:
    """The report, and whether all went well."""
    with given(options) as (model, *clips):
        alone = loop(model, clips, FIRST * options.seconds)
        contents, tallies, samples = [clip.read_bytes() for clip in clips], [], []
        with service(model) as (address, process):
            for number, clients in enumerate(options.clients, 1):
                share = 1.0 if number == len(options.clients) else FIRST
                tally, samples = load(address, process, contents, clients, share * options.seconds)
                tallies.append(tally)
    return report(alone, tallies, samples), not any(tally.errors for tally in tallies)


def main(argv: list[str]) -> int:
    """Run the command."""
    options = tyro.cli(Options, args=argv, prog="python -m tools.load", description=__doc__)
    try:
        text, well = measure(options)
    except KgclipError as error:
        print(f"load: {error}", file=sys.stderr)
        return 2
    print(text)
    if options.write:
        what = "a model of synthetic figures" if not options.paths else "another model"
        with atomic_path(PAGE) as file:
            file.write_text(page(options, text, what), encoding="utf-8")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
