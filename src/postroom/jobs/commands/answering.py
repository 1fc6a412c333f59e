"""What the commands that answer a message have in common: which one, through what, as whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

from postroom.fields import field
from postroom.jobs.commands.base import Bench
from postroom.jobs.commands.reading import InFolder, message_of
from postroom.jobs.commands.sending import People, Sending, addresses

if TYPE_CHECKING:
    from postroom.mail import Message
    from postroom.mail.addresses import AddressInput

__all__ = ["Answering"]


class _Answer(InFolder):
    """What an answer has; how it is sent comes after it."""

    id: str | None = field(
        None,
        label="Message",
        help="Message id. Not given: the message that started the run.",
        metavar="ID",
        argument=True,
    )
    text: str = field("", label="Text", help="Plain text.", metavar="TEXT")
    from_: People = field(
        default_factory=list,
        label="From",
        help="Empty: the account's own.",
        alias="from",
        metavar="ADDRESS",
    )
    send_via: str = field(
        "", label="Send via", help="A service to send with; empty: the same connection.",
        metavar="NAME",
    )  # fmt: skip


class Answering(Sending, _Answer):
    """A command that sends what it makes of a message."""

    async def through(self, bench: Bench) -> str:
        """What it is sent through: the connection that the message was read from, if nothing else."""
        if self.send_via or self.id is None:
            return self.send_via or self.via
        return await bench.reads(self.via)

    @property
    def mailbox_to_send(self) -> str:
        """The mailbox it is sent from, where that is another than the own one."""
        return "" if self.send_via else self.mailbox

    async def message(self, bench: Bench) -> Message:
        """The message that is answered.  Raises NotThere."""
        return await message_of(self, self.id, bench)

    async def author(self, bench: Bench) -> AddressInput:
        """Whom it is from."""
        given = addresses(self.from_, "from")
        return given or await bench.sender(await self.through(bench), self.mailbox_to_send)
