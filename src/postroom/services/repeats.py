"""Repeated requests: what an idempotency key stands for, as long as it is kept."""

from __future__ import annotations

import hmac

from postroom.clock import timestamp
from postroom.db import Row, Tx
from postroom.errors import Refused
from postroom.services import ofrun
from postroom.services.retention import KEEP_CONTENT_SECONDS

__all__ = ["stored_by"]


def stored_by(tx: Tx, service: str, key: str, digest: bytes, *, run: str = "") -> str | None:
    """The item that this request has stored already, or None.

    Raises Refused(``idempotency_conflict``) where the key was used for another message; and a Refused
    that is temporary where another run has stored it and is not over: it may still be cancelled.
    Whoever asks outside of any run wants it sent whatever becomes of that run: it is let go.
    """
    row = tx.one(
        "SELECT id, digest, state, run, finished_at FROM outbox WHERE service = :service "
        "AND idempotency_key = :key", service=service, key=key,
    )  # fmt: skip
    if row is None:
        return None
    if (row["finished_at"] or timestamp()) < timestamp() - KEEP_CONTENT_SECONDS:
        # nobody has tidied up: a room may be used by the library alone
        tx.execute("UPDATE outbox SET idempotency_key = NULL WHERE id = :id", id=row["id"])
        return None
    if not hmac.compare_digest(row["digest"], digest):
        raise Refused(
            f"The idempotency key {key!r} was used for another message of service {service}.",
            code="idempotency_conflict",
            item=row["id"],
            hint="Use a new key for a new message; the same key only repeats the same request.",
        )
    _beside(tx, row, key, run)
    return str(row["id"])


def _beside(tx: Tx, row: Row, key: str, run: str) -> None:
    """What is done about a message that another run holds."""
    if row["run"] in (None, run) or not ofrun.holds(tx, row["id"]):
        return
    if run:
        raise Refused(
            f"The message with the idempotency key {key!r} is held under run {row['run']}, which is "
            "not over: whether it will be sent is not known yet.",
            temporary=True,
            item=row["id"],
            hint="Try again when that run is over.",
        )
    ofrun.free(tx, row["id"], now=timestamp())
