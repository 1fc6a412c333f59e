"""Replies and forwards: the right people, the right thread, and nothing hostile taken over."""

from __future__ import annotations

import datetime as dt
import time

import pytest

from postroom.errors import InvalidValue
from postroom.mail import Address, Message, compose, forward, plain_text, reply

__all__: list[str] = []

DATE = dt.datetime(2026, 1, 31, tzinfo=dt.UTC)
RAW = (
    b"From: =?utf-8?q?J=C3=B6rg?= <jo@x.org>\r\nTo: me@x.org, other@x.org\r\n"
    b"Cc: third@x.org, Me@X.org, nonsense\r\nDate: Fri, 02 Jan 2026 03:04:05 +0000\r\n"
    b"Subject: Offer\r\nMessage-ID: <3@x.org>\r\nReferences: <1@x.org> <2@x.org>\r\n"
    b'Content-Type: multipart/mixed; boundary="B"\r\n\r\n'
    b"--B\r\n\r\nHello\r\n> old\r\n--B\r\nContent-Type: application/pdf\r\n"
    b'Content-Disposition: attachment; filename="../x.pdf"\r\n\r\npdf\r\n--B--\r\n'
)


def bytes_of(draft: object) -> Message:
    return Message(compose(draft, message_id="<new@x.org>", date=DATE).content)  # type: ignore[arg-type]


def test_reply() -> None:
    draft = reply(Message(RAW), from_="me@x.org", text="Thanks\n")
    assert draft.to == [Address("Jörg", "jo@x.org")]
    assert not draft.cc
    sent = bytes_of(draft)
    assert sent.subject == "Re: Offer"
    assert sent.in_reply_to == "<3@x.org>"
    assert sent.references == ["<1@x.org>", "<2@x.org>", "<3@x.org>"]
    assert sent.text == "Thanks\n\nOn 2026-01-02 03:04 UTC, Jörg wrote:\n> Hello\n>> old\n"
    assert sent.attachments == []


def test_reply_to_all_leaves_out_ourselves_and_nonsense() -> None:
    draft = reply(Message(RAW), from_="me@x.org", text="x", to_all=True, quote=False)
    assert draft.to == [Address("Jörg", "jo@x.org")]
    assert draft.cc == [Address("", "other@x.org"), Address("", "third@x.org")]
    assert draft.text == "x"


def test_reply_to_wins_over_from() -> None:
    draft = reply(Message(b"Reply-To: list@x.org\r\n" + RAW), from_="me@x.org", text="x")
    assert draft.to == [Address("", "list@x.org")]


@pytest.mark.parametrize("subject", [b"Re: Offer", b"RE:Offer", b"re[2]: Offer"])
def test_the_prefix_is_not_repeated(subject: bytes) -> None:
    raw = RAW.replace(b"Subject: Offer", b"Subject: " + subject)
    assert reply(Message(raw), from_="me@x.org", text="x").subject == subject.decode()


@pytest.mark.parametrize("sender", [b"", b"From: root\r\n", b"From: a@b <c@d>\r\n"])
def test_nobody_to_answer_is_an_error(sender: bytes) -> None:
    with pytest.raises(InvalidValue, match="no address"):
        reply(Message(sender + b"Subject: x\r\n\r\n"), from_="me@x.org", text="x")


def test_hostile_headers_do_not_get_into_an_answer() -> None:
    raw = (
        b"From: =?utf-8?q?a=0d=0aBcc:_evil@x.org?= <jo@x.org>\r\n"
        b"Subject: =?utf-8?q?a=0d=0aBcc:_evil@x.org?=\r\n"
        b"Message-ID: <a b@x>\r\nReferences: <\xff@x> <ok@x> junk\r\n\r\nx"
    )
    sent = bytes_of(reply(Message(raw), from_="me@x.org", text="x", to_all=True))
    assert [name for name, _ in sent.headers if name == "Bcc"] == []
    assert sent.subject == "Re: a Bcc: evil@x.org"
    assert sent.references == ["<ok@x>"]


def test_the_html_of_a_stranger_is_quoted_as_text() -> None:
    raw = (
        b"From: a@x.org\r\nContent-Type: text/html\r\n\r\n<p>Hi &lt;b&gt;</p><script>bad()</script>"
    )
    draft = reply(Message(raw), from_="me@x.org", text="t", html="<p>t</p>")
    assert draft.html is not None
    assert "bad()" not in draft.html
    assert "<blockquote>Hi &lt;b&gt;</blockquote>" in draft.html
    assert draft.text == "t\n\na@x.org wrote:\n> Hi <b>\n"


def test_forward_takes_text_and_attachments_over() -> None:
    draft = forward(Message(RAW), from_="me@x.org", to="you@x.org", text="see below")
    sent = bytes_of(draft)
    assert sent.subject == "Fwd: Offer"
    assert sent.text == (
        "see below\n\n-------- Forwarded message --------\nFrom: Jörg <jo@x.org>\n"
        "Date: Fri, 02 Jan 2026 03:04:05 +0000\nSubject: Offer\nTo: me@x.org, other@x.org\n\n"
        "Hello\n> old\n"
    )
    assert [(part.name, part.data()) for part in sent.attachments] == [("_x.pdf", b"pdf")]


def test_forward_as_an_attachment_keeps_the_whole() -> None:
    draft = forward(Message(RAW), from_="me@x.org", to="you@x.org", as_attachment=True)
    (whole,) = bytes_of(draft).attachments
    assert (whole.name, whole.content_type, whole.data()) == ("Offer.eml", "message/rfc822", RAW)


def test_a_message_can_be_empty() -> None:
    sent = bytes_of(forward(Message(b""), from_="me@x.org", to="you@x.org"))
    assert sent.subject == "Fwd:"


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("a<br>b<p>c</p>", "a\nb\nc"),
        ("<style>x{}</style>a<!-- no -->b &amp; c", "ab & c"),
        ("a < b > c", "a < b > c"),
        ("<div>a</div>\n\n<div> b </div>", "a\n\nb"),
        ("", ""),
    ],
)
def test_plain_text_of_html(markup: str, text: str) -> None:
    raw = b"Content-Type: text/html\r\n\r\n" + markup.encode()
    assert plain_text(Message(raw)) == text


@pytest.mark.parametrize("markup", [b"<" * 10, b"<script>", b"<!--", b"<a "])
def test_plain_text_of_hostile_html_is_linear(markup: bytes) -> None:
    """A megabyte, in the computing time of one: what is read again at each sign takes hours."""
    begin = time.process_time()
    text = plain_text(Message(b"Content-Type: text/html\r\n\r\n" + markup * 10**5))
    assert time.process_time() - begin < 5.0
    assert len(text) <= len(markup) * 10**5
