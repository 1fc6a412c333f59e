"""Header fields of received mail: a fast scanner, RFC 2047 text and dates, tolerant and capped."""

from __future__ import annotations

import binascii
import datetime as dt
import re
from functools import lru_cache

from postroom.mail import charsets

__all__ = [
    "BLOCK_LIMIT",
    "FIELD_LIMIT",
    "decode_header",
    "decode_words",
    "header_block",
    "one_line",
    "raw_text",
    "read_date",
    "scan",
    "unfold",
]

BLOCK_LIMIT = 256 * 1024
"""Bytes of a header that are looked at; what follows is left alone."""
FIELD_LIMIT = 16 * 1024
"""Bytes of one field that are looked at."""

# The encoded text holds no "=?": an opening without an end must not be searched to the end of all.
_WORD = re.compile(
    r"=\?([^?\s=]{1,60})\?([bBqQ])\?"
    r"([^?=]*+(?:(?:\?(?!=)|=(?!\?(?!=)))[^?=]*+)*+)\?="
)
_COLON = re.compile(rb"[ \t]*:")  # RFC 5322, 4.5.8: white space before it is obsolete
_SPACES = (b" ", b"\t")
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_Q = re.compile(r"=([0-9A-Fa-f]{2})")
_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/]+")


def header_block(data: bytes) -> bytes:
    """The header of a message without its blank line, at most ``BLOCK_LIMIT`` bytes of it."""
    if data.startswith((b"\r\n", b"\n")):
        return b""
    end = data.find(b"\n\r\n", 0, BLOCK_LIMIT)
    end = end if end >= 0 else min(len(data), BLOCK_LIMIT) - 1
    bare = data.find(b"\n\n", 0, end + 1)  # only before the other: the body may be long
    return data[: (bare if bare >= 0 else end) + 1]


def scan(block: bytes, names: frozenset[str]) -> dict[str, bytes]:
    """The first field of each name in a header block, unfolded, not decoded.

    ``names`` are lower case, as are the keys of the answer; absent fields have no key.  The block
    may be followed by the body.  Cost is linear, about one microsecond a name for a usual header.
    """
    header = b"\n" + header_block(block)
    folded = header.lower()
    found: dict[str, bytes] = {}
    for name, beginning in _beginnings(names):
        at = folded.find(beginning)
        while at >= 0:
            colon = _COLON.match(folded, at + len(beginning))
            if colon is not None:
                found[name] = unfold(_field(header, colon.end()))
                break
            at = folded.find(beginning, at + 1)
    return found


def _field(header: bytes, start: int) -> bytes:
    """The value that begins at ``start``, with the lines that continue it (they begin with space)."""
    end = header.find(b"\n", start)
    while end >= 0 and header[end + 1 : end + 2] in _SPACES and end - start < FIELD_LIMIT:
        end = header.find(b"\n", end + 1)
    return header[start:end] if end >= 0 else header[start:]


@lru_cache(maxsize=64)
def _beginnings(names: frozenset[str]) -> list[tuple[str, bytes]]:
    """Each name, and how a line begins with it."""
    return [(name, b"\n" + name.encode("latin-1").lower()) for name in sorted(names)]


def unfold(value: bytes) -> bytes:
    """A raw field value on one line (RFC 5322, 2.2.3), without the space around it, capped."""
    value = value[:FIELD_LIMIT]
    if b"\n" in value:
        value = value.replace(b"\r\n", b"").replace(b"\n", b"")
    return value.strip()


def raw_text(raw: bytes, charset: str | None = None) -> str:
    """Raw header bytes as text: UTF-8 (RFC 6532), else ``charset``, else windows-1252."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        codec = charsets.codec_of(charset)
        return charsets.decode(raw, charset if codec not in (None, "utf_8", "ascii") else "cp1252")


def decode_header(raw: bytes | str, charset: str | None = None) -> str:
    """The text of an unstructured field, on one line: unfolded, encoded words decoded, capped.

    ``charset`` is what raw 8-bit bytes are taken for when they are not UTF-8.  Control characters,
    also encoded ones, become a space, so the answer can stand in a log, a file name or a page.
    """
    raw = raw[:FIELD_LIMIT]
    text = raw_text(raw, charset) if isinstance(raw, bytes) else raw
    if "=?" not in text and text.isprintable():
        return text.strip()
    if "\n" in text:
        text = text.replace("\r\n", "").replace("\n", "")
    return one_line(decode_words(text) if "=?" in text else text)


def one_line(text: str) -> str:
    """Text without control characters and line ends of any kind: runs of them become a space."""
    return _CONTROLS.sub(" ", text).strip() if not text.isprintable() else text.strip()


def decode_words(text: str) -> str:
    """Text with its encoded words (RFC 2047) decoded.

    Tolerated: words without space between them, a character or a base64 group that is split over
    two words, spaces inside a word, unknown charsets and wrong ones.
    """
    out: list[str] = []
    run: list[tuple[str, str, str]] = []
    end = 0
    for match in _WORD.finditer(text):
        between = text[end : match.start()]
        if not run or between.strip():
            out.append(_decode_run(run))
            run = []
            out.append(between)
        label = match[1].partition("*")[0].lower()  # RFC 2231, 5: charset*language
        run.append((label, match[2].lower(), match[3]))
        end = match.end()
    out.append(_decode_run(run))
    out.append(text[end:])
    return "".join(out)


def _decode_run(run: list[tuple[str, str, str]]) -> str:
    """Words that follow each other: the bytes of equal charsets are joined before decoding."""
    out: list[str] = []
    data = b""
    held = ""  # base64 that stops inside a group
    for at, (label, coding, text) in enumerate(run):
        if coding == "b":
            held += _NOT_BASE64.sub("", text)
        else:
            data += _q(text)
        following = run[at + 1][:2] if at + 1 < len(run) else ("", "")
        if held and (following != (label, "b") or len(held) % 4 == 0 or "=" in text):
            data += _b(held)
            held = ""
        if following[0] != label:
            out.append(charsets.decode(data, label))
            data = b""
    return "".join(out)


def _b(text: str) -> bytes:
    whole = text[:-1] if len(text) % 4 == 1 else text
    return binascii.a2b_base64(whole + "=" * (-len(whole) % 4))


def _q(text: str) -> bytes:
    text = _Q.sub(lambda found: chr(int(found[1], 16)), text.replace("_", " "))
    return text.encode("latin-1") if max(text, default="") < "\u0100" else text.encode()


def read_date(raw: bytes | str) -> dt.datetime | None:
    """The instant of a Date field (RFC 5322, 3.3, and what old mailers wrote) in UTC, or None.

    A date without a zone is taken for UTC.
    """
    from email.utils import parsedate_to_datetime

    text = (raw.decode("latin-1") if isinstance(raw, bytes) else raw)[:200].strip()
    for read in (parsedate_to_datetime, dt.datetime.fromisoformat):
        try:
            found = read(text if "-" in text or ":" in text else "")
            aware = found if found.tzinfo else found.replace(tzinfo=dt.UTC)
            return aware.astimezone(dt.UTC)
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
    return None
