"""The message that began a run: its exact bytes and what its source knows of it, kept beside the run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from postroom.clock import rfc3339
from postroom.db import Tx
from postroom.protocols.base import Content

__all__ = [
    "FACTS",
    "KEEP_SECONDS",
    "PURGE_ROWS",
    "content_of",
    "facts",
    "facts_of",
    "keep",
    "purge",
]

FACTS: Final[Mapping[str, str]] = {
    "source": "the source that handed it over",
    "folder": "the folder it lies in",
    "id": "what the commands of that folder call it",
    "from": "its From field, as text",
    "subject": "its subject",
    "received": "when it was received (RFC 3339); empty if no one said",
    "message_id": "its Message-ID",
    "size": "its bytes",
}
"""What is known of the message of a run."""
KEEP_SECONDS: Final = 7 * 86400.0
"""For so long after its run is over a message is kept, as one that was sent is."""
PURGE_ROWS: Final = 200
_LARGE: Final = 1024 * 1024


def facts(
    *,
    source: str,
    folder: str,
    id: str,
    sender: str,
    subject: str,
    received: float | None,
    message_id: str,
    size: int,
) -> dict[str, Any]:
    """The facts of a message, by the names of :data:`FACTS`."""
    return {
        "source": source,
        "folder": folder,
        "id": id,
        "from": sender,
        "subject": subject,
        "received": "" if received is None else rfc3339(received),
        "message_id": message_id,
        "size": size,
    }


def keep(tx: Tx, run: str, *, ledger: int, facts: Mapping[str, Any], content: Content) -> None:
    """Store the message of a run, in the transaction that begins the run.

    Of a large one the room is made first and then filled: it is never in memory as a whole.
    """
    values = {"run": run, "ledger": ledger, "facts": json.dumps(dict(facts))}
    if content.size <= _LARGE:
        tx.execute(_KEEP, **values, content=content.bytes())
        return
    rowid = tx.insert(_MAKE_ROOM, **values, size=content.size)
    with content.open() as stream:
        tx.fill("run_messages", "content", rowid, stream)


_KEEP: Final = (
    "INSERT INTO run_messages (run, ledger, facts, content) "
    "VALUES (:run, :ledger, :facts, :content)"
)
_MAKE_ROOM: Final = (
    "INSERT INTO run_messages (run, ledger, facts, content) "
    "VALUES (:run, :ledger, :facts, zeroblob(:size))"
)


def facts_of(tx: Tx, run: str) -> dict[str, Any] | None:
    """What is known of the message that began a run; None where none did."""
    text = tx.value("SELECT facts FROM run_messages WHERE run = :run", run=run)
    found: dict[str, Any] | None = None if text is None else json.loads(text)
    return found


def content_of(tx: Tx, run: str) -> bytes | None:
    """The exact bytes of the message that began a run; None where none did, or once they were removed."""
    found: bytes | None = tx.value("SELECT content FROM run_messages WHERE run = :run", run=run)
    return found


def purge(tx: Tx, *, now: float) -> int:
    """Remove the bytes of messages whose runs were over a week ago, some at a time; gives how many.

    What is known of them stays as long as the run: it says what the run was about.
    """
    return tx.execute(
        "UPDATE run_messages SET content = NULL WHERE run IN (SELECT run FROM run_messages "
        "JOIN runs ON runs.id = run WHERE content IS NOT NULL AND finished_at < :before LIMIT :most)",
        before=now - KEEP_SECONDS,
        most=PURGE_ROWS,
    )
