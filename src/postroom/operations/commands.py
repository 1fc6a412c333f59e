"""Operations on built-in commands: do one on its own, and say what there are, for doors and docs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from postroom.fields import describe, parse
from postroom.jobs import commands as built_in
from postroom.jobs.commands import Command, Result, command_named

if TYPE_CHECKING:
    from postroom.db import Tx
    from postroom.operations import models
    from postroom.operations.desk import Desk

__all__ = ["Command", "Commands", "Result", "command_named", "commands", "only_reads", "rights_of"]


class Commands:
    """Built-in commands, each on a bench of its own."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def do(self, command: Command) -> Result:
        """Do a command: ``do(MoveEmail(via="acme", ids=[...], to="Done"))``; gives what it gives.

        Raises PostroomError; what can be refused is refused before anything is touched.
        """
        from postroom.operations.bench import Workbench  # what describes commands needs none

        if self._desk.root is not None:
            from postroom.operations.files import check_no_files

            check_no_files(command)
        async with Workbench(self._desk) as bench:
            return await command.run(bench)

    async def run(self, name: str, parameters: Mapping[str, Any] | None = None) -> models.Given:
        """As :meth:`do`, by the command's name and parameters: ``run("move-email", {"via": ...})``.

        Raises UnknownField with the nearest command or parameter, InvalidValue, and Refused
        (``not_permitted``) for whoever has not the command's rights.
        """
        from postroom.operations.gate import check_may  # the help of a verb asks nobody

        for right in rights_of(name):
            check_may(self._desk.person, right)
        kind = command_named(name)
        return await self.do(parse(kind, parameters or {}, where=kind.name))

    async def check_reads(self, via: str, mailbox: str = "") -> None:
        """Raise what reading by ``via`` would raise before a server is asked: it is not there for them."""
        from postroom.connections.boxed import in_mailbox  # as above
        from postroom.operations.reads import reads_from

        def body(tx: Tx) -> None:
            name = in_mailbox(reads_from(self._desk, tx, via), mailbox)
            self._desk.resolver(tx).effective(name)  # is it for that mailbox?

        await self._desk.db.read(body)

    def describe(self) -> list[models.Command]:
        """Every command: name, about, parameters, gives, and the rights it wants."""
        return commands()


def rights_of(name: str) -> tuple[str, ...]:
    """What the command of that name wants of whoever asks for it.  Raises UnknownField."""
    return command_named(name).rights


def only_reads(name: str) -> bool:
    """Whether the command of that name shows messages and does nothing: its answer is kept nowhere."""
    return any(one.name == name and one.rights == ("read",) for one in built_in.COMMANDS)


def commands() -> list[dict[str, Any]]:
    """Every command: its name, a sentence about it, its parameters, and what it gives."""
    return [
        {
            "name": one.name,
            "about": one.about,
            "parameters": [
                {
                    "name": each.name,
                    "type": each.type,
                    "needed": each.needed,
                    "default": each.default_text,
                    "about": each.help or each.label,
                }
                for each in describe(one)
            ],
            "gives": dict(one.gives),
            "rights": list(one.rights),
        }
        for one in built_in.COMMANDS
    ]
