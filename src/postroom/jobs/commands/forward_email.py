"""``forward-email``: a message passed on."""

from __future__ import annotations

from typing import ClassVar

from postroom.fields import field
from postroom.jobs.commands.answering import Answering
from postroom.jobs.commands.base import Bench, Result
from postroom.jobs.commands.reading import counted
from postroom.jobs.commands.sending import People, addresses, shown

__all__ = ["ForwardEmail"]


class ForwardEmail(Answering):
    """Pass a message on, with its attachments."""

    name: ClassVar[str] = "forward-email"
    rights: ClassVar[tuple[str, ...]] = ("read", "send")
    about: ClassVar[str] = "Pass a message on, with its attachments."

    to: People = field(
        label="To", help="A recipient, or a list with ; between. Several times.", metavar="ADDRESS"
    )
    as_attachment: bool = field(
        False, label="As attachment", help="The exact message, as an attachment."
    )

    async def run(self, bench: Bench) -> Result:
        """Send it.  Raises NotThere."""
        from postroom.mail import answers

        message = await self.message(bench)
        draft = answers.forward(
            message,
            from_=await self.author(bench),
            to=addresses(self.to, "to"),
            text=self.text,
            as_attachment=self.as_attachment,
        )
        return await self.sent(
            bench, await self.through(bench), draft, mailbox=self.mailbox_to_send
        )

    def plan(self) -> str:
        """Which one, to whom, and through what."""
        which = counted(None) if self.id is None else f"{self.id} of {self.folder}"
        return f"forward {which} to {shown(self.to)} ({self.send_via or self.via})"
