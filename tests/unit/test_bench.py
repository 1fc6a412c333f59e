"""The parts of the bench run on tiny inputs: a broken bench is noticed before it is needed."""

from __future__ import annotations

import pstats
import sys
from pathlib import Path

import pytest

from tests.bench.__main__ import main
from tests.bench.claiming import claiming
from tests.bench.collecting import collecting
from tests.bench.figures import Figure, Samples, table
from tests.bench.idling import idling
from tests.bench.listing import listing
from tests.bench.plots import Line, draw
from tests.bench.polling import polling
from tests.bench.profiling import VARIABLE
from tests.bench.resolving import resolving
from tests.bench.rooms import Scratch
from tests.bench.sending import sending
from tests.bench.tokens import tokens
from tests.bench.wires import wires


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
    assert len(lines(figures)) == 8
    assert all(figure.ours[0] > 0 for figure in figures)


def test_polling(scratch: Scratch) -> None:
    figures = polling(20, 1, 2, scratch, quiet)
    assert all(figure.ours[0] > 0 for figure in figures)
    assert "kept open, CPU (1 round trip, " in lines(figures)[0]


def test_sending(scratch: Scratch) -> None:
    figures = sending(20, 2000, 1, scratch, quiet)
    assert all(figure.ours[0] > 0 for figure in figures)


def test_resolving(scratch: Scratch) -> None:
    figures = resolving(5, 64, 1, scratch, quiet)
    assert all(figure.ours[0] > 0 for figure in figures)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="later ones watch one thread at a time")
def test_a_profile_of_the_loop_and_of_the_database(
    scratch: Scratch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "profile"))
    for _ in range(2):
        resolving(1, 64, 1, scratch, quiet)
    seen = {
        thread: set(pstats.Stats(str(path)).get_stats_profile().func_profiles)
        for thread in ("main", "postroom-db")
        if (path := tmp_path / "profile" / f"resolve-2.{thread}.prof").with_suffix(".txt").exists()
    }
    assert "open_room" in seen["main"]
    assert "_append" in seen["postroom-db"]
    assert "_append" not in seen["main"]


def test_wires(scratch: Scratch) -> None:
    figures = wires(10, 10, 1, scratch, quiet, far=10, huge=2_000_000)
    assert len(lines(figures)) == 9
    assert all(figure.ours[0] > 0 for figure in figures)


def test_idling(tmp_path: Path) -> None:
    memory, heard = idling(5, 1, tmp_path, quiet)
    assert memory.ours[0] < 1000
    assert heard.peer is not None
    assert min(heard.ours[0], heard.peer.values[0]) > 0


def test_the_caption_names_every_option_that_is_no_default(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = [
        "--only",
        "list",
        "--runs",
        "1",
        "--credentials",
        "20",
        "--long",
        "--mixed",
        "30",
        "--messages",
        "40",
    ]
    assert main(words) == 0
    shown = capsys.readouterr().out
    given = "--only list --runs 1 --messages 40 --mixed 30 --credentials 20 --long"
    assert f'`make bench ARGS="{given}"`, medians of 1 runs' in shown
    assert "| list 20 credentials, 95th percentile" in shown


def test_plots_are_drawn_up_to_a_size(tmp_path: Path) -> None:
    assert main(["--plots", "--most", "12", "--images", str(tmp_path)]) == 0
    curves = {path.name: path.read_text().count("<circle") for path in tmp_path.iterdir()}
    assert curves == {"collect-growth.svg": 3, "idle-growth.svg": 2}


def test_a_plot_has_a_curve_for_each_line() -> None:
    drawn = draw("A & B", "size", "s", [Line("ours", [(1, 0.1), (10, 1)]), Line("<x>", [(1, 2)])])
    assert drawn.count("<circle") == 3
    assert "A &amp; B" in drawn
    assert "&lt;x&gt;" in drawn


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


@pytest.mark.parametrize(
    ("aim", "missed"),
    [
        ("faster", True), (">= 0.5 x", False), (">= 0.51 x", True), ("< 30 ms", False),
        ("< 20 ms", True), ("<= 20 ms", False), ("< 20 ms, < 2 KB", True), ("< 1 s", False),
        ("<= 10 ms more", False), (">= 10,000/s", True), ("20", False), ("2", True), ("", False),
        ("time <= 0.5 x", False), ("time <= 0.4 x", True),
    ],
)  # fmt: skip
def test_an_aim_that_is_missed_says_so(aim: str, missed: bool) -> None:
    figure = Figure("work", "time", [19.0, 20.0, 90.0], Samples("peer", [38.0, 40.0, 180.0]), aim)
    assert figure.missed() == missed
    assert (f"{aim}: missed" in table([figure])) == missed


def test_what_is_no_aim_is_refused() -> None:
    with pytest.raises(ValueError, match="is no aim"):
        Figure("work", "time", [1.0], None, "soon").missed()


def test_listing(scratch: Scratch) -> None:
    figures = listing(30, 1, scratch, quiet)
    assert len(lines(figures)) == 2
    assert all(figure.ours[0] > 0 for figure in figures)


def test_tokens(scratch: Scratch) -> None:
    figures = tokens(8, 1, scratch, quiet)
    assert len(lines(figures)) == 2
    assert figures[1].ours == [2]  # one request an audience, however many connections
