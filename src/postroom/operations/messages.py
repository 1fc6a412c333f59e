"""A message as doors show it: its exact bytes read into names, texts and files.  Pure; opens nothing."""

from __future__ import annotations

import dataclasses
import datetime as dt

from postroom.mail import Message, safe_name, unique

__all__ = ["AttachedFile", "MessageView", "message_view"]


@dataclasses.dataclass(frozen=True, slots=True)
class AttachedFile:
    """A file in a message.

    ``number`` counts from 1; ``name`` is what the sender called it, ``file_name`` a safe one, told
    apart from the others of the message; ``content_id`` is what the HTML calls it, as in ``cid:ID``.
    """

    number: int
    name: str
    file_name: str
    content_type: str
    inline: bool
    content_id: str
    data: bytes = dataclasses.field(repr=False)

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.data)


@dataclasses.dataclass(frozen=True, slots=True)
class MessageView:
    """What people see of a message.  Every text is a stranger's, and ``html`` is as it was sent.

    ``problems`` say what is wrong with how it is written.
    """

    subject: str
    from_: tuple[str, ...]
    to: tuple[str, ...]
    cc: tuple[str, ...]
    reply_to: tuple[str, ...]
    date: dt.datetime | None
    message_id: str
    headers: tuple[tuple[str, str], ...]
    text: str | None
    html: str | None
    files: tuple[AttachedFile, ...]
    problems: tuple[str, ...]


def message_view(raw: bytes) -> MessageView:
    """Read the bytes of a message; never raises.  It takes time: not in the loop."""
    message = Message(raw)
    parts = message.attachments
    names = unique(safe_name(part.name, fallback="attachment") for part in parts)
    files = tuple(
        AttachedFile(
            number, part.name, name, part.content_type, part.inline, part.content_id, part.data()
        )
        for number, (part, name) in enumerate(zip(parts, names, strict=True), 1)
    )
    return MessageView(
        subject=message.subject,
        from_=tuple(map(str, message.from_)),
        to=tuple(map(str, message.to)),
        cc=tuple(map(str, message.cc)),
        reply_to=tuple(map(str, message.reply_to)),
        date=message.date,
        message_id=message.message_id,
        headers=tuple(message.headers),
        text=message.text,
        html=message.html,
        files=files,
        problems=tuple(message.problems),
    )
