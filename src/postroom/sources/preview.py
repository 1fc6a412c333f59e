"""The preview: what would happen to the messages on the server, and why.  Changes nothing."""

from __future__ import annotations

import dataclasses
from collections import deque
from typing import Any, Final, Literal

from postroom.clock import format_duration, rfc3339, timestamp
from postroom.db import Database, Row, Tx
from postroom.macros import Template
from postroom.mail.headers import read_date
from postroom.protocols.base import FolderState, MessageStore, Summary
from postroom.sources import cursors
from postroom.sources.naming import Told, display_name
from postroom.sources.reading import HEADERS, header_texts
from postroom.sources.returning import Place, Returning
from postroom.sources.settling import check_actions
from postroom.sources.source import Source
from postroom.sources.verdict import Earlier, Facts, again, judge, returned

__all__ = ["Foreseen", "Preview", "foresee", "preview"]

Would = Literal["collect", "hold", "ignore", "leave"]
_REMEMBERED: Final[dict[str, tuple[Would, str]]] = {
    "pending": ("collect", "listed already; the next pass takes it"),
    "acquired": ("collect", "is being collected"),
    "held": ("hold", "is held"),
    "delivered": ("leave", "was collected; what is to be done on the server is still due"),
    "done": ("leave", "was collected already"),
    "failed": ("leave", "the sink refused it"),
    "ignored": ("leave", "was ignored"),
    "vanished": ("leave", "was gone when it was to be read"),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Foreseen:
    """One message on the server and what a pass would do with it; ``then`` is what follows there."""

    message: str
    name: str
    size: int
    received_at: float | None
    would: Would
    why: str
    then: str

    def as_json(self) -> dict[str, Any]:
        """As ``--json`` shows it."""
        shown = dataclasses.asdict(self)
        shown["received_at"] = None if self.received_at is None else rfc3339(self.received_at)
        return shown


@dataclasses.dataclass(frozen=True, slots=True)
class Preview:
    """What a pass would find: the folder, how many messages it holds, and the newest of them.

    ``first`` tells that nothing of it was ever listed, so ``start`` decides what is taken.
    """

    folder: str
    messages: int
    first: bool
    newest: list[Foreseen]


async def preview(
    db: Database, source_id: str, store_id: str, source: Source, name: Template,
    store: MessageStore, *, last: int,
) -> Preview:  # fmt: skip
    """The input folder and its newest ``last`` messages, newest first.

    Raises WireError, and Refused where the wire cannot do what the source says.
    """
    check_actions(source, store.features)
    since = await db.read(lambda tx: cursors.cursors(tx, source_id, store_id))
    folder = await store.open(source.folders.input, read_only=True, since=since)
    gone = folder.changes.gone if folder.changes is not None else None
    place = Place(source_id, store_id, folder.name)
    newest: deque[str] = deque(maxlen=last)
    async for page in store.newer(""):
        newest.extend(one.id for one in page.summaries)
    summaries = await store.summaries(list(newest), headers=HEADERS)
    cursor = await db.read(lambda tx: cursors.cursor_of(tx, *place))
    fresh = await _fresh(source, store, folder, cursor, newest)
    rows = await db.read(lambda tx: _rows(tx, place, [one.id for one in summaries]))
    unknown = [one for one in summaries if one.id in fresh and one.id not in rows]
    returning = Returning(db, source, db.write, place)
    came_back = await returning.entries(store, unknown, leaving=gone or ())
    now = timestamp()
    found = []
    for one in reversed(summaries):
        facts = _facts(one)
        row = rows.get(one.id)
        would, why, then = foresee(
            source, facts, row, fresh=one.id in fresh, entry=came_back.get(one.id)
        )
        seen = row["first_seen_at"] if row else now
        called = Told(folder.name, facts.sender, facts.subject, facts.received, seen)
        title = display_name(name, called)
        found.append(Foreseen(one.id, title, one.size, facts.received, would, why, then))
    return Preview(folder.name, folder.exists, cursor is None, found)


def foresee(
    source: Source, facts: Facts, row: Row | None, *, fresh: bool, entry: int | None
) -> tuple[Would, str, str]:
    """What a pass would do with one message, why, and what would follow on the server.

    ``row`` is what the ledger remembers of it; ``fresh`` that it lies behind the cursor; ``entry``
    what it was before it came back.
    """
    done = "; ".join(filter(None, (source.sink.begins, _afterwards(source, "done"))))
    if row is not None:
        earlier = Earlier(row["state"], row["size"], row["gone_at"] is not None)
        if again(source, earlier, facts.size):
            return "collect", f"was processed as {row['id']}, and is there again", done
        would, why = _REMEMBERED[row["state"]]
        told = f"{why} ({row['reason']})" if row["reason"] else why
        return would, f"{told}: {row['id']}", done if would == "collect" else "stays"
    if not fresh:
        return "leave", "was there before the start", "stays"
    verdict = judge(source, facts)
    if entry is not None:
        verdict = returned(source, verdict, entry)
    if verdict.state == "ignored":
        return "ignore", verdict.reason, _afterwards(source, "ignored")
    if verdict.state == "held":
        return "hold", verdict.reason, "stays"
    if verdict.state == "skip":
        return "leave", verdict.reason, "stays"
    wait = f"; not before {format_duration(source.stable_time)}" if source.stable_time else ""
    return "collect", f"no rule keeps it back{wait}", done


def _afterwards(source: Source, outcome: Literal["done", "error", "ignored"]) -> str:
    action, target = source.action(outcome), getattr(source.folders, outcome)
    return {
        "keep": "stays",
        "move": f"moves to {target}",
        "copy": f"stays, with a copy in {target}",
        "seen": "stays, marked as seen",
        "flag": "stays, flagged",
        "delete": "is deleted",
    }[action]


def _facts(summary: Summary) -> Facts:
    texts = header_texts(summary.headers)
    received = summary.received or read_date(texts["date"])
    instant = received.timestamp() if received else None
    return Facts(texts["from"], texts["subject"], summary.size, instant)


async def _fresh(
    source: Source,
    store: MessageStore,
    folder: FolderState,
    cursor: cursors.Cursor | None,
    newest: deque[str],
) -> set[str]:
    """Which of them a pass would list as new, were there nothing of them in the ledger."""
    if cursor is None:
        return set() if source.begins == "new" else set(newest)
    if store.features.snapshot or cursor.uidvalidity != folder.uidvalidity:
        return set(newest)
    return {one.id async for page in store.newer(cursor.text) for one in page.summaries}


def _rows(tx: Tx, place: Place, ids: list[str]) -> dict[str, Row]:
    rows = (
        tx.one(
            "SELECT * FROM ledger WHERE source = :source AND store = :store "
            "AND folder = :folder AND message = :message",
            source=place.source,
            store=place.store,
            folder=place.folder,
            message=one,
        )
        for one in ids
    )
    return {row["message"]: row for row in rows if row is not None}
