"""Thirty-one messages as real mailers write them: text, file names and data come out right."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

from postroom.mail import Message

__all__: list[str] = []


def subject(raw: bytes) -> bytes:
    return b"From: a@example.com\r\nSubject: " + raw + b"\r\n\r\nx\r\n"


def text(content_type: bytes, body: bytes, encoding: bytes = b"8bit") -> bytes:
    lines = [b"Subject: t", b"MIME-Version: 1.0", b"Content-Transfer-Encoding: " + encoding]
    head = [*lines, b"Content-Type: " + content_type] if content_type else lines
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def attached(*headers: bytes, body: bytes = b"REFUQQ==") -> bytes:
    """A text and one attachment with these header fields."""
    part = b"\r\n".join([*headers, b"Content-Transfer-Encoding: base64"])
    return (
        b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="B"\r\n\r\n'
        b"--B\r\nContent-Type: text/plain\r\n\r\nhello\r\n"
        b"--B\r\n" + part + b"\r\n\r\n" + body + b"\r\n--B--\r\n"
    )


PDF = b"Content-Type: application/pdf"
RFC822 = (
    b'Content-Type: multipart/mixed; boundary="B"\r\n\r\n--B\r\n\r\nhi\r\n'
    b"--B\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ninner body\r\n--B--\r\n"
)
LONG = b"begin 644 x\r\n" + b"A" * 100_000


def of_subject(message: Message) -> Any:
    return message.subject


def of_text(message: Message) -> Any:
    return (message.text or "").strip()


def of_names(message: Message) -> Any:
    return [part.name for part in message.attachments]


def of_data(message: Message) -> Any:
    return [part.data() for part in message.attachments]


def of_both(message: Message) -> Any:
    return (of_text(message), len(message.attachments))


CASES: list[tuple[str, bytes, Callable[[Message], Any], Any]] = [
    (
        "subject: a character split over two words",
        subject(b"=?utf-8?B?5pel5g==?=\r\n =?utf-8?B?nKzoqp4=?="),
        of_subject,
        "日本語",
    ),
    ("subject: koi8-r, Q", subject(b"=?koi8-r?Q?=F0=D2=C9=D7=C5=D4?="), of_subject, "Привет"),
    (
        "subject: words without space",
        subject(b"=?utf-8?Q?a=C3=A9?==?utf-8?Q?_b?="),
        of_subject,
        "aé b",
    ),
    ("subject: raw UTF-8", subject("Grüße 日本".encode()), of_subject, "Grüße 日本"),
    (
        "subject: iso-2022-jp",
        subject(b"=?ISO-2022-JP?B?" + base64.b64encode("日本語".encode("iso2022_jp")) + b"?="),
        of_subject,
        "日本語",
    ),
    (
        "subject: gb2312 label, gbk bytes",
        subject(b"=?gb2312?B?" + base64.b64encode("朱镕基".encode("gbk")) + b"?="),
        of_subject,
        "朱镕基",
    ),
    ("subject: unknown charset", subject(b"=?x-nonsense?Q?caf=C3=A9?="), of_subject, "café"),
    (
        "text: utf-8, qp",
        text(b"text/plain; charset=utf-8", b"na=C3=AFve", b"quoted-printable"),
        of_text,
        "naïve",
    ),
    (
        "text: shift_jis, base64",
        text(
            b"text/plain; charset=shift_jis", base64.b64encode("日本語①".encode("cp932")), b"base64"
        ),
        of_text,
        "日本語①",
    ),
    (
        "text: gb18030, 8bit",
        text(b"text/plain; charset=gb18030", "漢字㐀".encode("gb18030")),
        of_text,
        "漢字㐀",
    ),
    (
        "text: iso-2022-jp",
        text(b"text/plain; charset=iso-2022-jp", "読書".encode("iso2022_jp")),
        of_text,
        "読書",
    ),
    (
        "text: koi8-r, qp",
        text(b"text/plain; charset=koi8-r", b"=F0=D2=C9", b"quoted-printable"),
        of_text,
        "При",
    ),
    (
        "text: windows-1252 as iso-8859-1",
        text(b"text/plain; charset=iso-8859-1", b"\x93q\x94 \x80"),
        of_text,
        "“q” €",
    ),
    ("text: utf-8 without a charset", text(b"", "naïve".encode()), of_text, "naïve"),
    ("text: cp-850 alias", text(b"text/plain; charset=cp-850", b"na\x8bve"), of_text, "naïve"),
    ("text: utf-7", text(b"text/plain; charset=utf-7", b"Hi +AKM-1"), of_text, "Hi £1"),
    (
        "text: format=flowed stays",
        text(b"text/plain; format=flowed", b"a \r\nb\r\n"),
        of_text,
        "a \nb",
    ),
    (
        "name: RFC 2231",
        attached(PDF, b"Content-Disposition: attachment; filename*=utf-8''%C3%BC.pdf"),
        of_names,
        ["ü.pdf"],
    ),
    (
        "name: RFC 2231 in pieces",
        attached(
            PDF,
            b"Content-Disposition: attachment;\r\n filename*0*=utf-8''%C3;\r\n"
            b' filename*1*=%BC-;\r\n filename*2="a b.pdf"',
        ),
        of_names,
        ["ü-a b.pdf"],
    ),
    (
        "name: encoded word",
        attached(PDF, b'Content-Disposition: attachment; filename="=?utf-8?Q?=C3=BC.pdf?="'),
        of_names,
        ["ü.pdf"],
    ),
    ("name: in Content-Type only", attached(PDF + b'; name="a.pdf"'), of_names, ["a.pdf"]),
    (
        "name: raw UTF-8",
        attached(PDF, 'Content-Disposition: attachment; filename="日本.pdf"'.encode()),
        of_names,
        ["日本.pdf"],
    ),
    (
        "a text attachment is no text",
        attached(b"Content-Type: text/plain", b"Content-Disposition: attachment; filename=a.txt"),
        of_both,
        ("hello", 1),
    ),
    ("base64 with junk, without padding", attached(PDF, body=b"RE!FU\r\nQQ"), of_data, [b"DATA"]),
    ("no closing boundary", attached(PDF)[: -len(b"--B--\r\n")], of_data, [b"DATA"]),
    (
        "boundary with spaces",
        attached(PDF).replace(b'"B"', b'"B x"').replace(b"--B", b"--B x"),
        of_data,
        [b"DATA"],
    ),
    ("message/rfc822 is one attachment", RFC822, of_both, ("hi", 1)),
    ("multipart without a boundary", text(b"multipart/mixed", b"hello"), of_text, "hello"),
    ("bare line feeds", attached(PDF).replace(b"\r\n", b"\n"), of_data, [b"DATA"]),
    ("a header and no body", b"Subject: only this", of_subject, "only this"),
    (
        "a line of 100 KB",
        text(b"text/plain", LONG, b"7bit"),
        of_text,
        LONG.decode().replace("\r", ""),
    ),
]


@pytest.mark.parametrize(
    ("raw", "read", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_fidelity(raw: bytes, read: Callable[[Message], Any], expected: Any) -> None:
    assert read(Message(raw)) == expected


def test_all_cases_are_here() -> None:
    assert len({case[0] for case in CASES}) == 31
