"""The header scanner and RFC 2047: the same answers as the slow parser, at scanning speed."""

from __future__ import annotations

import base64
import datetime as dt
import email
import email.policy
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from postroom.mail import Message, decode_header, header_block, read_date, scan
from postroom.mail.headers import FIELD_LIMIT

__all__: list[str] = []

BLOCK = (
    b"Received: from a (b)\r\n\tby c; Fri, 2 Jan 2026 03:04:05 +0100\r\nReceived: second\r\n"
    b"subject : =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n and more\r\nX-Subject: no\r\n"
    b"From: Jo <a@x.org>\r\nDATE: Thu, 1 Jan 2026 00:00:00 GMT\r\nMessage-ID: <m@x>\r\n\r\n"
    b"Subject: in the body\r\nTo: nobody\r\n"
)


def test_scan_takes_the_first_field_of_each_name() -> None:
    found = scan(BLOCK, frozenset({"subject", "received", "to", "date"}))
    assert found == {
        "subject": b"=?utf-8?q?Gr=C3=BC=C3=9Fe?= and more",
        "received": b"from a (b)\tby c; Fri, 2 Jan 2026 03:04:05 +0100",
        "date": b"Thu, 1 Jan 2026 00:00:00 GMT",
    }


def test_scan_reads_bare_line_feeds_and_a_first_line() -> None:
    block = BLOCK.replace(b"\r\n", b"\n")
    assert scan(block, frozenset({"to"})) == {}
    assert scan(b"To: a\nTo: b", frozenset({"to"})) == {"to": b"a"}
    assert scan(b"\r\nTo: a\r\n\r\n", frozenset({"to"})) == {}


def test_the_header_block_ends_at_the_empty_line() -> None:
    assert header_block(BLOCK).endswith(b"<m@x>\r\n")
    assert header_block(b"A: b\n\nC: d\r\n\r\n") == b"A: b\n"
    assert len(header_block(b"A: " + b"b" * 10**6)) == 256 * 1024


def test_a_field_is_capped() -> None:
    long = b"Subject: " + b"x" * 100_000 + b"\r\nTo: a@x.org\r\n"
    found = scan(long, frozenset({"subject", "to"}))
    assert FIELD_LIMIT - 2 < len(found["subject"]) <= FIELD_LIMIT
    assert found["to"] == b"a@x.org"


FIELD = st.tuples(
    st.sampled_from(["Subject", "To", "X-A", "from", "DATE"]),
    st.from_regex(r"[!-~]{1,20}(\r\n [!-~]{1,20}){0,3}", fullmatch=True),
)


@given(st.lists(FIELD, min_size=1, max_size=8))
def test_scan_agrees_with_the_standard_library(fields: list[tuple[str, str]]) -> None:
    block = "".join(f"{name}: {value}\r\n" for name, value in fields).encode() + b"\r\nTo: body"
    parsed = email.message_from_bytes(block)
    found = scan(block, frozenset({"subject", "to", "date"}))
    for name in ("subject", "to", "date"):
        expected = parsed.get(name)
        assert found.get(name) == (expected and expected.replace("\r\n", "").encode())
    assert [value.encode() for _, value in Message(block).headers] == [
        decode_header(value).encode() for _, value in parsed.items()
    ]


def b64(text: str, charset: str) -> str:
    return f"=?{charset}?B?{base64.b64encode(text.encode(charset)).decode()}?="


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"plain", "plain"),
        (b"a  b", "a  b"),
        (b"a\r\n b", "a b"),
        (b"=?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
        (b"=?utf-8?q?a?= =?iso-8859-1?q?=FC?= x", "aü x"),
        (b"x=?utf-8?q?a?=y", "xay"),
        (b"=?utf-8?q?a_b?=", "a b"),
        (b"=?utf-8?q?a b?=", "a b"),
        (b"=?utf-8?q?What??=", "What?"),
        (b"=?utf-8?q??=", ""),
        (b"=?utf-8*en?q?a?=", "a"),
        (b"=?UTF-8?b?w7w?=", "ü"),
        (b"=?utf-8?b?w7w==?=", "ü"),
        (b"=?utf-8?B?5pe?= =?utf-8?B?l?=", "日"),
        (b"=?utf-8?Q?=E6=97?= =?utf-8?B?pQ==?=", "日"),
        (b"=?utf-8?q?a=FF?=", "a\ufffd"),
        (b"=?unicode-1-1-utf-7?Q?+AKM-1?=", "£1"),
        (b"=?x-sjis?B?k/qWew==?=", "日本"),
        (b64("読書", "iso2022_jp").encode(), "読書"),
        (b"=?utf-8?q?a=0d=0aBcc:_b?=", "a Bcc: b"),
        (b"=?utf-8?q?a=00=C2=85=E2=80=A8b?=", "a b"),
        (b"=?utf-8?x?a?=", "=?utf-8?x?a?="),
        (b"=?utf-8?q?a", "=?utf-8?q?a"),
        (b"=?punycode?q?a?=", "a"),
        (b"=?hex?q?6161?=", "6161"),
        (b"na\xefve", "naïve"),
        (b"a\tb\x07c", "a b c"),
    ],
)
def test_decode_header(raw: bytes, text: str) -> None:
    assert decode_header(raw) == text


def test_raw_bytes_are_read_by_the_charset_of_the_message() -> None:
    raw = "Привет".encode("koi8-r")
    assert decode_header(raw, "koi8-r") == "Привет"
    message = Message(
        b"Subject: " + raw + b"\r\nContent-Type: text/plain; charset=koi8-r\r\n\r\n" + raw
    )
    assert (message.subject, message.text) == ("Привет", "Привет")


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
@example(b"=?utf-7?q?+2AA-?=")
@example(b"=?utf-16?b?AA?=")
def test_decoding_never_raises_and_gives_one_clean_line(raw: bytes) -> None:
    text = decode_header(raw)
    assert isinstance(text.encode(), bytes)
    assert len(text.splitlines()) <= 1


@pytest.mark.parametrize(
    "bomb",
    [
        b"=?utf-8?q?=41?= " * 16_000,
        b"=?a?Q?x" * 16_000,
        b"=?" * 50_000,
        b"=?a?b?" * 20_000,
        b"=?utf-7?q?+?=" * 16_000,
        b"=?utf-8?b?" + b"A" * 10**6,
        b"=" * 10**5,
        b"?=" * 10**5,
    ],
    ids=lambda bomb: repr(bomb[:16]),
)
def test_a_bomb_of_encoded_words_costs_little(bomb: bytes) -> None:
    """T75: 16,000 encoded words and worse."""
    start = time.process_time()
    decode_header(bomb)
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"Fri, 02 Jan 2026 03:04:05 +0100", "2026-01-02T02:04:05+00:00"),
        (b"2 Jan 26 03:04 EST", "2026-01-02T08:04:00+00:00"),
        (b"Fri, 2 Jan 2026 03:04:05 GMT (comment)", "2026-01-02T03:04:05+00:00"),
        (b"Fri, 2 Jan 2026 03:04:05", "2026-01-02T03:04:05+00:00"),
        (b"2026-01-02T03:04:05Z", "2026-01-02T03:04:05+00:00"),
        (b"Fri Jan  2 03:04:05 2026", "2026-01-02T03:04:05+00:00"),
        (b"nonsense", None),
        (b"", None),
        (b"\xff\0", None),
        (b"1 Jan 99999 00:00:00 +0000", None),
        (b"1 Jan 9999 00:00:00 +0000", "9999-01-01T00:00:00+00:00"),
        (b"31 Dec 9999 23:59:00 -2359", None),
        (b"32 Jan 2026 03:04:05 +0000", None),
        (b"1 Jan 2026 00:00:00 +9999999999", None),
        (b"1" * 10**6, None),
    ],
)
def test_read_date(raw: bytes, expected: str | None) -> None:
    found = read_date(raw)
    assert found == (expected and dt.datetime.fromisoformat(expected))


@given(st.text(max_size=60))
def test_read_date_never_raises(text: str) -> None:
    found = read_date(text)
    assert found is None or found.tzinfo is dt.UTC
