"""The gate before the operations of a noun, for whoever is not the operator: one line of doors, one right."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, TypeVar

from postroom.access import Person, throttle
from postroom.access.rights import MEANS
from postroom.errors import NoServer, Refused
from postroom.operations.doors import BY_NAME, OF_PAGE

if TYPE_CHECKING:
    from postroom.operations.desk import Desk

__all__ = ["Gate", "check_files", "check_may"]

T = TypeVar("T")

_TESTS: Final = frozenset(
    {
        ("accounts", "attempt"), ("accounts", "complete"), ("accounts", "connect"),
        ("accounts", "recognise"), ("accounts", "test"), ("client_secrets", "add"),
        ("client_secrets", "prove"), ("collecting", "preview"), ("collecting", "run"),
        ("connections", "test"), ("connections", "trust"), ("converting", "convert"),
        ("credentials", "test"), ("credentials", "trust"), ("notify", "test"), ("signins", "sign_in"),
        ("signins", "sign_in_by"),
    }
)  # fmt: skip
"""What dials a place that somebody may have just typed, and tells what answered (T59)."""
_TEST_COMMAND: Final = "test-connection"


class Gate:
    """The operations of one noun that a person may ask for; every other attribute is not there."""

    def __init__(self, noun: str, operations: object, desk: Desk) -> None:
        self._noun = noun
        self._operations = operations
        self._desk = desk
        self._person = desk.person

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
            done = operation(*given, **named)
            if self._person.unrestricted:
                return done
            if (self._noun, method) == ("commands", "run"):
                name = named.get("name") or (given[0] if given else "")
                return self._counted(done) if name == _TEST_COMMAND else self._read(done)
            return self._counted(done) if (self._noun, method) in _TESTS else done

        return asked

    async def _read(self, asked: Coroutine[Any, Any, T]) -> T:
        """Any other command: it counts only where no server answers."""
        db, key = self._desk.db, self._person.user
        _check_wait(await db.read(lambda tx: throttle.look(tx, throttle.TESTS, key)), asked)
        try:
            return await asked
        except NoServer:
            _check_wait(await db.write(lambda tx: throttle.take(tx, throttle.TESTS, key)))
            raise

    async def _counted(self, asked: Coroutine[Any, Any, T]) -> T:
        """What tests."""
        db, key = self._desk.db, self._person.user
        _check_wait(await db.write(lambda tx: throttle.take(tx, throttle.TESTS, key)), asked)
        return await asked


def _check_wait(wait: float, asked: Coroutine[Any, Any, Any] | None = None) -> None:
    """Raise Refused (``too_many``) where there is to be waited; nothing is ``asked`` then."""
    if wait:
        if asked is not None:
            asked.close()
        raise throttle.too_often(wait)


def check_may(person: Person, verb: str) -> None:
    """Raise Refused (``not_permitted``) unless the person has that right."""
    if not person.may(verb):
        raise Refused(
            f"{person.actor} may not {MEANS[verb]}: that wants the right to {verb}.",
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
