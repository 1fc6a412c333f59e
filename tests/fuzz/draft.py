"""Drafts: whatever a caller gives is refused by the name of its field, or read back as it was given."""

from __future__ import annotations

import re

from postroom.errors import InvalidValue
from postroom.mail import Attachment, Draft, Message, compose
from tests.fuzz.message import DATE, is_wire_clean

__all__ = ["WORDS", "check"]

WORDS = (
    b"\x1f", b"\r\n", b"\n", b"\r", b".", b"From ", b"=?utf-8?q?x?=", "é".encode(), "日本".encode(), b"\0",
    b"Jo <a@x.org>", b"a@x.org, b@x.org", b'"', b"\\", b"Bcc: x@y.org", b" ", b"\t", b"x" * 80,
    b"../x", b"name.pdf", b"\xff", "\u2028".encode(), b"boundary", b"--",
)  # fmt: skip


def check(data: bytes) -> None:
    """Fields separated by the unit separator: subject, to, text, HTML, name and bytes of a file."""
    given = (data.split(b"\x1f") + [b""] * 6)[:6]
    subject, to, text, html, name = (each.decode("utf-8", "surrogateescape") for each in given[:5])
    files = [Attachment(name, "application/pdf", given[5])] if name else []
    draft = Draft(
        "me@x.org", to or "you@x.org", subject=subject, text=text, html=html or None,
        attachments=files, bcc="hidden@x.org", headers={"X-Extra": subject or "x"},
    )  # fmt: skip
    try:
        composed = compose(draft, message_id="<id@example.com>", date=DATE)
    except InvalidValue as error:
        assert error.field or error.sentence  # noqa: PT017
        return
    is_wire_clean(composed.content)
    assert b"hidden@x.org" not in composed.content or "hidden@x.org" in subject + to + text + html
    message = Message(composed.content)
    assert message.problems == []
    assert message.subject == subject.replace("\t", " ").strip()
    assert message.text == _lines(text)
    assert message.html == (_lines(html) if html else None)
    assert [(each.name, each.data()) for each in message.attachments] == [
        (each.name.replace("\t", " ").strip(), each.data) for each in files
    ]
    sent_to = dict.fromkeys(each.envelope for each in message.to)
    assert [*sent_to] == [each for each in composed.recipients if each != "hidden@x.org"]


def _lines(text: str) -> str:
    wanted = re.sub("\r\n?", "\n", text)
    return wanted + ("\n" if wanted and wanted[-1] != "\n" else "")
