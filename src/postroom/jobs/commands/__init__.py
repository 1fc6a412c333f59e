"""Built-in commands: a new one is a file here and a line in COMMANDS."""

from __future__ import annotations

from typing import Final

from postroom.errors import UnknownField
from postroom.fields import nearest
from postroom.jobs.commands.base import Bench, Command, Result
from postroom.jobs.commands.move_email import MoveEmail

__all__ = ["COMMANDS", "Bench", "Command", "MoveEmail", "Result", "command_named"]

COMMANDS: Final[tuple[type[Command], ...]] = (MoveEmail,)


def command_named(name: str) -> type[Command]:
    """The command of that name: ``move-email``, also written ``MoveEmail`` or ``move_email``.

    Raises UnknownField with the nearest name.
    """
    for one in COMMANDS:
        if _key(one.name) == _key(name):
            return one
    known = [one.name for one in COMMANDS]
    close = nearest(name, known)
    raise UnknownField(
        f"There is no command {name!r}.",
        hint=f"Did you mean {close}?" if close else f"Commands: {', '.join(known)}.",
    )


def _key(name: str) -> str:
    return name.replace("-", "").replace("_", "").casefold()
