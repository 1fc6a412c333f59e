"""Mailboxes that are full: where collected messages should go, and where a message is sent."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.ground import maildir
from tests.journeys.conftest import Answer, Cli
from tests.journeys.incoming import letter

if TYPE_CHECKING:
    from tests.ground import Ground, User

QUOTA = 20  # KiB
EIGHT = 8 * 1024


@pytest.fixture
def full(cli: Cli, ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> User:
    """A user whose quota has room for what is there and for no copy of it.

    The server has no MOVE, so ``after: move`` is COPY and a flag, and a copy counts.
    """
    user = ground.dovecot.user(quota_kib=QUOTA)
    monkeypatch.setenv("FULL_PASSWORD", user.password)
    for step in (
        ("credential", "add", "ground-ca", "--type", "trusted_certificate",
         "--certificate-from-file", str(ground.pki.ca)),
        ("credential", "add", "login", "--type", "password", "--user-name", user.address,
         "--password-from-env", "FULL_PASSWORD"),
        ("connection", "add", "acme", "--set", "incoming.protocol=imap",
         "--set", "incoming.host=127.0.0.1", "--set", "incoming.trust=ground-ca",
         "--set", f"incoming.port={ground.dovecot.bare.imaps}", "--set", "incoming.security=tls",
         "--set", "incoming.auth={type: secret, credential: login}"),
        ("source", "add", "orders-in", "--connection", "acme", "--set", "folders.done=Done",
         "--set", "sink.type=directory", "--set", f"sink.path={tmp_path / 'orders'}"),
    ):  # fmt: skip
        answer = cli(*step)
        assert answer.status == 0, answer.err
    ground.dovecot.fill(user, [letter("old", size=EIGHT)], folder="Trash")
    ground.dovecot.fill(user, [letter("order", size=EIGHT)])
    return user


def test_a_message_that_cannot_be_moved_is_delivered_once_and_moved_later(
    cli: Cli, full: User, tmp_path: Path
) -> None:
    """NO [OVERQUOTA]: said, tried again, and nothing is lost, doubled or left half done."""
    first = cli("source", "run", "orders-in")
    assert first.status == 75
    assert "The mailbox is full, so the server takes nothing into Done." in first.err
    assert "raise the quota" in first.err
    files = list((tmp_path / "orders" / "INBOX").glob("*.eml"))
    assert [b"Subject: order" in file.read_bytes() for file in files] == [True]
    again = cli("source", "run", "orders-in", "--json")
    assert (again.status, again.json["code"]) == (75, "over_quota")
    assert again.json["temporary"] is True
    rows = cli("source", "ledger", "orders-in", "--json").json["items"]
    assert [(row["state"], row["attempts"]) for row in rows] == [("delivered", 1)]
    assert len(maildir.read(full.maildir, "INBOX")) == 1, "it is where it was"
    shown = cli("source", "show", "orders-in", "--json").json["status"]
    assert shown["state"] == "backing off"
    assert "The mailbox is full" in shown["note"]
    failed = cli("connection", "log", "acme", "--json").json["items"][0]
    assert (failed["event"], failed["step"], failed["code"]) == ("failed", "folder", "over_quota")
    trash = cli("mail", "list", "--via", "acme", "--folder", "Trash", "--json").json["items"]
    for path in (full.maildir / ".Trash").glob("*/*"):  # somebody empties it
        path.unlink()
    assert len(trash) == 1
    last = cli("source", "run", "orders-in")
    assert last.status == 0, last.err
    assert [b"Subject: order" in one for one in maildir.read(full.maildir, "Done")] == [True]
    rows = cli("source", "ledger", "orders-in", "--json").json["items"]
    assert [(row["state"], row["attempts"]) for row in rows] == [("done", 1)]
    assert list((tmp_path / "orders" / "INBOX").glob("*.eml")) == files


def test_more_mail_is_collected_while_nothing_can_be_moved(
    cli: Cli, full: User, ground: Ground, tmp_path: Path
) -> None:
    """A full mailbox holds up the moves, not the orders."""
    assert cli("source", "run", "orders-in").status == 75
    ground.dovecot.fill(full, [letter("next")])
    assert cli("source", "run", "orders-in").status == 75
    assert len(list((tmp_path / "orders" / "INBOX").glob("*.eml"))) == 2


# ------------------------------------------------------------------ sending


def send(cli: Cli, *to: str) -> Answer:
    words = [word for address in to for word in ("--to", address)]
    return cli("send", "--via", "orders-out", *words, "--subject", "Big", "--text", "x",
               "--wait", "2s")  # fmt: skip


def test_a_recipient_whose_mailbox_is_full_for_now_waits_in_the_outbox(
    cli: Cli, wired: User, ground: Ground
) -> None:
    """452 4.2.2: status 3, the sentence says why, the others have it, and it is tried again."""
    answer = send(cli, "full@ground.test", wired.address)
    assert answer.status == 3
    assert "full@ground.test: deferred, 452 4.2.2" in answer.out
    assert f"{wired.address}: sent" in answer.out
    assert "do not send it again" in answer.err
    item = cli("outbox", "list", "--json").json["items"][0]
    assert item["state"] == "deferred"
    assert cli("outbox", "drain").status == 75
    assert "Mailbox full" in cli("outbox", "show", item["id"]).out
    assert cli("outbox", "cancel", item["id"]).status == 0


def test_a_recipient_whose_mailbox_is_full_for_good_fails_with_the_reply(
    cli: Cli, wired: User
) -> None:
    """552 5.2.2: status 1; the message stays in the outbox and can be tried again."""
    answer = send(cli, "overquota@ground.test")
    assert answer.status == 1
    assert "overquota@ground.test: failed, 552 5.2.2" in answer.out
    item = cli("outbox", "list", "--json").json["items"][0]
    assert item["state"] == "failed"
    assert cli("outbox", "retry", item["id"]).status == 0
    assert cli("outbox", "drain").status == 1


def test_a_mailbox_that_is_full_behind_its_relay_answers_with_a_notice(
    cli: Cli, wired: User, ground: Ground
) -> None:
    """A real quota, met after the relay took the message: it says sent, and a DSN comes back."""
    full = ground.dovecot.user(quota_kib=1)
    answer = cli("send", "--via", "orders-out", "--to", full.address, "--subject", "Big",
                 "--text", "x" * 20_000, "--json")  # fmt: skip
    assert (answer.status, answer.json["recipients"][0]["state"]) == (0, "sent")
    for _ in range(200):
        found = cli("mail", "search", "from:mailer-daemon", "--via", "acme", "--json").json
        if found["items"]:
            break
    text = cli("mail", "read", found["items"][0]["id"], "--via", "acme").out
    assert full.address in text
    assert "5.2.2" in text
    assert maildir.read(full.maildir) == []
