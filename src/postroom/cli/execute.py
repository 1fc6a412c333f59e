"""``postroom exec``: one program with the fields of a stored credential, for shell scripts."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from postroom.cli.run import confirm, in_room, may_ask
from postroom.cli.verbs import Verbs
from postroom.errors import InvalidValue, PostroomError, Refused

if TYPE_CHECKING:
    from postroom.app import Room

__all__ = ["app"]

app = Verbs()


@app.verb("exec")
def exec_(
    words: Annotated[
        list[str],
        typer.Argument(metavar="PROGRAM", help="The program and its arguments, behind --."),
    ],
    credential: Annotated[
        list[str], typer.Option(metavar="NAME", help="What it is handed. Several times.")
    ],
    as_: Annotated[
        str,
        typer.Option(
            "--as",
            metavar="WAY",
            help="descriptor: JSON, from the file descriptor POSTROOM_FD. files: in the directory "
            "POSTROOM_DIRECTORY, CREDENTIAL/FIELD each. environment: as --env says.",
        ),
    ] = "",
    env: Annotated[
        list[str] | None,
        typer.Option(metavar="VARIABLE=FIELD", help="A variable of its environment."),
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="The terminal is its own: what it writes is not scrubbed.")
    ] = False,
) -> int:
    """Run a program with stored credentials; its exit status is that of this command."""
    variables = dict(_variable(one) for one in env or ())

    async def body(room: Room) -> tuple[Any, Any, Any]:
        from postroom.operations.executing import Executing, hand_over_of

        how = hand_over_of(as_, variables, credential)
        granted = await _granted(Executing(room.desk), credential, words[0])
        return granted, how, room.settings.room / "runs"

    granted, how, runs = in_room(body)  # it is closed again: the program may run for days
    from postroom.operations.executing import execute, shell_status

    try:
        ended = asyncio.run(
            execute(words, runs=runs, granted=granted, how=how, environ=os.environ, raw=raw)
        )
    except PostroomError as error:
        if "status" not in error.facts:
            raise
        raise _not_executed(error) from None
    return shell_status(ended)


async def _granted(programs: Any, names: list[str], program: str) -> Any:
    while True:
        try:
            return await programs.grant(names, program)
        except Refused as error:
            name = error.facts.get("credential")
            if not name or not may_ask():
                raise
            if not confirm(f"May programs be handed the credential {name}, whichever you start?"):
                raise
            await programs.permit(name)


def _variable(text: str) -> tuple[str, str]:
    name, equals, field = text.partition("=")
    if not equals:
        raise InvalidValue("--env", f"{text}: give VARIABLE=field")
    return name, field


class _NotExecuted(Refused):
    """A program that could not be executed: the statuses that shells give for it."""

    @property
    def exit_status(self) -> int:
        """127: not found; 126: not executable."""
        status: int = self.facts["status"]
        return status


def _not_executed(error: PostroomError) -> PostroomError:
    return _NotExecuted(error.sentence, code=error.code, hint=error.hint, **error.facts)
