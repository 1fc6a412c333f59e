"""The database: one way to write, one way to read, and the claims that share out the work."""

from postroom.db.claims import Claim, Queue
from postroom.db.engine import Database, moved_away, open_database
from postroom.db.limits import give_tokens, take_tokens, wait_for_token
from postroom.db.migrate import SCHEMA
from postroom.db.named import Named
from postroom.db.place import check_place, is_full
from postroom.db.places import (
    close_gate,
    gate_closed_for,
    give_places,
    open_gate,
    places_wanted,
    take_places,
)
from postroom.db.seats import (
    Owe,
    Seat,
    drop_claims,
    is_living,
    seated,
    workers,
    write_or_owe,
)
from postroom.db.tx import Conflict, Row, Sight, Tx

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
    "Sight",
    "Tx",
    "check_place",
    "close_gate",
    "drop_claims",
    "gate_closed_for",
    "give_places",
    "give_tokens",
    "is_full",
    "is_living",
    "moved_away",
    "open_database",
    "open_gate",
    "places_wanted",
    "seated",
    "take_places",
    "take_tokens",
    "wait_for_token",
    "workers",
    "write_or_owe",
]
