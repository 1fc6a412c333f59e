"""Realistic messages as bytes, the same for the same seed, each with what a reader must find."""

from __future__ import annotations

import base64
import quopri
import random
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import quote

__all__ = ["KINDS", "Sample", "large", "mixed", "sample", "small"]

_START = datetime(2026, 1, 5, 7, 30, tzinfo=UTC)
_TEXT = """
invoice order delivery customer report please find attached the numbers for last week and confirm
before Friday that all pallets left our warehouse in good time regards shipping team account
balance payment due reminder contract draft version meeting room agenda minutes
"""
_WORDS = _TEXT.split()
_PEOPLE = ("Ada Lovelace", "Bo Svensson", "Chen Wei", "Dora Novak", "Emeka Obi", "Farah Aziz")
_SCRIPTS = {
    "utf-8": "Grüße aus Zürich – naïve façade, Ελλάδα, עברית, 日本語, emoji 📦✅",
    "iso-8859-1": "Rechnung für März: Größe, Straße, déjà vu, señor, 5 §",
    "koi8-r": "Счёт за март: оплата до пятницы, спасибо за заказ",
    "iso-2022-jp": "請求書のご確認をお願いいたします。三月分です。",
    "shift_jis": "納品書を添付しました。ご確認ください。カタカナも。",
    "gb18030": "请查收三月份的发票，谢谢合作。㐀𠀀",
    "windows-1252": "“Smart quotes” – 20 € per item… ‘fine’",
}


@dataclass(frozen=True, slots=True)
class Sample:
    """A message and the truth about it.

    `raw` has CRLF lines. `subject` and `text` (the plain text, lines ended by LF, without the
    last line's end) are as a person reads them; `text` is None where the message leaves it open.
    `files` are the attachments in order.
    """

    kind: str
    raw: bytes
    subject: str
    text: str | None
    files: tuple[tuple[str, bytes], ...] = ()


@dataclass(slots=True)
class _Body:
    """A MIME part in the making."""

    content_type: str
    data: bytes
    encoding: str = "7bit"
    more: list[bytes] = field(default_factory=list)

    def lines(self) -> bytes:
        head = [b"Content-Type: " + self.content_type.encode()]
        head.append(b"Content-Transfer-Encoding: " + self.encoding.encode())
        return b"\r\n".join([*head, *self.more, b"", self.data])


def small(number: int, seed: int = 0) -> bytes:
    """A plain message of 2.5 KB (2,400 to 2,600 bytes); quick enough for ten thousand."""
    rng = random.Random(f"small/{seed}/{number}")
    subject = f"{_phrase(rng, 4)} {number}"
    head = _head(rng, number, "small", subject.encode())
    head += b'MIME-Version: 1.0\r\nContent-Type: text/plain; charset="us-ascii"\r\n\r\n'
    return head + _prose(rng, 2500 - len(head)).encode()


def large(size: int = 5_000_000, seed: int = 0) -> Sample:
    """One message of about `size` bytes: a short text and one file that does not compress."""
    rng = random.Random(f"large/{seed}/{size}")
    text = _phrase(rng, 12)
    data = rng.randbytes(size * 3 // 4 * 76 // 78)
    parts = [_text(text), _file("application/octet-stream", "backup.bin", data)]
    subject = f"Backup {size}"
    raw = _message(rng, 0, "large", subject.encode(), _multipart(rng, "mixed", parts))
    return Sample("large", raw, subject, text, (("backup.bin", data),))


def sample(kind: str, number: int = 0, seed: int = 0, largest: int = 60_000) -> Sample:
    """One message of that kind (see KINDS); attachments have 2,000 to `largest` bytes."""
    rng = random.Random(f"{kind}/{seed}/{number}")
    return _MAKERS[kind](rng, number, largest)


def mixed(count: int, seed: int = 0, largest: int = 60_000) -> Iterator[bytes]:
    """`count` messages, three of five small and plain, the others of every kind in turn."""
    for number in range(count):
        if number % 5 < 3:
            yield small(number, seed)
        else:
            yield sample(
                KINDS[(number // 5 * 2 + number % 5 - 3) % len(KINDS)], number, seed, largest
            ).raw


# ------------------------------------------------------------------------------------- pieces


def _phrase(rng: random.Random, count: int) -> str:
    return " ".join(rng.choices(_WORDS, k=count)).capitalize()


def _prose(rng: random.Random, size: int) -> str:
    lines: list[str] = []
    while size > 0:
        line = _phrase(rng, rng.randint(6, 9)) + "."
        lines.append(line)
        size -= len(line) + 2
    return "\r\n".join(lines) + "\r\n"


def _head(rng: random.Random, number: int, kind: str, subject: bytes) -> bytes:
    date = format_datetime(_START + timedelta(minutes=number))
    person = rng.choice(_PEOPLE)
    sender = person.split()[0].lower()
    token = f"{rng.getrandbits(64):016x}"
    head = (
        f"Return-Path: <{sender}@partner.example>\r\n"
        f"Received: from mx{number % 4}.partner.example (unknown [192.0.2.{number % 250}])\r\n"
        f"\tby mail.ground.test (Postfix) with ESMTPS id {token[:12].upper()}\r\n"
        f"\tfor <orders@ground.test>; {date}\r\n"
        f"Message-ID: <{kind}.{number}.{token}@partner.example>\r\n"
        f"Date: {date}\r\n"
        f'From: "{person}" <{sender}@partner.example>\r\n'
        f"To: Orders <orders@ground.test>\r\n"
    )
    return head.encode() + b"Subject: " + subject + b"\r\n"


def _message(rng: random.Random, number: int, kind: str, subject: bytes, body: _Body) -> bytes:
    return _head(rng, number, kind, subject) + b"MIME-Version: 1.0\r\n" + body.lines()


def _text(text: str, charset: str = "us-ascii", subtype: str = "plain") -> _Body:
    data = (text + "\n").replace("\n", "\r\n").encode(charset)
    content_type = f'text/{subtype}; charset="{charset}"'
    if charset in ("us-ascii", "iso-2022-jp"):
        return _Body(content_type, data)
    if charset in ("shift_jis", "gb18030"):
        return _Body(content_type, _base64(data), "base64")
    # quopri knows LF only.
    coded = quopri.encodestring(data.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    return _Body(content_type, coded, "quoted-printable")


def _file(content_type: str, name: str, data: bytes, disposition: str | None = None) -> _Body:
    shown = disposition or f'attachment; filename="{name}"'
    more = [b"Content-Disposition: " + shown.encode()]
    return _Body(content_type, _base64(data), "base64", more)


def _base64(data: bytes) -> bytes:
    return base64.encodebytes(data).replace(b"\n", b"\r\n")


def _multipart(
    rng: random.Random, subtype: str, parts: list[_Body], *, closed: bool = True
) -> _Body:
    boundary = f"=_{rng.getrandbits(80):020x}"
    mark = b"--" + boundary.encode()
    data = b"This is a message of several parts.\r\n"
    for part in parts:
        data += b"\r\n" + mark + b"\r\n" + part.lines()
    if closed:
        data += b"\r\n" + mark + b"--\r\n"
    return _Body(f'multipart/{subtype};\r\n\tboundary="{boundary}"', data)


def _words(text: str, charset: str) -> bytes:
    """Encoded words (RFC 2047), each of whole characters and no longer than 75."""
    words, run = [b""], ""
    for char in text:
        coded = _word(run + char, charset)
        if len(coded) > 75:
            words.append(b"")
            run, coded = char, _word(char, charset)
        else:
            run += char
        words[-1] = coded
    return b"\r\n ".join(words)


def _word(text: str, charset: str) -> bytes:
    return b"=?%s?B?%s?=" % (charset.encode(), base64.b64encode(text.encode(charset)))


def _document(rng: random.Random, kind: str, largest: int) -> bytes:
    """Bytes like those of such a file: pdf and png with compressed insides, csv as lines."""
    size = int(2000 * (max(largest, 2001) / 2000) ** rng.random())
    if kind == "csv":
        row = "{0};{1}-{2};{3}.{4:02d}\r\n"
        rows = (
            row.format(n, rng.choice(_WORDS), rng.randint(1, 999), n * 7 % 90, n % 100)
            for n in range(size // 24)
        )
        return ("id;article;price\r\n" + "".join(rows)).encode()
    noise = rng.randbytes(size)
    if kind == "png":
        return b"\x89PNG\r\n\x1a\n" + noise + b"\x00\x00\x00\x00IEND\xaeB`\x82"
    stream = zlib.compress(noise, 1)
    return b"%%PDF-1.4\n1 0 obj\n<</Length %d>>\nstream\n%s\nendstream\n%%%%EOF\n" % (
        len(stream),
        stream,
    )


# -------------------------------------------------------------------------------------- kinds


def _plain(rng: random.Random, number: int, largest: int) -> Sample:
    subject = f"{_phrase(rng, 4)} {number}"
    text = _prose(rng, 400).replace("\r\n", "\n").rstrip("\n")
    return Sample(
        "plain", _message(rng, number, "plain", subject.encode(), _text(text)), subject, text
    )


def _alternative(rng: random.Random, number: int, largest: int) -> Sample:
    subject, text = f"Offer {number}", f"{_phrase(rng, 10)} für Sie.\n{_phrase(rng, 8)}."
    html = f"<html><body><h1>Offer</h1><p>{text}</p><img src='cid:logo@x'></body></html>"
    image = _document(rng, "png", 4000)
    logo = _file("image/png", "logo.png", image, "inline")
    logo.more.append(b"Content-ID: <logo@x>")
    related = _multipart(rng, "related", [_text(html, "utf-8", "html"), logo])
    body = _multipart(rng, "alternative", [_text(text, "utf-8"), related])
    return Sample(
        "alternative", _message(rng, number, "alternative", subject.encode(), body), subject, text
    )


def _attachments(rng: random.Random, number: int, largest: int) -> Sample:
    subject, text = f"Invoice {10_000 + number}", _phrase(rng, 14)
    files = tuple(
        (f"{stem}-{number}.{kind}", _document(rng, kind, largest))
        for stem, kind in (("invoice", "pdf"), ("items", "csv"), ("scan", "png"))
    )
    types = {"pdf": "application/pdf", "csv": "text/csv", "png": "image/png"}
    parts = [_file(types[name[-3:]], name, data) for name, data in files]
    body = _multipart(rng, "mixed", [_text(text), *parts])
    raw = _message(rng, number, "attachments", subject.encode(), body)
    return Sample("attachments", raw, subject, text, files)


def _charset(charset: str) -> Callable[[random.Random, int, int], Sample]:
    """Subject and text in that charset."""

    def make(rng: random.Random, number: int, largest: int) -> Sample:
        line = _SCRIPTS[charset]
        subject, text = f"{line} {number}", "\n".join([line, line * 2, str(number)])
        raw = _message(rng, number, charset, _words(subject, charset), _text(text, charset))
        return Sample(charset, raw, subject, text)

    return make


def _encoded_words(rng: random.Random, number: int, largest: int) -> Sample:
    # Q and B side by side in two charsets; the blank between encoded words does not count.
    coded = b"Re: =?iso-8859-1?Q?Best=E4tigung_?= =?utf-8?B?8J+Tpg==?=\r\n =?UTF-8?Q?_f=C3=BCr?= %d"
    subject = f"Re: Bestätigung 📦 für {number}"
    text = _phrase(rng, 9)
    raw = _message(rng, number, "encoded-words", coded % number, _text(text))
    return Sample("encoded-words", raw, subject, text)


def _rfc2231(rng: random.Random, number: int, largest: int) -> Sample:
    subject, text = f"Files {number}", _phrase(rng, 6)
    pdf, csv = _document(rng, "pdf", 4000), _document(rng, "csv", 4000)
    long = f"Übersicht {number} über alle Lieferungen – März und €uro.pdf"
    coded = quote(long, safe="")
    # Cut at an escape, not inside one.
    half = coded.index("%", len(coded) // 2)
    continued = f"attachment;\r\n filename*0*=UTF-8''{coded[:half]};\r\n filename*1*={coded[half:]}"
    simple = "attachment; filename*=iso-8859-1'de'Gr%F6%DFe.csv"
    parts = [
        _file("application/pdf", "", pdf, continued),
        _file("text/csv", "", csv, simple),
    ]
    body = _multipart(rng, "mixed", [_text(text), *parts])
    raw = _message(rng, number, "rfc2231", subject.encode(), body)
    return Sample("rfc2231", raw, subject, text, ((long, pdf), ("Größe.csv", csv)))


def _nested(rng: random.Random, number: int, largest: int) -> Sample:
    inner = _attachments(rng, number, 4000)
    subject, text = f"Fwd: {inner.subject}", _phrase(rng, 8)
    forwarded = _Body("message/rfc822", inner.raw)
    forwarded.more.append(b"Content-Disposition: attachment")
    body = _multipart(rng, "mixed", [_text(text), forwarded])
    return Sample("nested", _message(rng, number, "nested", subject.encode(), body), subject, text)


def _no_charset(rng: random.Random, number: int, largest: int) -> Sample:
    text = "Größe und Straße ohne Angabe"
    body = _Body("text/plain", (text + "\r\n").encode("iso-8859-1"), "8bit")
    subject = f"No label {number}"
    return Sample(
        "no-charset", _message(rng, number, "no-charset", subject.encode(), body), subject, text
    )


def _raw_headers(rng: random.Random, number: int, largest: int) -> Sample:
    """8-bit Subject (RFC 6532 without its label) and a body of UTF-8."""
    subject, text = f"Überweisung {number}", "naïve façade"
    body = _Body("text/plain; charset=utf-8", (text + "\r\n").encode(), "8bit")
    return Sample(
        "raw-headers", _message(rng, number, "raw-headers", subject.encode(), body), subject, text
    )


def _malformed(rng: random.Random, number: int, largest: int) -> Sample:
    """A header without a colon, one twice, a bad date, a bad address, an unknown charset."""
    head = _head(rng, number, "malformed", f"Broken {number}".encode())
    head = head.replace(b"Date: ", b"Date: Someday, ").replace(b"To: Orders <", b"To: Orders <<")
    head += b"X-Empty:\r\nno colon in this line\r\nSubject: second subject\r\n"
    head += b"Content-Type: text/plain; charset=x-unknown-9\r\n"
    head += b"Content-Transfer-Encoding: 9bit\r\n\r\nstill readable\r\n"
    return Sample("malformed", head, f"Broken {number}", None)


def _unclosed(rng: random.Random, number: int, largest: int) -> Sample:
    """The closing boundary is missing."""
    subject, text = f"Cut off {number}", _phrase(rng, 7)
    data = _document(rng, "csv", 4000)
    parts = [_text(text), _file("text/csv", "items.csv", data)]
    body = _multipart(rng, "mixed", parts, closed=False)
    raw = _message(rng, number, "unclosed", subject.encode(), body)
    return Sample("unclosed", raw, subject, text, (("items.csv", data),))


def _empty(rng: random.Random, number: int, largest: int) -> Sample:
    """Headers only."""
    subject = f"Empty {number}"
    return Sample("empty", _head(rng, number, "empty", subject.encode()) + b"\r\n", subject, "")


_MAKERS: dict[str, Callable[[random.Random, int, int], Sample]] = {
    "plain": _plain,
    "alternative": _alternative,
    "attachments": _attachments,
    **{charset: _charset(charset) for charset in _SCRIPTS},
    "encoded-words": _encoded_words,
    "rfc2231": _rfc2231,
    "nested": _nested,
    "no-charset": _no_charset,
    "raw-headers": _raw_headers,
    "malformed": _malformed,
    "unclosed": _unclosed,
    "empty": _empty,
}
KINDS = tuple(_MAKERS)
