"""Running a verb: open the room, do one thing, close it; and what verbs ask people."""

from __future__ import annotations

import asyncio
import getpass
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

from postroom.app import Room, open_room
from postroom.cli.options import OPTIONS
from postroom.errors import InvalidValue, PostroomError
from postroom.log import log_to
from postroom.operations.desk import Rebind
from postroom.secret import Secret
from postroom.settings import settings_of

__all__ = ["ask", "confirm", "in_room", "may_ask", "rebinding"]

T = TypeVar("T")


def in_room(body: Callable[[Room], Awaitable[T]], *, make: bool = False) -> T:
    """Open the room, run ``body`` and close the room again; Ctrl-C and SIGTERM end it tidily."""
    log_to(level="DEBUG" if OPTIONS.verbose else "WARNING")
    try:
        return asyncio.run(_in_room(body, make))
    except asyncio.CancelledError:
        print("Stopped.", file=sys.stderr)
        raise SystemExit(128 + signal.SIGTERM) from None


async def _in_room(body: Callable[[Room], Awaitable[T]], make: bool) -> T:
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    settings = settings_of(room=OPTIONS.room, kek=OPTIONS.kek)
    room = await open_room(settings, make=make, ask=ask)
    try:
        if room.warning and not OPTIONS.json:
            print(f"Note: {room.warning}", file=sys.stderr)
        return await body(room)
    finally:
        await room.close()


def may_ask() -> bool:
    """Whether a person is there to be asked."""
    return sys.stdin.isatty() and not OPTIONS.json


def ask(question: str) -> Secret:
    """Ask for a secret on the terminal, without echo.  Raises InvalidValue when nobody is there."""
    if not sys.stdin.isatty():
        raise InvalidValue(
            "",
            f"{question.rstrip(': ')}: nobody is here to ask; give it by "
            "--NAME-from-env, --NAME-from-file or --NAME-stdin",
        )
    return Secret(getpass.getpass(f"{question.rstrip(': ')}: "))


def confirm(question: str) -> bool:
    """Ask yes or no; ``--yes`` answers for everybody, and where nobody is, the answer is no."""
    if OPTIONS.yes:
        return True
    if not may_ask():
        return False
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


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
            print(f"This would present the stored secret of {credential} to:", file=sys.stderr)
            for line in lines:
                print(f"  {line}", file=sys.stderr)
            if not confirm("Is that right?"):
                raise
            agreed |= {(credential, line) for line in lines}
