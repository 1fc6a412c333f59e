"""People are told: by a webhook of a real HTTPS server, by email through Postfix, by a program."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import hashlib
import hmac
import json
import logging
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from postroom.app import Room, open_room
from postroom.errors import PostroomError
from postroom.operations.telling import Telling
from postroom.secret import Secret
from postroom.settings import Settings
from tests.ground import maildir
from tests.ground.hooks import Hooks, hooks
from tests.journeys.conftest import Account

PART = "T0N4B3LL-path-secret-of-the-hook"
KEY = "signing-key-of-the-hook-8f3b1c"


@pytest.fixture
async def hook(account: Account) -> AsyncIterator[Hooks]:
    """The server, with the credentials for it in the room."""
    for name, value in (("hook-part", PART), ("hook-key", KEY)):
        await account.room.credentials.create(name, "secret", details={"value": Secret(value)})
    async with hooks(account.ground.pki) as found:
        yield found


NO_EXPIRY = ["sign-in", "source", "ledger", "outbox", "job", "audit", "worker"]
"""The certificates of the ground end within 30 days, which is a cause."""


async def webhook(room: Room, hook: Hooks, name: str = "hook", **fields: Any) -> None:
    whole = {
        "causes": NO_EXPIRY,
        "url": f"{hook.url}/services/{{secret}}?v=1",
        "credential": "hook-part",
        "signing": "hook-key",
        "trust": "ground-ca",
    }
    await room.notify.add({"name": name, **whole, **fields}, rebind=True)


async def stuck(room: Room, name: str = "orders-in", note: str = "NO such mailbox") -> None:
    """The source has been backing off for 20 minutes."""
    await room.desk.db.write(
        lambda tx: tx.execute(
            "UPDATE sources SET state = 'backing off', note = :note, "
            "state_since = state_since - 1200 WHERE name = :name",
            name=name,
            note=note,
        )
    )


async def source_notice(room: Room) -> dict[str, Any]:
    """The one notice about the source."""
    (found,) = [one for one in await room.notify.notices() if one["cause"] == "source"]
    return found


async def recovered(room: Room) -> None:
    await room.desk.db.write(
        lambda tx: tx.execute(
            "UPDATE sources SET state = 'idle', note = '', due_at = due_at + 9000"
        )
    )


async def next_round(room: Room) -> None:
    """A round now, not in half a minute; as of a worker that lives."""
    (await room.desk.seat()).work(())
    await room.desk.db.write(lambda tx: tx.execute("UPDATE duties SET due_at = 0"))
    assert await room.telling.round()


async def test_a_webhook_is_signed_and_its_secret_is_in_the_address(
    account: Account, hook: Hooks
) -> None:
    room = account.room
    await webhook(room, hook)
    (outcome,) = await room.notify.test()
    assert outcome["ok"], outcome
    (request,) = hook.requests
    assert (request.method, request.target) == ("POST", f"/services/{PART}?v=1")
    signed = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode()
    code = hmac.new(KEY.encode(), signed + request.body, hashlib.sha256).digest()
    assert request.headers["webhook-signature"] == f"v1,{base64.b64encode(code).decode()}"
    assert request.json["event"] == "test"
    shown = await room.credentials.show("hook-part")
    assert [line.partition(";")[0] for line in shown["destinations"]] == [hook.url]


async def test_no_secret_of_a_webhook_is_in_any_text(
    account: Account, hook: Hooks, caplog: pytest.LogCaptureFixture
) -> None:
    """T31: neither what is logged at DEBUG, nor an error, nor what is kept, holds a part of it."""
    caplog.set_level(logging.DEBUG)
    room = account.room
    await webhook(room, hook)
    for status in (200, 404, 302, 500):
        hook.status, hook.location = status, f"{hook.url}/other" if status == 302 else ""
        (outcome,) = await room.notify.test("hook")
        assert outcome["ok"] is (status == 200)
        assert str(status) in outcome["said"]
    assert len(hook.requests) == 4  # T58: a redirect is not followed
    kept = json.dumps([await room.notify.list(), await room.notify.show("hook")])
    rows = room.desk.db.read_now(lambda tx: tx.all("SELECT * FROM audit")) or []
    for text in (caplog.text, kept, repr([dict(row) for row in rows])):
        assert PART not in text
        assert KEY not in text


async def test_a_webhook_whose_host_is_changed_gets_no_stored_secret(
    account: Account, hook: Hooks
) -> None:
    """T26: change the host and keep the secret; the other server hears nothing."""
    room = account.room
    await webhook(room, hook)
    assert (await room.notify.test("hook"))[0]["ok"]
    async with hooks(account.ground.pki) as other:
        with pytest.raises(PostroomError) as refused:
            await room.notify.set("hook", {"url": f"{other.url}/services/{{secret}}"})
        assert refused.value.code == "secret_reentry_required"
        assert (await room.notify.show("hook"))["url"].startswith(hook.url)
        # and in the table itself, behind our back
        body = json.dumps({**_body(room), "url": f"{other.url}/services/{{secret}}"})
        await room.desk.db.write(
            lambda tx: tx.execute("UPDATE notifications SET body = :body", body=body)
        )
        (outcome,) = await room.notify.test("hook")
        assert not outcome["ok"]
        assert other.requests == []


def _body(room: Room) -> dict[str, Any]:
    text: str = room.desk.db.read_now(lambda tx: tx.value("SELECT body FROM notifications"))
    found: dict[str, Any] = json.loads(text)
    return found


@pytest.mark.parametrize("variant", ["selfsigned", "expired", "wronghost"])
async def test_a_server_that_cannot_be_verified_hears_nothing(
    account: Account, variant: str
) -> None:
    """T60: no byte of a secret goes to it."""
    room = account.room
    await room.credentials.create("hook-part", "secret", details={"value": Secret(PART)})
    async with hooks(account.ground.pki, variant) as found:
        fields = {"url": f"{found.url}/{{secret}}", "credential": "hook-part", "trust": "ground-ca"}
        await room.notify.add({"name": "hook", **fields}, rebind=True)
        (outcome,) = await room.notify.test("hook")
        assert (outcome["ok"], found.requests) == (False, [])


async def test_metadata_is_never_asked(room: Room) -> None:
    """T56: an address of a cloud's metadata service."""
    await room.notify.add({"name": "evil", "url": "https://169.254.169.254/latest"})
    (outcome,) = await room.notify.test("evil")
    assert not outcome["ok"]
    assert "169.254.169.254" in outcome["said"]


async def test_public_only_is_for_webhooks_too(settings: Settings, pki: Any) -> None:
    """T56: where only public addresses may be dialled, loopback is refused."""
    room = await open_room(settings._replace(public_only=True), make=True)
    try:
        async with hooks(pki) as found:
            details = {"certificate": pki.ca.read_text()}
            await room.credentials.create("ca", "trusted_certificate", details=details)
            await room.notify.add({"name": "near", "url": found.url, "trust": "ca"})
            (outcome,) = await room.notify.test("near")
            assert (outcome["ok"], found.requests) == (False, [])
    finally:
        await room.close()


# ------------------------------------------------------------------------------ causes


async def test_a_cause_is_told_once_and_when_it_is_over(
    account: Account, hook: Hooks, tmp_path: Path, settings: Settings
) -> None:
    room = account.room
    await account.source(tmp_path / "orders")
    await webhook(room, hook)
    await next_round(room)
    assert hook.said() == []  # all is well
    await stuck(room, note="NO\r\n\x1b[31msuch mailbox")
    await next_round(room)
    await next_round(room)
    said = "Source orders-in collects nothing (backing off): NO \\u001b[31msuch mailbox"
    assert hook.said() == [("began", said)]
    # another process takes over: it has told nothing itself, and tells nothing anew
    other = await open_room(settings)
    try:
        (await other.desk.seat()).work(())
        await other.desk.db.write(lambda tx: tx.execute("UPDATE duties SET due_at = 0"))
        assert await other.telling.round()
        assert len(hook.requests) == 1
    finally:
        await other.close()
    notice = await source_notice(room)
    assert (notice["cause"], notice["told"][0]["ok"]) == ("source", True)
    await recovered(room)
    await next_round(room)
    await next_round(room)
    assert hook.said()[1:] == [("over", "Source orders-in collects again.")]
    assert len({one.headers["webhook-id"] for one in hook.requests}) == 2
    await stuck(room)
    await next_round(room)
    assert [event for event, _ in hook.said()] == ["began", "over", "began"]


async def test_only_one_process_tells(
    account: Account, hook: Hooks, tmp_path: Path, settings: Settings
) -> None:
    room = account.room
    await account.source(tmp_path / "orders")
    await webhook(room, hook)
    await stuck(room)
    others = [await open_room(settings) for _ in range(3)]
    try:
        for each in (room, *others):
            (await each.desk.seat()).work(())
        rounds = await asyncio.gather(*(each.telling.round() for each in (room, *others)))
        assert sorted(rounds) == [False, False, False, True]
        assert len(hook.requests) == 1
    finally:
        for each in others:
            await each.close()


async def test_an_expiry_is_told_again_as_it_comes_nearer(account: Account, hook: Hooks) -> None:
    room = account.room
    await webhook(room, hook, causes=["expiry"])
    events = []
    for days in (40, 29, 20, 13, 6, 2, 1, -1):
        on = (dt.datetime.now(dt.UTC).date() + dt.timedelta(days=days)).isoformat()
        await room.credentials.change("acme-login", expires_at=on)
        telling = Telling(room.desk, None)  # as a process that begins: nothing is remembered
        telling._look_at["audit"] = float("inf")
        await room.desk.db.write(lambda tx: tx.execute("UPDATE duties SET due_at = 0"))
        (await room.desk.seat()).work(())
        assert await telling.round()
        mine = [one for one in hook.said() if "acme-login" in one[1]]
        events.append(len(mine))
    assert events == [0, 1, 1, 2, 3, 4, 5, 6]
    assert [event for event, _ in mine] == [
        "began",
        "again",
        "again",
        "again",
        "again",
        "again",
    ]
    assert "expires in 29 days" in mine[0][1]
    assert "expired 1 day ago" in mine[-1][1]


async def test_the_next_way_is_taken_when_the_first_shares_the_connection(
    account: Account, hook: Hooks, tmp_path: Path
) -> None:
    """The source and the alerts go over one connection: the webhook stands in; Postfix hears nothing."""
    room = account.room
    await account.source(tmp_path / "orders")
    await room.services.add({"name": "alerts", "connection": "acme"})
    to = account.user.address
    await room.notify.add({"name": "mail", "service": "alerts", "to": [to], "causes": NO_EXPIRY})
    await webhook(room, hook, instead_of="mail")
    await stuck(room)
    await next_round(room)
    assert [event for event, _ in hook.said()] == ["began"]
    assert list(await room.outbox.list()) == []
    notice = await source_notice(room)
    assert [(one["notification"], one["over"]) for one in notice["told"]] == [("mail", "hook")]
    await recovered(room)
    await next_round(room)
    await room.email.dispatch()
    assert [event for event, _ in hook.said()] == ["began"]
    (message,) = maildir.arrived(account.user.maildir)
    assert b"Subject: Postroom: over: Source orders-in collects again." in message
    assert b"Auto-Submitted: auto-generated" in message


async def test_where_no_way_is_left_it_is_logged_and_shown(
    account: Account, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    room = account.room
    await account.source(tmp_path / "orders")
    await room.services.add({"name": "alerts", "connection": "acme"})
    await room.notify.add(
        {"name": "mail", "service": "alerts", "to": [account.user.address], "causes": NO_EXPIRY}
    )
    await stuck(room)
    await next_round(room)
    assert "nobody could be told over mail" in caplog.text
    notice = await source_notice(room)
    (told,) = notice["told"]
    assert (told["ok"], told["over"]) == (False, "")
    assert "broken" in told["why"]
    assert list(await room.outbox.list()) == []


async def test_an_email_that_was_not_sent_has_told_nobody(
    account: Account, hook: Hooks, tmp_path: Path
) -> None:
    """The server refuses the recipient: the next way is taken, and the failure is a cause of its own."""
    room = account.room
    await room.services.add({"name": "alerts", "connection": "acme"})
    nobody = "refused@" + account.user.address.partition("@")[2]
    await room.notify.add(
        {"name": "mail", "service": "alerts", "to": [nobody], "causes": ["source", "outbox"]}
    )
    await webhook(room, hook, instead_of="mail")
    await account.source(tmp_path / "orders")
    # its worker is gone, and nothing of its connection is broken
    await room.desk.db.write(lambda tx: tx.execute("UPDATE sources SET due_at = due_at - 1200"))
    await next_round(room)
    (item,) = list(await room.outbox.list())
    await room.email.dispatch()
    assert (await room.outbox.show(item.id)).state == "failed"
    await next_round(room)
    said = [sentence for _, sentence in hook.said()]
    assert any("no worker that runs takes it" in one for one in said), said
    assert any("of service alerts failed" in one for one in said), said


async def test_a_program_reads_the_notice(account: Account, tmp_path: Path) -> None:
    room = account.room
    file = tmp_path / "heard.json"
    code = f"import sys, pathlib; pathlib.Path({str(file)!r}).write_bytes(sys.stdin.buffer.read())"
    await room.notify.add({"name": "prog", "command": [sys.executable, "-c", code]})
    assert (await room.notify.test("prog"))[0]["ok"]
    assert json.loads(file.read_bytes())["event"] == "test"
    await room.notify.set("prog", {"command": [sys.executable, "-c", "print('no paper'); exit(3)"]})
    (outcome,) = await room.notify.test("prog")
    assert not outcome["ok"]
    assert "no paper" in outcome["said"]


async def test_a_ping_says_that_the_room_is_alive(account: Account, hook: Hooks) -> None:
    room = account.room
    url = f"{hook.url}/ping/{{secret}}"
    fields = {"url": url, "credential": "hook-part", "trust": "ground-ca"}
    await room.notify.add(
        {"name": "dead-man", "every": "1d", "method": "GET", **fields}, rebind=True
    )
    hook.status = 503
    await next_round(room)
    await next_round(room)  # not at once again
    assert len(hook.requests) == 1
    hook.status = 200
    room.telling._pings.clear()
    await next_round(room)
    await next_round(room)
    assert [(one.method, one.target) for one in hook.requests] == [("GET", f"/ping/{PART}")] * 2
    (shown,) = await room.notify.list()
    assert "answered 200" in shown["outcome"]


async def test_cron_tells_that_no_worker_lives(account: Account, settings: Settings) -> None:
    """Nobody else can: the email is sent from the process that looks."""
    room = account.room
    await room.services.add({"name": "alerts", "connection": "acme"})
    await room.notify.add(
        {"name": "mail", "service": "alerts", "to": [account.user.address], "causes": NO_EXPIRY}
    )
    found = await room.telling.check()
    assert found["workers"] == 0
    (message,) = maildir.arrived(account.user.maildir)
    assert b"Subject: Postroom: No worker runs" in message
    await room.telling.check()
    assert len(maildir.read(account.user.maildir)) == 1
    other = await open_room(settings)
    try:
        await next_round(other)
        await other.email.dispatch()
        both = maildir.arrived(account.user.maildir, 2)
        assert any(b"over: A worker runs again" in one for one in both)
    finally:
        await other.close()


async def test_an_audit_record_that_was_changed_is_told(account: Account, hook: Hooks) -> None:
    room = account.room
    await webhook(room, hook, causes=["audit"])
    await room.desk.db.write(
        lambda tx: tx.execute("UPDATE audit SET actor = 'nobody' WHERE position = 3")
    )
    await next_round(room)
    ((event, said),) = hook.said()
    assert event == "began"
    assert said.startswith("The audit record is not whole")


async def test_an_email_that_waits_too_long_has_told_nobody(
    account: Account, hook: Hooks, tmp_path: Path
) -> None:
    """An operator holds the service: after a quarter of an hour the next way is taken, once."""
    room = account.room
    await room.services.add({"name": "alerts", "connection": "acme"})
    await room.services.hold("alerts")
    to = account.user.address
    await room.notify.add({"name": "mail", "service": "alerts", "to": [to], "causes": ["source"]})
    await webhook(room, hook, instead_of="mail")
    await account.source(tmp_path / "orders")
    await room.desk.db.write(lambda tx: tx.execute("UPDATE sources SET due_at = due_at - 1200"))
    await next_round(room)
    await next_round(room)
    assert hook.requests == []
    told = (await source_notice(room))["told"][0]
    assert (told["ok"], told["over"]) == (True, "mail")
    await room.desk.db.write(lambda tx: tx.execute(A_WHILE_AGO))
    await next_round(room)
    await next_round(room)
    assert [event for event, _ in hook.said()] == ["began"]
    assert len(list(await room.outbox.list())) == 1


A_WHILE_AGO = (
    "UPDATE notices SET told_over = json_set(told_over, '$.mail.at', "
    "json_extract(told_over, '$.mail.at') - 1000) WHERE told_over <> '{}'"
)
