"""Reading the audit record: what people list, the last of something, the highest version known."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from postroom.audit.record import ACCEPT, CHECKPOINT, HIGHEST, Mac, is_own
from postroom.db import Row, Tx

__all__ = ["active_term", "highest_version", "last", "purpose", "rows", "term_row"]


def last(tx: Tx, *, noun: str, name: str, action: str | None = None) -> Row | None:
    """The latest row about one record, or None; with ``action`` the latest that did this."""
    return tx.one(
        "SELECT position, stream, seq, at, actor, action, detail, mac FROM audit "
        "WHERE noun = :noun AND name = :name AND (:action IS NULL OR action = :action) "
        "ORDER BY position DESC LIMIT 1",
        noun=noun,
        name=name,
        action=action,
    )


def highest_version(tx: Tx, mac: Mac, record: str, *, name: str) -> int:
    """The highest version of a record that the rows know, by its id and its name; 0 for none.

    The newest row about it whose code fits states the highest there was when it was written; what
    stands beside rows in columns is quickly edited, so it can make the answer higher and never lower.
    Who removes or edits the rows themselves is found by ``verify``, also after putting them back.

    It is looked up once and kept (Tx.kept) until another connection has written, or until this one
    writes a row that states a version of the record.
    """
    kept: int | None = tx.kept.get((HIGHEST, record))
    if kept is None:
        kept = tx.kept[HIGHEST, record] = _highest_version(tx, mac, record, name)
    return kept


def _highest_version(tx: Tx, mac: Mac, record: str, name: str) -> int:
    beside: int | None = tx.value(
        "SELECT version FROM audit WHERE record = :record ORDER BY version DESC LIMIT 1",
        record=record,
    )
    row = _newest_own(tx, mac, lambda below: tx.one(_ABOUT, name=name, below=below))
    told = _detail(row["detail"]) if row is not None else {}
    stated = told.get("version") if told.get("id") == record else None
    return max(beside or 0, stated if isinstance(stated, int) else 0)


def active_term(tx: Tx, mac: Mac) -> tuple[int, str | None] | None:
    """The term of the vault key that the last rotation made active, and the id of that key.

    None where no rotation is told; the id is None where an early release told it.
    """
    row = term_row(tx, mac)
    if row is None:
        return None
    told = _detail(row["detail"])
    return told["term"], told.get("vault_key")


def term_row(tx: Tx, mac: Mac) -> Row | None:
    """The newest row, among those whose code fits, that tells of a rotation of the vault key."""
    return _newest_own(tx, mac, lambda below: tx.one(_TERM, below=below))


def _newest_own(tx: Tx, mac: Mac, below: Callable[[int], Row | None]) -> Row | None:
    """The first whose code fits of the rows below a position that ``below`` gives, the newest first."""
    row = below(2**63 - 1)
    while row is not None and not is_own(tx, mac, row):
        row = below(row["position"])
    return row


_TERM: Final = (
    "SELECT * FROM audit WHERE noun = 'keys' AND name = 'vault' "
    "AND action IN ('rotate', 'remember') AND position < :below ORDER BY position DESC LIMIT 1"
)
_ABOUT: Final = (
    "SELECT * FROM audit WHERE noun = 'credential' AND name = :name AND position < :below "
    "ORDER BY position DESC LIMIT 1"
)


def purpose(row: Row) -> str:
    """What a secret was opened for, as the row of its opening says it."""
    return str(_detail(row["detail"]).get("purpose", ""))


def rows(
    tx: Tx,
    *,
    limit: int = 100,
    noun: str | None = None,
    name: str | None = None,
    action: str | None = None,
    actor: str | None = None,
    since: float | None = None,
    checkpoints: bool = True,
    before: int | None = None,
) -> list[dict[str, Any]]:
    """The latest rows first, for people: ``at`` in seconds, ``detail`` as an object.

    ``before`` is a ``position``: only the rows that were written before that one.

    Names are compared without regard to case.  Without ``checkpoints`` only what somebody did.
    """
    found = tx.all(
        "SELECT position, stream, seq, at, actor, action, noun, name, detail FROM audit "
        "WHERE (:before IS NULL OR position < :before) "
        "AND (:noun IS NULL OR noun = :noun) AND (:name IS NULL OR lower(name) = lower(:name)) "
        "AND (:action IS NULL OR action = :action) AND (:actor IS NULL OR actor = :actor) "
        "AND (:since IS NULL OR at >= :since) "
        "AND (:checkpoints OR name <> :checkpoint OR noun <> 'audit' OR action = :accept) "
        "ORDER BY position DESC LIMIT :limit",
        before=before,
        noun=noun,
        name=name,
        action=action,
        actor=actor,
        since=since,
        checkpoints=int(checkpoints),
        checkpoint=CHECKPOINT,
        accept=ACCEPT,
        limit=limit,
    )
    return [dict(row) | {"detail": _detail(row["detail"])} for row in found]


def _detail(text: str) -> dict[str, Any]:
    """A row that somebody edited is shown too; ``verify`` says that it was."""
    try:
        found = json.loads(text)
    except ValueError:
        return {"text": text}
    return found if isinstance(found, dict) else {"text": text}
