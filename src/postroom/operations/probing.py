"""Tests of servers, as a person may ask for them: so many at a time, and no look at every port (T59)."""

from __future__ import annotations

from typing import Final

from postroom.access import throttle
from postroom.access.throttle import Limit
from postroom.operations.desk import Desk
from postroom.operations.entering import take_tries

__all__ = ["TESTS", "give_test_back", "is_veiled", "take_test"]

TESTS: Final = Limit("test of servers", 10, 300.0)
"""Tests that did not end well, a person: a test that ends well gives its place back."""


def is_veiled(desk: Desk) -> bool:
    """Whether they are not told why no mail server answers: everybody but administrators."""
    return not desk.person.unrestricted


async def take_test(desk: Desk) -> None:
    """Count a test of theirs.  Raises Refused (``too_many``).  Whoever has the room's key has no limit."""
    if desk.person.user:
        await take_tries(desk, ((TESTS, desk.person.user),), "", "", who=desk.person)


async def give_test_back(desk: Desk, *, ok: bool) -> None:
    """Count it no more where all was well: it has told nobody of a port."""
    if ok and desk.person.user:
        await desk.db.write(lambda tx: throttle.give_back(tx, TESTS, desk.person.user))
