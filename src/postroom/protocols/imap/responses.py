"""What a server says, typed (RFC 9051, section 7), tolerant of what real servers send.

``parse`` turns one frame into one event.  What Postroom has no use for becomes :class:`Other`.
A FETCH that cannot be read is an error, since passing over it would lose a message.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from collections.abc import Callable, Iterator
from itertools import takewhile
from typing import Final, Literal

from postroom.errors import ProtocolError
from postroom.protocols.imap.dates import instant
from postroom.protocols.imap.frames import Chunk, Frame, Large
from postroom.protocols.imap.sets import Ranges, compress, parse_set
from postroom.protocols.imap.tokens import Value, lex, words

__all__ = [
    "WHOLE",
    "Capability",
    "Continue",
    "Done",
    "Enabled",
    "Event",
    "Exists",
    "Expunge",
    "Fetch",
    "Listed",
    "Namespaces",
    "Other",
    "Search",
    "Status",
    "Vanished",
    "parse",
]

State = Literal["OK", "NO", "BAD", "BYE", "PREAUTH"]


@dataclasses.dataclass(slots=True)
class Status:
    """``* OK [code argument] text``; ``code`` is in capitals, ``text`` is what the server wrote."""

    state: str
    code: str = ""
    argument: str = ""
    text: str = ""


@dataclasses.dataclass(slots=True)
class Done(Status):
    """The end of the command with this tag: OK, NO or BAD."""

    tag: str = ""


@dataclasses.dataclass(slots=True)
class Continue:
    """``+ text``: the server waits for more: a literal, a SASL response, the end of IDLE."""

    text: bytes
    for_literal: bool = False  # the core has it ready in ``outgoing``


@dataclasses.dataclass(slots=True)
class Capability:
    """What the server can do, in capitals."""

    names: frozenset[str]


@dataclasses.dataclass(slots=True)
class Enabled:
    """What the server does from now on because it was asked to (RFC 5161), in capitals."""

    names: frozenset[str]


@dataclasses.dataclass(slots=True)
class Exists:
    """How many messages are in the open folder now."""

    count: int


@dataclasses.dataclass(slots=True)
class Expunge:
    """One message, by its place in the folder, is gone."""

    place: int


@dataclasses.dataclass(slots=True)
class Vanished:
    """These uids are gone (RFC 7162, 3.2.10); ``earlier``: before the folder was opened.

    A long answer comes in several of these.
    """

    ranges: Ranges
    earlier: bool


@dataclasses.dataclass(slots=True)
class Fetch:
    """What is told of one message, asked for or not.

    ``has_body`` says whether the whole message was among it; its ``body`` is None where the server
    wrote NIL.  ``flags`` is None when they were not told.
    """

    place: int
    uid: int = 0
    has_body: bool = False
    body: bytes | Large | None = None
    header: bytes | Large | None = None
    flags: tuple[str, ...] | None = None
    received: dt.datetime | None = None
    size: int = -1  # bytes; -1: not told
    modseq: int = 0


@dataclasses.dataclass(slots=True)
class Listed:
    """One folder of a LIST, its name as the server spells it."""

    attributes: frozenset[str]  # in small letters: "\\noselect", "\\archive", ...
    separator: str
    name: bytes


@dataclasses.dataclass(slots=True)
class Namespaces:
    """RFC 2342: (prefix, separator) of our own folders, and of everybody else's."""

    personal: list[tuple[bytes, str]]
    foreign: list[tuple[bytes, str]]


@dataclasses.dataclass(slots=True)
class Search:
    """Matching uids as ranges; a long answer comes in several of these."""

    ranges: Ranges


@dataclasses.dataclass(slots=True)
class Other:
    """Something that is not needed here: its name, in capitals."""

    name: str


Event = (
    Status
    | Continue
    | Capability
    | Enabled
    | Exists
    | Expunge
    | Fetch
    | Listed
    | Namespaces
    | Search
    | Vanished
    | Other
    | Large
    | Chunk
)

WHOLE: Final = frozenset({"BODY[]", "BODY[]<0>", "RFC822"})
"""The items that are a whole message."""

_BODY: Final = re.compile(rb"\* (\d{1,10}) FETCH \((?:UID (\d{1,10}) )?BODY\[\] ")
_ROW: Final = re.compile(
    rb"\* (\d{1,10}) FETCH \(UID (\d{1,10}) FLAGS \(([^()\"\[\]{}]*)\)"
    rb' INTERNALDATE "([^"\\]{20,26})" RFC822\.SIZE (\d{1,19})(\)| BODY\[(?:HEADER[^\[\]"{}]*)?\] )'
)
_NUMBERED: Final = re.compile(rb"\* +(\d{1,10}) +([A-Za-z]+) *")
_NAMED: Final = re.compile(rb"\* +([A-Za-z][A-Za-z0-9-]*) *")
_TAGGED: Final = re.compile(rb"([^ +*][^ ]*) +(OK|NO|BAD)(?= |\Z)", re.IGNORECASE)
_CODE: Final = re.compile(
    rb' *\[([^\s\]]+)(?: +((?:"(?:[^"\\]|\\.)*"|[^\]"])*))?\] ?(.*)', re.DOTALL
)
_PLAIN_CODE: Final = re.compile(rb" *\[([^\s\]]+)(?: +([^\]]*))?\] ?(.*)", re.DOTALL)


def parse(frame: Frame, nesting: int) -> Event:
    """The event of one frame; raises ProtocolError when it cannot be read."""
    first = frame[0]
    if not isinstance(first, bytes):
        raise ProtocolError("The server sent a response that begins with a literal.")
    if len(frame) == 3 and frame[2] == b")" and (match := _BODY.fullmatch(first)):
        # nearly all of collecting; the general way below gives the same
        return Fetch(int(match[1]), int(match[2] or 0), True, _string(frame[1]))
    if match := _ROW.fullmatch(first):  # and nearly all of listing
        row = _row(match, frame)
        if row is not None:
            return row
    if match := _NUMBERED.match(first):
        return _numbered(int(match[1]), match[2].upper(), frame, nesting, match.end())
    if match := _NAMED.match(first):
        name = match[1].decode().upper()
        if name in _STATES:
            return Status(name, *_status(_flat(frame, match.end())))
        reader = _READERS.get(name)
        return reader(lex(frame, nesting, match.end())) if reader else Other(name)
    if first.startswith(b"+"):
        return Continue(first[1:].lstrip(b" "))
    if match := _TAGGED.match(first):
        state = match[2].decode().upper()
        return Done(state, *_status(_flat(frame, match.end())), tag=match[1].decode("latin-1"))
    raise ProtocolError("The server sent a line that is no IMAP response.")


def _row(match: re.Match[bytes], frame: Frame) -> Fetch | None:
    """One row of a listing in the order we ask for, as most servers answer."""
    place, uid, flags, date, size, end = match.groups()
    text: bytes | Large | None = None
    if end != b")":
        if len(frame) != 3 or frame[2] != b")":
            return None
        text = _string(frame[1])
    elif len(frame) != 1:
        return None
    whole = end == b" BODY[] "
    body, header = (text, None) if whole else (None, text)
    marks = tuple(flags.decode("latin-1").split()) if flags else ()
    return Fetch(int(place), int(uid), whole, body, header, marks, instant(date), int(size))


_STATES: Final = frozenset({"OK", "NO", "BAD", "BYE", "PREAUTH"})


def _flat(frame: Frame, start: int) -> bytes:
    # a literal in a status is rare (BADCHARSET); as text it reads well enough
    return b"".join(part for part in frame if isinstance(part, bytes))[start:]


def _status(text: bytes) -> tuple[str, str, str]:
    match = _CODE.match(text) or _PLAIN_CODE.match(text)
    if not match:
        return "", "", text.strip().decode("utf-8", "replace")
    code, argument, rest = match[1], match[2] or b"", match[3]
    return (
        code.decode("latin-1").upper(),
        argument.decode("latin-1"),
        rest.strip().decode("utf-8", "replace"),
    )


def _numbered(number: int, name: bytes, frame: Frame, nesting: int, start: int) -> Event:
    if name == b"FETCH":
        values = lex(frame, nesting, start)
        items = values[0] if values else None
        if not isinstance(items, list):
            raise ProtocolError("The server sent a FETCH without its list.")
        return _fetch(number, items)
    if name == b"EXISTS":
        return Exists(number)
    if name == b"EXPUNGE":
        return Expunge(number)
    return Other(name.decode("latin-1"))


def _fetch(place: int, items: list[Value]) -> Fetch:
    fetch = Fetch(place)
    for name, value in _pairs(items):
        if not isinstance(name, str):
            raise ProtocolError("The server sent a FETCH whose items cannot be told apart.")
        key = name.upper()
        if key == "UID":
            fetch.uid = _number(value)
        elif key == "FLAGS":
            fetch.flags = tuple(words(value))
        elif key == "RFC822.SIZE":
            fetch.size = _number(value)
        elif key == "INTERNALDATE":
            fetch.received = instant(value) if isinstance(value, bytes) else None
        elif key in WHOLE:
            fetch.has_body = True
            fetch.body = _string(value)
        elif key.startswith("BODY[HEADER") or key == "RFC822.HEADER":
            fetch.header = _string(value)
        elif key == "MODSEQ":
            fetch.modseq = _number(value[0]) if isinstance(value, list) and value else 0
    return fetch


def _pairs(items: list[Value]) -> Iterator[tuple[Value, Value]]:
    """Names and values; Domino puts some pairs in parentheses of their own."""
    rest = iter(items)
    for name in rest:
        if isinstance(name, list) and len(name) % 2 == 0:
            yield from _pairs(name)
            continue
        for value in rest:
            yield name, value
            break


def _number(value: Value) -> int:
    # twenty digits hold any 63-bit number; int() of a long text is quadratic
    if isinstance(value, str) and value.isdecimal() and len(value) <= 20:
        return int(value)
    raise ProtocolError("The server sent something else where a number belongs.")


def _string(value: Value) -> bytes | Large | None:
    """A string of a FETCH.  A short body may come as an atom from sloppy servers."""
    if isinstance(value, str):
        return value.encode("latin-1")
    if isinstance(value, list):
        raise ProtocolError("The server sent a list where a text belongs.")
    return value


# ------------------------------------------------------------------- untagged data, by its name


def _capability(values: list[Value]) -> Event:
    return Capability(frozenset(word.upper() for word in words(values)))


def _enabled(values: list[Value]) -> Event:
    return Enabled(frozenset(word.upper() for word in words(values)))


def _vanished(values: list[Value]) -> Event:
    earlier = bool(values) and isinstance(values[0], list)
    told = values[-1] if values else None
    if not isinstance(told, str):
        raise ProtocolError("The server told that messages vanished, and not which.")
    return Vanished(parse_set(told), earlier)


def _listed(values: list[Value]) -> Event:
    if len(values) < 3:
        raise ProtocolError("The server listed a folder without a name.")
    attributes, separator, name = values[:3]
    if name is None:
        name = "NIL"  # an atom: a folder of that name
    if isinstance(separator, bytes):
        separator = separator.decode("latin-1")
    if isinstance(name, str):  # Domino writes a name with spaces without quotes
        more = takewhile(lambda word: isinstance(word, str), values[3:])
        name = " ".join([name, *words(list(more))])
    raw = name.encode("latin-1") if isinstance(name, str) else name
    if not isinstance(raw, bytes) or isinstance(separator, (list, Large)):
        raise ProtocolError("The server listed a folder whose name cannot be read.")
    folded = frozenset(word.lower() for word in words(attributes))
    return Listed(folded, separator or "", raw)


def _namespaces(values: list[Value]) -> Event:
    parts = [_prefixes(value) for value in values[:3]] + [[], [], []]
    return Namespaces(parts[0], parts[1] + parts[2])


def _prefixes(value: Value) -> list[tuple[bytes, str]]:
    found: list[tuple[bytes, str]] = []
    for item in value if isinstance(value, list) else []:
        if not isinstance(item, list) or len(item) < 2:
            continue
        prefix = item[0].encode("latin-1") if isinstance(item[0], str) else item[0]
        separator = item[1].decode("latin-1") if isinstance(item[1], bytes) else item[1]
        if isinstance(prefix, bytes):
            found.append((prefix, separator if isinstance(separator, str) else ""))
    return found


def _search(values: list[Value]) -> Event:
    # a list at the end is (MODSEQ n), RFC 7162
    return Search(compress([_number(value) for value in values if not isinstance(value, list)]))


def _extended_search(values: list[Value]) -> Event:
    """ESEARCH, RFC 4731: ``(TAG "A1") UID ALL 1:5,9``."""
    rest = [value.upper() if isinstance(value, str) else "" for value in values]
    if "ALL" in rest[:-1]:
        return Search(parse_set(rest[rest.index("ALL") + 1]))
    return Search([])


_READERS: Final[dict[str, Callable[[list[Value]], Event]]] = {
    "CAPABILITY": _capability,
    "ENABLED": _enabled,
    "ESEARCH": _extended_search,
    "LIST": _listed,
    "NAMESPACE": _namespaces,
    "SEARCH": _search,
    "VANISHED": _vanished,
    "XLIST": _listed,
}
