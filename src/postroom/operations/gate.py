"""The gate before the operations of a noun, for whoever is not the operator: one line of doors, one right."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final

from postroom.access import Person
from postroom.errors import Refused
from postroom.operations.doors import BY_NAME, OF_PAGE

__all__ = ["Gate", "check_files", "check_may"]

_OF: Final = {
    "view": "look at that",
    "create": "make credentials",
    "replace": "replace secrets",
    "rebind": "let a stored secret go to another place",
    "destroy": "delete what cannot be brought back",
    "use": "test, run or restart anything",
    "edit": "change definitions",
    "read": "read messages",
    "send": "send",
    "keys": "see to the room's key",
    "users": "see to people and tokens",
    "audit": "read the audit record",
}


class Gate:
    """The operations of one noun that a person may ask for; every other attribute is not there."""

    def __init__(self, noun: str, operations: object, person: Person) -> None:
        self._noun = noun
        self._operations = operations
        self._person = person

    def __getattr__(self, method: str) -> Callable[..., Any]:
        door = BY_NAME.get((self._noun, method))
        right = door.right if door else OF_PAGE.get((self._noun, method))
        if right is None:
            raise AttributeError(f"{self._noun}.{method} has no door")
        operation: Callable[..., Any] = getattr(self._operations, method)
        check = functools.partial(check_may, self._person, right)

        @functools.wraps(operation)
        def asked(*given: Any, **named: Any) -> Any:
            check()
            if named.get("rebind"):
                check_may(self._person, "rebind")
            return operation(*given, **named)

        return asked


def check_may(person: Person, verb: str) -> None:
    """Raise Refused (``not_permitted``) unless the person has that right."""
    if not person.may(verb):
        raise Refused(
            f"{person.actor} may not {_OF[verb]}: that wants the right to {verb}.",
            code="not_permitted",
            hint="An administrator gives it, with another role or token.",
            right=verb,
        )


def check_files(person: Person, what: str) -> None:
    """Raise Refused unless it is somebody with the room's key, or an administrator: files are read and
    written as the user of the server or the worker."""
    if not person.unrestricted:
        raise Refused(
            f"{what} reads or writes files where the room is: {person.actor} may not ask for that.",
            code="not_permitted",
            hint="An administrator may, or whoever works where the room is.",
        )
