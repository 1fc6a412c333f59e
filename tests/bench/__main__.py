"""``python -m tests.bench``: every benchmark beside its peers, as a table (``make bench``)."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.bench.claiming import claiming
from tests.bench.collecting import collecting
from tests.bench.figures import Figure, table
from tests.bench.idling import idling
from tests.bench.jobbing import jobbing
from tests.bench.listing import listing
from tests.bench.plots import IMAGES, plots
from tests.bench.polling import polling
from tests.bench.resolving import resolving
from tests.bench.rooms import ROOT, Scratch, compiled
from tests.bench.sending import sending
from tests.bench.serving import serving
from tests.bench.starting import starting
from tests.bench.tokens import tokens
from tests.bench.wires import wires
from tests.ground import Unavailable

__all__ = ["main"]

PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- table: written by make bench -->", "<!-- table ends -->"
PARTS = (
    "collect",
    "wires",
    "poll",
    "idle",
    "send",
    "resolve",
    "list",
    "claim",
    "start",
    "tokens",
    "jobs",
    "serve",
)


def main(argv: list[str] | None = None) -> int:
    """Measure, print the table, and with --write put it into docs/performance.md."""
    given = _arguments(argv)
    compiled()
    figures: list[Figure] = []
    tmpfs, disk = Scratch(given.tmpfs, at_once=True), Scratch(given.disk, at_once=False)
    parts = _parts(given, tmpfs, disk)
    try:
        if given.plots:
            plots(tmpfs, _say, most=given.most, into=given.images)
            return 0
        for part in given.only or PARTS:
            figures += parts[part]()
    except Unavailable as missing:
        print(missing, file=sys.stderr)
        return 1
    finally:
        disk.clear()
    shown = table(figures)
    print(f"\n{_caption(given)}\n\n{shown}")
    if given.write:
        page = PAGE.read_text("utf-8")
        before, _, rest = page.partition(BEGIN)
        _, _, after = rest.partition(END)
        text = f"{before}{BEGIN}\n{_caption(given)}\n\n{shown}\n{END}{after}"
        PAGE.write_text(text, "utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=PARTS, help="one part; several times")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--messages", type=int, default=10_000, help="to collect")
    parser.add_argument("--folder", type=int, default=50_000, help="messages in a folder to poll")
    parser.add_argument("--mixed", type=int, default=2_000, help="messages of mixed sizes")
    parser.add_argument("--idle", type=int, default=1_000, help="connections in IDLE")
    parser.add_argument("--sends", type=int, default=2_000, help="messages to send")
    parser.add_argument("--opens", type=int, default=20_000, help="credentials to resolve")
    parser.add_argument("--credentials", type=int, default=10_000, help="to list")
    parser.add_argument("--ledger", type=int, default=100_000, help="messages of a served room")
    parser.add_argument("--claims", type=int, default=100_000, help="rows to claim")
    parser.add_argument("--sharing", type=int, default=1_000, help="connections of one client")
    parser.add_argument("--due", type=int, default=2_000, help="runs of a job, due at once")
    parser.add_argument("--tmpfs", type=Path, default=Path("/dev/shm"))
    parser.add_argument("--disk", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--write", action="store_true", help=f"into {PAGE.relative_to(ROOT)}")
    parser.add_argument("--long", action="store_true", help="10,000 mixed, 10,000 in IDLE")
    parser.add_argument("--plots", action="store_true", help="only draw growth, into docs/images")
    parser.add_argument("--most", type=int, default=50_000, help="the largest size of the plots")
    parser.add_argument("--images", type=Path, default=IMAGES, help="where the plots go")
    return parser


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = _parser()
    given = parser.parse_args(argv)
    given.command = _command(given, parser)
    for name in ("mixed", "idle") if given.long else ():
        if getattr(given, name) == parser.get_default(name):
            setattr(given, name, 10_000)
    if given.write and (given.only or given.runs < 3):
        parser.error("--write wants every part and at least 3 runs")
    return given


def _parts(
    given: argparse.Namespace, tmpfs: Scratch, disk: Scratch
) -> dict[str, Callable[[], list[Figure]]]:
    def idle() -> list[Figure]:
        with tmpfs.new() as base:
            return idling(given.idle, given.runs, base, _say)

    runs = given.runs
    return {
        "collect": lambda: collecting(given.messages, runs, tmpfs, disk, _say),
        "wires": lambda: wires(given.mixed, given.messages, runs, tmpfs, _say),
        "poll": lambda: polling(given.folder, runs, 50, tmpfs, _say),
        "idle": idle,
        "send": lambda: sending(given.sends, 2_000, runs, disk, _say),
        "resolve": lambda: resolving(given.opens // 10, given.opens, runs, disk, _say),
        "list": lambda: listing(given.credentials, runs, tmpfs, _say),
        "claim": lambda: claiming(given.claims, runs, disk, _say),
        "start": lambda: starting(5, runs, 3.0, disk, _say),
        "tokens": lambda: tokens(given.sharing, runs, disk, _say),
        "jobs": lambda: jobbing(given.due, runs, disk, _say),
        "serve": lambda: serving(given.credentials, given.ledger, runs, disk, _say),
    }


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _command(given: argparse.Namespace, parser: argparse.ArgumentParser) -> str:
    """What to type for the same: every option that changes what is measured."""
    words = []
    for name, value in vars(given).items():
        if value == parser.get_default(name) or isinstance(value, Path):
            continue
        for one in value if isinstance(value, list) else [value]:
            words.append(f"--{name}" if one is True else f"--{name} {one}")
    return "make bench" + (f' ARGS="{" ".join(words)}"' if words else "")


def _caption(given: argparse.Namespace) -> str:
    """The command, the machine in words and the day."""
    return (
        f"`{given.command}`, medians of {given.runs} runs, {dt.datetime.now(dt.UTC):%Y-%m-%d}: "
        f"{os.cpu_count()} shared cores, {_system()}, Python {sys.version.split()[0]}."
    )


def _system() -> str:
    for line in Path("/etc/os-release").read_text().splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return sys.platform


if __name__ == "__main__":
    sys.exit(main())
