"""``postroom send``: one message through the outbox."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from postroom.cli import show
from postroom.cli.options import OPTIONS
from postroom.cli.outbox import A_WORKER, nobody_sends, show_item
from postroom.cli.run import confirm, in_room
from postroom.cli.verbs import Verbs
from postroom.clock import parse_duration
from postroom.errors import FAILED, OK, UNFINISHED, InvalidValue, PostroomError, WrongUse

if TYPE_CHECKING:
    from postroom.app import Room
    from postroom.operations.drafts import Draft

__all__ = ["Box", "app", "body_text", "seconds_of", "sending"]

app = Verbs()

Many = list[str] | None
Box = Annotated[
    str,
    typer.Option("--mailbox", metavar="ADDRESS", help="Another than its own, on Microsoft 365."),
]


@app.verb()
def send(
    via: Annotated[
        str, typer.Option(metavar="NAME", help="Service, connection or smtp credential.")
    ],
    to: Annotated[
        Many,
        typer.Option(
            metavar="ADDRESS", help="A recipient, or a list with ; between. Several times."
        ),
    ] = None,
    cc: Annotated[Many, typer.Option(metavar="ADDRESS", help="As --to.")] = None,
    bcc: Annotated[
        Many, typer.Option(metavar="ADDRESS", help="As --to; no recipient sees it.")
    ] = None,
    from_: Annotated[
        str, typer.Option("--from", metavar="ADDRESS", help="Empty: the account's own.")
    ] = "",
    mailbox: Box = "",
    reply_to: Annotated[str, typer.Option(metavar="ADDRESS", help="Where answers go.")] = "",
    subject: Annotated[str, typer.Option(metavar="TEXT", help="One line.")] = "",
    text: Annotated[str | None, typer.Option(help="Plain text; - reads standard input.")] = None,
    html: Annotated[str | None, typer.Option(metavar="TEXT", help="The same as HTML.")] = None,
    text_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Plain text from a file.")
    ] = None,
    html_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="HTML from a file.")
    ] = None,
    attach: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Several times.")
    ] = None,
    wait: Annotated[
        str, typer.Option(metavar="TIME", help="How long to wait for the outcome.")
    ] = "60s",
    forget: Annotated[bool, typer.Option("--forget", help="Store it durably and return.")] = False,
    key: Annotated[str, typer.Option(help="Idempotency key: the same key sends once.")] = "",
) -> int:
    """Send a message: 0 sent to all, 1 failed or ambiguous, 3 stored and not finished."""
    from postroom.operations.drafts import draft_of  # not for the help

    nothing = text is None and html is None and not (subject or text_file or html_file or attach)
    if nothing and not confirm("The message is empty. Send it?"):  # --text '' says so too
        raise WrongUse(
            "The message is empty; nothing was sent.",
            hint="Give --text, --html, a file or an attachment (or --text '' for an empty one).",
        )
    draft = draft_of(
        from_=from_ or None,
        to="; ".join(to or ()),  # each may be a list itself
        cc="; ".join(cc or ()),
        bcc="; ".join(bcc or ()),
        reply_to=reply_to or None,
        subject=subject,
        text=body_text("text", text, text_file),
        html=body_text("html", html, html_file),
        attachments=attach or [],
    )
    seconds = 0.0 if forget else seconds_of(wait)
    told: dict[str, Any] = {"key": key, "forget": forget, "mailbox": mailbox}
    return in_room(lambda room: sending(room, via, draft, wait=seconds, **told))


async def sending(
    room: Room, via: str, draft: Draft, *, wait: float, key: str = "", forget: bool = False,
    mailbox: str = "",
) -> int:  # fmt: skip
    """Send a draft, show the item, and give the exit status of ``postroom send``."""
    stored = await room.email.store(via, draft, idempotency_key=key or None, mailbox=mailbox)
    try:
        if forget:
            return await _left(room, stored)
        item = await room.email.follow(stored, wait=wait)
    except (PostroomError, asyncio.CancelledError) as error:
        # whatever happens from here on, it is stored: no status may say "try again"
        show.say(_stored(stored), id=stored)
        if isinstance(error, PostroomError):
            show.note(f"postroom: {error}")
            return OK if forget else UNFINISHED
        raise
    show_item(item.as_json())
    if item.state == "sent":
        return OK
    if item.finished:
        show.note(f"Not sent to all. Every attempt: postroom outbox show {item.id}")
        return FAILED
    show.note(_stored(item.id))
    if await room.services.held(item.service):
        show.note(f"Its service is held. Let it go: postroom service release {item.service}")
        return UNFINISHED
    if item.reason:
        show.note(f"Why, step by step: {await room.services.test_command(item.service)}")
    if note := await nobody_sends(room, item.service):
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


def seconds_of(text: str, flag: str = "--wait") -> float:
    """The seconds that a flag gives.  Raises InvalidValue."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise InvalidValue(flag, str(error)) from None
