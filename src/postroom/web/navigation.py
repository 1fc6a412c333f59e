"""The ways through the page: its places in their groups, in the order in which they stand."""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["NAVIGATION", "Place"]


class Place(NamedTuple):
    """A place of the page: its name, where it is, and the right without which it is not shown."""

    label: str
    path: str
    right: str = "view"


NAVIGATION: Final[tuple[tuple[str, tuple[Place, ...]], ...]] = (
    ("", (Place("Overview", "/"),)),
    ("Accounts", (Place("Credentials", "/credentials"), Place("Connections", "/connections"))),
    (
        "Mail",
        (
            Place("Sources", "/sources"),
            Place("Ledger", "/ledger"),
            Place("Services", "/services"),
            Place("Outbox", "/outbox"),
            Place("Messages", "/messages", "read"),
        ),
    ),
    ("Work", (Place("Jobs", "/jobs"), Place("Runs", "/runs"), Place("Variables", "/variables"))),
    (
        "Room",
        (
            Place("Notifications", "/notify"),
            Place("Keys", "/keys", "keys"),
            Place("Audit", "/audit", "audit"),
            Place("Users", "/users", "users"),
            Place("Tokens", "/tokens"),
            Place("Room file", "/room-file"),
            Place("Erase a person", "/erasures", "destroy"),
        ),
    ),
)
"""A place whose page is not there is not shown."""
