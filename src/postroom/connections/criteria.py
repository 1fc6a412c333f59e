"""What to search for: one small language, told to an IMAP server or answered here."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
import shlex
from typing import Final

from postroom.errors import InvalidValue
from postroom.fields import nearest
from postroom.mail import Message
from postroom.protocols.base import Summary

__all__ = ["Criteria", "parse_criteria"]

_FLAGS: Final = {
    "unseen": "UNSEEN", "seen": "SEEN", "flagged": "FLAGGED", "unflagged": "UNFLAGGED",
    "answered": "ANSWERED", "unanswered": "UNANSWERED",
}  # fmt: skip
_TEXTS: Final = ("from", "to", "subject", "message-id", "text")
_DATES: Final = ("since", "before")
_MONTHS: Final = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip
_WORDS: Final = ("all", *_FLAGS, *_TEXTS, *_DATES)


@dataclasses.dataclass(frozen=True, slots=True)
class Criteria:
    """All conditions hold together; none: every message.

    ``flags`` are words such as ``unseen``; ``texts`` pairs of ``from|to|subject|message-id|text`` and
    a part of it, compared without regard to case; ``since`` is inclusive, ``before`` is not, both by the
    day the server received the message (RFC 9051, 6.4.4).
    """

    flags: tuple[str, ...] = ()
    texts: tuple[tuple[str, str], ...] = ()
    since: dt.date | None = None
    before: dt.date | None = None

    @property
    def program(self) -> str:
        """An IMAP SEARCH program in ASCII; what is not ASCII is left to :meth:`fits`."""
        parts = [_FLAGS[word] for word in self.flags]
        parts += [f"{_key(key)} {_quoted(part)}" for key, part in self.texts if part.isascii()]
        parts += [f"SINCE {_imap_date(self.since)}"] if self.since else []
        parts += [f"BEFORE {_imap_date(self.before)}"] if self.before else []
        return " ".join(parts) or "ALL"

    def beyond_ascii(self) -> Criteria:
        """The conditions that :attr:`program` could not say."""
        return Criteria(texts=tuple(pair for pair in self.texts if not pair[1].isascii()))

    @property
    def needs_body(self) -> bool:
        """Whether a header block is not enough to decide."""
        return any(key == "text" for key, _ in self.texts)

    def fits(self, message: Message, summary: Summary) -> bool:
        """Whether a message (or its header alone, without ``needs_body``) meets all conditions."""
        return (
            all(_has_flag(word, summary.flags) for word in self.flags)
            and all(part.casefold() in _text(message, key) for key, part in self.texts)
            and self._in_time(summary.received or message.date)
        )

    def _in_time(self, received: dt.datetime | None) -> bool:
        if self.since is None and self.before is None:
            return True
        if received is None:
            return False
        day = received.date()
        return (self.since is None or day >= self.since) and (
            self.before is None or day < self.before
        )


def parse_criteria(text: str) -> Criteria:
    """``unseen from:alice subject:"new order" since:2026-01-31`` as criteria; ``all``: everything.

    A word and its value may also stand apart (``from alice``).  Raises InvalidValue.
    """
    try:
        words = shlex.split(text)
    except ValueError:
        raise InvalidValue("search", "a quotation mark has no partner") from None
    flags: list[str] = []
    texts: list[tuple[str, str]] = []
    dates: dict[str, dt.date] = {}
    while words:
        key, colon, value = words.pop(0).partition(":")
        key = key.lower()
        if key in _FLAGS and not colon:
            flags.append(key)
        elif key in (*_TEXTS, *_DATES):
            if not colon and words:
                value = words.pop(0)
            if key in _TEXTS:
                texts.append((key, _sendable(key, value)))
            else:
                dates[key] = _date(key, value)
        elif key != "all" or colon:
            raise _unknown(key)
    return Criteria(tuple(flags), tuple(texts), dates.get("since"), dates.get("before"))


def _unknown(word: str) -> InvalidValue:
    close = nearest(word, _WORDS)
    known = f"did you mean {close}?" if close else f"use {', '.join(_WORDS)}"
    return InvalidValue("search", f"{word!r} is not a word of a search; {known}")


def _sendable(key: str, value: str) -> str:
    if not value:
        raise InvalidValue("search", f"{key} needs a text, such as {key}:invoice")
    if re.search(r"[\0\r\n]", value):
        raise InvalidValue("search", f"{key} holds a line break, which cannot be searched for")
    return value


def _date(key: str, value: str) -> dt.date:
    try:
        return dt.date.fromisoformat(value)
    except ValueError:
        raise InvalidValue("search", f"{key} needs a date, such as {key}:2026-01-31") from None


def _key(key: str) -> str:
    return "HEADER MESSAGE-ID" if key == "message-id" else key.upper()


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _imap_date(day: dt.date) -> str:
    # not strftime: its months follow the locale
    return f"{day.day}-{_MONTHS[day.month - 1]}-{day.year:04}"


def _has_flag(word: str, flags: frozenset[str]) -> bool:
    wanted = not word.startswith("un")
    return (word.removeprefix("un") in flags) == wanted


def _text(message: Message, key: str) -> str:
    if key == "text":
        fields = " ".join(value for _, value in message.headers)
        return f"{fields} {message.text or ''} {message.html or ''}".casefold()
    return message.header(key).casefold()
