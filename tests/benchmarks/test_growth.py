"""How cost grows: the fit, what is measured, and what is written."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch


@pytest.fixture(autouse=True)
def project_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmarks lie beside the package, not in it."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))


WORKS = {
    ("actions", "scoring head"): lambda found: found.shape == (16, 12),
    ("actions", "path evidence"): lambda found: found[0].shape == (16, 12),
    ("actions", "weights of the path"): lambda found: found.shape[0] == 12,
    ("actions", "training step"): lambda found: found is None,
    ("actions", "report"): lambda found: len(found["recognized_as"]) == 12,
    ("movements", "path evidence"): lambda found: found[0].shape[0] == 16,
    ("movements", "weights of the path"): lambda found: found.shape[1] == 12,
    ("movements", "training step"): lambda found: found is None,
    ("movements", "map of the names"): lambda found: found.shape[0] == found.shape[1],
    ("clips", "epoch of head-only training"): lambda found: found > 0,
    ("clips", "closed-form start"): lambda found: found.performs.shape[0] == 12,
    ("clips", "completing labels"): lambda found: found[1].shape == (12,),
    ("clips", "graph from annotations"): lambda found: len(found.entities("video")) == 12,
    ("clips", "extracting features"): lambda found: found is None,
    ("clips", "reading features"): lambda found: found is None,
    ("clips", "evaluation"): lambda found: found is None,
    ("frames", "clip from its frames"): lambda found: found.shape[0] == 16,
    ("frames", "training step"): lambda found: found is None,
    ("entities", "distances"): lambda found: found.shape == (16, 12),
    ("entities", "ranks"): lambda found: len(found) == 2 * 16 * 5,
}


@pytest.mark.parametrize("name", list(WORKS))
def test_every_work_runs_in_any_size(name: tuple[str, str], tmp_path: Path):
    from benchmarks.growth_work import GROWTHS

    works = {(growth.quantity, growth.work): growth for growth in GROWTHS}
    assert works.keys() == WORKS.keys()
    work = works[name].make(12, tmp_path)
    for _ in range(2):
        assert WORKS[name](work())


def curve(power: float, mib: list[float], *, streams: bool = False) -> Any:
    from benchmarks.growth import Curve, Point

    points = tuple(Point(n, 1e-4 * n**power, m) for n, m in zip((1, 3, 10, 30, 100), mib, strict=True))
    return Curve("clips", "some work", streams, points)


def test_the_exponent_is_that_of_the_upper_end():
    from benchmarks.growth import fitted_exponent

    assert fitted_exponent([(2, 7.0), (6, 7.0), (20, 10.0), (60, 30.0), (200, 100.0)]) == pytest.approx(1)
    assert fitted_exponent([(x, x**1.5) for x in (1, 3)]) == pytest.approx(1.5)


LINEAR = [1.0, 3.0, 10.0, 30.0, 100.0]


@pytest.mark.parametrize(
    ("power", "mib", "streams", "reached"),
    [
        (1.0, LINEAR, False, True),
        (1.0, LINEAR, True, False),
        (1.0, [1.0, 1.0, 2.0, 2.0, 2.5], True, True),
        (1.2, LINEAR, False, False),
        (0.9, [1.0, 3.0, 10.0, 90.0, 1000.0], False, False),
    ],
)
def test_the_bound_is_proportion_and_flat_memory(power: float, mib: list[float], streams: bool, reached: bool):
    found = curve(power, mib, streams=streams)
    assert found.exponent == pytest.approx(power)
    assert found.reached is reached


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read as Linux counts it")
def test_memory_is_what_the_work_takes(monkeypatch: pytest.MonkeyPatch):
    from benchmarks import growth
    from benchmarks.growth_work import Growth

    works = (Growth("x", "y", 1, lambda number, _: lambda: torch.ones(number, 2**18).sum()),)
    monkeypatch.setattr(growth, "GROWTHS", works)
    point = growth.measure(0, 64)
    assert point.number == 64
    assert point.seconds > 0
    assert point.mib == pytest.approx(64, abs=8)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read as Linux counts it")
def test_every_size_has_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    from benchmarks import growth

    # For the process that loads everything once.
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    (found,) = growth.run([growth.GROWTHS[1]], times=(1, 3))
    assert [point.number for point in found.points] == [100, 300]
    assert "path evidence" in capsys.readouterr().err


def test_everything_is_written(tmp_path: Path):
    from benchmarks.growth import write
    from benchmarks.head_memory import HeadMemory

    page = tmp_path / "performance.md"
    page.write_text("Before.\n<!-- growth -->\nold\n<!-- end of growth -->\nAfter.\n")
    write([curve(1.0, LINEAR), curve(2.0, LINEAR)], [HeadMemory(24, 8192, 1024, 8192)], tmp_path)
    text = page.read_text()
    assert text.startswith("Before.\n<!-- growth -->\n")
    assert text.endswith("\n<!-- end of growth -->\nAfter.\n")
    assert "old" not in text
    assert "| clips | some work | 1 → 100 | 100 µs → 10 ms | 1.00 | 1 → 100 | 1.00 | yes |" in text
    assert "| 24 | 8 | 1 | 8 | 17, taken 16 | yes |" in text
    values = json.loads((tmp_path / "growth.json").read_text())
    assert [row["reached"] for row in values["curves"]] == [True, False]
    assert (tmp_path / "images" / "growth.png").read_bytes().startswith(b"\x89PNG")


def test_a_page_without_its_marker_is_left_alone(tmp_path: Path):
    from benchmarks.page import fill

    page = tmp_path / "page.md"
    page.write_text("<!-- growth -->\n")
    with pytest.raises(SystemExit, match="end of growth"):
        fill(page, "growth", "text")
    assert page.read_text() == "<!-- growth -->\n"


def test_allocations_are_counted_at_their_peak():
    from benchmarks.head_memory import allocated

    # Two tensors at once, and a few bytes for numbers.
    assert allocated(lambda: (torch.zeros(1024) + 1).sum()) == pytest.approx(8192, abs=64)


def test_the_head_takes_no_more_than_its_inputs_again(monkeypatch: pytest.MonkeyPatch):
    from benchmarks import head_memory

    monkeypatch.setattr(head_memory, "ACTIONS", (24, 100))
    found = head_memory.head_memory()
    assert [memory.inputs for memory in found] == [40 * 2048, 116 * 2048]
    assert [memory.output for memory in found] == [24 * 64, 100 * 64]
    assert all(memory.reached for memory in found)
    assert not head_memory.HeadMemory(1, 100, 10, 111).reached
