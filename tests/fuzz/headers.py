"""Header blocks: the scanner, encoded words, dates and names; clean lines and no error at all."""

from __future__ import annotations

import datetime as dt

from postroom.macros import Scope, prepare
from postroom.mail import Message, decode_header, header_block, read_date, safe_name, scan
from postroom.mail.headers import FIELD_LIMIT, raw_text, unfold
from postroom.sources.naming import Told, display_name, place_of
from postroom.sources.reading import header_texts

__all__ = ["WORDS", "check"]

WORDS = (
    b"Subject: ", b"From: ", b"Date: ", b"Received: ", b"Message-ID: <", b"\r\n", b"\n", b"\r", b" ",
    b"\t", b":", b"=?utf-8?q?", b"=?utf-7?b?", b"=?iso-2022-jp*en?B?", b"?=", b"=C3", b"_", b"+2AA-",
    b"Fri, 2 Jan 2026 03:04:05 +0100", b"Thu, 1 Jan 0001 00:00:00 +2359", b"; ", b"\xff", b"\0",
    b"-9999", b"9999-12-31T23:59:59-23:59", "ü\u2028".encode(), b"\r\n\r\n",
)  # fmt: skip

HEADERS = frozenset({"subject", "from", "date", "received", "message-id"})
NAMES = prepare("${mail:from}/${mail:subject} ${mail:received}", Scope())


def check(data: bytes) -> None:
    """The bytes as a header block, as one value, and as a date."""
    block = header_block(data)
    assert data.startswith(block)
    found = scan(data, HEADERS)
    assert set(found) <= HEADERS
    assert all(len(each) <= FIELD_LIMIT and b"\n" not in each for each in found.values())
    assert found == scan(block, HEADERS)
    for charset in (None, "utf-7", "iso-2022-jp", "utf-16"):
        assert isinstance(raw_text(unfold(data), charset).encode(), bytes)
        _clean(decode_header(data, charset))
    _clean(decode_header(data.decode("latin-1")))
    when = read_date(data)
    assert when is None or when.tzinfo is dt.UTC
    texts = header_texts(data)
    told = Told("INBOX", texts["from"], texts["subject"], when.timestamp() if when else None, 0.0)
    _clean(display_name(NAMES, told))
    for level in place_of(NAMES, told).split("/"):
        assert safe_name(level) == level
    Message(block).headers  # noqa: B018 - reading is the test


def _clean(text: str) -> None:
    assert isinstance(text.encode(), bytes)
    assert len(text.splitlines()) <= 1
    assert not set(text) & set("\0\r\n\x1b")
