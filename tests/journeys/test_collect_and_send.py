"""The two main journeys over real servers: mail into a directory, and a message out."""

from __future__ import annotations

from pathlib import Path

import pytest

from postroom.mail import Draft
from postroom.sources import reading
from tests.ground import messages
from tests.ground.maildir import arrived
from tests.journeys.conftest import Account


async def test_new_mail_reaches_the_directory_exactly_once(
    account: Account, tmp_path: Path
) -> None:
    """Every message of the folder is one file with its exact bytes, and a second pass adds none."""
    sent = list(messages.mixed(40, seed=1, largest=1_500_000))
    account.ground.dovecot.fill(account.user, sent)
    await account.source(tmp_path / "orders")

    tally = await account.room.collecting.run("orders-in")

    assert tally is not None
    assert tally.delivered == 40
    files = sorted((tmp_path / "orders" / "INBOX").glob("*.eml"))
    as_sent = sorted(one.replace(b"\r\n", b"\n") for one in sent)
    assert sorted(one.read_bytes().replace(b"\r\n", b"\n") for one in files) == as_sent
    again = await account.room.collecting.run("orders-in")
    assert again is not None
    assert again.delivered == 0
    assert await account.room.ledger.counts("orders-in") == {"done": 40}


async def test_a_message_is_sent_and_every_recipient_has_an_outcome(account: Account) -> None:
    """Accepted, deferred and refused recipients of one message each keep their own state."""
    other = account.ground.user()
    await account.room.services.add({"name": "orders-out", "connection": "acme"})

    item = await account.room.email.send(
        "orders-out",
        Draft(
            from_=None,
            to=[other.address, "retry@ground.test", "refused@ground.test"],
            subject="Hello",
            text="A first light.\n",
        ),
    )

    states = {one.address: (one.state, one.code) for one in item.recipients}
    assert states[other.address][0] == "sent"
    assert states["retry@ground.test"] == ("deferred", 450)
    assert states["refused@ground.test"] == ("failed", 550)
    assert item.state == "deferred"
    received = arrived(other.maildir)
    assert b"A first light." in received[0]
    assert item.message_id.encode() in received[0]


async def test_a_message_that_breaks_our_code_is_held_and_the_others_arrive(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T77, F18: every tenth message breaks the handling; it is held at the third failure."""
    whole = reading.header_texts

    def breaks(block: bytes, *names: frozenset[str]) -> dict[str, str]:
        if b"poison" in block:
            raise ZeroDivisionError("a bug of our own")
        return whole(block, *names)

    monkeypatch.setattr(reading, "header_texts", breaks)
    account.ground.dovecot.fill(account.user, [
        b"Subject: %s %d\r\n\r\nx\r\n" % (b"poison" if n % 10 == 0 else b"fine", n)
        for n in range(100)
    ])  # fmt: skip
    await account.source(tmp_path / "orders")

    await account.room.collecting.run("orders-in")

    assert await account.room.ledger.counts("orders-in") == {"done": 90, "held": 10}
    held = await account.room.ledger.list("orders-in", states=["held"])
    assert {one.reason for one in held} == {"third failure"}
    assert len(list((tmp_path / "orders" / "INBOX").glob("*.eml"))) == 90
