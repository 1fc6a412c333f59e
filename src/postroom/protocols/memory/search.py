"""The common part of IMAP's SEARCH over messages in memory (RFC 9051, 6.4.4)."""

from __future__ import annotations

import datetime as dt
import re
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from postroom.errors import InvalidValue
from postroom.protocols.memory.server import MemoryMessage
from postroom.protocols.pop3.headers import header_block, pick

__all__ = ["matches", "tokens"]

Test = Callable[[MemoryMessage], bool]

_TOKEN = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([()])|([^\s()"]+))')
_FLAGS: Final = ("answered", "deleted", "draft", "flagged", "seen")
_DATE = "%d-%b-%Y"


def matches(criteria: str, messages: Sequence[MemoryMessage]) -> list[MemoryMessage]:
    """Those messages that match all keys of the program.  Raises InvalidValue."""
    words = tokens(criteria)
    tests: list[Test] = []
    while words:
        tests.append(_key(words, messages))
    return [message for message in messages if all(test(message) for test in tests)]


def tokens(criteria: str) -> deque[str]:
    """The keys, arguments and brackets of a program.  Raises InvalidValue."""
    words: deque[str] = deque()
    at = 0
    while at < len(criteria.rstrip()):
        found = _TOKEN.match(criteria, at)
        if found is None:
            raise _wrong("a quote that does not end")
        unquoted = None if found[1] is None else re.sub(r"\\(.)", r"\1", found[1])
        words.append(found[2] or found[3] or unquoted or "")
        at = found.end()
    return words


def _key(words: deque[str], messages: Sequence[MemoryMessage]) -> Test:
    word = _next(words)
    name = word.upper()
    if name == "(":
        inner: list[Test] = []
        while words and words[0] != ")":
            inner.append(_key(words, messages))
        _next(words)
        return lambda m: all(test(m) for test in inner)
    if name == "NOT":
        test = _key(words, messages)
        return lambda m: not test(m)
    if name == "OR":
        one, other = _key(words, messages), _key(words, messages)
        return lambda m: one(m) or other(m)
    if re.fullmatch(r"[\d*:,]+", word):
        numbers = _set(word, len(messages))
        return lambda m: messages.index(m) + 1 in numbers
    if name == "UID":
        uids = _set(_next(words), max((m.uid for m in messages), default=0))
        return lambda m: m.uid in uids
    return _by_flag(name, words) or _by_text(name, words) or _by_value(name, words)


def _by_flag(name: str, words: deque[str]) -> Test | None:
    plain = name.removeprefix("UN").lower()
    if name == "ALL":
        return lambda m: True
    if plain in _FLAGS:
        return lambda m: (plain in m.flags) != name.startswith("UN")
    if plain == "keyword":
        keyword = _next(words)
        return lambda m: (keyword in m.flags) != name.startswith("UN")
    return None


def _by_text(name: str, words: deque[str]) -> Test | None:
    if name in ("BCC", "CC", "FROM", "SUBJECT", "TO", "HEADER"):
        field = _next(words) if name == "HEADER" else name
        wanted = _next(words).lower().encode()
        return lambda m: wanted in _field(m, field)
    if name in ("BODY", "TEXT"):
        wanted = _next(words).lower().encode()
        return lambda m: wanted in _part(m, name).lower()
    return None


def _by_value(name: str, words: deque[str]) -> Test:
    if name in ("LARGER", "SMALLER"):
        size = int(_next(words))
        return lambda m: len(m.content) > size if name == "LARGER" else len(m.content) < size
    if name in ("BEFORE", "ON", "SINCE"):
        day = _day(_next(words))
        return lambda m: {
            "BEFORE": m.received.date() < day,
            "ON": m.received.date() == day,
            "SINCE": m.received.date() >= day,
        }[name]
    raise _wrong(f"the key {name}, which is not known here")


def _next(words: deque[str]) -> str:
    if not words:
        raise _wrong("a key that lacks its argument")
    return words.popleft()


def _field(message: MemoryMessage, name: str) -> bytes:
    return pick(header_block(message.content), [name]).partition(b":")[2].lower()


def _part(message: MemoryMessage, name: str) -> bytes:
    return message.content.partition(b"\r\n\r\n")[2] if name == "BODY" else message.content


def _day(text: str) -> dt.date:
    try:
        return dt.datetime.strptime(text, _DATE).replace(tzinfo=dt.UTC).date()
    except ValueError:
        raise _wrong("a date that is not like 1-Jan-2026") from None


def _set(text: str, last: int) -> set[int]:
    numbers: set[int] = set()
    for part in text.split(","):
        low, _, high = part.partition(":")
        try:
            ends = sorted(last if end == "*" else int(end) for end in (low, high or low))
        except ValueError:
            raise _wrong("a set of numbers that is none") from None
        numbers.update(range(ends[0], min(ends[1], last) + 1) if ends[0] <= last else ())
    return numbers


def _wrong(what: str) -> InvalidValue:
    return InvalidValue("criteria", f"the search holds {what}")
