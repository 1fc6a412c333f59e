"""What commands on a mailbox have in common: whose mail, which folder, which messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from postroom.errors import InvalidValue
from postroom.fields import field
from postroom.jobs.commands.base import Bench, Command

if TYPE_CHECKING:
    from postroom.connections.mailbox import Mailbox
    from postroom.mail import Message

__all__ = [
    "InFolder",
    "InMailbox",
    "OnMessages",
    "OnReceived",
    "counted",
    "message_of",
    "started_by",
]


_VIA: Final = "Name of the connection, or of an msgraph credential."


class InMailbox(Command):
    """A command on the incoming side of a connection."""

    via: str = field(label="Via", help=_VIA, metavar="NAME")
    mailbox: str = field(
        "", label="Mailbox", help="Another than its own, on Microsoft 365.", metavar="ADDRESS"
    )

    async def box(self, bench: Bench) -> Mailbox:
        """The mailbox it works in, open.  Raises as opening it does."""
        return await bench.box(self.via, self.mailbox)


class InFolder(InMailbox):
    """A command on one folder."""

    folder: str = field(
        "INBOX", label="Folder", help="A folder, or \\Archive and the like.", metavar="FOLDER"
    )


class OnReceived(InFolder):
    """A command on messages of one folder, or without an id on the message that started the run."""

    via: str = field(
        "", label="Via", help=f"{_VIA} Not for the message that started the run.", metavar="NAME"
    )


class OnMessages(InFolder):
    """A command that changes messages of one folder; no id: nothing is done."""

    many: ClassVar[str] = "ids"

    ids: list[str] = field(
        label="Messages", help="Message ids, as list-email gives them.", metavar="ID", argument=True
    )


async def message_of(
    command: InFolder, id: str | None, bench: Bench, *, named: str = "id"
) -> Message:
    """The message of that id; without one, the message that started the run.

    Raises NotThere; InvalidValue for field ``named`` where no message started it.
    """
    if id is not None:
        return await (await command.box(bench)).read_message(id, command.folder)
    from postroom.mail import Message

    return Message(started_by(bench, named))


def started_by(bench: Bench, named: str) -> bytes:
    """The message that started the run.  Raises InvalidValue for field ``named`` where none did."""
    if bench.message is None:
        raise InvalidValue(
            named, "is needed: only a job that a message started works on that message without one"
        )
    return bench.message


def counted(ids: list[str] | None) -> str:
    """``1 message``, ``3 messages``; without ids the one that started the run."""
    if ids is None:
        return "the message that started the run"
    return "1 message" if len(ids) == 1 else f"{len(ids)} messages"
