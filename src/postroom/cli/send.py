"""``postroom send``: one message through the outbox."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from postroom.app import Room
from postroom.cli import show
from postroom.cli.run import in_room
from postroom.clock import parse_duration
from postroom.errors import FAILED, OK, UNFINISHED, InvalidValue, WrongUse
from postroom.operations.drafts import draft_of

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None, add_completion=False)

Many = list[str] | None


@app.command()
def send(
    via: Annotated[str, typer.Option(help="Service, connection or smtp credential.")],
    to: Annotated[Many, typer.Option(help="Recipient; may be given several times.")] = None,
    cc: Annotated[Many, typer.Option(help="As --to.")] = None,
    bcc: Annotated[Many, typer.Option(help="As --to; no recipient sees it.")] = None,
    from_: Annotated[str, typer.Option("--from", help="Empty: the account's own address.")] = "",
    reply_to: str = "",
    subject: str = "",
    text: Annotated[str | None, typer.Option(help="Plain text; - reads standard input.")] = None,
    html: Annotated[str | None, typer.Option(help="HTML.")] = None,
    text_file: Annotated[Path | None, typer.Option(help="Plain text from a file.")] = None,
    html_file: Annotated[Path | None, typer.Option(help="HTML from a file.")] = None,
    attach: Annotated[list[Path] | None, typer.Option(help="A file; several times.")] = None,
    wait: Annotated[str, typer.Option(help="How long to wait for the outcome.")] = "60s",
    forget: Annotated[bool, typer.Option("--forget", help="Store it durably and return.")] = False,
    key: Annotated[str, typer.Option(help="Idempotency key: the same key sends once.")] = "",
) -> int:
    """Send a message: 0 sent to all, 1 failed or ambiguous, 3 stored and not finished."""
    draft = draft_of(
        from_=from_ or None,
        to=to,
        cc=cc,
        bcc=bcc,
        reply_to=reply_to or None,
        subject=subject,
        text=_body("text", text, text_file),
        html=_body("html", html, html_file),
        attachments=attach or [],
    )
    seconds = _seconds(wait)

    async def body(room: Room) -> int:
        if forget:
            item_id = await room.email.store(via, draft, idempotency_key=key or None)
            item = await room.outbox.show(item_id)
            show.record(item.as_json())
            return OK
        item = await room.email.send(via, draft, wait=seconds, idempotency_key=key or None)
        show.record(item.as_json())
        if item.state == "sent":
            return OK
        if item.finished:
            return FAILED
        show.note(
            f"Stored, not finished: do not send it again. Follow it with: "
            f"postroom outbox show {item.id}"
        )
        return UNFINISHED

    return in_room(body)


def _body(name: str, given: str | None, path: Path | None) -> str | None:
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


def _seconds(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise InvalidValue("--wait", str(error)) from None
