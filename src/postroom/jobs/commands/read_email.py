"""``read-email``: one message, parsed."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, ClassVar

from postroom.clock import rfc3339
from postroom.fields import field
from postroom.jobs.commands.base import Bench, Result
from postroom.jobs.commands.reading import OnReceived, counted, message_of

if TYPE_CHECKING:
    from postroom.mail import Message

__all__ = ["ReadEmail"]


class ReadEmail(OnReceived):
    """One message: its headers, its text, its attachments.  It stays unseen."""

    name: ClassVar[str] = "read-email"
    rights: ClassVar[tuple[str, ...]] = ("read",)
    about: ClassVar[str] = "One message: its headers, its text, its attachments."
    gives: ClassVar[dict[str, str]] = {
        "id": "Its id in the folder, if it was read from one.",
        "from": "Its authors, as a list of texts.",
        "to": "Its recipients, as a list of texts.",
        "cc": "Those of the copy, as a list of texts.",
        "subject": "Its subject.",
        "date": "When its author wrote it, as the author says.",
        "message_id": "Its Message-ID.",
        "headers": "All header fields, in order: name, value.",
        "text": "Its plain text, if it has one.",
        "html": "The same as HTML, if it has that.",
        "attachments": "Of each attachment: name, type, size (bytes).",
        "problems": "What is wrong with how it is written, in sentences.",
        "raw": "Its exact bytes in base64, if they were asked for.",
    }

    id: str | None = field(None, label="Message", help="Message id.", metavar="ID", argument=True)
    raw: bool = field(
        False, label="Raw", help="The exact bytes; on the command line nothing but them."
    )

    async def run(self, bench: Bench) -> Result:
        """Read it.  Raises NotThere."""
        message = await message_of(self, self.id, bench)
        found = {"id": self.id, **_shown(message)}
        if self.raw:
            found["raw"] = base64.b64encode(message.raw).decode("ascii")
        return found

    def plan(self) -> str:
        """Which one."""
        which = counted(None) if self.id is None else f"{self.id} of {self.folder}"
        return f"read {which} ({self.via})"


def _shown(message: Message) -> Result:
    return {
        "from": [str(one) for one in message.from_],
        "to": [str(one) for one in message.to],
        "cc": [str(one) for one in message.cc],
        "subject": message.subject,
        "date": None if message.date is None else rfc3339(message.date),
        "message_id": message.message_id,
        "attachments": [
            {"name": part.name, "type": part.content_type, "size": part.size}
            for part in message.attachments
        ],
        "problems": list(message.problems),
        "headers": [{"name": name, "value": value} for name, value in message.headers],
        "text": message.text,
        "html": message.html,
    }
