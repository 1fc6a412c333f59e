"""Limits: token buckets kept as rows, so that every process of the room shares them."""

from __future__ import annotations

from postroom.db.tx import Tx

__all__ = ["give_tokens", "take_tokens", "wait_for_token"]


def take_tokens(
    tx: Tx, name: str, *, wanted: int, most: int, per: float, now: float
) -> tuple[int, float]:
    """Take up to ``wanted`` tokens from the bucket ``name``.

    The bucket holds at most ``most`` and refills at ``most`` in ``per`` seconds.  Gives how many
    were taken, and in how many seconds the next one will be there (0.0 when all were taken).
    """
    tokens, rate = _level(tx, name, most, per, now), most / per
    taken = min(wanted, int(tokens + 1e-9))
    left = tokens - taken
    tx.execute(
        "INSERT INTO limits (name, tokens, updated_at) VALUES (:name, :tokens, :now) "
        "ON CONFLICT (name) DO UPDATE SET tokens = :tokens, updated_at = :now",
        name=name,
        tokens=left,
        now=now,
    )
    return taken, 0.0 if taken == wanted else (1.0 - left) / rate


def wait_for_token(tx: Tx, name: str, *, most: int, per: float, now: float) -> float:
    """In how many seconds there is a token in the bucket; 0.0 if there is one, which stays there."""
    tokens = _level(tx, name, most, per, now)
    return 0.0 if tokens + 1e-9 >= 1 else (1.0 - tokens) * per / most


def _level(tx: Tx, name: str, most: int, per: float, now: float) -> float:
    row = tx.one("SELECT tokens, updated_at FROM limits WHERE name = :name", name=name)
    if row is None:
        return float(most)
    # a clock that jumped back must not freeze the bucket, nor a jump forward overfill it
    elapsed = max(0.0, now - row["updated_at"])
    return min(float(most), float(row["tokens"] + elapsed * most / per))


def give_tokens(tx: Tx, name: str, count: int) -> None:
    """Put tokens back that were taken and not needed; the next refill keeps the bucket's size."""
    tx.execute(
        "UPDATE limits SET tokens = tokens + :count WHERE name = :name", name=name, count=count
    )
