"""The log of a run: lines for people, without secrets, kept as they come; bounded."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Final, Self

from postroom.clock import rfc3339, timestamp
from postroom.db import Row, Tx
from postroom.errors import PostroomError
from postroom.secret import Scrubber, open_secrets

__all__ = [
    "LONGEST",
    "MOST_LINES",
    "Logbook",
    "Write",
    "add_line",
    "last_line",
    "lines",
    "lines_json",
]

LONGEST: Final = 4000
"""Characters of a line; longer ones are cut, and say so."""
MOST_LINES: Final = 10_000
"""Lines of one run; what comes after them is counted."""
FLUSH_SECONDS: Final = 0.25
FLUSH_LINES: Final = 200

Write = Callable[[Callable[[Tx], None]], Awaitable[None]]
"""Makes one write to the room."""


class Logbook:
    """Takes lines at any time and writes them a few at a time: ``async with Logbook(...) as log``.

    A log that cannot be written for a moment (a busy room, a full disk) keeps its lines and tries
    again; it never ends a run.
    """

    def __init__(self, run: str, write: Write, *, first: int) -> None:
        """``first`` is the number of the next line: a run that is begun anew goes on in its log."""
        self._run = run
        self._write = write
        self._next = first
        self._dropped = 0
        self._lines: list[dict[str, Any]] = []
        self._flushing = asyncio.Lock()
        self._beat: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._beat = asyncio.create_task(self._keep_flushing())
        return self

    async def __aexit__(self, *reason: object) -> None:
        if self._beat is not None:
            self._beat.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._beat
        if self._dropped:
            self._put("warning", f"{self._dropped} more lines were not kept.")
        with contextlib.suppress(PostroomError):
            await self.flush()

    def say(self, level: str, text: str) -> None:
        """Take a text (one line or several), with every open secret taken out."""
        scrubbed = Scrubber(open_secrets()).text(text)
        for line in scrubbed.splitlines() or [""]:
            if self._next > MOST_LINES:
                self._dropped += 1
                continue
            clean = "".join(
                c if c.isprintable() or c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in line
            )
            if len(clean) > LONGEST:
                clean = f"{clean[:LONGEST]} (and {len(clean) - LONGEST} characters more)"
            self._put(level, clean)

    def _put(self, level: str, said: str) -> None:
        self._lines.append(
            {"run": self._run, "line": self._next, "at": timestamp(), "level": level, "said": said}
        )
        self._next += 1

    async def flush(self) -> None:
        """Write what was taken.  Raises RoomError; then it is kept."""
        async with self._flushing:
            taken = self._lines[:]
            if taken:
                await self._write(lambda tx: _insert(tx, taken))
                del self._lines[: len(taken)]

    async def _keep_flushing(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            with contextlib.suppress(PostroomError):
                await self.flush()


def _insert(tx: Tx, taken: list[dict[str, Any]]) -> None:
    tx.many(
        "INSERT INTO run_log (run, line, at, level, said) VALUES (:run, :line, :at, :level, :said) "
        "ON CONFLICT (run, line) DO NOTHING",  # of a worker that was taken for dead
        taken,
    )


def add_line(tx: Tx, run: str, level: str, said: str, *, now: float) -> None:
    """Write one line into the log of a run that nobody does."""
    line = {"run": run, "line": last_line(tx, run) + 1, "at": now, "level": level, "said": said}
    _insert(tx, [line])


def lines(tx: Tx, run: str, *, after: int = 0, limit: int = 1000) -> list[Row]:
    """The lines of a run's log behind line ``after``, oldest first."""
    return tx.all(
        "SELECT line, at, level, said FROM run_log WHERE run = :run AND line > :after "
        "ORDER BY line LIMIT :limit",
        run=run,
        after=after,
        limit=limit,
    )


def lines_json(rows: list[Row]) -> list[dict[str, Any]]:
    """Lines as ``--json`` shows them."""
    return [{**dict(row), "at": rfc3339(row["at"])} for row in rows]


def last_line(tx: Tx, run: str) -> int:
    """The number of the last line that was kept; 0: none."""
    found: int | None = tx.value("SELECT max(line) FROM run_log WHERE run = :run", run=run)
    return found or 0
