"""Drafts: the bytes hold exactly the intended headers, whatever anybody wrote into a field."""

from __future__ import annotations

import datetime as dt
import email
import email.policy
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.errors import InvalidValue
from postroom.mail import Address, Attachment, Composed, Draft, Message, compose, new_message_id
from tests.faults.dose import dose
from tests.fuzz.message import is_wire_clean

__all__: list[str] = []

ID = "<id@example.com>"
DATE = dt.datetime(2026, 1, 31, 9, 5, 0, tzinfo=dt.UTC)


def made(**fields: Any) -> Composed:
    return compose(
        Draft(**{"from_": "me@x.org", "to": "you@x.org"} | fields), message_id=ID, date=DATE
    )


def test_a_plain_message_is_legible() -> None:
    content = made(subject="Hello", text="Hi\nthere").content
    assert content == (
        b"Date: Sat, 31 Jan 2026 09:05:00 +0000\r\nFrom: me@x.org\r\nTo: you@x.org\r\n"
        b"Subject: Hello\r\nMessage-ID: <id@example.com>\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: text/plain; charset="utf-8"\r\nContent-Transfer-Encoding: 7bit\r\n\r\n'
        b"Hi\r\nthere\r\n"
    )


def test_bcc_is_in_the_envelope_and_never_in_the_bytes() -> None:
    composed = made(to=None, bcc="hidden@x.org; hidden@x.org")
    assert composed.recipients == ("hidden@x.org",)
    assert b"hidden" not in composed.content
    assert b"\r\nTo: undisclosed-recipients:;\r\n" in composed.content


def test_the_envelope_holds_each_recipient_once() -> None:
    composed = made(to="a@x.org, b@x.org", cc="a@X.org", bcc="c@bücher.example")
    assert composed.recipients == ("a@x.org", "b@x.org", "c@xn--bcher-kva.example")


def test_the_sender_is_the_envelope_sender() -> None:
    composed = made(sender="bot@x.org")
    assert composed.sender == "bot@x.org"
    assert b"\r\nSender: bot@x.org\r\n" in composed.content
    same = made(sender={"address": "me@X.org", "name": "Me"})
    assert b"Sender:" not in same.content


def test_the_same_bytes_on_every_try() -> None:
    fields: dict[str, Any] = {
        "text": "t",
        "html": "<p>h",
        "attachments": [Attachment("a", "a/b", b"x")],
    }
    assert made(**fields) == made(**fields)


def test_an_utf8_local_part_needs_smtputf8_and_stands_as_utf8() -> None:
    composed = made(to="Jörg <jörg@bücher.example>")
    assert composed.utf8
    assert composed.recipients == ("jörg@xn--bcher-kva.example",)
    assert Message(composed.content).to == [Address("Jörg", "jörg@xn--bcher-kva.example")]
    assert made(bcc="jörg@x.org").utf8
    assert not made(to="Jörg <joerg@bücher.example>").utf8


LINE_ENDS = ["\r\n", "\n", "\r", "\0", "\x85", "\u2028", "\u2029", "\x0b", "\x0c", "\x1c"]
INJECTIONS: list[tuple[str, Callable[[str], dict[str, Any]]]] = [
    ("subject", lambda s: {"subject": s}),
    ("to", lambda s: {"to": {"address": "a@x.org", "name": s}}),
    ("to", lambda s: {"to": s}),
    ("from", lambda s: {"from_": {"address": "a@x.org", "name": s}}),
    ("reply_to", lambda s: {"reply_to": f"{s}@x.org"}),
    ("sender", lambda s: {"sender": f"{s} <a@x.org>"}),
    ("headers", lambda s: {"headers": {s: "x"}}),
    ("headers.X-A", lambda s: {"headers": {"X-A": s}}),
    ("in_reply_to", lambda s: {"in_reply_to": f"<{s}@x>"}),
    ("references", lambda s: {"references": [f"<{s}@x>"]}),
    ("message_id", lambda s: {"message_id": f"<{s}@x>"}),
    ("attachments.0.name", lambda s: {"attachments": [Attachment(s, "a/b", b"")]}),
    ("attachments.0.content_type", lambda s: {"attachments": [Attachment("n", f"a/b{s}", b"")]}),
    ("attachments.0.inline_id", lambda s: {"attachments": [Attachment("n", "a/b", b"", s)]}),
]


@pytest.mark.parametrize("line_end", LINE_ENDS, ids=ascii)
@pytest.mark.parametrize(("field", "make"), INJECTIONS)
def test_a_line_end_is_refused_and_the_field_named(
    field: str, make: Callable[[str], dict[str, Any]], line_end: str
) -> None:
    """T69: line ends of every kind in every field that becomes a header."""
    with pytest.raises(InvalidValue) as error:
        made(**make(f"a{line_end}Bcc: b@x.org"))
    assert error.value.field == field


@pytest.mark.parametrize(
    "name",
    [
        "From",
        "bcc",
        "Content-Type",
        "Date",
        "MIME-Version",
        "Resent-To",
        "X A",
        "X:",
        "",
        "Ü",
        "Received",
        "x" * 61,
    ],
)
def test_headers_that_are_structure_are_refused(name: str) -> None:
    """T69: no header of one's own is one that we or the transport write."""
    with pytest.raises(InvalidValue):
        made(headers={name: "x"})


@pytest.mark.parametrize(
    "bad",
    [
        {"to": None},
        {"from_": None},
        {"from_": "a@x.org, b@x.org"},
        {"subject": 5},
        {"text": b"x"},
        {"text": "\ud800"},
        {"subject": "\ud800"},
        {"headers": {"X-A": ""}},
        {"subject": "x" * 20_000},
        {"attachments": [Attachment("../x", "a/b", b"")]},
        {"attachments": [Attachment("", "a/b", b"")]},
        {"attachments": [Attachment("..", "a/b", b"")]},
        {"attachments": [Attachment("C:\\x", "a/b", b"")]},
        {"attachments": [Attachment("x", "multipart/mixed", b"")]},
        {"attachments": [Attachment("x", "a", b"")]},
        {"message_id": "<a b@x>"},
        {"message_id": "x"},
        {"message_id": "<ü@x>"},
        {"headers": {f"X-{n}": "x" for n in range(101)}},
    ],
)
def test_refused(bad: dict[str, Any]) -> None:
    """T69, T71, T74: names of attachments with a path, half characters, several senders."""
    with pytest.raises(InvalidValue):
        made(**bad)


def test_a_date_needs_a_zone() -> None:
    with pytest.raises(InvalidValue, match="zone"):
        compose(Draft(from_="a@x.org", to="b@x.org"), message_id=ID, date=DATE.replace(tzinfo=None))


TEXT = st.text(max_size=300).filter(lambda s: not re.search(r"[\ud800-\udfff]", s))
HEADER = st.text(
    st.characters(blacklist_categories=["Cs", "Cc", "Zl", "Zp"])
    | st.sampled_from('=?_ ,;<>()"\\:@'),
    max_size=200,
)
ATOM = st.text(st.sampled_from("abcXYZ019._+-="), min_size=1, max_size=30).map(
    lambda s: s.strip(".").replace("..", ".") or "a"
)
PERSON = st.builds(
    lambda name, local: Address(name.strip(), f"{local.replace('..', '')}@x.org"),
    HEADER,
    st.from_regex(r"[a-z]{1,20}(\.[a-z0-9+=-]{1,20}){0,3}", fullmatch=True),
)
ID_TEXT = st.from_regex(r"<[a-zA-Z0-9.$%+=-]{1,120}@[a-z0-9.-]{1,60}>", fullmatch=True)
FILE = st.builds(
    Attachment,
    HEADER.map(lambda s: re.sub(r"[/\\]", "", s).strip(". ") + "f"),
    st.sampled_from(["application/pdf", "text/plain; charset=utf-8", "image/png"]),
    st.binary(max_size=200),
    st.none() | st.just("cid@x"),
)


@pytest.mark.timeout(1800)
@settings(max_examples=dose(200, 1_000, 10_000))
@given(
    subject=HEADER,
    from_=PERSON,
    to=st.lists(PERSON, min_size=1, max_size=4),
    cc=st.lists(PERSON, max_size=2),
    bcc=st.just([Address("", "hidden-one@x.org")]),
    extra=HEADER.filter(lambda s: s.strip()),
    references=st.lists(ID_TEXT, max_size=6),
    text=st.none() | TEXT,
    html=st.none() | TEXT,
    attachments=st.lists(FILE, max_size=2),
)
def test_what_is_read_back_is_what_was_written(extra: str, **fields: Any) -> None:
    """T69: a round trip by our reader and the standard library's: 200 of them, 1,000 with
    ``FAULTS=full``, 10,000 with ``FAULTS=long``."""
    composed = made(headers={"X-Extra": extra}, **fields)
    is_wire_clean(composed.content)
    assert composed.content.isascii()
    assert b"hidden-one" not in composed.content
    check_headers_by_the_standard_library(composed.content, fields, extra)
    message = Message(composed.content)
    assert message.problems == []
    assert message.subject == fields["subject"].strip()
    assert dict(message.headers)["X-Extra"] == extra.strip()
    assert message.from_ == [fields["from_"]]
    assert message.to == fields["to"]
    assert message.cc == fields["cc"]
    assert message.references == fields["references"]
    assert message.date == DATE
    check_body(message, fields)


def check_headers_by_the_standard_library(content: bytes, fields: Any, extra: str) -> None:
    """The parser that everybody else uses sees the same names, each once, and nothing more."""
    parsed = email.message_from_bytes(content)
    names = ["Date", "From", "To", *(["Cc"] if fields["cc"] else []), "Subject", "Message-ID"]
    names += [*(["References"] if fields["references"] else []), "X-Extra", "MIME-Version"]
    seen = [name for name in parsed.keys() if not name.startswith("Content-")]  # noqa: SIM118
    assert seen == names
    words = email.header.decode_header(re.sub(r"\r\n(?=[ \t])", "", parsed["Subject"]))
    assert str(email.header.make_header(words)) == fields["subject"].strip()


def check_body(message: Message, fields: Any) -> None:
    def wanted(text: str | None) -> str | None:
        lines = re.sub("\r\n?", "\n", text) if text else text
        return lines + "\n" if lines and not lines.endswith("\n") else lines

    text = "" if fields["text"] is None and fields["html"] is None else fields["text"]
    assert message.text == (wanted(text))
    assert message.html == wanted(fields["html"])
    files = sorted(
        fields["attachments"], key=lambda f: fields["html"] is None or f.inline_id is None
    )
    assert [part.data() for part in message.attachments] == [each.data for each in files]
    assert [part.name for part in message.attachments] == [each.name.strip() for each in files]


@settings(max_examples=200)
@given(st.text(st.sampled_from("a.\r\n \t\0=é—From"), max_size=400))
def test_bodies_cannot_smuggle_line_ends(text: str) -> None:
    """T70: CR, LF and lone dots of any mix leave as CRLF lines, and come back as the same lines."""
    content = made(text=text).content
    is_wire_clean(content)
    body = content.partition(b"\r\n\r\n")[2]
    assert max(map(len, body.split(b"\r\n"))) <= 78
    assert not re.search(rb"(?m)^(?:\.|From )", body)
    wanted = re.sub("\r\n?", "\n", text)
    assert Message(content).text == wanted + ("\n" if wanted and wanted[-1] != "\n" else "")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("subject", "x" * 5000),
        ("subject", "é" * 5000),
        ("subject", "x " * 5000),
        ("text", "x" * 5000),
        ("text", "日本" * 5000),
        ("html", "<p>" * 5000),
        ("to", [f"user{n}@x.org" for n in range(500)]),
        ("to", {"address": "a" * 240 + "@x.org", "name": "x" * 990}),
        ("references", [f"<{n}{'x' * 890}@y>" for n in range(100)]),
        ("in_reply_to", "x" * 890 + "@y"),
        ("attachments", [Attachment("x" * 5000, "a/b", b"")]),
        ("attachments", [Attachment("é" * 3000, "a/b", b"")]),
        ("headers", {"X" * 60: "é" * 3000}),
        ("headers", {"X" * 60: "y" * 3000}),
    ],
)
def test_no_line_is_too_long(field: str, value: Any) -> None:
    """T73: whatever is in a field, lines stay within 998 bytes and fold at 78 where they can."""
    content = made(**{field: value}).content
    is_wire_clean(content)
    shown = [line for line in content.split(b"\r\n") if not re.search(rb"[^ ]{70}", line)]
    assert max(map(len, shown)) <= 78


def test_ids_of_a_thread_stay_whole() -> None:
    """The standard library's own writer turns such ids into encoded words, which breaks threads."""
    ids = [f"<{'x' * 100}{n}@mail.example.com>" for n in range(3)]
    content = made(in_reply_to=ids[-1], references=ids).content
    parsed = email.message_from_bytes(content)
    assert parsed["References"].split() == ids
    assert parsed["In-Reply-To"] == ids[-1]


def test_an_attached_message_is_never_base64() -> None:
    """RFC 2046, 5.2.1: either it passes as 7-bit, or it travels as plain bytes."""
    clean = Attachment("m.eml", "message/rfc822", b"Subject: a\n\nhi\n")
    high = Attachment("m.eml", "message/rfc822", b"Subject: a\n\n\xff\n")
    content = made(attachments=[clean, high]).content
    is_wire_clean(content)
    first, second = Message(content).attachments
    assert (first.content_type, first.data()) == ("message/rfc822", b"Subject: a\r\n\r\nhi\r\n")
    assert (second.content_type, second.data()) == ("application/octet-stream", high.data)


def test_a_boundary_in_the_text_is_avoided() -> None:
    file = Attachment("a", "a/b", b"x")
    boundary = re.search(rb'boundary="(.*?)"', made(text="t", attachments=[file]).content)
    assert boundary is not None
    text = f"--{boundary[1].decode()}--"
    message = Message(made(text=text, attachments=[file]).content)
    assert message.text == text + "\n"
    assert [part.data() for part in message.attachments] == [b"x"]


def test_inline_images_are_related_to_the_html() -> None:
    parts = [Attachment("i.png", "image/png", b"png", "i@x"), Attachment("f.pdf", "a/b", b"pdf")]
    parsed = email.message_from_bytes(made(text="t", html="h", attachments=parts).content)
    shape = [part.get_content_type() for part in parsed.walk()]
    assert shape == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
        "image/png",
        "a/b",
    ]


def test_new_message_ids() -> None:
    made_ids = {new_message_id("bücher.example") for _ in range(100)}
    assert len(made_ids) == 100
    assert all(re.fullmatch(r"<[0-9a-f]{32}@xn--bcher-kva\.example>", each) for each in made_ids)
    with pytest.raises(InvalidValue):
        new_message_id("x>\r\nBcc: y")


def test_a_draft_can_fix_its_own_message_id() -> None:
    composed = made(message_id="mine@x.org")
    assert composed.message_id == "<mine@x.org>"
    assert b"Message-ID: <mine@x.org>\r\n" in composed.content


def test_text_that_looks_encoded_arrives_as_that_text() -> None:
    """T69: an encoded word that somebody typed is text, whatever it would decode to."""
    trick = "=?utf-8?q?a=0d=0aBcc:_b@x.org?="
    content = made(
        subject=trick,
        to={"address": "a@x.org", "name": trick},
        headers={"X-A": trick},
        attachments=[Attachment(trick, "a/b", b"")],
    ).content
    message = Message(content)
    assert message.subject == message.header("x-a") == trick
    assert message.to == [Address(trick, "a@x.org")]
    assert [part.name for part in message.attachments] == [trick]
    assert trick.encode() not in content


@pytest.mark.parametrize("text", ["." * 500, "From " * 100, ".\n" * 50, "é" + "." * 73 + ".\n.x"])
def test_no_line_of_quoted_printable_starts_with_a_dot_or_from(text: str) -> None:
    content = made(text=text).content
    body = content.partition(b"\r\n\r\n")[2]
    assert not re.search(rb"(?m)^(?:\.|From )", body)
    assert max(map(len, body.split(b"\r\n"))) <= 76
    assert Message(content).text == text.rstrip("\n") + "\n"
