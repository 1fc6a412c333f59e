"""Automatic answers over real servers: one to one sender, none to a machine, and no loop."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from postroom.app import DATABASE
from postroom.cli import main
from postroom.errors import InvalidValue
from postroom.jobs.commands import ReplyEmail
from postroom.mail import Draft
from postroom.operations.bench import Workbench
from postroom.secret import Secret
from postroom.settings import Settings
from tests.child import Child
from tests.ground import Ground, User, arrived
from tests.ground.maildir import read
from tests.journeys.conftest import Account
from tests.unit.house.tree import ROOT


@pytest.fixture
async def partner(account: Account) -> User:
    """Somebody with a mailbox of their own in the same room: the connection ``partner``."""
    user = account.ground.user()
    await account.room.credentials.create(
        "partner-login",
        "password",
        details={"user_name": user.address, "password": Secret(user.password)},
    )
    own = {"auth": {"type": "secret", "credential": "partner-login"}}
    await account.room.connections.add(
        {"name": "partner", "extends": "acme", "incoming": own, "outgoing": own}, rebind=True
    )
    return user


async def answer(account: Account, via: str, message: bytes, **more: Any) -> dict[str, Any]:
    """What a run that this message began would do with it."""
    command = ReplyEmail(via=via, text="We have your message.", automatic=True, wait="30s", **more)
    async with Workbench(account.room.desk, message=message) as bench:
        return await command.run(bench)


async def write(account: Account, via: str, to: User, subject: str) -> bytes:
    """A person writes to somebody; gives the message as it arrived there."""
    before = len(read(to.maildir))
    await account.room.email.send(via, Draft(from_=None, to=to.address, subject=subject, text="?"))
    return arrived(to.maildir, before + 1)[-1]


async def test_two_mailboxes_that_answer_each_other_end_after_one_answer(
    account: Account, partner: User
) -> None:
    """RFC 3834: the answer says what it is, goes to the return path, and is not answered."""
    asked = await write(account, "partner", account.user, "Order 7")
    first = await answer(account, "acme", asked)
    assert (first["state"], first["answered"]) == ("sent", False)
    [got] = arrived(partner.maildir)
    assert b"Auto-Submitted: auto-replied" in got
    assert b"Subject: Auto: Order 7" in got
    assert b"Return-Path: <%b>" % account.user.address.encode() in got
    second = await answer(account, "partner", got)
    assert second["state"] == "not answered"
    assert second["note"] == ("Not answered: a machine has sent it (Auto-Submitted: auto-replied).")
    assert len(read(account.user.maildir)) == 1


async def test_a_machine_that_does_not_say_so_gets_one_answer_all_the_same(
    account: Account, partner: User
) -> None:
    """The other side hides what it is; still there is an end."""
    message = await write(account, "partner", account.user, "Order 7")
    states = []
    for _ in range(4):
        given = await answer(account, "acme", message)
        states.append(given["state"])
        if given["state"] != "sent":
            assert "was answered at" in given["note"]
            assert "once in 7d is enough" in given["note"]
            break
        got = arrived(partner.maildir, 1)[-1]
        hidden = re.sub(rb"(?m)^(Auto-Submitted|X-Auto-Response-Suppress):.*\r?\n", b"", got)
        assert (await answer(account, "partner", hidden))["state"] == "sent"
        message = arrived(account.user.maildir, 2)[-1]
        message = re.sub(rb"(?m)^(Auto-Submitted|X-Auto-Response-Suppress):.*\r?\n", b"", message)
    assert states == ["sent", "not answered"]


@dataclasses.dataclass
class Office:
    """A room of its own, made of examples/auto-reply.yaml and led to a mailbox of the ground."""

    user: User
    settings: Settings
    cli: Callable[..., int]

    def worker(self) -> Child:
        where = ("--room", str(self.settings.room), "--kek", str(self.settings.kek))
        return Child("-m", "postroom", "worker", *where)

    def runs(self) -> list[tuple[str, str]]:
        """The state and the result of each run, oldest first."""
        return self._rows("SELECT state, result FROM runs ORDER BY id")

    def outbox(self) -> list[tuple[str, str]]:
        return self._rows("SELECT state, subject FROM outbox ORDER BY id")

    def _rows(self, text: str) -> list[tuple[str, str]]:
        with contextlib.closing(sqlite3.connect(self.settings.room / DATABASE)) as raw:
            return list(raw.execute(text))

    def collected(self) -> bool:
        """Whether its source has looked once: what comes from then on is answered."""
        return bool(self._rows("SELECT 1, 1 FROM cursors"))


LED = """\
postroom: 1
credentials:
  - {{name: ca, type: trusted_certificate, fields: {{certificate: {{from_file: "{ca}"}}}}}}
  - {{name: acme-login, fields: {{user_name: "{user}"}}}}
connections:
  - name: acme
    incoming: {{host: 127.0.0.1, port: "{imaps}", security: tls, trust: ca}}
    outgoing: {{host: 127.0.0.1, port: "{submission}", security: starttls, trust: ca}}
"""


@pytest.fixture
def office(
    ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Office]:
    def made(name: str) -> Office:
        user, place = ground.user(), tmp_path / name
        place.mkdir()
        led = place / "led.yaml"
        led.write_text(
            LED.format(
                ca=ground.pki.ca, user=user.address, imaps=ground.dovecot.imaps,
                submission=ground.postfix.submission,
            )
        )  # fmt: skip
        monkeypatch.setenv("ACME_PASSWORD", user.password)
        settings = Settings(place / "room", f"file:{place / 'keys' / 'room.key'}")

        def cli(*words: str) -> int:
            where = ("--room", str(settings.room), "--kek", str(settings.kek))
            return main([*words, *where])

        assert cli("init") == 0
        example = ROOT / "examples" / "auto-reply.yaml"
        assert cli("apply", str(example), str(led), "--yes") == 0
        return Office(user, settings, cli)

    return made


def test_the_example_answers_once_and_two_of_it_do_not_answer_each_other(
    office: Callable[[str], Office], ground: Ground
) -> None:
    """Two rooms, two workers, Dovecot and Postfix: one letter, one answer, and then it is quiet."""
    ours, theirs = office("ours"), office("theirs")
    with ours.worker(), theirs.worker():
        at_last(lambda: ours.collected() and theirs.collected())
        letter = Draft(from_=None, to=ours.user.address, subject="Order 7", text="When?")
        assert theirs.cli("send", "--via", "acme", *words_of(letter)) == 0
        at_last(lambda: len(read(theirs.user.maildir)) == 1)
        [answer] = read(theirs.user.maildir)
        assert b"We have your message" in answer
        assert b"Subject: Auto: Order 7" in answer
        at_last(lambda: [state for state, _ in theirs.runs()] == ["succeeded"])
        assert "a machine has sent it" in theirs.runs()[0][1]
        # a second letter of the same sender is not answered either, and all stays quiet
        assert theirs.cli("send", "--via", "acme", *words_of(letter)) == 0
        at_last(lambda: [state for state, _ in ours.runs()] == ["succeeded"] * 2)
        assert "once in 7d is enough" in ours.runs()[1][1]
        assert ours.outbox() == [("sent", "Auto: Order 7")]
        assert len(read(theirs.user.maildir)) == 1


def at_last(check: Callable[[], bool]) -> None:
    for _ in range(600):
        if check():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come to that")


def words_of(letter: Draft) -> list[str]:
    """A draft as the words of ``postroom send``."""
    return ["--to", str(letter.to), "--subject", letter.subject, "--text", letter.text or ""]


async def test_a_report_about_an_answer_is_not_answered(account: Account, partner: User) -> None:
    """The answer cannot be delivered: the report comes back here, and ends here."""
    report = (
        b"Return-Path: <>\r\nFrom: MAILER-DAEMON@ground.test\r\nTo: %b\r\nSubject: Undelivered\r\n"
        b"Auto-Submitted: auto-replied\r\nContent-Type: multipart/report; "
        b"report-type=delivery-status; boundary=x\r\n\r\n--x\r\n\r\nIt did not arrive.\r\n--x--\r\n"
    ) % account.user.address.encode()
    assert (await answer(account, "acme", report))["state"] == "not answered"
    for field in (b"Auto-Submitted", b"Return-Path", b"From"):
        report = re.sub(rb"(?m)^%b:.*\r\n" % field, b"", report)
        assert (await answer(account, "acme", report))["state"] == "not answered"
    assert account.room.desk.db.read_now(lambda tx: tx.value("SELECT count(*) FROM outbox")) == 0


async def test_what_makes_no_sense_is_refused(account: Account) -> None:
    for wrong, why in (
        ({"to_all": True}, "to_all: an automatic"),
        ({"once_in": "0s"}, "once_in: one"),
    ):
        with pytest.raises(InvalidValue, match=why):
            ReplyEmail(via="acme", text="x", automatic=True, **wrong)
