"""The database: one way to write, one way to read, and the claims that share out the work."""

from postroom.db.claims import Claim, Queue, is_living
from postroom.db.engine import Database, open_database
from postroom.db.limits import give_tokens, take_tokens
from postroom.db.seats import Seat
from postroom.db.snapshot import count_rows, faults, open_copy, schema_number, take_snapshot
from postroom.db.tx import Conflict, Row, Tx

__all__ = [
    "Claim",
    "Conflict",
    "Database",
    "Queue",
    "Row",
    "Seat",
    "Tx",
    "count_rows",
    "faults",
    "give_tokens",
    "is_living",
    "open_copy",
    "open_database",
    "schema_number",
    "take_snapshot",
    "take_tokens",
]
