"""The words of a notice: the subject and text of an email, the JSON of a webhook.

A cause repeats what servers said and what strangers wrote.  Here it becomes one line, without a character
that a terminal or a reader of mail would obey.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Final, Literal

from postroom.clock import rfc3339
from postroom.secret import Scrubber, open_secrets

__all__ = ["EVENTS", "Event", "Notice", "one_line"]

Event = Literal["began", "again", "over", "test", "ping"]
EVENTS: Final[dict[Event, str]] = {
    "began": "something has to be known",
    "again": "it lasts, and is nearer or more",
    "over": "it is over",
    "test": "somebody tries whether they are told",
    "ping": "the room is alive",
}
LONGEST: Final = 500
"""Characters of a sentence."""
_SUBJECT: Final = 160


def one_line(text: str, longest: int = LONGEST) -> str:
    """A text from anywhere on one line: without open secrets, what is not printable escaped, cut."""
    clean = Scrubber(open_secrets()).text(" ".join(text.split()))
    escaped = "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in clean)
    return escaped if len(escaped) <= longest else f"{escaped[: longest - 1]}…"


@dataclasses.dataclass(frozen=True, slots=True)
class Notice:
    """One message to people.  ``id`` is the same when it is sent again, ``room`` says which room it is
    of; ``noun`` and ``name`` are the record it is about.
    """

    id: str
    event: Event
    cause: str
    noun: str
    name: str
    said: str
    do: str
    since: float
    room: str

    @property
    def subject(self) -> str:
        """What the message is called."""
        over = "over: " if self.event == "over" else ""
        return one_line(f"Postroom: {over}{self.said}", _SUBJECT)

    @property
    def text(self) -> str:
        """The text of an email."""
        lines = [one_line(self.said), ""]
        if self.do and self.event != "over":
            lines += [one_line(self.do), ""]
        lines += [f"Since {rfc3339(self.since)}.", f"Room {one_line(self.room)}."]
        return "\n".join(lines) + "\n"

    def document(self) -> dict[str, Any]:
        """The same for programs; ``text`` is what chat services show."""
        said, do = one_line(self.said), "" if self.event == "over" else one_line(self.do)
        return {
            "v": 1,
            "id": self.id,
            "event": self.event,
            "cause": self.cause,
            "noun": self.noun,
            "name": self.name,
            "said": said,
            "do": do,
            "since": rfc3339(self.since),
            "room": one_line(self.room),
            "text": f"{self.subject}{f' {do}' if do else ''}",
        }

    def body(self) -> bytes:
        """The document as it is posted."""
        return json.dumps(self.document(), ensure_ascii=False).encode()
