"""``send-email``: one message, through the outbox."""

from __future__ import annotations

from typing import ClassVar

from postroom.fields import field
from postroom.jobs.commands.base import Bench, Command, ReadAgain, Result
from postroom.jobs.commands.sending import Files, People, Sending, addresses, attachments_of, shown
from postroom.mail import Draft

__all__ = ["SendEmail"]


class _Letter(Command):
    """What a message has; how it is sent comes after it."""

    via: str = field(
        label="Via", help="Service, connection, or smtp or msgraph credential.", metavar="NAME"
    )
    to: People = field(
        default_factory=list,
        label="To",
        help="A recipient, or a list with ; between. Several times.",
        metavar="ADDRESS",
    )
    cc: People = field(default_factory=list, label="Cc", help="As to.", metavar="ADDRESS")
    bcc: People = field(
        default_factory=list, label="Bcc", help="As to; no recipient sees it.", metavar="ADDRESS"
    )
    from_: People = field(
        default_factory=list,
        label="From",
        help="Empty: the account's own.",
        alias="from",
        metavar="ADDRESS",
    )
    mailbox: str = field(
        "", label="Mailbox", help="Another than its own, on Microsoft 365.", metavar="ADDRESS"
    )
    reply_to: People = field(
        default_factory=list, label="Reply-To", help="Where answers go.", metavar="ADDRESS"
    )
    subject: str = field("", label="Subject", help="One line.", metavar="TEXT")
    text: str | None = field(None, label="Text", help="Plain text.", metavar="TEXT")
    html: str | None = field(None, label="HTML", help="The same as HTML.", metavar="TEXT")
    attachments: Files = field(
        default_factory=list,
        label="Attachments",
        help="Files, by their paths. Several times.",
        flag="--attach",
        metavar="FILE",
    )
    headers: dict[str, str] = field(
        default_factory=dict,
        label="Headers",
        help="Further header fields, by their names.",
        flag="--header",
        metavar="NAME=VALUE",
    )


class SendEmail(Sending, _Letter):
    """Send a message.

    Without ``from`` it is from the service's own address, or from the account's: the email_address
    of its credential, its mailbox, its user.  Where there is none, it must be given.
    """

    name: ClassVar[str] = "send-email"
    rights: ClassVar[tuple[str, ...]] = ("send",)
    about: ClassVar[str] = "Send a message through the outbox."
    read_again: ClassVar[ReadAgain] = {"attachments": "path"}

    async def run(self, bench: Bench) -> Result:
        """Send it.  Raises InvalidValue with the field, Refused (``sender_not_allowed``)."""
        draft = Draft(
            from_=addresses(self.from_, "from") or None,
            to=addresses(self.to, "to"),
            cc=addresses(self.cc, "cc"),
            bcc=addresses(self.bcc, "bcc"),
            reply_to=addresses(self.reply_to, "reply_to"),
            subject=self.subject,
            text=self.text,
            html=self.html,
            attachments=await attachments_of(self.attachments, bench.base),
            headers=self.headers,
        )
        return await self.sent(bench, self.via, draft, mailbox=self.mailbox)

    def plan(self) -> str:
        """Of what, and to whom."""
        people = shown([*self.to, *self.cc, *self.bcc]) or "nobody"
        return f"send {self.subject!r} to {people} ({self.via})"
