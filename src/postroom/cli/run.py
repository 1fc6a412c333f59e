"""Running a verb: open the room, do one thing, close it; and what verbs ask people."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import getpass
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from postroom.cli import LOADING, coredumps, show
from postroom.cli.options import OPTIONS
from postroom.errors import PostroomError, Refused, WrongUse
from postroom.log import log_to
from postroom.secret import Secret
from postroom.settings import Served, Settings, served_at, settings_of

if TYPE_CHECKING:
    from pathlib import Path

    from postroom.app import Room
    from postroom.operations.desk import Rebind

__all__ = [
    "Asker",
    "agreed",
    "ask",
    "ask_plain",
    "confirm",
    "in_room",
    "is_afar",
    "loaded",
    "may_ask",
    "outside",
    "rebinding",
    "told",
    "upgraded",
]

T = TypeVar("T")
Asker = Callable[[str], Secret] | None
"""Asks for a secret; None where nobody is there to be asked."""
_USUAL: Final = (700, 10, 10)
"""When Python looks for garbage by itself."""


def in_room(
    body: Callable[[Room], Awaitable[T]],
    *,
    make: bool = False,
    upgrade: bool = False,
    tells_state: bool = False,
) -> T:
    """Open the room, run ``body`` and close the room again; Ctrl-C and SIGTERM end it tidily.

    ``upgrade`` brings a room of an earlier release to the schema of this one first.  A room that is
    locked is told as a note, unless the verb ``tells_state`` itself.
    """
    return _run(lambda: _in_room(body, make, upgrade, tells_state))


def _noting(body: Callable[[Room], Awaitable[T]]) -> Callable[[Room], Awaitable[T]]:
    async def noted(room: Room) -> T:
        answer = await body(room)
        if room.desk.locked is not None:  # what fails for it says so itself
            show.note(f"Note: the room is locked. {room.desk.locked.sentence}")
            show.note(
                "Secrets are masked without a hint, and nothing is written or opened: "
                "postroom keys doctor",
                indent=2,
            )
        return answer

    return noted


def outside(body: Callable[[Settings, Asker], Awaitable[T]]) -> T:
    """Run ``body`` with what was said of room and key, for verbs that want no room that is there."""
    return _run(lambda: _outside(body))


def upgraded() -> tuple[int, int, Path] | None:
    """Upgrade the room if it is of an earlier release: from which schema to which, and the copy."""
    return _run(_upgrade)


def _run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    log_to(level="DEBUG" if OPTIONS.verbose else "INFO" if OPTIONS.logs else "WARNING")
    coredumps.forbid()
    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        show.stopped()
        raise SystemExit(128 + signal.SIGTERM) from None


def _end_tidily() -> None:
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


async def _upgrade(ask: Callable[[str], Secret] | None = None) -> tuple[int, int, Path] | None:
    from postroom.app import upgrade_room

    loaded()

    _end_tidily()
    settings = settings_of(room=OPTIONS.room, kek=OPTIONS.kek)
    return await upgrade_room(settings, ask=ask or _asker())


def _asker() -> Asker:
    """Asks each question once, however often the answer is wanted."""
    return functools.cache(ask) if may_ask() else None


async def _outside(body: Callable[[Settings, Asker], Awaitable[T]]) -> T:
    import postroom.app  # noqa: F401  # what the body is about to load

    loaded()
    _end_tidily()
    return await body(settings_of(room=OPTIONS.room, kek=OPTIONS.kek), _asker())


async def _in_room(
    body: Callable[[Room], Awaitable[T]], make: bool, upgrade: bool, tells_state: bool
) -> T:
    served = None if make or upgrade else served_at(room=OPTIONS.room)
    if served is not None:
        return await _from_afar(body, served)
    from postroom.app import open_room  # half of the start-up: not for the help of a verb

    loaded()
    _end_tidily()
    asking = _asker()
    if upgrade:
        done = await _upgrade(asking)
        if done is not None:
            show.note(told(*done))
    settings = settings_of(room=OPTIONS.room, kek=OPTIONS.kek)
    room = await open_room(settings, make=make, ask=asking)
    try:
        if room.warning:
            show.note(f"Note: {room.warning}")
        return await (body if tells_state else _noting(body))(room)
    finally:
        await room.close()


async def _from_afar(body: Callable[[Room], Awaitable[T]], served: Served) -> T:
    """The same with a room that is served; what it has no door for says so itself."""
    from postroom.library.remote import aopen_served

    loaded()
    _end_tidily()
    async with aopen_served(served) as room:
        return await body(cast("Room", room))


def is_afar(room: Room) -> bool:
    """Whether the room is one that is served, and not opened here."""
    return getattr(room, "afar", False)


def loaded() -> None:
    """All that this command needs is loaded: what comes now may be garbage, and is looked for."""
    if gc.get_threshold()[0] == LOADING:
        gc.freeze()
        gc.set_threshold(*_USUAL)


def told(before: int, after: int, copy: Path) -> str:
    """What an upgrade did, in a sentence."""
    return (
        f"The room was upgraded from schema {before} to {after}. As it was, it is kept in {copy}: "
        "remove that when you no longer want to go back."
    )


def may_ask() -> bool:
    """Whether a person is there to be asked."""
    return sys.stdin.isatty() and not OPTIONS.json


def ask(question: str) -> Secret:
    """Ask for a secret on the terminal, without echo; only where :func:`may_ask` says so."""
    with _at_the_terminal():
        return Secret(getpass.getpass(f"{question.rstrip(': ')}: "))


def ask_plain(question: str) -> str:
    """Ask for something that is no secret; an empty text when nobody is there."""
    if not may_ask():
        return ""
    with _at_the_terminal():
        print(f"{question}: ", end="", file=sys.stderr, flush=True)
        return input().strip()


def confirm(question: str) -> bool:
    """Ask yes or no; ``--yes`` answers for everybody, and where nobody is, the answer is no."""
    if OPTIONS.yes:
        return True
    return ask_plain(f"{question} [y/N]").lower() in ("y", "yes")


def agreed(question: str, *, otherwise: str = "Not deleted.") -> None:
    """Ask before something is gone for good.  Raises WrongUse unless the answer is yes."""
    if not confirm(question):
        raise WrongUse(otherwise, hint="Confirm it with --yes.")


@contextlib.contextmanager
def _at_the_terminal() -> Iterator[None]:
    """Ctrl-C ends a question at once: the event loop would only note it, and wait for the answer."""
    old = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        for each in old:
            signal.signal(each, signal.default_int_handler)
        yield
    except KeyboardInterrupt:
        print(file=sys.stderr)
        raise
    finally:
        for each, handler in old.items():
            signal.signal(each, handler)


async def rebinding(call: Callable[[Rebind], Awaitable[T]], *, rebind: bool = False) -> T:
    """Run ``call(rebind)``; when it would present a stored secret elsewhere, show where and ask.

    A yes permits the lines that were shown and no other: the next one is asked about again.
    """
    agreed: set[tuple[str, str]] = set()
    while True:
        try:
            return await call(rebind or frozenset(agreed))
        except PostroomError as error:
            if error.code != "secret_reentry_required" or rebind:
                raise
            credential: str = error.facts["credential"]
            lines: list[str] = error.facts["lines"]
            show.note(f"This would present the stored secret of {credential} to:")
            for line in lines:
                show.note(f"  {line}")
            if not confirm("Is that right?"):
                raise _not_agreed(error) from None
            agreed |= {(credential, line) for line in lines}


def _not_agreed(error: PostroomError) -> Refused:
    """The refusal after the lines were shown: they are repeated only where nobody saw them."""
    facts = error.facts if OPTIONS.json else {}
    if may_ask():
        return Refused("Nothing was saved.", code=error.code, **facts)
    hint = "If that is right, confirm it with --rebind."
    return Refused(error.sentence, code=error.code, hint=hint, **facts)
