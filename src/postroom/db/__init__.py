"""The database: one way to write, one way to read, and the claims that share out the work."""

from postroom.db.claims import Claim, Queue
from postroom.db.engine import Database, moved_away, open_database
from postroom.db.limits import give_tokens, take_tokens
from postroom.db.migrate import SCHEMA
from postroom.db.named import Named
from postroom.db.place import check_place
from postroom.db.seats import (
    Owe,
    Seat,
    drop_claims,
    how_many_living,
    is_living,
    seated,
    workers,
    write_or_owe,
)
from postroom.db.tx import Conflict, Row, Tx

__all__ = [
    "SCHEMA",
    "Claim",
    "Conflict",
    "Database",
    "Named",
    "Owe",
    "Queue",
    "Row",
    "Seat",
    "Tx",
    "check_place",
    "drop_claims",
    "give_tokens",
    "how_many_living",
    "is_living",
    "moved_away",
    "open_database",
    "seated",
    "take_tokens",
    "workers",
    "write_or_owe",
]
