"""The gate before the operations of a noun, for whoever is not the operator: one line of doors, one right."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, TypeVar

from postroom.access import Person, throttle
from postroom.access.rights import MEANS
from postroom.connections.veil import NoServer, alike
from postroom.errors import Refused
from postroom.operations.doors import BY_NAME, OF_PAGE

if TYPE_CHECKING:
    from postroom.operations.desk import Desk

__all__ = ["Gate", "check_files", "check_may"]

T = TypeVar("T")

_TESTS: Final = frozenset(
    {
        ("accounts", "attempt"), ("accounts", "complete"), ("accounts", "connect"),
        ("accounts", "recognise"), ("accounts", "test"), ("client_secrets", "prove"),
        ("collecting", "preview"), ("collecting", "run"), ("connections", "test"),
        ("connections", "trust"), ("credentials", "test"), ("credentials", "trust"),
        ("notify", "test"), ("signins", "sign_in"),
    }
)  # fmt: skip
"""What dials a place that somebody may have just typed, and tells what answered (T59)."""
_ASKING: Final = frozenset(
    {("client_secrets", "prove"), ("signins", "sign_in"), ("signins", "sign_in_by")}
)
"""What asks an authorization server, which is no mail server."""


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
                return self._read(done)
            if (self._noun, method) in _ASKING:
                return self._counted(done, str(given[0]) if given else "it")
            return self._counted(done) if (self._noun, method) in _TESTS else done

        return asked

    async def _read(self, asked: Coroutine[Any, Any, T]) -> T:
        """A command: it counts only where no mail server answers."""
        try:
            return await asked
        except NoServer as error:
            if wait := await self._wait():
                raise throttle.too_often(wait) from error
            raise

    async def _counted(self, asked: Coroutine[Any, Any, T], of: str = "") -> T:
        """What tests; ``of``: of whom an authorization server is asked."""
        if wait := await self._wait():
            asked.close()
            raise throttle.too_often(wait)
        return await (alike(asked, of) if of else asked)

    async def _wait(self) -> float:
        key = self._person.user
        return await self._desk.db.write(lambda tx: throttle.take(tx, throttle.TESTS, key))


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
