"""MIME bodies as bytes (RFC 2045, 2046, 2183): 7-bit, CRLF, short lines, the same every time."""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from postroom.mail.folding import fold, parameter

__all__ = ["Entity", "File", "body"]

LINE = 78
QUOTED_LINE = 76
"""RFC 2045, 6.7, rule 5."""
_AT_ONCE = 57 * 16 * 1024  # bytes of a file in base64 at once: whole lines
_NEWLINE = re.compile("\r\n|\r|\n")
_RAW_NEWLINE = re.compile(b"\r\n|\r|\n")
_LONG_LINE = re.compile(rb"[^\n]{999}")
_RISKY_START = re.compile(rb"(?m)^(\.|F(?=rom ))([^\r\n]*)")
_SEVEN_BIT = re.compile(rb"[\x01-\x7f]*+")


@dataclass(frozen=True)
class File:
    """A checked attachment."""

    name: str
    content_type: str
    data: bytes
    inline_id: str | None


@dataclass(frozen=True)
class Entity:
    """Header fields (folded, without the final line end) and the body, in pieces to be joined."""

    fields: list[str]
    content: list[bytes]


def body(text: str | None, html: str | None, files: Sequence[File], *, seed: str) -> Entity:
    """The body of a message: text and HTML as alternatives, images related, files mixed.

    ``seed`` makes the boundaries, so equal input gives equal bytes.
    """
    shown = [each for each in files if each.inline_id is not None and html is not None]
    attached = [each for each in files if each not in shown]
    leaves = [] if text is None and html is not None else [_text("plain", text or "")]
    if html is not None:
        rich = _text("html", html)
        if shown:
            pictures = [_file(each, "inline") for each in shown]
            rich = _multipart("related", [rich, *pictures], f"{seed} related", ['type="text/html"'])
        leaves.append(rich)
    whole = leaves[0] if len(leaves) == 1 else _multipart("alternative", leaves, f"{seed} either")
    if not attached:
        return whole
    rest = [_file(each, "attachment") for each in attached]
    return _multipart("mixed", [whole, *rest], f"{seed} mixed")


def _multipart(kind: str, parts: list[Entity], seed: str, extra: Sequence[str] = ()) -> Entity:
    boundary = _boundary(seed, parts)
    line = f"--{boundary}\r\n".encode()
    content: list[bytes] = []
    for part in parts:
        head = "\r\n".join(part.fields).encode()
        content += [line, head, b"\r\n\r\n", *part.content, b"\r\n"]
    content.append(f"--{boundary}--\r\n".encode())
    tokens = [f"multipart/{kind};", *(f"{each};" for each in extra), f'boundary="{boundary}"']
    return Entity([fold("Content-Type", tokens)], content)


def _boundary(seed: str, parts: list[Entity]) -> str:
    """A line that occurs in no part; ``=_`` occurs in neither base64 nor quoted-printable."""
    attempt = 0
    while True:
        digest = hashlib.sha256(f"{seed} {attempt}".encode()).hexdigest()[:32]
        boundary = f"=_{digest}"
        if not any(boundary.encode() in piece for part in parts for piece in part.content):
            return boundary
        attempt += 1


def _text(subtype: str, text: str) -> Entity:
    """Text that ends with a line end, in the encoding that is legible or, failing that, short."""
    data = _NEWLINE.sub("\n", text).encode()
    if data and not data.endswith(b"\n"):
        data += b"\n"
    encoding, content = _encoded(data)
    fields = [
        f'Content-Type: text/{subtype}; charset="utf-8"',
        f"Content-Transfer-Encoding: {encoding}",
    ]
    return Entity(fields, [content])


def _encoded(data: bytes) -> tuple[str, bytes]:
    crlf = data.replace(b"\n", b"\r\n")
    # "From " is changed by mbox files, a lone dot by careless relays, trailing space by many
    risky = re.search(rb"(?m)^From |^\.|[ \t]$|[^\n]{%d}" % (LINE + 1), data)
    if _SEVEN_BIT.fullmatch(data) and not risky:
        return "7bit", crlf
    high = sum(map(len, re.findall(rb"[\x80-\xff]+", data)))
    if high * 6 > len(data):
        return "base64", b"".join(_base64(crlf))
    quoted = binascii.b2a_qp(crlf, istext=True)
    while _RISKY_START.search(quoted):
        quoted = _RISKY_START.sub(_spelled, quoted)
    return "quoted-printable", quoted


def _spelled(start: re.Match[bytes]) -> bytes:
    """The first character of a line as ``=XX``; in a line that has no room for it, on its own."""
    spelled = b"=%02X" % start[1][0]
    return spelled + start[2] if len(start[0]) <= QUOTED_LINE - 2 else spelled + b"=\r\n" + start[2]


def _base64(data: bytes) -> list[bytes]:
    """In pieces: the lines of a large file, all at once, would take twice its room again."""
    pieces = []
    for start in range(0, len(data), _AT_ONCE):
        text = binascii.b2a_base64(data[start : start + _AT_ONCE], newline=False)
        pieces.append(b"".join(text[at : at + 76] + b"\r\n" for at in range(0, len(text), 76)))
    return pieces


def _file(file: File, disposition: str) -> Entity:
    encoding, content, content_type = "base64", b"", file.content_type
    if content_type.lower().startswith("message/"):
        content = _seven_bit(file.data)
        # RFC 2046, 5.2: a message/* may only be 7bit here; one that is not travels as plain bytes
        encoding = "7bit" if content else encoding
        content_type = content_type if content else "application/octet-stream"
    fields = [
        fold("Content-Type", re.split(r"(?<=;) ?", content_type)),
        f"Content-Transfer-Encoding: {encoding}",
        fold("Content-Disposition", _disposition(disposition, file.name)),
    ]
    if file.inline_id is not None:
        fields.append(fold("Content-ID", [f"<{file.inline_id}>"]))
    return Entity(fields, [content] if content else _base64(file.data))


def _disposition(kind: str, name: str) -> list[str]:
    return [f"{kind};", *parameter("filename", name)] if name else [kind]


def _seven_bit(message: bytes) -> bytes:
    """An attached message with CRLF line ends, or nothing when it cannot pass as 7-bit."""
    lines = _RAW_NEWLINE.sub(b"\r\n", message)
    return lines if _SEVEN_BIT.fullmatch(lines) and not _LONG_LINE.search(lines) else b""
