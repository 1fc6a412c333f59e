"""The log of a connection, and its restart, over real servers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from postroom.app import Room
from postroom.connections import events
from postroom.db import Tx
from postroom.secret import Secret
from tests.ground import Ground
from tests.ground.faults import Cut, Insert, Rule
from tests.ground.proxy import FaultProxy
from tests.journeys.conftest import Cli, connect
from tests.journeys.incoming import Incoming, letter, soon
from tests.journeys.outgoing import Outgoing

if TYPE_CHECKING:
    from tests.ground import User


def log(cli: Cli) -> list[dict[str, Any]]:
    answer = cli("connection", "log", "acme", "--json")
    assert answer.status == 0, answer
    items: list[dict[str, Any]] = answer.json["items"]
    return items


def test_the_log_says_what_happened_when_and_by_whom(
    cli: Cli, wired: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Nothing happened to connection acme yet" in cli("connection", "log", "acme").out
    assert cli("source", "run", "orders-in").status == 0
    monkeypatch.setenv("WRONG", "not-the-password")
    changed = cli("credential", "set", "acme-login", "--password-from-env", "WRONG")
    assert changed.status == 0, changed.err
    assert cli("source", "run", "orders-in").status == 1
    assert cli("connection", "test", "acme").status == 1
    found = log(cli)
    assert {one["actor"][:6] for one in found} == {"local:"}
    assert [(one["side"], one["event"], one["step"], one["times"]) for one in found] == [
        ("outgoing", "failed", "sign-in", 1),
        ("incoming", "failed", "sign-in", 2),  # the run and the test failed alike
        ("incoming", "signed in", "", 1),
    ]
    assert found[1]["code"] == "sign_in_failed"
    assert "They said: " in found[1]["detail"]
    told = cli("connection", "log", "acme").out
    assert "incoming  failed at sign-in, 2 times since 20" in told
    assert f"    {found[1]['detail']}\n" in told
    assert "not-the-password" not in told + str(found)
    assert len(cli("connection", "log", "acme", "--limit", "1", "--json").json["items"]) == 1


def test_the_log_of_a_deleted_connection_is_not_the_next_ones(cli: Cli, wired: User) -> None:
    assert cli("connection", "copy", "acme", "other", "--rebind").status == 0
    assert cli("connection", "test", "other").status == 0
    assert cli("connection", "delete", "other", "--yes").status == 0
    assert cli("connection", "log", "other").status == 2
    assert cli("connection", "copy", "acme", "other", "--rebind").status == 0
    assert cli("connection", "log", "other", "--json").json["items"] == []


@pytest.fixture
async def box(room: Room, ground: Ground, tmp_path: Path) -> Incoming:
    user = ground.user()
    await connect(room, ground, user)
    return Incoming(room, ground, user, tmp_path / "orders")


def happened(box: Incoming) -> list[tuple[str, str]]:
    """Side and event, newest first."""
    rows = box.room.desk.db.read_now(lambda tx: events.recent(tx, "ACME"))
    return [(row["side"], row["event"]) for row in rows]


async def test_a_restart_opens_anew_what_a_watcher_holds(box: Incoming) -> None:
    """The one that listens hangs up, signs in again, and listens; nothing is missed."""
    box.fill(letter("one"))
    await box.source()
    async with box.watching():
        await soon(lambda: box.state() == "listening")
        assert await box.room.connections.restart("ACME") == {"orders-in": True}
        await soon(lambda: happened(box)[:2] == [("incoming", "signed in"), ("", "restarted")])
        await soon(lambda: box.state() == "listening")
        box.fill(letter("two"))
        await soon(lambda: box.counts() == {"done": 2})
    assert await box.room.connections.restart("acme") == {"orders-in": False}
    assert box.subjects() == ["one", "two"]


async def test_what_is_lost_while_open_is_logged_and_a_restart_does_not_wait(box: Incoming) -> None:
    """The server goes away under a watcher, which then would wait for half an hour."""
    async with FaultProxy(box.ground.dovecot.imap) as proxy:
        side = {"port": str(proxy.port), "security": "none", "trust": ""}
        await box.room.connections.set("acme", {"incoming": side}, rebind=True)
        await box.source(backoff={"min": "30m", "max": "30m"})
        async with box.watching():
            await soon(lambda: box.state() == "listening")
            await proxy.down()
            await soon(lambda: box.state() == "backing off")
            lost = (await box.room.connections.log("acme"))[0]
            assert (lost["event"], lost["side"]) == ("failed", "incoming")
            assert lost["code"] == "connection_lost"
            await proxy.up()
            await box.room.connections.restart("acme")
            await soon(lambda: box.state() == "listening")


async def test_what_is_lost_while_sending_is_logged(room: Room, ground: Ground) -> None:
    await connect(room, ground, ground.user())
    post = Outgoing(room, ground, ground.user(), ground.user())
    rule = Rule("to_server", Cut(), before=b"RCPT TO", connection=1)
    async with FaultProxy(ground.postfix.plain, rules=[rule]) as proxy:
        await post.through(proxy)
        await post.store()
        assert (await post.drain()).deferred == 1
    found = await room.connections.log("acme")
    assert [(one["side"], one["event"]) for one in found] == [
        ("outgoing", "failed"),
        ("outgoing", "signed in"),
    ]
    assert found[0]["code"] == "connection_lost"
    assert found[0]["step"] == "mail", "the last command that was not answered"


async def test_a_secret_that_a_server_repeats_is_not_in_the_log(box: Incoming) -> None:
    """The second net: every secret that is open now, also in base64."""
    secret = Secret("correct horse battery staple")
    encoded = "Y29ycmVjdCBob3JzZSBiYXR0ZXJ5IHN0YXBsZQ=="
    told = f"They said: 535 {encoded} or correct horse battery staple is wrong"
    await box.room.desk.db.write(
        lambda tx: events.record(tx, "acme", "failed", actor="a", side="incoming", detail=told)
    )
    [found] = await box.room.connections.log("acme")
    assert "horse" not in found["detail"]
    assert encoded not in found["detail"]
    assert found["detail"].startswith("They said: 535 ")
    assert secret


async def test_the_log_is_bounded_and_counts_what_repeats(box: Incoming) -> None:
    """A server that is down for a week is one line; what differs is kept, up to a number."""

    def flood(tx: Tx) -> None:
        for _ in range(1000):
            events.record(tx, "acme", "failed", actor="a", side="incoming", detail="same")
        for number in range(events.KEPT + 50):
            events.record(tx, "acme", "failed", actor="a", side="incoming", detail=str(number))

    await box.room.desk.db.write(flood)
    found = await box.room.connections.log("acme")
    assert len(found) == events.KEPT
    assert found[0]["detail"] == str(events.KEPT + 49)
    assert found[0]["times"] == 1


async def test_what_the_server_wants_a_person_to_read_is_shown(
    box: Incoming, caplog: pytest.LogCaptureFixture
) -> None:
    """RFC 9051, 7.1: an ALERT must be presented; said at each sign-in, it is one event."""
    text = "Your mailbox is 95% full"
    rule = Rule("to_client", Insert(f"* OK [ALERT] {text}\r\n".encode()), after=b"Logged in\r\n")
    async with FaultProxy(box.ground.dovecot.imap, rules=[rule]) as proxy:
        side = {"port": str(proxy.port), "security": "none", "trust": ""}
        await box.room.connections.set("acme", {"incoming": side}, rebind=True)
        await box.source()
        for _ in range(2):
            await box.room.collecting.run("orders-in")
        assert [one for one in caplog.messages if text in one]
        report = await box.room.connections.test("acme")
        assert ("alert", f"the server says: {text}") in [
            (step.name, step.detail) for step in report.steps
        ]
    alerts = [one for one in await box.room.connections.log("acme") if one["event"] == "alert"]
    assert [(one["side"], one["detail"]) for one in alerts] == [("incoming", text)]
    told = [one for one in caplog.messages if text in one]
    assert told == [f"connection acme: the server says: {text}"]
