"""What a server wants a person to read (RFC 9051, 7.1: ALERT must be shown): logged, each text once."""

from __future__ import annotations

from collections.abc import Sequence

from postroom.connections import events
from postroom.db import Database
from postroom.log import logger

__all__ = ["alerts_of", "note_alerts"]

_log = logger("connections")


def alerts_of(opened: object) -> list[str]:
    """The alerts of an open store, the last few; POP3 and SMTP have none."""
    return list(getattr(opened, "alerts", ()))


async def note_alerts(
    db: Database, name: str, alerts: Sequence[str], *, side: str, actor: str
) -> None:
    """Note them in the log of a connection, and tell those that are new."""
    if not alerts:
        return
    new = await db.write(
        lambda tx: [each for each in alerts if events.alert(tx, name, each, actor=actor, side=side)]
    )
    for each in new:
        _log.warning("connection %s: the server says: %s", name, each)
