"""Bytes of MIME entities, put together by hand so that every charset and file name is as asked.

RFC 2045 to 2047, RFC 2231.  The standard library's composer would write all of it in UTF-8; a demo
mailbox shall look like what real senders send.
"""

from __future__ import annotations

import base64
import quopri
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from email.header import Header
from typing import Literal
from urllib.parse import quote

__all__ = [
    "Part",
    "attachment",
    "file_name_parameter",
    "multipart",
    "nested",
    "pdf",
    "png",
    "text",
    "words",
]

Encoding = Literal["7bit", "8bit", "quoted-printable", "base64"]
_SEGMENT = 60
"""Longest piece of an RFC 2231 parameter, in characters, before it is continued."""


@dataclass(frozen=True)
class Part:
    """One entity: header lines without their CRLF, and the encoded body in CRLF lines."""

    headers: tuple[str, ...]
    body: bytes

    def whole(self) -> bytes:
        """The entity as it stands in a message."""
        return "".join(f"{line}\r\n" for line in self.headers).encode() + b"\r\n" + self.body


def words(name: str, value: str, charset: str = "utf-8") -> str:
    """A header line with its value as encoded words where it is not ASCII (RFC 2047), folded."""
    encoded = Header(
        value, "us-ascii" if value.isascii() else charset, maxlinelen=76, header_name=name
    ).encode(linesep="\r\n")
    return f"{name}: {encoded}"


def text(
    value: str, subtype: str = "plain", charset: str = "utf-8", encoding: Encoding = "8bit"
) -> Part:
    """A text part; lines of ``value`` end with a bare LF."""
    data = value.encode(charset)
    if encoding == "base64":
        body = _base64(value.replace("\n", "\r\n").encode(charset))
    elif encoding == "quoted-printable":
        body = quopri.encodestring(data).replace(b"\n", b"\r\n")
    else:
        body = data.replace(b"\n", b"\r\n")
    headers = (
        f"Content-Type: text/{subtype}; charset={charset}",
        f"Content-Transfer-Encoding: {encoding}",
    )
    return Part(headers, body)


def attachment(
    data: bytes, media_type: str, file_name: str, *, charset: str = "utf-8", inline_id: str = ""
) -> Part:
    """A file in base64; with ``inline_id`` it is a picture that HTML refers to as ``cid:``."""
    disposition = "inline" if inline_id else "attachment"
    headers = [
        f"Content-Type: {media_type}",
        f"Content-Disposition: {disposition};\r\n {file_name_parameter(file_name, charset)}",
        "Content-Transfer-Encoding: base64",
    ]
    if inline_id:
        headers.append(f"Content-ID: <{inline_id}>")
    return Part(tuple(headers), _base64(data))


def file_name_parameter(file_name: str, charset: str = "utf-8") -> str:
    """The ``filename`` parameter: quoted, or extended and continued as RFC 2231 has it."""
    if file_name.isascii():
        return f'filename="{file_name}"'
    pieces, piece = [], ""
    for letter in file_name:
        encoded = quote(letter.encode(charset), safe="")
        if len(piece) + len(encoded) > _SEGMENT:
            pieces.append(piece)
            piece = ""
        piece += encoded
    pieces.append(piece)
    if len(pieces) == 1:
        return f"filename*={charset}''{piece}"
    pieces[0] = f"{charset}''{pieces[0]}"
    return ";\r\n ".join(f"filename*{place}*={piece}" for place, piece in enumerate(pieces))


def multipart(subtype: str, boundary: str, parts: Sequence[Part], *, extra: str = "") -> Part:
    """Several parts as one; ``extra`` is a further parameter, such as ``report-type=...``."""
    delimiter = f"--{boundary}".encode()
    body = b"".join(b"%b\r\n%b\r\n" % (delimiter, part.whole()) for part in parts)
    parameters = f'boundary="{boundary}"' + (f"; {extra}" if extra else "")
    return Part(
        (f"Content-Type: multipart/{subtype};\r\n {parameters}",), body + delimiter + b"--\r\n"
    )


def nested(message: bytes) -> Part:
    """A whole message inside another."""
    encoding = "7bit" if message.isascii() else "8bit"
    headers = (
        "Content-Type: message/rfc822",
        "Content-Disposition: attachment",
        f"Content-Transfer-Encoding: {encoding}",
    )
    return Part(headers, message)


def _base64(data: bytes) -> bytes:
    return base64.encodebytes(data).replace(b"\n", b"\r\n")


def pdf(lines: Sequence[str]) -> bytes:
    """A one-page PDF 1.4 that opens and shows the lines (Latin-1 letters)."""
    shown = " T* ".join(f"({_escaped(line)}) Tj" for line in lines)
    page = f"BT /F1 12 Tf 16 TL 60 780 Td {shown} ET".encode("latin-1", "replace")
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%b\nendstream" % (len(page), page),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    )
    out, offsets = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    return out + (
        b"xref\n0 %d\n0000000000 65535 f \n%btrailer << /Size %d /Root 1 0 R >>\n"
        b"startxref\n%d\n%%%%EOF\n" % (size, table, size, len(out))
    )


def _escaped(line: str) -> str:
    return line.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")


def png(width: int, height: int, pixels: bytes) -> bytes:
    """A picture in true colour: ``pixels`` are ``width * height`` times red, green, blue."""
    stride = width * 3
    rows = b"".join(b"\0" + pixels[row * stride : (row + 1) * stride] for row in range(height))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in (
            (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
            (b"IDAT", zlib.compress(rows, 1)),
            (b"IEND", b""),
        )
    )
