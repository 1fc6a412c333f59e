"""The synchronous library, generated from the asynchronous one: one thread runs the loop.

Every public method of the asynchronous classes is wrapped once, with its own signature and
docstring; what it returns is wrapped when it is one of those classes.  There is no second
implementation to keep in step.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
import typing
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Self

from postroom.library.opening import aopen, arestore_backup, averify_backup
from postroom.library.room import (
    AsyncConnection,
    AsyncFolder,
    AsyncRoom,
    AsyncService,
)
from postroom.operations.backup import Restored, Verified
from postroom.operations.keys import Keks
from postroom.secret import Secret

__all__ = ["SyncRoom", "open", "restore_backup", "verify_backup"]


class _Portal:
    """One thread with an event loop; synchronous callers hand it coroutines and wait."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="postroom-library", daemon=True
        )
        self._thread.start()

    def call(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run to the end and give the result, or raise what it raised."""
        future: Future[Any] = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def iterate(self, items: AsyncIterator[Any]) -> Iterator[Any]:
        """Go through an asynchronous iterator, closing it when the caller stops early."""

        async def following() -> Any:
            return await anext(items, _END)

        try:
            while (item := self.call(following())) is not _END:
                yield item
        finally:
            close = getattr(items, "aclose", None)
            if close is not None:
                self.call(close())

    def end(self) -> None:
        """Stop the loop and its thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


_END = object()
_TARGETS = (
    AsyncRoom,
    AsyncService,
    AsyncConnection,
    AsyncFolder,
    Keks,
    *typing.get_type_hints(AsyncRoom).values(),
)
"""What is generated: the room, what it makes, and the operations of every noun that it has."""


class _Synchronous:
    """The base of the generated classes: holds the asynchronous object and the portal."""

    def __init__(self, portal: _Portal, wrapped: Any) -> None:
        self._portal = portal
        self._wrapped = wrapped
        # what a room has by the name of a noun, and a noun for a part of its own
        for noun, operations in (getattr(wrapped, "__dict__", None) or {}).items():
            if not noun.startswith("_") and type(operations) in _GENERATED:
                setattr(self, noun, _GENERATED[type(operations)](portal, operations))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


def _generate(target: type) -> type[_Synchronous]:
    members: dict[str, Any] = {"__doc__": target.__doc__}
    for name, function in inspect.getmembers(target, inspect.isfunction):
        if not name.startswith("_") and not _takes_transaction(function):
            members[name] = _wrap(function)
    return type(target.__name__.replace("Async", "Sync"), (_Synchronous,), members)


def _takes_transaction(function: Callable[..., Any]) -> bool:
    """Methods that run inside somebody's transaction are for the house, not for callers."""
    return "tx" in inspect.signature(function).parameters


def _wrap(function: Callable[..., Any]) -> Callable[..., Any]:
    name = function.__name__

    @functools.wraps(function)
    def synchronous(self: _Synchronous, *args: Any, **named: Any) -> Any:
        found = getattr(self._wrapped, name)(*args, **named)
        if inspect.iscoroutine(found):
            found = self._portal.call(found)
        elif inspect.isasyncgen(found):
            return self._portal.iterate(found)
        generated = _GENERATED.get(type(found))
        return found if generated is None else generated(self._portal, found)

    synchronous.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return synchronous


_GENERATED: dict[type, type[_Synchronous]] = {target: _generate(target) for target in _TARGETS}


class SyncRoom(_GENERATED[AsyncRoom]):  # type: ignore[misc,valid-type]  # generated above, from AsyncRoom
    """An opened room for synchronous programs; ``with postroom.open() as room``."""

    def __init__(self, portal: _Portal, room: AsyncRoom, leave: Callable[[], Any]) -> None:
        super().__init__(portal, room)
        self._leave: Callable[[], Any] | None = leave

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the room and end its thread.  Calling it twice is fine."""
        leave, self._leave = self._leave, None
        if leave is not None:
            try:
                self._portal.call(leave())
            finally:
                self._portal.end()


def open(  # noqa: A001  # postroom.open is the library's own verb
    room: str | Path | None = None,
    *,
    kek: str | None = None,
    token: str | Secret | None = None,
    trust: str | Path | None = None,
) -> SyncRoom:
    """Open a room for synchronous use; the arguments are those of :func:`aopen`."""
    portal = _Portal()
    opening = aopen(room, kek=kek, token=token, trust=trust)
    try:
        opened = portal.call(opening.__aenter__())
    except BaseException:
        portal.end()
        raise
    if type(opened) not in _GENERATED:
        from postroom.library.remote import REMOTE  # of a room that is served, and of none else

        _GENERATED.update({target: _generate(target) for target in REMOTE})
    return SyncRoom(portal, opened, lambda: opening.__aexit__(None, None, None))


def restore_backup(
    file: str | Path, *, room: str | Path | None = None, kek: str | None = None
) -> Restored:
    """Make the room of a backup; the arguments are those of :func:`arestore_backup`."""
    result: Restored = _once(arestore_backup(file, room=room, kek=kek))
    return result


def verify_backup(file: str | Path, *, kek: str | None = None) -> Verified:
    """Check a backup; the arguments are those of :func:`averify_backup`."""
    result: Verified = _once(averify_backup(file, kek=kek))
    return result


def _once(coroutine: Coroutine[Any, Any, Any]) -> Any:
    portal = _Portal()
    try:
        return portal.call(coroutine)
    finally:
        portal.end()
