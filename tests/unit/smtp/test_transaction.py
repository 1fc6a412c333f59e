"""One transaction: whose reply is whose, how it ended, and what this server cannot take."""

from __future__ import annotations

import pytest

from postroom.errors import WireError
from postroom.protocols.base import Envelope, Outcome, Reply, Submission
from postroom.protocols.content import Held
from postroom.protocols.smtp.machine import Capabilities
from postroom.protocols.smtp.transaction import IN_ONE_PIECE, Transaction, prepare

__all__: list[str] = []

YES, NO, LATER = Reply("accepted", 250), Reply("rejected", 550), Reply("deferred", 450)
GO = Reply("accepted", 354)
LOST = WireError("gone", code="connection_lost", temporary=True)
TEXT = b"Subject: x\r\n\r\nhello\r\n"
ALL = Capabilities({"8BITMIME": (), "SMTPUTF8": (), "SIZE": ("1000000",)})


def submission(
    *recipients: str, content: bytes = TEXT, sender: str = "s@example.com", utf8: bool = False
) -> Submission:
    return Submission("1", Envelope(sender, recipients or ("a@b.c",)), Held(content), utf8=utf8)


def begun(*recipients: str) -> Transaction:
    made = prepare(submission(*recipients), ALL)
    assert isinstance(made, Transaction)
    return made


def states(outcome: Outcome) -> dict[str, str]:
    return {r.address: r.reply.state for r in outcome.recipients}


def test_each_recipient_keeps_the_reply_that_decided_it():
    made = begun("a@b.c", "d@e.f", "g@h.i")
    made.mail_said(YES)
    for position, reply in enumerate((YES, NO, LATER)):
        made.rcpt_said(position, reply)
    made.data_said(GO)
    assert made.going
    made.dotted = True
    made.end_said(YES)
    outcome = made.outcome()
    assert outcome.state == "answered"
    assert states(outcome) == {"a@b.c": "accepted", "d@e.f": "rejected", "g@h.i": "deferred"}


@pytest.mark.parametrize("data", [NO, LATER])
def test_a_refused_data_decides_those_that_were_accepted_only(data):
    made = begun("a@b.c", "d@e.f")
    made.mail_said(YES)
    made.rcpt_said(0, YES)
    made.rcpt_said(1, NO)
    made.data_said(data)
    assert not made.going
    assert not made.hollow
    assert states(made.outcome()) == {"a@b.c": data.state, "d@e.f": "rejected"}


def test_a_go_ahead_with_nobody_to_send_to_is_ended_without_content():
    made = begun("a@b.c")
    made.mail_said(YES)
    made.rcpt_said(0, NO)
    made.data_said(GO)
    assert made.hollow
    assert not made.going
    made.end_said(YES)
    assert states(made.outcome()) == {"a@b.c": "rejected"}


def test_a_refused_sender_decides_everybody_whatever_rcpt_says():
    made = begun("a@b.c", "d@e.f")
    made.mail_said(LATER)
    made.rcpt_said(0, NO)
    made.rcpt_said(1, YES)
    made.data_said(NO)
    assert states(made.outcome()) == {"a@b.c": "deferred", "d@e.f": "deferred"}


def test_a_lost_connection_is_ambiguous_only_behind_the_final_dot():
    made = begun("a@b.c", "d@e.f")
    made.mail_said(YES)
    made.rcpt_said(1, NO)
    made.data_said(GO)
    before = made.outcome(LOST)
    assert (before.state, before.recipients, before.error) == ("untouched", [], LOST)
    made.dotted = True
    after = made.outcome(LOST)
    assert (after.state, states(after)) == ("ambiguous", {"d@e.f": "rejected"})


def refused(made: Transaction | Outcome) -> tuple[int, str, str]:
    assert isinstance(made, Outcome)
    assert made.state == "answered"
    (reply,) = {r.reply for r in made.recipients}
    assert reply.state == "rejected"
    assert "nothing was sent" in reply.text
    return reply.code, reply.enhanced, reply.step


BARE = Capabilities({"SIZE": ("30",)})
UTF8 = b"To: \xc3\xbc@b.c\n\n"
MIME = Capabilities({"8BITMIME": ()})


@pytest.mark.parametrize(
    ("message", "server", "refusal"),
    [
        (submission(content=TEXT + b"x" * 20), BARE, (552, "5.3.4", "mail")),
        (submission(content=b"\n" * 16), BARE, (552, "5.3.4", "mail")),
        (submission(content=b"\xfc\r\n"), BARE, (554, "5.6.3", "mail")),
        (submission(utf8=True), BARE, (553, "5.6.7", "mail")),
        (submission("grüße@b.c"), BARE, (553, "5.6.7", "rcpt")),
        (submission(sender="grüße@b.c"), BARE, (553, "5.6.7", "mail")),
        (submission("ü@b.c", content=UTF8, utf8=True), MIME, (553, "5.6.7", "mail")),
        (submission(content=b"a\0b\r\n"), ALL, (554, "5.6.0", "mail")),
        (submission(content=b"x" * 999 + b"\r\n"), ALL, (554, "5.6.0", "mail")),
        (submission(content=b"x" * (IN_ONE_PIECE + 1)), ALL, (554, "5.6.0", "mail")),
        (submission(sender="a\r\nRSET@b.c"), ALL, (553, "5.1.7", "mail")),
        (submission("a@b,c@d"), ALL, (553, "5.1.3", "rcpt")),
    ],
)
def test_what_cannot_be_sent_is_refused_by_us_before_anything_is(message, server, refusal):
    """T73: too large, 8-bit, SMTPUTF8, NUL, long lines: permanent and typed, never cut."""
    assert refused(prepare(message, server)) == refusal


def test_the_longest_line_allowed_is_sent():
    """T73: 998 bytes."""
    assert isinstance(prepare(submission(content=b"x" * 998 + b"\r\n"), ALL), Transaction)


def test_one_impossible_address_does_not_hold_up_the_others():
    made = prepare(submission("a@b.c", "x\r\n@y", "d@e.f"), ALL)
    assert isinstance(made, Transaction)
    assert made.rcpts == [b"RCPT TO:<a@b.c>\r\n", b"", b"RCPT TO:<d@e.f>\r\n"]
    made.end_said(YES)
    assert states(made.outcome()) == {
        "a@b.c": "accepted",
        "x\r\n@y": "rejected",
        "d@e.f": "accepted",
    }


@pytest.mark.parametrize(
    "content",
    [
        TEXT,
        b"Subject: x\r\n\r\n\xc3\xbc\r\n",
        b"Subject: x\n\n" + b"\xc3\xbc\n" * (IN_ONE_PIECE // 2),
    ],
    ids=["ascii", "8-bit body", "8-bit stream"],
)
def test_a_blind_copy_that_takes_smtputf8_does_not_hold_up_the_others(content):
    """T73: the address stands in no header, so the message needs no SMTPUTF8 for the others."""
    message = submission("a@b.c", "grüße@b.c", content=content, utf8=True)
    made = prepare(message, MIME)
    assert isinstance(made, Transaction)
    assert b"SMTPUTF8" not in made.mail
    assert made.rcpts == [b"RCPT TO:<a@b.c>\r\n", b""]
    made.end_said(YES)
    outcome = made.outcome()
    assert states(outcome) == {"a@b.c": "accepted", "grüße@b.c": "rejected"}
    assert (outcome.recipients[1].reply.code, outcome.recipients[1].reply.enhanced) == (
        553,
        "5.6.7",
    )
    everybody = prepare(message, ALL)
    assert isinstance(everybody, Transaction)
    assert everybody.mail.endswith(b" SMTPUTF8\r\n")
    assert everybody.rcpts[1] == "RCPT TO:<grüße@b.c>\r\n".encode()


def test_an_old_header_in_some_charset_goes_as_it_is():
    """A message written elsewhere, in Latin-1 say: nobody is asked for SMTPUTF8."""
    made = prepare(submission(content=b"Subject: Gr\xf6\xdfe\r\n\r\nx\r\n"), ALL)
    assert isinstance(made, Transaction)
    assert made.mail == b"MAIL FROM:<s@example.com> SIZE=21 BODY=8BITMIME\r\n"


def test_parameters_follow_what_the_server_offers():
    message = submission("grüße@b.c", content="Größe\r\n".encode())
    made = prepare(message, ALL)
    assert isinstance(made, Transaction)
    assert made.mail == b"MAIL FROM:<s@example.com> SIZE=9 BODY=8BITMIME SMTPUTF8\r\n"
    plain = prepare(submission(), Capabilities())
    assert isinstance(plain, Transaction)
    assert plain.mail == b"MAIL FROM:<s@example.com>\r\n"
