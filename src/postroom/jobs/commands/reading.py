"""What commands on a mailbox have in common: whose mail, which folder, which messages."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, ClassVar, Final

from postroom.errors import InvalidValue
from postroom.fields import field
from postroom.jobs.commands.base import Bench, Command, Result

if TYPE_CHECKING:
    from postroom.connections.mailbox import Mailbox
    from postroom.mail import Message

__all__ = [
    "InFolder",
    "InMailbox",
    "IntoFolder",
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


class IntoFolder(OnMessages):
    """A command that puts messages into another folder of the same connection."""

    rights: ClassVar[tuple[str, ...]] = ("use",)
    gives: ClassVar[dict[str, str]] = {
        "count": "How many there were.",
        "ids": "The new ids, where the server tells: later steps name them.",
        "by_id": "The new id of each by that of its message, where the server tells.",
    }

    to: str = field(label="To", help="The folder to put them into.", metavar="FOLDER")
    create: bool = field(False, label="Create", help="Make that folder if it is not there.")

    async def run(self, bench: Bench) -> Result:
        """Put them there; raises NotThere before the first when one is not there."""
        if not self.ids:
            return {"count": 0, "ids": [], "by_id": {}}
        new = await self.put(await self.box(bench), self.ids)
        return {"count": len(self.ids), "ids": list(new.values()), "by_id": new}

    @abc.abstractmethod
    async def put(self, box: Mailbox, ids: list[str]) -> dict[str, str]:
        """Put some there; gives the new ids by the old, where the server tells."""

    def plan(self) -> str:
        """Of how many, and where to."""
        verb = self.name.partition("-")[0]
        return f"{verb} {counted(self.ids)} of {self.folder} to {self.to} ({self.via})"


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
