"""Messages: any bytes can be read, to the last value, and answered or passed on as clean mail."""

from __future__ import annotations

import contextlib
import datetime as dt
from typing import Any

from postroom.errors import InvalidValue
from postroom.mail import Draft, Message, compose, forward, reply

__all__ = ["WORDS", "check", "everything", "is_wire_clean"]

WORDS = (
    b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b";", b"=", b'"', b"--B", b"--B--", b"\0", b"\xff",
    b"Content-Type: multipart/mixed; boundary=B", b"Content-Type: text/html; charset=utf-7",
    b"Content-Type: message/rfc822", b"Content-Transfer-Encoding: base64", b"From: a@x.org",
    b"Content-Transfer-Encoding: x-uuencode", b"Content-Transfer-Encoding: quoted-printable",
    b"begin 644 x", b"Subject: =?utf-8?q?a?=", b"Date: ", b"Reply-To: b@x.org", b"References: <a@b>",
    b"Content-Disposition: attachment; filename*0*=utf-8''%C3", b"To: <a@x", b"text", b"From a@b",
    b'Content-Type: multipart/digest; boundary="B"', b"Content-ID: <x>", "ü".encode(), b"<style>",
    b"<!--", b"-->", b"&#55296;", b"Message-ID: <", b">", b"SGVsbG8=", b"=\r\n", b"charset=", b"*1*=",
)  # fmt: skip
DATE = dt.datetime(2026, 1, 31, 9, 5, 0, tzinfo=dt.UTC)


def everything(message: Message) -> list[Any]:
    """Every value a reader can ask for."""
    return [
        message.subject,
        message.from_,
        message.to,
        message.cc,
        message.reply_to,
        message.date,
        message.message_id,
        message.in_reply_to,
        message.references,
        message.text,
        message.html,
        message.headers,
        message.charset,
        repr(message),
        [(part.name, part.size, part.inline, part.content_id) for part in message.attachments],
        message.problems,
    ]


def is_wire_clean(content: bytes) -> None:
    """Lines end in CRLF, hold neither CR, LF nor NUL, and are at most 998 bytes (RFC 5322, 2.1.1)."""
    assert b"\r" not in content.replace(b"\r\n", b"")
    assert b"\n" not in content.replace(b"\r\n", b"")
    assert b"\0" not in content
    assert max(map(len, content.split(b"\r\n"))) <= 998


def check(data: bytes) -> None:
    """A message that a stranger wrote."""
    message = Message(data)
    for value in everything(message):
        assert isinstance(str(value).encode(), bytes)
    drafts = [forward(message, from_="me@x.org", to="you@x.org", text="see", as_attachment=whole)
              for whole in (False, True)]  # fmt: skip
    with contextlib.suppress(InvalidValue):  # nobody is left to answer to
        drafts.append(reply(message, from_="me@x.org", text="yes", html="<p>yes", to_all=True))
    for draft in drafts:
        _leaves_clean(draft)


def _leaves_clean(draft: Draft) -> None:
    content = compose(draft, message_id="<id@example.com>", date=DATE).content
    is_wire_clean(content)
    again = Message(content)
    assert again.problems == [], again.problems
    assert again.message_id == "<id@example.com>"
