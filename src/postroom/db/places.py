"""Places: so many at a time at one gate, shared by every process of the room, first come first served."""

from __future__ import annotations

from postroom.db.claims import LEASE_SECONDS
from postroom.db.tx import Tx

__all__ = [
    "close_gate",
    "gate_closed_for",
    "give_places",
    "open_gate",
    "places_wanted",
    "take_places",
]


def take_places(
    tx: Tx, gate: str, owner: str, *, busy: int, wanted: int, width: int, now: float
) -> bool:
    """Take ``wanted`` places besides those that ``owner`` is ``busy`` in, all of them or none.

    Whoever gets none keeps no idle place either, and waits: nobody who came later is let in before.
    Owners are seats; the places of one that is gone, or frozen for longer than the lease, are free.
    """
    tx.execute(
        "DELETE FROM gate_places WHERE gate = :gate AND owner NOT IN "
        "(SELECT owner FROM workers WHERE heartbeat_at >= :oldest)",
        gate=gate,
        oldest=now - LEASE_SECONDS,
    )
    rows = {
        row["owner"]: row
        for row in tx.all("SELECT * FROM gate_places WHERE gate = :gate", gate=gate)
    }
    mine = rows.pop(owner, None)
    since: float = mine["since"] if mine is not None and mine["wanted"] else now
    free = width - busy - sum(row["held"] for row in rows.values())
    before = any(
        row["wanted"] and (row["since"], row["owner"]) < (since, owner) for row in rows.values()
    )
    got = free >= wanted and not before
    held, waits = (busy + wanted, 0) if got else (busy, wanted)
    if mine is None or (mine["held"], mine["wanted"]) != (held, waits):  # else there is no commit
        _put(tx, gate, owner, held, waits, since)
    return got


def give_places(tx: Tx, gate: str, owner: str, *, busy: int) -> None:
    """Keep the places that ``owner`` is busy in, give back the others, and wait for none."""
    if busy:
        _put(tx, gate, owner, busy, 0, 0.0)
    else:
        tx.execute(
            "DELETE FROM gate_places WHERE gate = :gate AND owner = :owner", gate=gate, owner=owner
        )


def places_wanted(tx: Tx, gate: str, owner: str) -> bool:
    """Whether anybody else waits for a place."""
    return bool(
        tx.value(
            "SELECT 1 FROM gate_places WHERE gate = :gate AND owner <> :owner AND wanted > 0",
            gate=gate,
            owner=owner,
        )
    )


def close_gate(tx: Tx, gate: str, *, seconds: float, now: float) -> None:
    """Let nobody in for so long; a longer closing that is known already stands."""
    tx.execute("DELETE FROM gate_closings WHERE closed_until < :now OR closed_at > :now", now=now)
    tx.execute(
        "INSERT INTO gate_closings (gate, closed_at, closed_until) VALUES (:gate, :now, :until) "
        "ON CONFLICT (gate) DO UPDATE SET closed_at = :now, closed_until = :until "
        "WHERE gate_closings.closed_until < :until",
        gate=gate,
        now=now,
        until=now + seconds,
    )


def open_gate(tx: Tx, gate: str) -> None:
    """Let everybody in again."""
    tx.execute("DELETE FROM gate_closings WHERE gate = :gate", gate=gate)


def gate_closed_for(tx: Tx, gate: str, *, now: float) -> float:
    """Seconds until the gate is open again; 0.0: it is, or the clock was set back since."""
    row = tx.one("SELECT closed_at, closed_until FROM gate_closings WHERE gate = :gate", gate=gate)
    if row is None or row["closed_at"] > now:
        return 0.0
    return max(0.0, float(row["closed_until"]) - now)


def _put(tx: Tx, gate: str, owner: str, held: int, wanted: int, since: float) -> None:
    tx.execute(
        "INSERT INTO gate_places (gate, owner, held, wanted, since) "
        "VALUES (:gate, :owner, :held, :wanted, :since) ON CONFLICT (gate, owner) DO UPDATE "
        "SET held = :held, wanted = :wanted, since = :since",
        gate=gate,
        owner=owner,
        held=held,
        wanted=wanted,
        since=since,
    )
