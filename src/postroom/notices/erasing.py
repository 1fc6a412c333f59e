"""What notices and notifications keep of one person: sentences that name them, and their removal."""

from __future__ import annotations

from collections.abc import Callable

from postroom.db import Tx

__all__ = ["erase", "naming"]


def naming(tx: Tx, named: Callable[[str], bool]) -> int:
    """How many notices, and last outcomes of notifications, name somebody."""
    return len(_notices(tx, named)) + len(_outcomes(tx, named))


def erase(tx: Tx, named: Callable[[str], bool]) -> int:
    """Remove those; gives how many.  A notice of what lasts is found, and told, anew."""
    notices, outcomes = _notices(tx, named), _outcomes(tx, named)
    for cause in notices:
        tx.execute("DELETE FROM notices WHERE cause = :cause", cause=cause)
    for one in outcomes:
        tx.execute("UPDATE notifications SET outcome = '' WHERE id = :id", id=one)
    return len(notices) + len(outcomes)


def _notices(tx: Tx, named: Callable[[str], bool]) -> list[str]:
    rows = tx.all("SELECT cause, said, told_over FROM notices")
    return [row["cause"] for row in rows if named(f"{row['said']} {row['told_over']}")]


def _outcomes(tx: Tx, named: Callable[[str], bool]) -> list[str]:
    rows = tx.all("SELECT id, outcome FROM notifications WHERE outcome <> ''")
    return [row["id"] for row in rows if named(row["outcome"])]
