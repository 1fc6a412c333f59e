"""What to search for: one small language; a server decides what it decides exactly, the rest is decided here.

    unseen (from:alice or from:bob) not subject:"out of office" larger:2MiB has:attachment

Words stand for conditions; beside each other they hold together, ``and`` says the same, ``or`` binds
less, ``not`` more, brackets group.  A tree of conditions becomes an IMAP SEARCH program (RFC 9051,
6.4.4) that meets at least all that the tree meets: what no server decides alike everywhere (text
beyond ASCII, attachments) is left out of it, and looked at here among what the server found.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from collections import deque
from collections.abc import Iterator
from typing import Final, NamedTuple

from postroom.errors import InvalidValue
from postroom.fields import nearest, parse_size
from postroom.mail import Message
from postroom.protocols.base import Summary

__all__ = ["Both", "Criteria", "Either", "Not", "Term", "parse_criteria"]

_FLAGS: Final = {
    "unseen": "UNSEEN", "seen": "SEEN", "flagged": "FLAGGED", "unflagged": "UNFLAGGED",
    "answered": "ANSWERED", "unanswered": "UNANSWERED",
}  # fmt: skip
_TEXTS: Final = ("from", "to", "subject", "message-id", "text")
_DATES: Final = ("since", "before")
_VALUED: Final = (*_TEXTS, *_DATES, "larger", "has")
_JOINING: Final = ("and", "or", "not", "(", ")")
_MONTHS: Final = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip
_WORDS: Final = ("all", *_FLAGS, *_VALUED, "and", "or", "not")
_DEEPEST: Final = 20
"""Brackets and ``not`` in each other: more is no search of a person."""

_TOKEN: Final = re.compile(r"""\s*(?:([()])|((?:[^\s()"']|"[^"]*"|'[^']*')+))""")
_QUOTED: Final = re.compile(r""""([^"]*)"|'([^']*)'""")


class Term(NamedTuple):
    """One condition: a word such as ``unseen``, or a key and its value."""

    key: str
    value: str | dt.date | int = ""


class Not(NamedTuple):
    """What does not meet the part."""

    part: Node


class Both(NamedTuple):
    """What meets all parts; without a part every message does."""

    parts: tuple[Node, ...]


class Either(NamedTuple):
    """What meets one of the parts."""

    parts: tuple[Node, ...]


Node = Term | Not | Both | Either


@dataclasses.dataclass(frozen=True, slots=True)
class Criteria:
    """Conditions on messages; ``sizes`` says whether the server knows how large a message is.

    Texts are compared as parts, without regard to case; ``since`` is inclusive, ``before`` is not, both
    by the day the server received the message; ``larger`` is of more bytes than that.
    """

    node: Node
    sizes: bool = True

    @property
    def program(self) -> str:
        """An IMAP SEARCH program in ASCII that meets at least all these messages."""
        return _program(self.node, self.sizes) or "ALL"

    @property
    def rest(self) -> Criteria | None:
        """What :attr:`program` leaves to be decided; None: it meets exactly these messages."""
        node = _rest(self.node, self.sizes)
        return None if node is None else Criteria(node, self.sizes)

    @property
    def wants_flags(self) -> bool:
        """Whether a flag is asked for."""
        return any(term.key in _FLAGS for term in _terms(self.node))

    @property
    def needs_body(self) -> bool:
        """Whether a header block and a summary are not enough to decide."""
        body = ("text", "has") if self.sizes else ("text", "has", "larger")
        return any(term.key in body for term in _terms(self.node))

    def fits(self, message: Message, summary: Summary) -> bool:
        """Whether a message (or its header alone, without ``needs_body``) meets all of it."""
        return _fits(self.node, message, summary)


def parse_criteria(text: str) -> Criteria:
    """``unseen from:alice subject:"new order" since:2026-01-31`` as criteria; ``all``: everything.

    A word and its value may also stand apart (``from alice``).  Raises InvalidValue.
    """
    words = _words(text)
    node = _either(words, 0)
    if words:
        raise _wrong("a bracket is closed that was not opened")
    return Criteria(node)


# ------------------------------------------------------------------ reading


class _Word(NamedTuple):
    """A word, and whether it is nothing but what stood in quotation marks."""

    text: str
    quoted: bool = False


def _words(text: str) -> deque[_Word]:
    words: deque[_Word] = deque()
    at, text = 0, text.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise _wrong("a quotation mark has no partner")
        if bracket := found[1]:
            words.append(_Word(bracket))
        else:
            plain = _QUOTED.sub(lambda one: one[1] if one[1] is not None else one[2], found[2])
            words.append(_Word(plain, found[2][0] in "\"'"))
        at = found.end()
    return words


def _joins(words: deque[_Word], *which: str) -> bool:
    return bool(words) and not words[0].quoted and words[0].text.lower() in which


def _either(words: deque[_Word], depth: int) -> Node:
    parts = [_both(words, depth)]
    while _joins(words, "or"):
        words.popleft()
        parts.append(_both(words, depth, after="or"))
    return parts[0] if len(parts) == 1 else Either(tuple(parts))


def _both(words: deque[_Word], depth: int, after: str = "") -> Node:
    parts: list[Node] = []
    while words and not _joins(words, "or", ")"):
        if _joins(words, "and"):
            if not parts:
                raise _wrong("a condition is missing before and")
            words.popleft()
            after = "and"
            if not words or _joins(words, "or", "and", ")"):
                break
        parts.append(_one(words, depth))
        after = ""
    if after:
        raise _wrong(f"a condition is missing after {after}")
    if not parts and _joins(words, "or"):
        raise _wrong("a condition is missing before or")
    return parts[0] if len(parts) == 1 else Both(tuple(parts))


def _one(words: deque[_Word], depth: int) -> Node:
    if depth > _DEEPEST:
        raise _wrong(f"more than {_DEEPEST} brackets or nots stand in each other")
    if _joins(words, "not"):
        words.popleft()
        if not words or _joins(words, "and", "or", ")"):
            raise _wrong("a condition is missing after not")
        return Not(_one(words, depth + 1))
    if _joins(words, "("):
        words.popleft()
        inner = _either(words, depth + 1)
        if not _joins(words, ")"):
            raise _wrong("a bracket is not closed")
        words.popleft()
        return inner
    return _term(words)


def _term(words: deque[_Word]) -> Node:
    key, colon, value = words.popleft().text.partition(":")
    key = key.lower()
    if key in _FLAGS and not colon:
        return Term(key)
    if key == "all" and not colon:
        return Both(())
    if key not in _VALUED:
        raise _unknown(key)
    if not colon and words and words[0].text not in "()":
        value = words.popleft().text
    if key in _DATES:
        return Term(key, _date(key, value))
    if key == "larger":
        return Term(key, _size(value))
    if key == "has":
        if value.lower() not in ("attachment", "attachments"):
            raise _wrong("has needs attachment: has:attachment")
        return Term(key)
    return Term(key, _sendable(key, value))


def _unknown(word: str) -> InvalidValue:
    close = nearest(word, _WORDS)
    known = f"did you mean {close}?" if close else f"use {', '.join(_WORDS)}"
    return _wrong(f"{word!r} is not a word of a search; {known}")


def _sendable(key: str, value: str) -> str:
    if not value:
        raise _wrong(f"{key} needs a text, such as {key}:invoice")
    if re.search(r"[\0\r\n]", value):
        raise _wrong(f"{key} holds a line break, which cannot be searched for")
    return value


def _date(key: str, value: str) -> dt.date:
    try:
        return dt.date.fromisoformat(value)
    except ValueError:
        raise _wrong(f"{key} needs a date, such as {key}:2026-01-31") from None


def _size(value: str) -> int:
    try:
        return parse_size(value)
    except ValueError:
        raise _wrong("larger needs a size, such as larger:2MiB") from None


def _wrong(sentence: str) -> InvalidValue:
    return InvalidValue("search", sentence)


# ------------------------------------------------------------------ what a server decides


def _terms(node: Node) -> Iterator[Term]:
    if isinstance(node, Term):
        yield node
    elif isinstance(node, Not):
        yield from _terms(node.part)
    else:
        for part in node.parts:
            yield from _terms(part)


def _exact(node: Node, sizes: bool) -> bool:
    """Whether a server decides all of it as it is decided here."""
    return all(
        term.key != "has"
        and (sizes or term.key != "larger")
        and (not isinstance(term.value, str) or term.value.isascii())
        for term in _terms(node)
    )


def _program(node: Node, sizes: bool) -> str:
    """The program of a node as one key or a row of them; empty where it meets every message."""
    if isinstance(node, Both):
        return " ".join(filter(None, (_program(part, sizes) for part in node.parts)))
    if isinstance(node, Either):
        programs = [_program(part, sizes) for part in node.parts]
        if not all(programs):
            return ""
        *some, found = map(_grouped, programs)
        for one in reversed(some):
            found = f"OR {one} {found}"
        return found
    if not _exact(node, sizes):
        return ""
    if isinstance(node, Not):
        return f"NOT {_grouped(_program(node.part, sizes) or 'ALL')}"
    return _key(node)


def _grouped(program: str) -> str:
    """As one key: a row of several stands in brackets."""
    simple = re.fullmatch(r'[A-Z]+(?: (?:MESSAGE-ID )?(?:"(?:[^"\\]|\\.)*"|[^\s"()]+))?', program)
    return program if simple and not program.startswith(("NOT ", "OR ")) else f"({program})"


def _rest(node: Node, sizes: bool) -> Node | None:
    if _exact(node, sizes):
        return None
    if isinstance(node, Both):
        return Both(tuple(part for one in node.parts if (part := _rest(one, sizes)) is not None))
    return node


def _key(term: Term) -> str:
    if term.key in _FLAGS:
        return _FLAGS[term.key]
    if isinstance(term.value, dt.date):
        return f"{term.key.upper()} {_imap_date(term.value)}"
    if isinstance(term.value, int):
        return f"LARGER {term.value}"
    name = "HEADER MESSAGE-ID" if term.key == "message-id" else term.key.upper()
    return f"{name} {_quoted(term.value)}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _imap_date(day: dt.date) -> str:
    # not strftime: its months follow the locale
    return f"{day.day}-{_MONTHS[day.month - 1]}-{day.year:04}"


# ------------------------------------------------------------------ what is decided here


def _fits(node: Node, message: Message, summary: Summary) -> bool:
    if isinstance(node, Not):
        return not _fits(node.part, message, summary)
    if isinstance(node, Both):
        return all(_fits(part, message, summary) for part in node.parts)
    if isinstance(node, Either):
        return any(_fits(part, message, summary) for part in node.parts)
    if node.key in _FLAGS:
        return _has_flag(node.key, summary.flags)
    if node.key == "has":
        return bool(message.attachments)
    if isinstance(node.value, dt.date):
        received = summary.received or message.date
        return received is not None and (received.date() >= node.value) is (node.key == "since")
    if isinstance(node.value, int):
        return (summary.size or len(message.raw)) > node.value
    return node.value.casefold() in _text(message, node.key)


def _has_flag(word: str, flags: frozenset[str]) -> bool:
    wanted = not word.startswith("un")
    return (word.removeprefix("un") in flags) == wanted


def _text(message: Message, key: str) -> str:
    if key == "text":
        fields = " ".join(value for _, value in message.headers)
        return f"{fields} {message.text or ''} {message.html or ''}".casefold()
    return message.header(key).casefold()
