"""``reply-email``: the answer to a message."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import model_validator

from postroom.fields import field
from postroom.jobs.commands.answering import Answering
from postroom.jobs.commands.base import Bench, Result
from postroom.jobs.commands.reading import counted

__all__ = ["ReplyEmail"]


class ReplyEmail(Answering):
    """Answer a message; the one that is answered gets the flag for it."""

    name: ClassVar[str] = "reply-email"
    about: ClassVar[str] = "Answer a message, and mark it as answered."
    gives: ClassVar[dict[str, str]] = {
        **Answering.gives,
        "answered": "Whether the message is marked as answered.",
        "note": "Why it is not.",
    }

    html: str | None = field(None, label="HTML", help="The text as HTML as well.", metavar="TEXT")
    to_all: bool = field(False, label="To all", help="To everybody who got it.", flag="--all")
    quote: bool = field(True, label="Quote", help="Quote the message below the text.")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.text:
            raise ValueError("text: is needed: an answer needs a text")
        return self

    async def run(self, bench: Bench) -> Result:
        """Send it, and mark the message.  Raises NotThere, InvalidValue when nobody can be answered."""
        from postroom.mail import answers

        message = await self.message(bench)
        draft = answers.reply(
            message,
            from_=await self.author(bench),
            text=self.text,
            html=self.html,
            to_all=self.to_all,
            quote=self.quote,
        )
        sent = await self.sent(
            bench, await self.through(bench), draft, mailbox=self.mailbox_to_send
        )
        return {**sent, **await self._marked(bench, sent)}

    async def _marked(self, bench: Bench, sent: Result) -> Result:
        from postroom.errors import PostroomError

        if self.id is None or sent["state"] in ("failed", "ambiguous"):
            return {"answered": False, "note": ""}
        try:
            await (await self.box(bench)).flag([self.id], self.folder, add=["answered"])
        except PostroomError as error:  # the answer is on its way; that is what counts
            return {"answered": False, "note": error.sentence}
        return {"answered": True, "note": ""}

    def plan(self) -> str:
        """Which one, and through what."""
        which = counted(None) if self.id is None else f"{self.id} of {self.folder}"
        return f"answer {which} ({self.send_via or self.via})"
