"""``postroom mail``: messages in the folders of a connection, by built-in commands."""

from __future__ import annotations

import base64
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from postroom.cli import show
from postroom.cli.declared import Given, made
from postroom.cli.helping import helping
from postroom.cli.options import OPTIONS
from postroom.cli.run import agreed, in_room
from postroom.cli.send import WAIT, TextFile, body_text, sending
from postroom.cli.verbs import Verbs

if TYPE_CHECKING:
    from postroom.app import Room
    from postroom.operations.commands import Result

__all__ = ["app"]

app = Verbs(
    "Messages in folders. IDs are those that list and search print; reading leaves messages unseen."
)


def _do(command: str, given: Given) -> Result:
    """What a command gives; what goes wrong in it says the whole command line that helps."""
    ready = made(command, given)

    async def body(room: Room) -> Result:
        with helping(given["via"], given.get("folder", "INBOX")):
            return await room.commands.do(ready)

    return in_room(body)


@app.verb(does="list-folders")
def folders(given: Given) -> None:
    """The folders of a connection."""
    show.items(
        _do("list-folders", given)["items"],
        (("name", "NAME"), ("use", "USE")),
        empty="There is no folder.",
    )


@app.verb("list", does="list-email", leave=["search"])
def list_(given: Given) -> None:
    """The newest messages of a folder."""
    _summaries(given)


@app.verb(does="list-email", leave=["search"])
def search(
    given: Given,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="WORD",
            help="Such as: unseen 'from:ann or from:bob' not has:attachment since:2026-01-31",
        ),
    ],
) -> None:
    """The messages that meet a search."""
    _summaries({**given, "search": " ".join(words)})


def _summaries(given: Given) -> None:
    done = _do("list-email", given)
    show.items(
        done["items"],
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
        next=done["next"],
    )
    if done["next"]:
        show.note(f"There are more than these {_count(done)}: go on with --after {done['next']}")


@app.verb(does="read-email")
def read(given: Given) -> None:
    """One message: its headers, its text, its attachments."""
    found = _do("read-email", given)
    if OPTIONS.json:
        show.record(found)
        return
    if "raw" in found:
        sys.stdout.buffer.write(base64.b64decode(found["raw"]))
        return
    told = {
        name: found[name] for name in ("id", "from", "to", "subject", "date", "message_id")
    } | {
        "attachments": [
            f"{part['name']} ({part['type']}, {show.size(part['size'])})"
            for part in found["attachments"]
        ],
        "problems": found["problems"],
    }  # fmt: skip
    show.record(told)
    print()
    body = found["text"] if found["text"] is not None else found["html"] or ""
    print("".join(char if char.isprintable() or char in "\n\t" else "�" for char in body))


@app.verb(does="save-email")
def save(
    given: Given,
    attachments: Annotated[
        bool, typer.Option("--attachments", help="Their attachments instead.")
    ] = False,
) -> None:
    """Write messages, or their attachments, to files; nothing there is overwritten."""
    done = _do("save-attachments" if attachments else "save-email", given)
    show.items(
        [{"path": path} for path in done["paths"]],
        (("path", "WRITTEN"),),
        empty="Nothing to write.",
    )


@app.verb(does="move-email")
def move(given: Given) -> None:
    """Move messages to another folder."""
    done, to = _do("move-email", given), given["to"]
    show.say(f"{_count(done)} moved to {to}.", moved=done["count"], to=to, ids=done["by_id"])


@app.verb(does="copy-email")
def copy(given: Given) -> None:
    """Copy messages to another folder."""
    done, to = _do("copy-email", given), given["to"]
    show.say(f"{_count(done)} copied to {to}.", copied=done["count"], to=to, ids=done["by_id"])


@app.verb(does="flag-email")
def flag(given: Given) -> None:
    """Set and clear flags."""
    done, add, remove = _do("flag-email", given), given.get("add", []), given.get("remove", [])
    told = [
        f"{word} {', '.join(names)}" for word, names in (("set", add), ("cleared", remove)) if names
    ]
    show.say(f"{_count(done)}: {'; '.join(told)}.", flagged=done["count"], add=add, remove=remove)


@app.verb(does="reply-email", default=WAIT)
def reply(given: Given, text_file: TextFile = None) -> int:
    """Answer a message and mark it as answered; exit statuses as those of postroom send."""
    return _answered("reply-email", given, text_file)


@app.verb(does="forward-email", default=WAIT)
def forward(given: Given, text_file: TextFile = None) -> int:
    """Pass a message on, with its attachments; exit statuses as those of postroom send."""
    return _answered("forward-email", given, text_file)


def _answered(command: str, given: Given, text_file: Any) -> int:
    text = body_text("text", given.get("text"), text_file)
    ready = made(command, {**given, "text": text or ""})

    async def body(room: Room) -> int:
        with helping(given["via"], given.get("folder", "INBOX")):
            return await sending(room, ready)

    return in_room(body)


@app.verb(does="delete-email")
def delete(given: Given) -> None:
    """Delete exactly these messages."""
    asked = {"count": len(given["ids"])}
    agreed(f"Delete {_count(asked)} of {given.get('folder', 'INBOX')} from the server?")
    done = _do("delete-email", given)
    what = (
        "deleted"
        if done["gone"]
        else ("marked as deleted and left: the server cannot delete exactly these")
    )
    show.say(f"{_count(done)} {what}.", deleted=done["count"], gone=done["gone"])


def _count(done: Result) -> str:
    return "1 message" if done["count"] == 1 else f"{done['count']} messages"
