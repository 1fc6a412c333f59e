"""``postroom mail``: messages in the folders of a connection."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from postroom.app import Room
from postroom.cli import show
from postroom.cli.options import OPTIONS
from postroom.cli.run import in_room

__all__ = ["app"]

T = TypeVar("T")
app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Messages in folders. IDs are those that list and search print; reading "
    "leaves messages unseen.",
)

Via = Annotated[str, typer.Option("--via", help="Name of the connection.")]
Folder = Annotated[str, typer.Option("--folder", help="A folder, or \\Archive and the like.")]
Ids = Annotated[list[str], typer.Argument(help="Message ids.")]
To = Annotated[str, typer.Option("--to", help="The folder to put them into.")]
Create = Annotated[bool, typer.Option("--create", help="Make that folder if it is not there.")]


def _in_box(via: str, body: Callable[[Any], Awaitable[T]]) -> T:
    async def whole(room: Room) -> T:
        async with await room.email.mailbox(via) as box:
            return await body(box)

    return in_room(whole)


@app.command()
def folders(via: Via) -> None:
    """The folders of a connection."""
    found = _in_box(via, lambda box: box.folders())
    show.items(
        [{"name": one.name, "use": one.special_use} for one in found],
        (("name", "NAME"), ("use", "USE")),
        empty="There is no folder.",
    )


@app.command("list")
def list_(via: Via, folder: Folder = "INBOX", limit: int = 50) -> None:
    """The newest messages of a folder."""
    _summaries(_in_box(via, lambda box: box.lines(folder=folder, limit=limit)))


@app.command()
def search(
    via: Via,
    words: Annotated[list[str], typer.Argument(help="unseen, from:ann, since:2026-01-31")],
    folder: Folder = "INBOX",
    limit: int = 0,
) -> None:
    """The messages that meet a search."""
    text = " ".join(words)
    _summaries(_in_box(via, lambda box: box.lines(text, folder=folder, limit=limit)))


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
    )


@app.command()
def read(
    via: Via,
    id: str,
    folder: Folder = "INBOX",
    raw: Annotated[
        bool, typer.Option("--raw", help="The exact bytes, to standard output.")
    ] = False,
) -> None:
    """One message: its headers, its text, its attachments."""
    message = _in_box(via, lambda box: box.read_message(id, folder))
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
    show.record(found)
    print()
    body = message.text if message.text is not None else message.html or ""
    print("".join(char if char.isprintable() or char in "\n\t" else "�" for char in body))


@app.command()
def save(
    via: Via,
    ids: Ids,
    to: Annotated[Path, typer.Option("--to", help="A directory.")] = Path(),
    folder: Folder = "INBOX",
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
        [{"path": str(path)} for path in _in_box(via, body)],
        (("path", "WRITTEN"),),
        empty="Nothing to write.",
    )


@app.command()
def move(via: Via, ids: Ids, to: To, folder: Folder = "INBOX", create: Create = False) -> None:
    """Move messages to another folder."""
    new = _in_box(via, lambda box: box.move(ids, to, folder, create=create))
    show.record({"moved": len(ids), "to": to, "ids": new})


@app.command()
def copy(via: Via, ids: Ids, to: To, folder: Folder = "INBOX", create: Create = False) -> None:
    """Copy messages to another folder."""
    new = _in_box(via, lambda box: box.copy(ids, to, folder, create=create))
    show.record({"copied": len(ids), "to": to, "ids": new})


@app.command()
def flag(
    via: Via,
    ids: Ids,
    folder: Folder = "INBOX",
    add: Annotated[
        list[str] | None, typer.Option(help="seen, answered, flagged, draft ...")
    ] = None,
    remove: Annotated[list[str] | None, typer.Option()] = None,
) -> None:
    """Set and clear flags."""
    _in_box(via, lambda box: box.flag(ids, folder, add=add or (), remove=remove or ()))
    show.record({"flagged": len(ids), "add": add, "remove": remove})


@app.command()
def delete(via: Via, ids: Ids, folder: Folder = "INBOX") -> None:
    """Delete exactly these messages."""
    done = _in_box(via, lambda box: box.delete(ids, folder))
    if not done.gone:
        show.note("The server cannot delete exactly these; they are marked as deleted and left.")
    show.record({"deleted": done.count, "gone": done.gone})
