"""The database: one way to write, one way to read, and the claims that share out the work."""

from postroom.db.claims import Claim, Queue, is_living, living
from postroom.db.engine import Database, open_database
from postroom.db.limits import give_tokens, take_tokens
from postroom.db.seats import Seat
from postroom.db.tx import Conflict, Row, Tx

__all__ = [
    "Claim",
    "Conflict",
    "Database",
    "Queue",
    "Row",
    "Seat",
    "Tx",
    "give_tokens",
    "is_living",
    "living",
    "open_database",
    "take_tokens",
]
