"""The parts of the bench run on tiny inputs: a broken bench is noticed before it is needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.claiming import claiming
from tests.bench.collecting import collecting
from tests.bench.figures import Figure, Samples, table
from tests.bench.resolving import resolving
from tests.bench.rooms import Scratch
from tests.bench.sending import sending


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    """Directories that pytest removes."""
    return Scratch(tmp_path, at_once=True)


def lines(figures: list[Figure]) -> list[str]:
    return table(figures).splitlines()[2:]


def quiet(line: str) -> None:
    """Nobody listens."""


def test_collecting(scratch: Scratch) -> None:
    figures = collecting(20, 1, scratch, scratch, quiet)
    assert len(lines(figures)) == 7
    assert all(figure.ours[0] > 0 for figure in figures)


def test_sending(scratch: Scratch) -> None:
    figures = sending(20, 2000, 1, scratch, quiet)
    assert all(figure.ours[0] > 0 for figure in figures)


def test_resolving(scratch: Scratch) -> None:
    figures = resolving(5, 64, 1, scratch, quiet)
    assert all(figure.ours[0] > 0 for figure in figures)


def test_claiming(scratch: Scratch) -> None:
    figures = claiming(2500, 1, scratch, quiet)
    assert all(figure.ours[0] > 0 for figure in figures)


def test_ratios_are_of_the_same_run() -> None:
    """A slow second run slows both: its ratio counts like the others, its figures do not mix."""
    peer = Samples("peer", [10.0, 2.0, 11.0])
    faster = Figure("work", "rate", [20.0, 4.0, 33.0], peer, ">= 2 x")
    assert faster.ratio() == 2.0
    slower = Figure("work", "rate", [20.0, 4.0, 33.0], peer, as_time=True)
    assert slower.ratio() == 0.5
    assert "| work | 20/s     | peer: 10.0/s" in table([faster])
