"""The demo's mailbox: the same 200 messages every time, varied, and readable by anyone's parser."""

from __future__ import annotations

import datetime as dt
import email
import email.policy
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from postroom.cli.demo.catalogue import FOREIGN
from postroom.cli.demo.letters import MALFORMED_SUBJECT
from postroom.cli.demo.mailbox import MailboxFacts, fill, kept
from postroom.cli.demo.parts import file_name_parameter, pdf, png
from postroom.errors import Refused

NOON = dt.datetime(2026, 3, 31, 12, 0, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, MailboxFacts]:
    maildir = tmp_path_factory.mktemp("demo") / "mailbox"
    return maildir, fill(maildir, now=NOON)


def files(maildir: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in maildir.glob("[cn]*/*")}


def read(data: bytes) -> EmailMessage:
    message = email.message_from_bytes(data, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def by_subject(maildir: Path, subject: str) -> list[EmailMessage]:
    return [m for m in map(read, files(maildir).values()) if m["subject"] == subject]


def test_the_facts_are_those_of_the_files(made: tuple[Path, MailboxFacts]) -> None:
    maildir, facts = made
    found = files(maildir)
    assert len(found) == facts.count == 200
    assert sum(map(len, found.values())) == facts.bytes
    assert max(map(len, found.values())) == facts.largest
    assert abs(facts.largest - 5_000_000) < 1000
    assert facts.malformed == 1
    assert facts.attachments > 40
    assert facts.html > 30
    seen = [path for path in maildir.glob("cur/*") if "S" in path.name.partition(":2,")[2]]
    assert facts.unseen == 200 - len(seen)
    assert facts.charsets == (
        "gb18030", "iso-2022-jp", "iso-8859-1", "koi8-r", "utf-8", "windows-1252",
    )  # fmt: skip


def test_the_same_arguments_give_the_same_files(
    made: tuple[Path, MailboxFacts], tmp_path: Path
) -> None:
    maildir, facts = made
    assert fill(tmp_path / "again", now=NOON) == facts
    assert files(tmp_path / "again") == files(maildir)
    uids = (maildir / "dovecot-uidlist").read_text().splitlines()
    assert (tmp_path / "again" / "dovecot-uidlist").read_text().splitlines() == uids


def test_messages_are_spread_over_the_last_thirty_days(made: tuple[Path, MailboxFacts]) -> None:
    maildir, _ = made
    days = set()
    for path in maildir.glob("[cn]*/*"):
        when = parsedate_to_datetime(str(read(path.read_bytes())["date"]))
        assert NOON - dt.timedelta(days=30) <= when < NOON
        assert path.stat().st_mtime == when.timestamp()
        days.add(when.date())
    assert len(days) > 25


def test_every_file_is_in_short_crlf_lines(made: tuple[Path, MailboxFacts]) -> None:
    for data in files(made[0]).values():
        assert data.count(b"\n") == data.count(b"\r\n")
        assert max(map(len, data.split(b"\r\n"))) <= 998


def test_each_language_arrives_as_it_was_written(made: tuple[Path, MailboxFacts]) -> None:
    for entry in FOREIGN:
        messages = by_subject(made[0], entry.subject)
        assert messages, entry.charset
        for message in messages:
            body = message.get_body(("plain",))
            assert body is not None
            assert body.get_content_charset() == entry.charset
            assert body.get_content().replace("\r\n", "\n").strip() == entry.body.strip()
            assert message["from"].addresses[0].display_name == entry.sender
        names = {a.get_filename() for m in messages for a in m.iter_attachments()}
        assert names <= {entry.file_name}


def test_file_names_beyond_ascii_are_extended_and_continued() -> None:
    short = file_name_parameter("Umsätze März.csv", "iso-8859-1")
    assert short == "filename*=iso-8859-1''Ums%E4tze%20M%E4rz.csv"
    long = "Verkäufe nach Wochentag und Filiale, vorläufige Übersicht.csv"
    assert "filename*1*=" in file_name_parameter(long)
    header = f"Content-Disposition: attachment;\r\n {file_name_parameter(long)}\r\n\r\n"
    assert read(header.encode()).get_filename() == long


def test_one_carries_another_whole(made: tuple[Path, MailboxFacts]) -> None:
    (message,) = by_subject(made[0], "Fwd: Invoice for the desks")
    kinds = [part.get_content_type() for part in message.walk()]
    assert kinds[2:] == ["message/rfc822", "multipart/mixed", "text/plain", "application/pdf"]


def test_one_is_broken(made: tuple[Path, MailboxFacts]) -> None:
    (message,) = by_subject(made[0], MALFORMED_SUBJECT)
    defects = {type(defect).__name__ for defect in message.defects}
    assert defects == {"MissingHeaderBodySeparatorDefect", "CloseBoundaryNotFoundDefect"}


def test_attachments_are_what_they_say() -> None:
    sheet = pdf(["Invoice (1)", "Total"])
    assert int(sheet.split(b"startxref\n")[1].split()[0]) == sheet.index(b"xref\n0 ")
    assert png(1, 1, b"\xff\x00\x00").startswith(b"\x89PNG\r\n\x1a\n")


@pytest.mark.parametrize("count", [0, 1, 5, 30])
def test_fewer_can_be_had(tmp_path: Path, count: int) -> None:
    facts = fill(tmp_path / "mailbox", count, now=NOON)
    assert facts.count == count == len(files(tmp_path / "mailbox"))


def test_a_second_demo_keeps_the_mailbox_or_makes_it_anew(tmp_path: Path) -> None:
    maildir = tmp_path / "mailbox"
    assert kept(maildir) is None
    facts = fill(maildir, 20, now=NOON)
    assert kept(maildir) == facts
    first = (maildir / "dovecot-uidlist").read_text().split()[1]
    (maildir / "cur" / "sent later:2,").write_text("x")
    fill(maildir, 20, now=NOON)
    assert len(files(maildir)) == 20
    # the uids mean other messages now, so clients must be told
    assert int((maildir / "dovecot-uidlist").read_text().split()[1][1:]) > int(first[1:])


def test_what_no_demo_made_is_not_touched(tmp_path: Path) -> None:
    mine = tmp_path / "cur" / "my only copy"
    mine.parent.mkdir()
    mine.write_text("dear diary")
    with pytest.raises(Refused, match="no demo made"):
        fill(tmp_path)
    assert mine.read_text() == "dear diary"
