"""Operations on the audit record: list it, verify it, keep its head outside, retire what is old."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from postroom import audit
from postroom.audit import Checkpoints
from postroom.clock import rfc3339, timestamp
from postroom.db import Tx
from postroom.errors import InvalidValue, Locked, Refused, RoomError
from postroom.log import logger
from postroom.operations.desk import Desk, instant
from postroom.operations.page import Page, check_page

if TYPE_CHECKING:
    from postroom.operations import models

__all__ = ["NOUNS", "Audit"]

NOUNS: Final = (
    "account", "audit", "backup", "connection", "credential", "environment", "grant", "job", "keys",
    "notification", "outbox", "room", "run", "service", "sign-in", "source", "token", "user",
    "variable",
)  # fmt: skip
"""What rows of the record may be about."""
_log: Final = logger("audit")


class Audit:
    """What a person may ask of the audit record."""

    def __init__(
        self, desk: Desk, mac: Callable[[bytes], bytes] | None, *, keep: float = 400 * 86400.0
    ) -> None:
        """``keep`` is for how many seconds a stream that is over is kept."""
        self._desk = desk
        self._mac = mac
        self._kept_for = keep

    async def list(
        self,
        *,
        noun: str | None = None,
        name: str | None = None,
        action: str | None = None,
        actor: str | None = None,
        since: str | None = None,
        limit: int = 50,
        after: int | None = None,
        checkpoints: bool = False,
    ) -> Page[models.AuditRow]:
        """Who did what to which record, newest first; ``checkpoints`` shows the record's own too.

        A page of it: ``next`` is ``after`` of the call for the one behind it, None at the end.
        ``since`` is a duration back from now (``1h``, ``5d``), a date or an instant.  Raises
        InvalidValue for what is none of these, and for a noun that no row can be about.
        """
        if noun is not None and noun not in NOUNS:
            raise InvalidValue("noun", f"there is no noun {noun!r}; choose of {', '.join(NOUNS)}")
        check_page(limit)
        begin = instant("since", since)

        def body(tx: Tx) -> Page[dict[str, Any]]:
            found = audit.rows(
                tx, limit=limit + 1, noun=noun, name=name, action=action, actor=actor, since=begin,
                checkpoints=checkpoints, before=after,
            )  # fmt: skip
            page = found[:limit]
            more = page[-1]["position"] if len(found) > limit else None
            shown = ({key: row[key] for key in row if key != "position"} for row in page)
            return Page(({**row, "at": rfc3339(row["at"])} for row in shown), next=more)

        return await self._desk.db.read(body)

    async def verify(self, *, heads: Path | None = None) -> builtins.list[str]:
        """What is wrong with the record, first things first; empty when it is whole.

        It is compared with the head that is kept outside, and with that in the file ``heads``.
        """
        return await asyncio.to_thread(self.problems_now, heads)

    def problems_now(self, heads: Path | None = None) -> builtins.list[str]:
        """As :meth:`verify`, for a thread of its own: a long record takes its time."""
        mac, checkpoints = self._keys()
        known: dict[str, tuple[int, str]] = {}
        problems = []
        try:
            kept = checkpoints.outside.head()
        except RoomError as error:
            problems.append(error.sentence)
            kept = None
        given = None if heads is None else checkpoints.outside.read_document(heads)
        for head in filter(None, (kept, given)):
            known[head.stream] = max(known.get(head.stream, (0, "")), (head.seq, head.code))
        return problems + self._desk.db.read_now(lambda tx: audit.verify(tx, mac, known=known))

    async def kept(self) -> models.AuditKept:
        """Where the head is kept outside, and since when (None: nothing is kept there)."""
        _, checkpoints = self._keys()
        try:
            head = await asyncio.to_thread(checkpoints.outside.head)
        except RoomError:
            head = None
        path = checkpoints.outside.path
        return {"path": str(path), "at": None if head is None else rfc3339(head.at)}

    async def write_head(self, to: Path) -> None:
        """Write the newest checkpoint to a file that is not there yet, to be kept elsewhere.

        Raises WrongUse, and Refused for a record that has none yet.
        """
        _, checkpoints = self._keys()
        await self.checkpoint()
        head = await checkpoints.newest()
        if head is None:
            raise Refused("Nothing is recorded yet.")
        await asyncio.to_thread(checkpoints.outside.write_document, head, to)

    async def checkpoint(self) -> None:
        """State the heads of all streams if anything moved; wanted once a minute."""
        _, checkpoints = self._keys()
        await checkpoints.write()

    async def accept(self, why: str) -> None:
        """Begin the head kept outside anew: the database was put back, and it was meant.

        The record keeps who did it and why.
        """
        _, checkpoints = self._keys()
        if not why.strip():
            raise InvalidValue("why", "say in a few words why the room was put back")
        await checkpoints.accept(why.strip(), actor=self._desk.actor)

    async def begin_kept(self, why: str) -> None:
        """Begin the head kept outside for a room that was just made out of a backup.

        Where another room was at its place, what is kept is of rows that this one never had: that is
        accepted, as :meth:`accept` does.  A head that cannot be written is left to ``verify`` to tell.
        """
        _, checkpoints = self._keys()
        with contextlib.suppress(RoomError):
            if await checkpoints.lost() is not None:
                await checkpoints.accept(why, actor=self._desk.actor)
            else:
                await checkpoints.keep()

    async def retire(self) -> int:
        """Remove the streams that are over and older than they are kept; gives how many.

        What is wrong with one that is due is logged, and it stays.
        """
        mac, _ = self._keys()
        before = timestamp() - self._kept_for
        total = 0

        def body(tx: Tx) -> tuple[int, builtins.list[str]]:
            if self._desk.recorder is None:
                raise Locked("The room is closed.")
            return audit.retire(tx, self._desk.recorder, mac, before=before)

        while True:
            count, problems = await self._desk.write(body)
            total += count
            for problem in problems:
                _log.error("not retired: %s", problem)
            if not count:
                return total
            await asyncio.sleep(0)

    def _keys(self) -> tuple[Callable[[bytes], bytes], Checkpoints]:
        if self._mac is None or self._desk.checkpoints is None:
            raise self._desk.locked or Locked("The room is locked.")
        return self._mac, self._desk.checkpoints
