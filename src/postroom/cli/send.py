"""``postroom send``: one message through the outbox."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from postroom.cli import show
from postroom.cli.declared import Given, made
from postroom.cli.options import OPTIONS
from postroom.cli.outbox import A_WORKER, nobody_sends, show_item
from postroom.cli.run import confirm, in_room, is_afar
from postroom.cli.verbs import Verbs
from postroom.errors import FAILED, OK, UNFINISHED, InvalidValue, PostroomError, WrongUse

if TYPE_CHECKING:
    from postroom.app import Room
    from postroom.operations.commands import Command, Result

__all__ = ["WAIT", "TextFile", "app", "body_text", "sending"]

WAIT = {"wait": "60s"}
"""For so long a person at a terminal waits who does not say how long."""

TextFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Plain text from a file; --text - reads standard input."),
]

app = Verbs()


@app.verb(does="send-email", default=WAIT)
def send(
    given: Given,
    text_file: TextFile = None,
    html_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="HTML from a file.")
    ] = None,
    forget: Annotated[bool, typer.Option("--forget", help="Store it durably and return.")] = False,
) -> int:
    """Send a message: 0 sent to all, 1 failed or ambiguous, 3 stored and not finished."""
    said = any(given.get(each) is not None for each in ("text", "html", "subject", "attachments"))
    empty = not (said or text_file or html_file)  # --text '' says so too
    if empty and not confirm("The message is empty. Send it?"):
        raise WrongUse(
            "The message is empty; nothing was sent.",
            hint="Give --text, --html, a file or an attachment (or --text '' for an empty one).",
        )
    for name, path in (("text", text_file), ("html", html_file)):
        given[name] = body_text(name, given.get(name), path)
    if forget:
        del given["wait"]
    command = made("send-email", given)
    return in_room(lambda room: sending(room, command))


async def sending(room: Room, command: Command) -> int:
    """Do a command that sends, show the item, and give the exit status of ``postroom send``."""
    from postroom.operations.bench import Workbench

    forget = getattr(command, "wait", None) is None
    if is_afar(room):
        item = await _sent_afar(room, command)
        return await (_left(room, item["id"]) if forget else _told(room, item))
    async with Workbench(room.desk) as bench:
        try:
            item = await command.run(bench)
            if forget:
                return await _left(room, item["id"])
        except (PostroomError, asyncio.CancelledError) as error:
            if not bench.stored:
                raise
            # whatever happens from here on, it is stored: no status may say "try again"
            show.say(_stored(bench.stored[0]), id=bench.stored[0])
            if isinstance(error, PostroomError):
                show.note(f"postroom: {error}")
                return OK if forget else UNFINISHED
            raise
    return await _told(room, item)


async def _sent_afar(room: Room, command: Command) -> Result:
    try:
        return await room.commands.do(command)
    except PostroomError as error:
        if error.facts.get("sent") and error.code != "connect_refused":
            error.hint = (
                "It may be stored there: look before it is sent again: postroom outbox list"
            )
            error.temporary = False
        raise


async def _told(room: Room, item: Result) -> int:
    """Show what became of a message that was waited for; gives the exit status."""
    unmarked: Any = item.pop("note", "")
    item.pop("answered", None)
    if item["state"] == "not answered":  # by a machine, and rightly
        show.say(unmarked, state=item["state"], note=unmarked)
        return OK
    show_item(item)
    if unmarked:
        show.note(f"Note: the message is not marked as answered. {unmarked}")
    if item["state"] == "sent":
        return OK
    if item["next_attempt_at"] is None:
        show.note(f"Not sent to all. Every attempt: postroom outbox show {item['id']}")
        return FAILED
    show.note(_stored(item["id"]))
    if await room.services.held(item["service"]):
        show.note(f"Its service is held. Let it go: postroom service release {item['service']}")
        return UNFINISHED
    if item["reason"]:
        show.note(f"Why, step by step: {await room.services.test_command(item['service'])}")
    if note := await nobody_sends(room, item["service"]):
        show.note(note)
    return UNFINISHED


async def _left(room: Room, stored: str) -> int:
    item = await room.outbox.show(stored)
    note = await nobody_sends(room, item.service)
    show_item({**item.as_json(), "note": note} if OPTIONS.json else item.as_json())
    show.note(f"Stored. {note or A_WORKER}")
    return OK


def _stored(item: str) -> str:
    return (
        f"Stored, not finished: do not send it again. Follow it with: postroom outbox show {item}"
    )


def body_text(name: str, given: str | None, path: Path | None) -> str | None:
    """The text of ``--NAME`` or ``--NAME-file``; ``-`` reads standard input.  Raises WrongUse."""
    if given is not None and path is not None:
        raise WrongUse(f"Give --{name} or --{name}-file, not both.")
    if given == "-":
        return sys.stdin.read()
    if path is None:
        return given
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise InvalidValue(f"--{name}-file", f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise InvalidValue(f"--{name}-file", f"{path} is not UTF-8 text") from None
