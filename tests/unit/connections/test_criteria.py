"""What may be searched for: as an IMAP program, and answered from a message here."""

from __future__ import annotations

import datetime as dt

import pytest

from postroom.connections.criteria import parse_criteria
from postroom.errors import InvalidValue
from postroom.mail import Message
from postroom.protocols.base import Summary

MESSAGE = Message(
    b"From: Alice <alice@example.com>\r\nTo: orders@example.com\r\n"
    b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= from here\r\nDate: Mon, 5 Jan 2026 23:30:00 +0000\r\n"
    b"\r\nThe invoice is attached.\r\n"
)
SUMMARY = Summary("1-1", flags=frozenset({"flagged"}))

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
]


@pytest.mark.parametrize(("text", "program", "fits"), TABLE)
def test_searches(text: str, program: str, fits: bool) -> None:
    criteria = parse_criteria(text)
    assert criteria.program == program
    assert criteria.program.isascii()
    assert criteria.fits(MESSAGE, SUMMARY) is fits
    assert criteria.needs_body is ("text" in text)


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
    ],
)
def test_refused(text: str, sentence: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        parse_criteria(text)
    assert sentence in str(caught.value)
