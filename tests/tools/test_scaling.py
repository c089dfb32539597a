"""Plans by hand: hours of each part, what runs beside what, and the bottleneck."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from kgclip.errors import KgclipError
from tools.scaling import Assumed, encoding, main, page, read_costs, training
from tools.unit_costs import UnitCosts

COSTS = UnitCosts(
    device="a processor",
    cores=2,
    decodes_beside=False,
    clip_s=10.0,
    clip_bytes=1_000_000,
    feature_bytes=1000,
    parameter_bytes=10**9,
    decode_core_s=0.2,
    encode_s=0.3,
    train_s=0.9,
    solve_s=0.001,
)
ASSUMED = Assumed(network_gbit_s=8.0)


def test_decoding_and_computing_take_turns_on_the_same_cores():
    plan = encoding(COSTS, ASSUMED, 36_000, 1)
    assert plan.parts == pytest.approx({"network": 0.01, "decoding": 1.0, "encoding": 3.0, "solving": 0.01})
    assert plan.hours == pytest.approx(4.01)
    assert plan.bottleneck == "encoding"


def test_decoding_runs_beside_a_device_of_its_own():
    plan = encoding(replace(COSTS, decodes_beside=True, encode_s=0.01), ASSUMED, 36_000, 1)
    assert plan.hours == pytest.approx(1.01)
    assert plan.bottleneck == "decoding"


def test_machines_share_the_work_but_not_the_solution():
    one, eight = (encoding(COSTS, ASSUMED, 36_000, machines) for machines in (1, 8))
    assert eight.parts["encoding"] == pytest.approx(one.parts["encoding"] / 8)
    assert eight.parts["solving"] == one.parts["solving"]


def test_machines_that_train_together_exchange_gradients():
    """2 (8 - 1) / 8 of 1 GB at 1 GB/s after each of 1,000 steps."""
    assumed = replace(ASSUMED, epochs=1, batch=36)
    assert training(COSTS, assumed, 36_000, 1).parts["exchange"] == 0
    assert training(COSTS, assumed, 36_000, 8).parts["exchange"] == pytest.approx(1000 * 1.75 / 3600)
    assert training(COSTS, assumed, 36_000, 64).bottleneck == "exchange"


def test_the_page_has_a_row_for_each_work_and_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    text = page(COSTS, ASSUMED)
    assert sum(line.startswith(("| encode once", "| train both")) for line in text.splitlines()) == 2 * 3 * 3
    assert "| 1,000,000,000 | 1000 | 1 |" in text
    file = tmp_path / "costs.json"
    file.write_text(json.dumps({"measured": asdict(COSTS)}))
    assert read_costs(file) == COSTS
    assert main([str(file)]) == 0
    assert "a processor" in capsys.readouterr().out


def test_another_file_is_refused(tmp_path: Path):
    file = tmp_path / "costs.json"
    file.write_text("{}")
    with pytest.raises(KgclipError, match=r"costs.json: is no file of unit costs .* write it with"):
        read_costs(file)
