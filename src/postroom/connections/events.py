"""What happened to a connection lately: opened, signed in, failed at which step, restarted; bounded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from postroom.clock import rfc3339, timestamp
from postroom.db import Tx
from postroom.secret import Scrubber, open_secrets

__all__ = ["KEPT", "alert", "erase", "forget", "last_try", "naming", "recent", "record"]

KEPT: Final = 200
"""Events that are kept of each connection; what happens again and again is one event, counted."""
LONGEST: Final = 500
"""Characters of a sentence that are kept."""

_ALIKE: Final = ("actor", "side", "event", "step", "code", "detail")


def record(
    tx: Tx, connection: str, event: str, *, actor: str, side: str = "", step: str = "",
    code: str = "", detail: str = "",
) -> None:  # fmt: skip
    """Note an event; the same as the newest one of that side is only counted.

    ``detail`` was scrubbed when it entered its error; the secrets that are open now are the second
    net.
    """
    key, now = connection.casefold(), timestamp()
    text = Scrubber(open_secrets()).text(detail)[:LONGEST] if detail else ""
    row = {"actor": actor, "side": side, "event": event, "step": step, "code": code, "detail": text}
    newest = tx.one(
        "SELECT id, actor, side, event, step, code, detail FROM connection_events "
        "WHERE connection = :key AND side IN (:side, '') ORDER BY id DESC LIMIT 1",
        key=key,
        side=side,
    )
    if newest is not None and all(newest[name] == row[name] for name in _ALIKE):
        tx.execute(
            "UPDATE connection_events SET at = :now, times = times + 1 WHERE id = :id",
            now=now,
            id=newest["id"],
        )
        return
    tx.execute(
        "INSERT INTO connection_events (connection, since, at, times, actor, side, event, step, "
        "code, detail) VALUES (:key, :now, :now, 1, :actor, :side, :event, :step, :code, :detail)",
        key=key,
        now=now,
        **row,
    )
    tx.execute(
        "DELETE FROM connection_events WHERE connection = :key AND id <= (SELECT id FROM "
        "connection_events WHERE connection = :key ORDER BY id DESC LIMIT 1 OFFSET :kept)",
        key=key,
        kept=KEPT,
    )


def alert(tx: Tx, connection: str, text: str, *, actor: str, side: str) -> bool:
    """Note what a server wants a person to read; False: it has said the same before.

    Servers say it each time that somebody signs in.
    """
    known = tx.value(
        "SELECT id FROM connection_events WHERE connection = :key AND side = :side "
        "AND event = 'alert' AND detail = :detail LIMIT 1",
        key=connection.casefold(),
        side=side,
        detail=Scrubber(open_secrets()).text(text)[:LONGEST],
    )
    if known is None:
        record(tx, connection, "alert", actor=actor, side=side, detail=text)
        return True
    tx.execute(
        "UPDATE connection_events SET at = :now, times = times + 1 WHERE id = :id",
        now=timestamp(),
        id=known,
    )
    return False


def recent(tx: Tx, connection: str, *, limit: int = KEPT) -> list[dict[str, Any]]:
    """The events of a connection as ``--json`` shows them, newest first."""
    rows = tx.all(
        "SELECT since, at, times, actor, side, event, step, code, detail FROM connection_events "
        "WHERE connection = :key ORDER BY at DESC, id DESC LIMIT :limit",
        key=connection.casefold(),
        limit=limit,
    )
    return [
        {**row, "at": rfc3339(row["at"]), "since": rfc3339(row["since"])} for row in map(dict, rows)
    ]


def last_try(tx: Tx, connection: str, side: str) -> dict[str, Any] | None:
    """How it ended when a side was opened last: ``ok``, ``at``, ``said`` where it failed; None: never."""
    row = tx.one(
        "SELECT at, event, detail FROM connection_events WHERE connection = :key AND side = :side "
        "AND event IN ('signed in', 'opened', 'failed') ORDER BY id DESC LIMIT 1",
        key=connection.casefold(),
        side=side,
    )
    if row is None:
        return None
    failed = row["event"] == "failed"
    return {"ok": not failed, "at": rfc3339(row["at"]), "said": row["detail"] if failed else ""}


def naming(tx: Tx, named: Callable[[str], bool]) -> int:
    """How many sentences name somebody."""
    return len(_naming(tx, named))


def erase(tx: Tx, named: Callable[[str], bool]) -> int:
    """Take the sentences away that name somebody; gives how many there were."""
    found = _naming(tx, named)
    for one in found:
        tx.execute("UPDATE connection_events SET detail = 'erased' WHERE id = :id", id=one)
    return len(found)


def _naming(tx: Tx, named: Callable[[str], bool]) -> list[int]:
    rows = tx.all("SELECT id, detail FROM connection_events WHERE detail <> ''")
    return [row["id"] for row in rows if named(row["detail"])]


def forget(tx: Tx, connection: str) -> None:
    """Remove the events of a connection that is deleted."""
    tx.execute("DELETE FROM connection_events WHERE connection = :key", key=connection.casefold())
