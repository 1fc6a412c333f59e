"""The SMTP core: any split gives the same answers; what is no reply ends it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.errors import InvalidValue, ProtocolError
from postroom.protocols.base import Limits
from postroom.protocols.smtp import commands
from postroom.protocols.smtp.machine import Answer, SmtpCore, parse_capabilities
from tests.fuzz.smtp import heard
from tests.fuzz.target import split

__all__: list[str] = []

SESSION = (
    b"220-mail.example.com\r\n220 ready\r\n250-mail.example.com\r\n250-SIZE 1000\r\n"
    b"250 AUTH PLAIN\r\n354 go\r\n250 2.0.0 Ok\n550-5.1.1 nobody\r\n"
    b"550 5.1.1 of that name\r\n421\r\n"
)
ANSWERS = [
    Answer(220, (b"mail.example.com", b"ready")),
    Answer(250, (b"mail.example.com", b"SIZE 1000", b"AUTH PLAIN")),
    Answer(354, (b"go",)),
    Answer(250, (b"2.0.0 Ok",)),
    Answer(550, (b"5.1.1 nobody", b"5.1.1 of that name")),
    Answer(421, (b"",)),
]


@given(st.lists(st.integers(0, 10_000), max_size=12))
def test_any_split_gives_the_same_answers(cuts):
    assert heard(SmtpCore(), split(SESSION, cuts)) == ANSWERS


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"hello",
        b"25",
        b"2500 x",
        b"250_x",
        b"150 x",
        b"650 x",
        b"\xb2\xb25 x",
        b"220-a\r\n250 b",
    ],
)
def test_what_is_no_reply_is_an_error(line):
    with pytest.raises(ProtocolError):
        SmtpCore().receive(line + b"\r\n")


@pytest.mark.parametrize(
    "data", [b"2" * 5000, b"250-x\r\n" * 1000, b"250 " + b"x" * 5000 + b"\r\n"]
)
def test_an_answer_without_end_is_an_error_and_is_not_kept(data):
    core = SmtpCore(Limits(line=1000))
    with pytest.raises(ProtocolError, match="does not end"):
        heard(core, split(data, list(range(0, len(data), 100))))


def test_capabilities():
    lines = (
        b"me",
        b"size 35882577",
        b"AUTH PLAIN LOGIN",
        b"AUTH=LOGIN OLD",
        b"",
        b"LIMITS MAILMAX=7",
    )
    can = parse_capabilities(Answer(250, lines))
    assert (can.size, can.mechanisms, can.messages) == (35882577, ("PLAIN", "LOGIN", "OLD"), 7)
    assert "SIZE" in can
    assert "me" not in can


@pytest.mark.parametrize("size", [b"SIZE", b"SIZE x", b"SIZE -1", b"SIZE " + b"9" * 30])
def test_a_size_that_is_none_means_that_nothing_was_said(size):
    assert parse_capabilities(Answer(250, (b"me", size))).size == 0


BREAKS = ["\0", "\r", "\n", "\r\nRCPT TO:<x@example.com>", "\u2028"]


@pytest.mark.parametrize("bad", BREAKS)
def test_no_command_takes_a_line_break(bad):
    for make in (commands.mail, commands.rcpt, commands.ehlo, commands.helo):
        with pytest.raises(InvalidValue):
            make(f"a{bad}@example.com" if make in (commands.mail, commands.rcpt) else f"a{bad}b")


@pytest.mark.parametrize(
    "address",
    [
        "a", "@b", "a@", "a b@c", "a@b,c@d", '"a@b"@c>', "a@b>", "<a@b>", "a@b c", "(x)a@b",
        "a@b@c", "grüße@example.com", "a" * 400 + "@example.com", '"a\nb"@c', "a@b;", "a:b@c", "",
    ],
)  # fmt: skip
def test_addresses_that_would_be_another_envelope(address):
    """T71: the last check, right before the wire."""
    with pytest.raises(InvalidValue):
        commands.rcpt(address)


@pytest.mark.parametrize(
    ("address", "line"),
    [
        ("a@example.com", b"RCPT TO:<a@example.com>\r\n"),
        ('"a@b <c>"@example.com', b'RCPT TO:<"a@b <c>"@example.com>\r\n'),
        ("a@[192.0.2.1]", b"RCPT TO:<a@[192.0.2.1]>\r\n"),
        ("o'brien+x=y@example.com", b"RCPT TO:<o'brien+x=y@example.com>\r\n"),
    ],
)
def test_addresses_that_are_sent_as_they_are(address, line):
    assert commands.rcpt(address) == line


def test_parameters_of_mail():
    line = commands.mail("grüße@example.com", size=7, eight_bit=True, utf8=True)
    assert line == "MAIL FROM:<grüße@example.com> SIZE=7 BODY=8BITMIME SMTPUTF8\r\n".encode()
    assert commands.mail("") == b"MAIL FROM:<>\r\n"
