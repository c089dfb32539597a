"""The solved head from sums over batches, shards and processes is the one that is solved at once."""

import pytest
import torch
from torch import Tensor

from kgclip.models import fit_head, sums
from kgclip.models.closed_form import ClosedForm, Solved, SolvedTargets
from kgclip.models.fit_head import Team, fit_closed_form
from kgclip.models.ridge import fit_ridge
from kgclip.models.sums import RidgeSums, batches_of_sources

N, T, F, K, M = 90, 4, 5, 3, 4


def clips() -> Tensor:
    return torch.randn(N, T, F, generator=torch.Generator().manual_seed(0))


def targets(*, triplet: bool = True, one_source: bool = False) -> SolvedTargets:
    """A fifth of the clips has no label, another no annotation; sources have one to five clips, mixed."""
    draw = torch.Generator().manual_seed(1)
    performs = torch.eye(K)[torch.randint(K, (N,), generator=draw)]
    shows = torch.rand(N, M, generator=draw)
    performs[::5], shows[1::5] = 0.0, 0.0
    sources = torch.zeros(N, dtype=torch.int64) if one_source else torch.randint(35, (N,), generator=draw)
    return SolvedTargets(performs, shows, sources, triplet=triplet)


class Rows:
    """Clips that are read a few at a time, as from a disk."""

    def __init__(self, clips: Tensor):
        self.clips, self.most = clips, 0

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.clips.shape)

    def __getitem__(self, rows: Tensor) -> Tensor:
        self.most = max(self.most, len(rows))
        return self.clips[rows]


def at_once(goal: SolvedTargets) -> tuple[ClosedForm, dict[int, Solved]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit_head, "MOST_AT_ONCE", 2000)
        patch.setattr(fit_head, "MOST_PHASES", 1)
        return fit_closed_form(clips(), goal)


@pytest.fixture
def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit_head, "MOST_AT_ONCE", 10)
    monkeypatch.setattr(sums, "BATCH", 16)
    monkeypatch.setattr("kgclip.models.ridge.LANDMARKS", 30)


def check(found: dict[int, Solved], expected: dict[int, Solved]) -> None:
    assert found.keys() == expected.keys()
    for count, solved in expected.items():
        for name in ("mm", "tri", "shares"):
            torch.testing.assert_close(getattr(found[count], name), getattr(solved, name), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"triplet": False}, {"one_source": True}])
def test_sums_over_batches_solve_as_all_at_once(options: dict[str, bool], few_rows: None):
    goal, rows = targets(**options), Rows(clips())
    head, expected = at_once(goal)
    summed, found = fit_closed_form(rows, goal)
    check(found, expected)
    new = torch.randn(6, T, F, generator=torch.Generator().manual_seed(2))
    check({T: summed(new)}, {T: head(new)})
    assert rows.most <= 30


class Waits(Exception):  # noqa: N818
    """A process has come to a sum whose other parts are not there yet."""


def parts_of(known: list[Tensor], rank: int, count: int, goal: SolvedTargets) -> Tensor | dict[int, Solved]:
    """What a process does that has these sums: its part of the next one, or at the end what it returns."""
    ready, part = iter(known), []

    def total(tensor: Tensor) -> Tensor:
        done = next(ready, None)
        if done is None:
            part.append(tensor.clone())
            raise Waits
        return done.clone()

    try:
        return fit_closed_form(clips(), goal, Team(rank, count, total))[1]
    except Waits:
        return part[0]


def test_sums_of_processes_add_up(few_rows: None):
    goal, known = targets(), []
    _, expected = fit_closed_form(clips(), goal)
    parts = [parts_of(known, rank, 3, goal) for rank in range(3)]
    while isinstance(parts[0], Tensor):
        known.append(torch.stack(parts).sum(dim=0))
        parts = [parts_of(known, rank, 3, goal) for rank in range(3)]
    for found in parts:
        check(found, expected)


def test_ridge_from_sums_is_ridge():
    draw = torch.Generator().manual_seed(0)
    phi, y = torch.randn(60, 8, generator=draw) + 3, torch.randn(60, 2, generator=draw)
    sources = torch.arange(60) // 4
    expected = fit_ridge(phi, y, sources, 0.3)
    collected = RidgeSums(phi[:10].mean(dim=0), 2)
    for rows in torch.randperm(60, generator=draw).split(7):
        collected.add(phi[rows], y[rows])
    fit = collected.solve(0.3)
    torch.testing.assert_close(fit.weight, expected.weight, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(fit.bias, expected.bias, rtol=1e-5, atol=1e-5)
    part = slice(8, 20)
    torch.testing.assert_close(
        fit.left_out(phi[part], y[part], sources[part]), expected.left_out[part], rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("size", [1, 4, 100])
def test_a_source_is_in_one_batch(size: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sums, "BATCH", size)
    sources = torch.randint(9, (50,), generator=torch.Generator().manual_seed(0))
    batches = batches_of_sources(sources)
    assert sorted(torch.cat(batches).tolist()) == list(range(50))
    seen = [set(sources[batch].tolist()) for batch in batches]
    assert sum(map(len, seen)) == len(set().union(*seen))
    assert all(len(batch) <= size or len(values) == 1 for batch, values in zip(batches, seen, strict=True))
