"""Plans for many clips and many machines, from what one clip was measured to cost.

    python -m tools.scaling docs/generated/unit_costs.json --out docs/generated/scaling.md

Every figure is a product of measured unit costs (`python -m tools.unit_costs`) and of what `Assumed` states. A device
is planned with only where its file was measured on one.
"""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

import tyro
from tyro.conf import Positional

from experiments.tables import table
from kgclip.errors import KgclipError
from kgclip.files import atomic_path
from tools.unit_costs import UnitCosts

HOUR = 3600.0
CLIPS = (100_000, 10_000_000, 1_000_000_000)
MACHINES = (1, 8, 64)


@dataclass(frozen=True)
class Assumed:
    """What is not measured: networks and prices differ from place to place."""

    network_gbit_s: float = 10.0
    """of each machine, from the store of videos and between machines"""
    machine_hour: float = 0.10
    """price of a machine without a GPU, an hour"""
    gpu_machine_hour: float = 3.0
    """price of a machine with one, an hour"""
    terabyte_month: float = 20.0
    """price of keeping a terabyte for a month"""
    epochs: int = 10
    """of training both towers"""
    batch: int = 256
    """clips of a step, over all machines"""


@dataclass(frozen=True)
class Options:
    """The options of the command line."""

    costs: Positional[tuple[Path, ...]]
    """files of `python -m tools.unit_costs`, one for each kind of device"""
    out: Path | None = None
    """file to write; else the tables are printed"""
    assumed: Assumed = field(default_factory=Assumed)


@dataclass(frozen=True)
class Plan:
    """Hours of each part of a piece of work, and of all of it.

    Attributes:
        parts: hours by name.
        hours: of the whole, whose parts run beside each other or in turn.
    """

    parts: dict[str, float]
    hours: float

    @property
    def bottleneck(self) -> str:
        """The part that takes longest."""
        return max(self.parts, key=lambda name: self.parts[name])


def read_costs(file: Path) -> UnitCosts:
    """Read what was measured.

    Raises:
        KgclipError: the file is missing or not one of unit costs.
    """
    try:
        return UnitCosts(**json.loads(file.read_text(encoding="utf-8"))["measured"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise KgclipError(
            f"{file}: is no file of unit costs ({error}); write it with python -m tools.unit_costs"
        ) from None


def encoding(costs: UnitCosts, assumed: Assumed, clips: int, machines: int) -> Plan:
    """Every clip is read, decoded and encoded once, and the head solved on one machine."""
    parts = _reading(costs, assumed, clips, machines) | {"encoding": clips * costs.encode_s / machines / HOUR}
    solve = clips * costs.solve_s / HOUR
    return Plan(parts | {"solving": solve}, _together(costs, parts) + solve)


def training(costs: UnitCosts, assumed: Assumed, clips: int, machines: int) -> Plan:
    """Both towers train for some epochs: clips are read and decoded in each, gradients exchanged after every step."""
    shown = clips * assumed.epochs
    parts = _reading(costs, assumed, shown, machines) | {"training": shown * costs.train_s / machines / HOUR}
    steps = shown / assumed.batch
    # A ring sends each gradient nearly twice.
    sent = 2 * (machines - 1) / machines * costs.parameter_bytes
    exchange = steps * _transfer_s(sent, assumed) / HOUR
    return Plan(parts | {"exchange": exchange}, _together(costs, parts) + exchange)


def _reading(costs: UnitCosts, assumed: Assumed, clips: int, machines: int) -> dict[str, float]:
    return {
        "network": clips * _transfer_s(costs.clip_bytes, assumed) / machines / HOUR,
        "decoding": clips * costs.decode_core_s / (machines * costs.cores) / HOUR,
    }


def _transfer_s(size: float, assumed: Assumed) -> float:
    return size * 8 / (assumed.network_gbit_s * 1e9)


def _together(costs: UnitCosts, parts: dict[str, float]) -> float:
    """The network runs beside the rest; decoding takes turns with computing where both need the same cores."""
    if costs.decodes_beside:
        return max(parts.values())
    return max(parts["network"], sum(parts.values()) - parts["network"])


def decode_cores(costs: UnitCosts, machines: int, per_clip_s: float) -> float:
    """Cores that decode as fast as so many machines compute."""
    return machines * costs.decode_core_s / per_clip_s


def page(costs: UnitCosts, assumed: Assumed) -> str:
    """Both tables for one kind of device."""
    kept = [
        [f"{clips:,}", number(clips * costs.clip_bytes / 1e12), number(clips * costs.feature_bytes / 1e12), price]
        for clips in CLIPS
        for price in [number(clips * (costs.clip_bytes + costs.feature_bytes) / 1e12 * assumed.terabyte_month)]
    ]
    rows = []
    for work, plan_of, per_clip_s in (
        ("encode once, solve", encoding, costs.encode_s),
        (f"train both towers, {assumed.epochs} epochs", training, costs.train_s),
    ):
        for clips in CLIPS:
            for machines in MACHINES:
                plan = plan_of(costs, assumed, clips, machines)
                cores = number(decode_cores(costs, machines, per_clip_s))
                hour = assumed.gpu_machine_hour if costs.decodes_beside else assumed.machine_hour
                money = number(plan.hours * machines * hour)
                share = f"{plan.bottleneck} ({plan.parts[plan.bottleneck] / plan.hours:.0%})"
                rows.append([work, f"{clips:,}", str(machines), cores, number(plan.hours), share, money])
    header = ("work", "clips", "machines", "cores that decode", "hours", "bottleneck (share)", "money")
    return (
        f"**{costs.device}.** Measured for a clip of {costs.clip_s:g} s: {costs.clip_bytes / 1e6:.2f} MB, decoding "
        f"{costs.decode_core_s * 1e3:.1f} ms of a core, encoding {costs.encode_s * 1e3:.1f} ms, training "
        f"{costs.train_s * 1e3:.1f} ms, solving {costs.solve_s * 1e3:.2f} ms.\n\n"
        f"{table(('clips', 'videos, TB', 'features, TB', 'a month'), kept)}\n\n{table(header, rows)}\n"
    )


def number(value: float) -> str:
    """Two digits that count."""
    return f"{value:.0f}" if value >= 100 else f"{value:.2g}"


def main(argv: list[str]) -> int:
    """Run the command."""
    options = tyro.cli(Options, args=argv)
    a = options.assumed
    text = (
        f"Assumed: {a.network_gbit_s:g} Gbit/s for each machine; {a.machine_hour:g} an hour of a machine, "
        f"{a.gpu_machine_hour:g} with a GPU, and {a.terabyte_month:g} a terabyte and month, in any currency; {a.batch} "
        "clips a step. Written by `python -m tools.scaling`.\n\n"
        + "\n".join(page(read_costs(file), a) for file in options.costs)
    )
    if options.out is None:
        print(text)
    else:
        with atomic_path(options.out) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KgclipError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
