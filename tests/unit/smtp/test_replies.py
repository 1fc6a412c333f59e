"""Replies: what they mean (RFC 5321, 4.2; RFC 3463) and what a person is told."""

from __future__ import annotations

import pytest

from postroom.protocols.base import Reply
from postroom.protocols.smtp import explain
from postroom.protocols.smtp.machine import Answer
from postroom.protocols.smtp.replies import reply_of
from postroom.secret import Scrubber, Secret

__all__: list[str] = []


@pytest.mark.parametrize(
    ("step", "code", "text", "state", "enhanced", "rest"),
    [
        ("rcpt", 250, b"2.1.5 Ok", "accepted", "2.1.5", "Ok"),
        ("rcpt", 251, b"will forward", "accepted", "", "will forward"),
        ("data", 354, b"go", "accepted", "", "go"),
        ("rcpt", 450, b"4.2.0 later", "deferred", "4.2.0", "later"),
        ("rcpt", 421, b"bye", "deferred", "", "bye"),
        ("end-of-data", 452, b"4.3.1 full", "deferred", "4.3.1", "full"),
        ("rcpt", 550, b"5.1.1 <x> unknown", "rejected", "5.1.1", "<x> unknown"),
        ("end-of-data", 554, b"no", "rejected", "", "no"),
        # the basic code decides when a server mixes its classes up
        ("rcpt", 550, b"4.2.1 odd", "rejected", "4.2.1", "odd"),
        # too many recipients, RFC 5321, 4.5.3.1.10
        ("rcpt", 552, b"too many", "deferred", "", "too many"),
        ("rcpt", 552, b"5.2.2 full", "rejected", "5.2.2", "full"),
        ("end-of-data", 552, b"too big", "rejected", "", "too big"),
        ("mail", 550, b"5.7.1", "rejected", "5.7.1", ""),
        ("mail", 550, b"5.7.1000 x", "rejected", "", "5.7.1000 x"),
    ],
)
def test_how_a_reply_is_read(step, code, text, state, enhanced, rest):
    assert reply_of(Answer(code, (text,)), step) == Reply(state, code, enhanced, rest, step)


def test_lines_become_one_text_without_repeated_codes_and_controls():
    answer = Answer(550, (b"5.7.1 See", b"5.7.1 https://example.com/\x1b[31m", b""))
    assert reply_of(answer, "rcpt").text == "See https://example.com/?[31m"


def test_text_is_scrubbed_and_bounded():
    answer = Answer(535, (b"5.7.8 bad password hunter22 " + b"x" * 5000,))
    reply = reply_of(answer, "sign-in", lambda text: text.replace("hunter22", "****"))
    assert "hunter22" not in reply.text
    assert len(reply.text) <= 1000


@pytest.mark.parametrize(
    "lines",
    [
        (b"5.7.8 not hunter22-ca", b"5.7.8 nary, no"),
        (b"not hunter22-canary, no", b"5.7.8 nor HUNTER22-CANARY"),
        (b"no", b"hun", b"ter22-canary"),
    ],
)
def test_a_secret_over_the_ends_of_lines_is_scrubbed(lines):
    """T34: however the server breaks its lines."""
    text = reply_of(Answer(535, lines), "sign-in", Scrubber([Secret("hunter22-canary")]).text).text
    assert "****" in text
    assert not any(part in text.lower() for part in ("hun", "ter22", "canary", "nary"))


@pytest.mark.parametrize(
    ("code", "enhanced", "words"),
    [
        (550, "5.1.1", "no mailbox of that name"),
        (550, "5.1.2", "domain"),
        (452, "4.2.2", "full"),
        (552, "5.3.4", "larger than the server takes"),
        (452, "4.5.3", "more recipients"),
        (554, "5.7.1", "does not allow"),
        (550, "5.7.26", "DMARC"),
        (550, "5.7.60", "may not send as"),
        (550, "5.7.999", "policy"),
        (535, "", "password"),
        (421, "", "closing"),
        (550, "", "mailbox"),
        (599, "", "refused"),
        (499, "", "now"),
        (499, "4.4.99", "way"),
    ],
)
def test_what_a_person_is_told(code, enhanced, words):
    reply = Reply("deferred" if code < 500 else "rejected", code, enhanced)
    sentence, hint = explain(reply)
    assert words in sentence
    assert sentence.endswith(".")
    assert hint or reply.state == "rejected"
