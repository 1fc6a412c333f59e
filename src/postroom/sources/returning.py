"""Messages that come back: processed once, gone from the folder, and there again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final, NamedTuple

from postroom.clock import timestamp
from postroom.db import Database, Row, Tx
from postroom.protocols.base import MessageStore, Summary
from postroom.sources import ledger
from postroom.sources.reading import HEADERS, header_texts, wire_id
from postroom.sources.settling import Write
from postroom.sources.source import Source
from postroom.sources.verdict import Earlier, again

__all__ = ["Place", "Returning"]


class Place(NamedTuple):
    """Where messages are known: the source's id, the mailbox and the folder."""

    source: str
    store: str
    folder: str


class Returning:
    """What is known of the messages that a listing shows, and have been there before."""

    def __init__(self, db: Database, source: Source, write: Write, place: Place) -> None:
        self._db = db
        self._source = source
        self._write = write
        self._place = place

    async def known(self) -> dict[str, Row]:
        """Every message recorded here by what the server calls it: the last that was called so."""
        rows = await self._db.read(lambda tx: ledger.known(tx, *self._place))
        return {
            wire_id(row["message"]): row for row in sorted(rows.values(), key=lambda row: row["id"])
        }

    async def others(self, known: dict[str, Row], summaries: list[Summary]) -> dict[str, str]:
        """Messages under the UIDL of one that was processed and is gone: new keys for them, by UIDL.

        That one counts as gone which was seen to have left, and which was deleted when it was done.
        The size tells them from one that came back, or that the server did not delete after all.
        """
        if self._source.reprocess != "manual":
            return {}
        deletes = self._source.action("done") == "delete"
        found = {
            one.id: row
            for one in summaries
            if (row := known.get(one.id)) is not None
            and row["size"] != one.size
            and row["state"] in ("done", "failed", "ignored", "vanished")
            and (row["gone_at"] is not None or (deletes and row["state"] == "done"))
        }
        await self.left([row["id"] for row in found.values()])
        return {key: _next_key(row["message"]) for key, row in found.items()}

    async def left(self, ids: Sequence[int]) -> None:
        """These are no longer in the folder."""
        if ids:
            await self._write(lambda tx: ledger.left(tx, ids, now=timestamp()))

    async def reopen(self, known: dict[str, Row], summaries: list[Summary]) -> None:
        """What came back or changed under its old key, where the source wants it again."""
        found = [
            (row["id"], one.size)
            for one in summaries
            if (row := known.get(one.id)) is not None
            and again(
                self._source,
                Earlier(row["state"], row["size"], row["gone_at"] is not None),
                one.size,
            )
        ]
        opened = {one for one, _ in found}
        back = [
            row["id"]
            for one in summaries
            if (row := known.get(one.id)) and row["gone_at"] and row["id"] not in opened
        ]
        if found or back:
            now = timestamp()
            due = now + self._source.stable_time

            def body(tx: Tx) -> None:
                _reopen(tx, found, due=due, now=now)
                _back(tx, back)

            await self._write(body)

    async def entries(
        self, store: MessageStore, fresh: list[Summary], *, leaving: Collection[str] = ()
    ) -> dict[str, int]:
        """Which were processed under another key and left: the ledger's id of each, by key.

        Size and time of arrival, which a move keeps, find them; the Message-ID must be the same
        too.  So a second message with an old Message-ID is never taken for the first.

        ``leaving`` has left too, and is not yet noted (a preview notes nothing).
        """
        arrived = [one.received.timestamp() for one in fresh if one.received]
        if not arrived or self._source.reprocess == "automatic":
            return {}
        among = (*self._place, min(arrived), max(arrived))
        rows = await self._db.read(lambda tx: _returnees(tx, *among))
        if 0 < len(leaving) <= _LEAVING:
            rows += await self._db.read(lambda tx: _leaving(tx, self._place, leaving))
        earlier = {(row["received_at"], row["size"], row["message_id"]): row["id"] for row in rows}
        alike = {key[:2] for key in earlier}
        maybe = [
            one for one in fresh if one.received and (one.received.timestamp(), one.size) in alike
        ]
        if maybe and not maybe[0].headers:
            maybe = await store.summaries([one.id for one in maybe], headers=HEADERS)
        found: dict[str, int] = {}
        for one in maybe:
            instant = one.received.timestamp() if one.received else 0.0
            message_id = header_texts(one.headers)["message-id"]
            entry = earlier.get((instant, one.size, message_id))
            if entry is not None:
                found[one.id] = entry
        return found


def _next_key(message: str) -> str:
    name, _, number = message.partition(" ")
    return f"{name} {int(number or 1) + 1}"


def _returnees(
    tx: Tx, source: str, store: str, folder: str, earliest: float, latest: float
) -> list[Row]:
    """What was processed and has left the folder, of those that arrived between two instants."""
    return tx.all(
        "SELECT id, message_id, size, received_at FROM ledger WHERE source = :source "
        "AND gone_at IS NOT NULL AND received_at BETWEEN :earliest AND :latest "
        "AND store = :store AND folder = :folder AND message_id <> '' "
        "AND state IN ('done', 'failed') ORDER BY id",
        source=source,
        store=store,
        folder=folder,
        earliest=earliest,
        latest=latest,
    )


_LEAVING: Final = 500
"""More that left at once are looked up by the next pass only."""


def _leaving(tx: Tx, place: Place, messages: Iterable[str]) -> list[Row]:
    """What was processed, of these keys."""
    text = (
        "SELECT id, message_id, size, received_at FROM ledger WHERE source = :source "
        "AND store = :store AND folder = :folder AND message = :message AND message_id <> '' "
        "AND gone_at IS NULL AND state IN ('done', 'failed')"
    )
    rows = (tx.one(text, **place._asdict(), message=one) for one in messages)
    return [row for row in rows if row is not None]


def _reopen(tx: Tx, found: Iterable[tuple[int, int]], *, due: float, now: float) -> None:
    """Process again what came back or was changed under its old key: (id, size now) of each."""
    tx.many(
        "UPDATE ledger SET state = 'pending', reason = '', attempts = 0, retries = 0, "
        "after_due = '', size = :size, gone_at = NULL, due_at = :due, updated_at = :now "
        "WHERE id = :id",
        [{"id": one, "size": size, "due": due, "now": now} for one, size in found],
    )


def _back(tx: Tx, ids: Iterable[int]) -> None:
    """They are in the folder after all; nothing else changes."""
    tx.many("UPDATE ledger SET gone_at = NULL WHERE id = :id", [{"id": one} for one in ids])
