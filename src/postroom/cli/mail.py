"""``postroom mail``: messages in the folders of a connection."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from postroom.cli import show
from postroom.cli.helping import helping
from postroom.cli.options import OPTIONS
from postroom.cli.run import agreed, in_room
from postroom.cli.send import Box, body_text, seconds_of, sending
from postroom.cli.verbs import Verbs
from postroom.errors import OK, UNFINISHED, PostroomError, WrongUse

if TYPE_CHECKING:
    from postroom.app import Room

__all__ = ["app"]

T = TypeVar("T")
app = Verbs(
    "Messages in folders. IDs are those that list and search print; reading leaves messages unseen."
)

Via = Annotated[str, typer.Option("--via", metavar="NAME", help="Name of the connection.")]
Limit = Annotated[int, typer.Option(metavar="N", help="The newest of them; 0: all.", min=0)]
Id = Annotated[str, typer.Argument(metavar="ID", help="Message id.")]
Folder = Annotated[str, typer.Option("--folder", help="A folder, or \\Archive and the like.")]
Ids = Annotated[list[str], typer.Argument(metavar="ID", help="Message ids.")]
To = Annotated[str, typer.Option("--to", metavar="FOLDER", help="The folder to put them into.")]
Create = Annotated[bool, typer.Option("--create", help="Make that folder if it is not there.")]

Text = Annotated[str | None, typer.Option(help="Plain text; - reads standard input.")]
TextFile = Annotated[Path | None, typer.Option(metavar="FILE", help="Plain text from a file.")]
From = Annotated[str, typer.Option("--from", metavar="ADDRESS", help="Empty: the account's own.")]
SendVia = Annotated[
    str, typer.Option(metavar="NAME", help="A service to send with; empty: the same connection.")
]
Wait = Annotated[str, typer.Option(metavar="TIME", help="How long to wait for the outcome.")]


def _in_box(
    via: str, body: Callable[[Any], Awaitable[T]], folder: str = "INBOX", *, mailbox: str
) -> T:
    async def whole(room: Room) -> T:
        async with _box(room, via, folder, mailbox) as box:
            return await body(box)

    return in_room(whole)


@contextlib.asynccontextmanager
async def _box(room: Room, via: str, folder: str, mailbox: str) -> AsyncIterator[Any]:
    """The mailbox of a connection; what goes wrong in it says the whole command that helps."""
    with helping(via, folder):
        async with await room.email.mailbox(via, mailbox) as box:
            yield box


@app.verb()
def folders(via: Via, mailbox: Box = "") -> None:
    """The folders of a connection."""
    found = _in_box(via, lambda box: box.folders(), mailbox=mailbox)
    show.items(
        [{"name": one.name, "use": one.special_use} for one in found],
        (("name", "NAME"), ("use", "USE")),
        empty="There is no folder.",
    )


@app.verb("list")
def list_(via: Via, folder: Folder = "INBOX", mailbox: Box = "", limit: Limit = 50) -> None:
    """The newest messages of a folder."""
    _summaries(
        _in_box(via, lambda box: box.lines(folder=folder, limit=limit), folder, mailbox=mailbox)
    )


@app.verb()
def search(
    via: Via,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="WORD",
            help="Such as: unseen 'from:ann or from:bob' not has:attachment since:2026-01-31",
        ),
    ],
    folder: Folder = "INBOX",
    mailbox: Box = "",
    limit: Limit = 0,
) -> None:
    """The messages that meet a search."""
    text = " ".join(words)
    _summaries(
        _in_box(
            via, lambda box: box.lines(text, folder=folder, limit=limit), folder, mailbox=mailbox
        )
    )


def _summaries(rows: list[dict[str, Any]]) -> None:
    show.items(
        rows,
        (
            ("id", "ID"),
            ("received", "RECEIVED"),
            ("from", "FROM"),
            ("subject", "SUBJECT"),
            ("size", "SIZE"),
            ("flags", "FLAGS"),
        ),
        empty="No message.",
        give=("from", "subject", "flags"),
    )


@app.verb()
def read(
    via: Via,
    id: Id,
    folder: Folder = "INBOX",
    mailbox: Box = "",
    raw: Annotated[
        bool, typer.Option("--raw", help="The exact bytes, to standard output.")
    ] = False,
) -> None:
    """One message: its headers, its text, its attachments."""
    message = _in_box(via, lambda box: box.read_message(id, folder), folder, mailbox=mailbox)
    if raw and not OPTIONS.json:
        sys.stdout.buffer.write(message.raw)
        return
    found = {
        "id": id,
        "from": [str(one) for one in message.from_],
        "to": [str(one) for one in message.to],
        "subject": message.subject,
        "date": message.date,
        "message_id": message.message_id,
        "attachments": [
            {"name": part.name, "type": part.content_type, "size": part.size}
            for part in message.attachments
        ],
        "problems": message.problems,
    }
    if OPTIONS.json:
        show.record(found | {"text": message.text, "html": message.html})
        return
    files = [
        f"{part.name} ({part.content_type}, {show.size(part.size)})" for part in message.attachments
    ]
    show.record(found | {"attachments": files})
    print()
    body = message.text if message.text is not None else message.html or ""
    print("".join(char if char.isprintable() or char in "\n\t" else "�" for char in body))


@app.verb()
def save(
    via: Via,
    ids: Ids,
    to: Annotated[
        Path, typer.Option("--to", metavar="DIRECTORY", help="Made when missing.")
    ] = Path(),
    folder: Folder = "INBOX",
    mailbox: Box = "",
    attachments: Annotated[
        bool, typer.Option("--attachments", help="Their attachments instead.")
    ] = False,
) -> None:
    """Write messages, or their attachments, to files; nothing there is overwritten."""

    async def body(box: Any) -> list[Path]:
        if not attachments:
            return list(await box.save(ids, to, folder))
        return [path for one in ids for path in await box.save_attachments(one, to, folder)]

    show.items(
        [{"path": str(path)} for path in _in_box(via, body, folder, mailbox=mailbox)],
        (("path", "WRITTEN"),),
        empty="Nothing to write.",
    )


@app.verb()
def move(
    via: Via, ids: Ids, to: To, folder: Folder = "INBOX", mailbox: Box = "", create: Create = False
) -> None:
    """Move messages to another folder."""
    new = _in_box(
        via, lambda box: box.move(ids, to, folder, create=create), folder, mailbox=mailbox
    )
    show.say(f"{_count(ids)} moved to {to}.", moved=len(ids), to=to, ids=new)


@app.verb()
def copy(
    via: Via, ids: Ids, to: To, folder: Folder = "INBOX", mailbox: Box = "", create: Create = False
) -> None:
    """Copy messages to another folder."""
    new = _in_box(
        via, lambda box: box.copy(ids, to, folder, create=create), folder, mailbox=mailbox
    )
    show.say(f"{_count(ids)} copied to {to}.", copied=len(ids), to=to, ids=new)


@app.verb()
def flag(
    via: Via,
    ids: Ids,
    folder: Folder = "INBOX",
    mailbox: Box = "",
    add: Annotated[
        list[str] | None,
        typer.Option(metavar="FLAG", help="seen, answered, flagged, draft, or a keyword."),
    ] = None,
    remove: Annotated[list[str] | None, typer.Option(metavar="FLAG", help="As --add.")] = None,
) -> None:
    """Set and clear flags."""
    if not (add or remove):
        raise WrongUse("No flag was given.", hint="Such as --add seen, or --remove flagged.")
    _in_box(
        via,
        lambda box: box.flag(ids, folder, add=add or (), remove=remove or ()),
        folder,
        mailbox=mailbox,
    )
    told = [
        f"{word} {', '.join(names)}" for word, names in (("set", add), ("cleared", remove)) if names
    ]
    show.say(
        f"{_count(ids)}: {'; '.join(told)}.",
        flagged=len(ids),
        add=add or [],
        remove=remove or [],
    )


@app.verb()
def reply(
    via: Via,
    id: Id,
    text: Text = None,
    text_file: TextFile = None,
    to_all: Annotated[bool, typer.Option("--all", help="To everybody who got it.")] = False,
    no_quote: Annotated[
        bool, typer.Option("--no-quote", help="Without the text of the message.")
    ] = False,
    from_: From = "",
    send_via: SendVia = "",
    wait: Wait = "60s",
    folder: Folder = "INBOX",
    mailbox: Box = "",
) -> int:
    """Answer a message and mark it as answered; exit statuses as those of postroom send."""
    words = body_text("text", text, text_file)
    if not words:
        raise WrongUse("An answer needs a text.", hint="Give --text TEXT or --text-file FILE.")
    seconds = seconds_of(wait)

    async def body(room: Room) -> int:
        through = send_via or f"connection:{via}"
        box_of = "" if send_via else mailbox
        async with _box(room, via, folder, mailbox) as box:
            draft = await room.email.reply(
                through,
                await box.read_message(id, folder),
                text=words,
                from_=from_ or box_of or None,
                to_all=to_all,
                quote=not no_quote,
            )
            status = await sending(room, through, draft, wait=seconds, mailbox=box_of)
            if status in (OK, UNFINISHED):
                await _mark_answered(box, id, folder)
            return status

    return in_room(body)


async def _mark_answered(box: Any, id: str, folder: str) -> None:
    try:
        await box.flag([id], folder, add=["answered"])
    except PostroomError as error:  # the answer is on its way; that is what counts
        show.note(f"Note: the message is not marked as answered. {error.sentence}")


@app.verb()
def forward(
    via: Via,
    id: Id,
    to: Annotated[list[str], typer.Option(metavar="ADDRESS", help="As of postroom send.")],
    text: Text = None,
    text_file: TextFile = None,
    as_attachment: Annotated[
        bool, typer.Option("--as-attachment", help="The exact message, as an attachment.")
    ] = False,
    from_: From = "",
    send_via: SendVia = "",
    wait: Wait = "60s",
    folder: Folder = "INBOX",
    mailbox: Box = "",
) -> int:
    """Pass a message on, with its attachments; exit statuses as those of postroom send."""
    words = body_text("text", text, text_file) or ""
    seconds = seconds_of(wait)

    async def body(room: Room) -> int:
        through = send_via or f"connection:{via}"
        box_of = "" if send_via else mailbox
        async with _box(room, via, folder, mailbox) as box:
            message = await box.read_message(id, folder)
        draft = await room.email.forward(
            through,
            message,
            to="; ".join(to),
            text=words,
            from_=from_ or box_of or None,
            as_attachment=as_attachment,
        )
        return await sending(room, through, draft, wait=seconds, mailbox=box_of)

    return in_room(body)


@app.verb()
def delete(via: Via, ids: Ids, folder: Folder = "INBOX", mailbox: Box = "") -> None:
    """Delete exactly these messages."""
    agreed(f"Delete {_count(ids)} of {folder} from the server?")
    done = _in_box(via, lambda box: box.delete(ids, folder), folder, mailbox=mailbox)
    what = (
        "deleted"
        if done.gone
        else ("marked as deleted and left: the server cannot delete exactly these")
    )
    show.say(f"{_count(ids)} {what}.", deleted=done.count, gone=done.gone)


def _count(ids: list[str]) -> str:
    return "1 message" if len(ids) == 1 else f"{len(ids)} messages"
