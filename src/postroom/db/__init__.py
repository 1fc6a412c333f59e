"""The database: one way to write, one way to read, and the claims that share out the work."""

from postroom.db.claims import Claim, Queue, is_living
from postroom.db.engine import Database, moved_away, open_database
from postroom.db.limits import give_tokens, take_tokens
from postroom.db.migrate import SCHEMA
from postroom.db.place import check_place
from postroom.db.seats import Seat, drop_claims, seated
from postroom.db.snapshot import count_rows, faults, open_copy, schema_number, take_snapshot
from postroom.db.tx import Conflict, Row, Tx
from postroom.db.upgrading import Upgraded, upgrade

__all__ = [
    "SCHEMA",
    "Claim",
    "Conflict",
    "Database",
    "Queue",
    "Row",
    "Seat",
    "Tx",
    "Upgraded",
    "check_place",
    "count_rows",
    "drop_claims",
    "faults",
    "give_tokens",
    "is_living",
    "moved_away",
    "open_copy",
    "open_database",
    "schema_number",
    "seated",
    "take_snapshot",
    "take_tokens",
    "upgrade",
]
