"""MIME structure of received mail (RFC 2045, 2046, 2183, 2231): lazy, capped, linear, never raises.

A tree of entities over the exact bytes: nothing is copied until a part is asked for.  The limits
are depth 50, 1,000 parts, 256 KiB of header, 16 KiB of field, and eight readings of every byte.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import unquote_to_bytes

from postroom.mail import charsets
from postroom.mail.headers import (
    BLOCK_LIMIT,
    FIELD_LIMIT,
    decode_header,
    one_line,
    raw_text,
    unfold,
)

__all__ = ["Entity", "Field", "decode_body", "parameters", "read", "read_fields"]

DEPTH_LIMIT = 50
PARTS_LIMIT = 1000
READINGS_LIMIT = 8
SMALL = 16 * 1024 * 1024
PARAMETERS_LIMIT = 200

Field = tuple[bytes, bytes]
"""The name of a field as it stands, and its raw value, unfolded and capped."""

_FIELD = re.compile(rb"([!-9;-~\x80-\xff]++)[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)(?:\n|\Z)")
_MIDDLE = re.compile(rb"[^\n]*+\n(?=[!-9;-~]++:)")
_BLANK = re.compile(rb"\r?\n")
_TYPE = re.compile(r"\s*([\w!#$&^.+-]+/[\w!#$&^.+-]+)")
_PARAMETER = re.compile(r';\s*+([^=;\s"]++)\s*+=\s*+(?:"((?:[^"\\]|\\.)*+)"?|([^;]*+))', re.DOTALL)
_PIECE = re.compile(r"([^*]+)\*(?:(\d{1,3})(\*)?)?")


@dataclass
class Entity:
    """One node: its header fields, its type, and where its body lies in the message."""

    raw: bytes
    start: int
    end: int
    fields: list[Field] = field(default_factory=list)
    content_type: str = "text/plain"
    type_parameters: dict[str, str] = field(default_factory=dict)
    disposition: str = ""
    disposition_parameters: dict[str, str] = field(default_factory=dict)
    children: list[Entity] = field(default_factory=list)
    parent_type: str = ""

    @cached_property
    def _firsts(self) -> dict[bytes, bytes]:
        return {name.lower(): value for name, value in reversed(self.fields)}

    def first(self, name: bytes) -> bytes:
        """The raw value of the first field of that (lower-case) name, or nothing."""
        return self._firsts.get(name, b"")

    @property
    def encoding(self) -> str:
        """Content-Transfer-Encoding, lower case."""
        return self.first(b"content-transfer-encoding").decode("latin-1").strip().lower()

    @property
    def body(self) -> bytes:
        """The body as it stands, encoded."""
        return self.raw[self.start : self.end]

    @property
    def file_name(self) -> str:
        """The name its sender gave it, decoded, not made safe; may be empty."""
        return self.disposition_parameters.get("filename") or self.type_parameters.get("name", "")

    def leaves(self) -> Iterator[Entity]:
        """Every part without parts of its own, in order."""
        stack = [self]
        while stack:
            entity = stack.pop()
            if entity.children:
                stack += reversed(entity.children)
            else:
                yield entity


def read_fields(raw: bytes, start: int, end: int, problems: list[str]) -> tuple[list[Field], int]:
    """The fields from ``start`` on, and where the body begins (``end`` when there is none)."""
    fields: list[Field] = []
    at, stop = start, min(end, start + BLOCK_LIMIT)
    while at < stop:
        found = _FIELD.match(raw, at, stop)
        if found is not None:
            if len(found[2]) > FIELD_LIMIT:
                problems.append(f"A header field is longer than {FIELD_LIMIT} bytes; it was cut.")
            fields.append((found[1], unfold(found[2])))
            at = found.end()
            continue
        blank = _BLANK.match(raw, at, end)
        if blank is not None:
            return fields, blank.end()
        # a stray line amid the fields of the message (a broken fold, "From ") is stepped over
        middle = _MIDDLE.match(raw, at, stop) if fields and not start else None
        if middle is None:
            problems.append("The header ends without an empty line.")
            return fields, at
        problems.append("A line in the header is not a field; it was left out.")
        at = middle.end()
    if at >= end:
        return fields, end
    problems.append(f"The header is longer than {BLOCK_LIMIT} bytes; it was cut.")
    ends = [raw.find(mark, at - 1, end) + len(mark) for mark in (b"\n\r\n", b"\n\n")]
    return fields, min((each for each in ends if each > at), default=end)


def parameters(raw: bytes) -> tuple[str, dict[str, str]]:
    """``text/plain; charset=x`` as its first word, lower case, and its parameters, decoded.

    Understood: RFC 2231 continuations and charsets, encoded words, raw UTF-8, missing quotes.
    """
    text = raw_text(raw[:FIELD_LIMIT])
    plain: dict[str, str] = {}
    pieces: dict[str, dict[int, tuple[str, bool]]] = {}
    for count, found in enumerate(_PARAMETER.finditer(text)):
        if count == PARAMETERS_LIMIT:
            break
        name, quoted, bare = found[1].lower(), found[2], found[3]
        value = bare.strip() if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        piece = _PIECE.fullmatch(name)
        if piece is None:
            plain.setdefault(name, decode_header(value))
        else:
            number, coded = int(piece[2] or 0), piece[2] is None or piece[3] is not None
            pieces.setdefault(piece[1], {}).setdefault(number, (value, coded))
    first = text.partition(";")[0].strip().lower()
    return first, plain | {name: _rfc2231(each) for name, each in pieces.items()}


def _rfc2231(pieces: dict[int, tuple[str, bool]]) -> str:
    data, charset = b"", ""
    for at, number in enumerate(sorted(pieces)):
        value, coded = pieces[number]
        if at == 0 and coded and value.count("'") >= 2:
            charset, _language, value = value.split("'", 2)
        data += unquote_to_bytes(value) if coded else value.encode("utf-8", "surrogateescape")
    text = charsets.decode(data, charset or None)
    # escaped text is meant as it is; encoded words in plain pieces are a mailer's mistake
    escaped = any(coded for _value, coded in pieces.values())
    return one_line(text) if escaped else decode_header(text)


def read(raw: bytes, problems: list[str]) -> Entity:
    """The tree of a message.  What was odd or over a limit is said in ``problems``."""
    return _Tree(raw, problems).read()


class _Tree:
    def __init__(self, raw: bytes, problems: list[str]) -> None:
        self.raw = raw
        self.problems = problems
        self.parts = 0
        # bytes that may still be searched; deep but small messages are harmless
        self.left = READINGS_LIMIT * len(raw) + SMALL

    def read(self) -> Entity:
        start = 0
        if self.raw.startswith((b"From ", b">From ")):  # the envelope line of an mbox file
            start = self.raw.find(b"\n", 0, FIELD_LIMIT) + 1
        root = self._entity(start, len(self.raw), "")
        waiting = [(root, 0)]
        while waiting:
            entity, depth = waiting.pop()
            if not entity.content_type.startswith("multipart/"):
                continue
            if depth >= DEPTH_LIMIT:
                self._say(f"Parts are nested deeper than {DEPTH_LIMIT}; the rest is one part.")
                continue
            entity.children = self._children(entity)
            waiting += [(child, depth + 1) for child in reversed(entity.children)]
        return root

    def _say(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)

    def _entity(self, start: int, end: int, parent_type: str) -> Entity:
        fields, body = read_fields(self.raw, start, end, self.problems)
        entity = Entity(self.raw, body, end, fields, parent_type=parent_type)
        if parent_type == "multipart/digest":
            entity.content_type = "message/rfc822"  # RFC 2046, 5.1.5
        given = entity.first(b"content-type")
        if given:
            kind, entity.type_parameters = parameters(given)
            found = _TYPE.match(kind)
            # "text" alone is written by some mailers, and RFC 2045, 5.2 makes the rest text/plain
            entity.content_type = found[1] if found else "text/plain"
        given = entity.first(b"content-disposition")
        if given:
            kind, entity.disposition_parameters = parameters(given)
            entity.disposition = kind.split()[0] if kind else ""
        return entity

    def _children(self, entity: Entity) -> list[Entity]:
        boundary = entity.type_parameters.get("boundary", "").rstrip()
        if not boundary:
            self._say("A multipart has no boundary; it is read as text.")
            return []
        self.left -= entity.end - entity.start
        if self.left < 0:
            self._say("The parts are too entangled to read all; the rest is one part.")
            return []
        children = []
        for start, end in self._ranges(entity, boundary.encode("utf-8", "surrogateescape")):
            if self.parts >= PARTS_LIMIT:
                self._say(f"There are more than {PARTS_LIMIT} parts; the rest was not read.")
                break
            self.parts += 1
            children.append(self._entity(start, end, entity.content_type))
        if not children:
            self._say("A multipart has no parts; it is read as text.")
        return children

    def _ranges(self, entity: Entity, boundary: bytes) -> Iterator[tuple[int, int]]:
        """Where each part begins and ends; the line end before a delimiter belongs to it."""
        line = re.compile(rb"\n--" + re.escape(boundary) + rb"(--)?+[ \t]*+\r?+(?=\n|\Z)")
        # one byte earlier, since the first delimiter may stand on the first line
        start = None
        for found in line.finditer(self.raw, max(entity.start - 1, 0), entity.end):
            if start is not None:
                end = found.start()
                end -= end > start and self.raw[end - 1] == 13
                yield start, max(end, start)
            if found[1] is not None:
                return
            start = min(found.end() + 1, entity.end)
        if start is not None:
            self._say("A multipart has no end; it may have been cut off.")
            yield start, entity.end


def decode_body(entity: Entity) -> bytes:
    """The bytes of a part without its transfer encoding; what cannot be decoded is left out."""
    encoding = entity.encoding
    if encoding == "base64":
        return _base64(entity.body)
    if encoding == "quoted-printable":
        data = entity.body
        return binascii.a2b_qp(re.sub(rb"=[ \t]+(\r?\n)", rb"=\1", data) if b"= " in data else data)
    if encoding in {"x-uuencode", "uuencode", "x-uue", "uue"}:
        return _uu(entity.body)
    return entity.body


_NOT_BASE64 = bytes(byte for byte in range(256) if not re.match(rb"[A-Za-z0-9+/=]", bytes([byte])))


def _base64(data: bytes) -> bytes:
    end = data.find(b"=")
    if end < 0 or not data[end:].strip(b"=\r\n"):
        try:
            return binascii.a2b_base64(data)  # which skips what is not base64
        except binascii.Error:
            pass  # padding is missing; mended below
    data = data.translate(None, _NOT_BASE64)
    end = data.find(b"=")
    if end < 0 or not data[end:].strip(b"="):
        return _group(data.rstrip(b"="))
    # several encoded texts in a row, each with its own padding
    return b"".join(map(_group, re.split(b"=+", data)))


def _group(data: bytes) -> bytes:
    over = len(data) % 4
    if over == 1:
        data, over = data[:-1], 0
    return binascii.a2b_base64(data + b"=" * (-over % 4))


def _uu(data: bytes) -> bytes:
    out: list[bytes] = []
    for line in data.partition(b"begin ")[2].splitlines()[1:]:
        if line.strip() in {b"end", b"`", b""}:
            break
        try:
            out.append(binascii.a2b_uu(line))
        except binascii.Error:
            # a wrong count of fill characters: decode what the length byte promises
            promised = ((line[0] - 32) & 63) * 4 // 3 + 1
            out.append(_uu_line(line[: promised + 4]))
    return b"".join(out)


def _uu_line(line: bytes) -> bytes:
    try:
        return binascii.a2b_uu(line)
    except binascii.Error:
        return b""
