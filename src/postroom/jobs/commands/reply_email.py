"""``reply-email``: the answer to a message."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import model_validator

from postroom.errors import Refused
from postroom.fields import Duration, field
from postroom.jobs.commands.answering import Answering
from postroom.jobs.commands.base import Bench, Result
from postroom.jobs.commands.reading import counted

if TYPE_CHECKING:
    from postroom.mail import Message
    from postroom.mail.addresses import AddressInput

__all__ = ["ReplyEmail"]


class ReplyEmail(Answering):
    """Answer a message; the one that is answered gets the flag for it."""

    name: ClassVar[str] = "reply-email"
    rights: ClassVar[tuple[str, ...]] = ("read", "send")
    about: ClassVar[str] = "Answer a message, and mark it as answered."
    gives: ClassVar[dict[str, str]] = {
        **Answering.gives,
        "answered": "Whether the message is marked as answered.",
        "note": "Why it is not, or why nobody was answered (then the state is: not answered).",
    }

    html: str | None = field(None, label="HTML", help="The text as HTML as well.", metavar="TEXT")
    to_all: bool = field(False, label="To all", help="To everybody who got it.", flag="--all")
    quote: bool = field(True, label="Quote", help="Quote the message below the text.")
    automatic: bool = field(
        False,
        label="Automatic",
        help="By a machine (RFC 3834): to the return path alone, marked as automatic, and not to "
        "lists, reports, other machines or this mailbox itself.",
    )
    once_in: Duration = field(
        "7d",
        label="Once in",
        help="An automatic answer: one sender gets one within that time.",
        metavar="TIME",
    )

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.text:
            raise ValueError("text: is needed: an answer needs a text")
        if self.automatic and self.to_all:
            raise ValueError("to_all: an automatic answer goes to one address only")
        if self.automatic and self.once_in < 1:
            raise ValueError("once_in: one second is the shortest")
        return self

    async def run(self, bench: Bench) -> Result:
        """Send it, and mark the message.  Raises NotThere, InvalidValue when nobody can be answered."""
        from postroom.mail import answers, as_automatic

        message, author = await self.message(bench), await self.author(bench)
        if self.automatic and (why := await self._why_not(bench, message, author)):
            return _unanswered(why)
        draft = answers.reply(
            message,
            from_=author,
            text=self.text,
            html=self.html,
            to_all=self.to_all,
            quote=self.quote,
        )
        if self.automatic:
            draft = as_automatic(draft, message)
        try:
            sent = await self.sent(
                bench,
                await self.through(bench),
                draft,
                mailbox=self.mailbox_to_send,
                once_in=self.once_in if self.automatic else 0.0,
            )
        except Refused as error:
            if "once_in" not in error.facts:
                raise
            return _unanswered(error.sentence)
        return {**sent, **await self._marked(bench, sent)}

    async def _why_not(self, bench: Bench, message: Message, author: AddressInput) -> str:
        """Why a machine may not answer; the mailbox is known by the author and the account's own."""
        from postroom.mail import parse_addresses, why_not_answer

        account = await bench.sender(await self.through(bench), self.mailbox_to_send)
        own = [one.address for each in (author, account) for one in parse_addresses(each, "from")]
        why = why_not_answer(message, own)
        return f"Not answered: {why}." if why else ""

    async def _marked(self, bench: Bench, sent: Result) -> Result:
        from postroom.errors import PostroomError

        if self.id is None or sent["state"] in ("failed", "ambiguous"):
            return {"answered": False, "note": ""}
        answered = self.id

        async def mark() -> None:
            await (await self.box(bench)).flag([answered], self.folder, add=["answered"])

        try:
            await bench.afterwards(mark)
        except PostroomError as error:  # the answer is on its way; that is what counts
            return {"answered": False, "note": error.sentence}
        return {"answered": True, "note": ""}

    def plan(self) -> str:
        """Which one, and through what."""
        which = counted(None) if self.id is None else f"{self.id} of {self.folder}"
        return f"answer {which} ({self.send_via or self.via})"


def _unanswered(why: str) -> Result:
    nothing: Result = dict.fromkeys(ReplyEmail.gives)
    told = {"id": "", "state": "not answered", "recipients": [], "answered": False, "note": why}
    return {**nothing, **told}
