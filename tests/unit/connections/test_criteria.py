"""What may be searched for: as an IMAP program, and answered from a message here."""

from __future__ import annotations

import dataclasses
import datetime as dt

import pytest

from postroom.connections.criteria import Both, parse_criteria
from postroom.errors import InvalidValue
from postroom.mail import Message
from postroom.protocols.base import Summary

MESSAGE = Message(
    b"From: Alice <alice@example.com>\r\nTo: orders@example.com\r\n"
    b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= from here\r\nDate: Mon, 5 Jan 2026 23:30:00 +0000\r\n"
    b"\r\nThe invoice is attached.\r\n"
)
SUMMARY = Summary("1-1", flags=frozenset({"flagged"}), size=2001)

# text, IMAP program, whether the message above meets it
TABLE = [
    ("", "ALL", True),
    ("all", "ALL", True),
    ("ALL", "ALL", True),
    ("unseen", "UNSEEN", True),
    ("seen", "SEEN", False),
    ("flagged unanswered", "FLAGGED UNANSWERED", True),
    ("unflagged", "UNFLAGGED", False),
    ("from:alice", 'FROM "alice"', True),
    ("from ALICE", 'FROM "ALICE"', True),
    ("from:bob", 'FROM "bob"', False),
    ('subject:"from here"', 'SUBJECT "from here"', True),
    ("to:orders@", 'TO "orders@"', True),
    ("text:invoice", 'TEXT "invoice"', True),
    ("message-id:'<1@a.example>'", 'HEADER MESSAGE-ID "<1@a.example>"', False),
    ("text:grüße", "ALL", True),
    ("subject:grüsse", "ALL", True),  # ß is ss without regard to case
    ("subject:größe", "ALL", False),
    ("since:2026-01-05", "SINCE 5-Jan-2026", True),
    ("since:2026-01-06", "SINCE 6-Jan-2026", False),
    ("before:2026-01-05", "BEFORE 5-Jan-2026", False),
    ("before:2026-01-06", "BEFORE 6-Jan-2026", True),
    ("unseen from:alice since 2026-01-01", 'UNSEEN FROM "alice" SINCE 1-Jan-2026', True),
    (r"""subject:'a "quoted\ one'""", r'SUBJECT "a \"quoted\\ one"', False),
    ("flagged and from:alice", 'FLAGGED FROM "alice"', True),
    ("not flagged", "NOT FLAGGED", False),
    ("not not flagged", "NOT (NOT FLAGGED)", True),
    ("not all", "NOT ALL", False),
    ("seen or flagged", "OR SEEN FLAGGED", True),
    ("seen or answered or flagged", "OR SEEN OR ANSWERED FLAGGED", True),
    ("seen from:bob or flagged from:alice", 'OR (SEEN FROM "bob") (FLAGGED FROM "alice")', True),
    ("(seen or flagged) from:bob", 'OR SEEN FLAGGED FROM "bob"', False),
    ("not (seen or from:alice)", 'NOT (OR SEEN FROM "alice")', False),
    ("not (seen from:alice)", 'NOT (SEEN FROM "alice")', True),
    ('subject:"(from" or flagged', 'OR SUBJECT "(from" FLAGGED', True),
    ("from or or flagged", 'OR FROM "or" FLAGGED', True),
    ("larger:2MiB", "LARGER 2097152", False),
    ("larger:2000", "LARGER 2000", True),
    ("has:attachment", "ALL", False),
    ("flagged not has:attachment", "FLAGGED", True),
    ("not (flagged has:attachment)", "ALL", True),
    ("flagged or subject:größe", "ALL", True),
    ("seen or (flagged subject:größe)", "OR SEEN FLAGGED", False),
]


@pytest.mark.parametrize(("text", "program", "fits"), TABLE)
def test_searches(text: str, program: str, fits: bool) -> None:
    criteria = parse_criteria(text)
    assert criteria.program == program
    assert criteria.program.isascii()
    assert criteria.fits(MESSAGE, SUMMARY) is fits
    assert criteria.needs_body is ("text" in text or "has" in text)
    rest = criteria.rest
    assert rest is None or rest.fits(MESSAGE, SUMMARY) >= fits


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("flagged subject:invoice larger:5", None),
        ("flagged subject:größe", "subject:größe"),
        ("flagged not has:attachment", "not has:attachment"),
        ("seen or has:attachment", "seen or has:attachment"),
        ("flagged (seen or subject:größe) (seen or answered)", "seen or subject:größe"),
    ],
)
def test_what_a_server_cannot_decide_is_decided_here(text: str, rest: str | None) -> None:
    left = parse_criteria(text).rest
    if rest is None:
        assert left is None
    else:
        wanted = parse_criteria(rest).node
        assert left is not None
        assert left.node == wanted or (isinstance(left.node, Both) and left.node.parts == (wanted,))


def test_where_a_server_does_not_know_sizes_they_are_looked_at_here() -> None:
    criteria = dataclasses.replace(parse_criteria("flagged larger:100"), sizes=False)
    assert criteria.program == "FLAGGED"
    assert criteria.needs_body
    assert criteria.rest is not None
    assert criteria.rest.fits(MESSAGE, Summary("1-1"))


def test_the_day_of_arrival_counts_before_the_date_field() -> None:
    received = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
    assert parse_criteria("since:2026-02-01").fits(MESSAGE, Summary("1-1", received=received))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("unread", "did you mean"),
        ("xyz", "use all, unseen"),
        ("from", "from needs a text"),
        ("from:", "from needs a text"),
        ("since:yesterday", "since needs a date"),
        ("since", "since needs a date"),
        ('subject:"open', "no partner"),
        ("subject:'a\r\nX1 DELETE INBOX'", "line break"),
        ("seen:yes", "is not a word"),
        ("all:x", "is not a word"),
        ("seen or", "missing after or"),
        ("or seen", "missing before or"),
        ("seen or or flagged", "missing after or"),
        ("and seen", "missing before and"),
        ("seen and", "missing after and"),
        ("seen and and flagged", "missing after and"),
        ("not", "missing after not"),
        ("not or seen", "missing after not"),
        ("(seen", "is not closed"),
        ("seen)", "that was not opened"),
        ("larger:big", "larger needs a size"),
        ("larger", "larger needs a size"),
        ("has:wings", "has needs attachment"),
        ("(" * 30 + "seen" + ")" * 30, "stand in each other"),
        ("not " * 3000 + "seen", "stand in each other"),
    ],
)
def test_refused(text: str, sentence: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        parse_criteria(text)
    assert sentence in str(caught.value)
