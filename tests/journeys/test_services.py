"""Sending over a real Postfix: stored first, sent through the queue, an outcome for each recipient."""

from __future__ import annotations

import asyncio

import pytest

from postroom.app import Room
from postroom.clock import monotonic, timestamp
from postroom.errors import Refused
from postroom.mail import Attachment
from postroom.secret import Secret
from postroom.settings import Settings
from tests.child import Child
from tests.ground import Ground
from tests.ground.faults import Delay, Rule
from tests.ground.proxy import FaultProxy
from tests.journeys.conftest import connect
from tests.journeys.incoming import soon
from tests.journeys.outgoing import Outgoing, message_ids


@pytest.fixture
async def post(room: Room, ground: Ground) -> Outgoing:
    user = ground.user()
    await connect(room, ground, user)
    return Outgoing(room, ground, user, ground.user())


async def test_send_and_forget_then_drain(post: Outgoing) -> None:
    """Stored durably at once, sent by the next drain, with the exact bytes that were stored."""
    await post.service()
    item = await post.store(bcc=[post.user.address])
    assert (await post.show(item)).state == "queued"
    done = await post.drain()
    assert (done.sent, done.error, done.next_due) == (1, None, None)
    found = await post.show(item)
    assert [(one.state, one.code) for one in found.recipients] == [("sent", 250)] * 2
    [raw] = post.arrived()
    post.ground.postfix.idle()  # the copy to the sender itself, too
    stored = await post.room.outbox.content(item)
    assert stored.replace(b"\r\n", b"\n") in raw
    assert b"bcc" not in raw.lower()
    assert message_ids(post.user) == message_ids(post.other) == [found.message_id]


async def test_many_messages_go_over_one_connection(post: Outgoing) -> None:
    """A queue is drained in order over one connection, each message once."""
    async with FaultProxy(post.ground.postfix.plain, record=False) as proxy:
        await post.through(proxy)
        items = [await post.store(subject=f"m{n}") for n in range(30)]
        done = await post.drain()
        assert done.sent == 30
        assert len(proxy.connections) == 1
    ids = [(await post.show(item)).message_id for item in items]
    post.arrived(30)
    assert message_ids(post.other) == sorted(ids)


async def test_a_temporary_refusal_is_tried_again_at_its_time(post: Outgoing) -> None:
    """450: deferred with the reply and a due time; not before it, with the same Message-ID."""
    await post.service(retry={"min": "10m", "max": "1h"})
    item = (await post.send("retry@ground.test", post.other.address)).id
    found = await post.show(item)
    assert found.state == "deferred"
    assert 500 < found.due_at - timestamp() <= 600
    assert "Try again later" in found.reason
    assert (await post.drain()).settled == 0, "not before its time"
    await post.due(item)
    assert (await post.drain()).deferred == 1
    again = await post.show(item)
    assert (again.attempts, again.message_id) == (2, found.message_id)
    assert 1000 < again.due_at - timestamp() <= 1200
    tries = await post.room.outbox.attempts(item)
    assert [one["outcome"] for one in tries] == ["deferred", "deferred"]
    post.arrived(1)


async def test_a_worker_sends_at_the_due_time(post: Outgoing, settings: Settings) -> None:
    """Nobody has to ask: what was deferred is tried again by a worker when its time has come."""
    async with FaultProxy(post.ground.postfix.plain) as proxy:
        await post.through(proxy)
        await proxy.down()
        item = (await post.send()).id
        assert (await post.show(item)).state == "deferred"
        await proxy.up()
        with worker(settings):
            await soon(lambda: post.states() == {"sent": 1}, seconds=6.0)
    post.arrived(1)


async def test_a_server_that_is_down_loses_nothing(post: Outgoing) -> None:
    """Deferred with the reason as a sentence; sent once when the server is back."""
    async with FaultProxy(post.ground.postfix.plain) as proxy:
        await post.through(proxy)
        await proxy.down()
        found = await post.send()
        assert (found.state, found.attempts) == ("deferred", 1)
        assert str(proxy.port) in found.reason
        items = [await post.store() for _ in range(3)]
        done = await post.drain()
        assert done.deferred == 3
        assert done.error is not None
        assert done.error.temporary
        await proxy.up()
        for item in (found.id, *items):
            await post.due(item)
        assert (await post.drain()).sent == 4
    post.arrived(4)


async def test_a_wrong_password_is_said_and_nothing_is_lost(post: Outgoing) -> None:
    """Sign-in refused: deferred with what the server said; sent once it is put right."""
    await post.service()
    await post.room.credentials.set("acme-login", {"password": Secret("wrong")})
    found = await post.send()
    assert found.state == "deferred"
    assert "wrong" not in found.reason
    assert found.recipients[0].reply == found.reason != ""
    await post.room.credentials.set("acme-login", {"password": Secret(post.user.password)})
    await post.room.outbox.retry(found.id)
    assert (await post.drain()).sent == 1
    post.arrived(1)


async def test_every_recipient_has_an_outcome(post: Outgoing) -> None:
    """Refused, full, unknown and accepted in one message; the row says what is worst."""
    await post.service()
    found = await post.send(
        post.other.address, "refused@ground.test", "full@ground.test", "unknown@ground.test"
    )
    states = {one.address.partition("@")[0]: (one.state, one.code) for one in found.recipients}
    assert states.pop(post.other.address.partition("@")[0]) == ("sent", 250)
    assert states == {
        "refused": ("failed", 550),
        "full": ("deferred", 452),
        "unknown": ("failed", 550),
    }
    assert found.state == "deferred"
    await post.due(found.id)
    await post.drain()
    post.arrived(1)
    cancelled = await post.room.outbox.cancel(found.id)
    assert cancelled.state == "cancelled"


async def test_a_message_over_the_server_s_size_fails_at_once(post: Outgoing) -> None:
    """SIZE: refused without sending a megabyte first; the next message goes as always."""
    await post.service()
    big = Attachment("big.bin", "application/octet-stream", b"\0" * 1_200_000)
    found = await post.send(attachments=(big,))
    assert (found.state, found.recipients[0].code) == ("failed", 552)
    assert (await post.send()).state == "sent"
    post.arrived(1)


async def test_refused_after_its_content(post: Outgoing) -> None:
    """A refusal at the end of DATA fails the message for good, with what was said."""
    await post.service()
    found = await post.send(headers={"X-Ground": "refuse this"})
    assert found.state == "failed"
    assert "Refused after its content" in found.recipients[0].reply


async def test_the_throttle_spreads_sending(post: Outgoing) -> None:
    """At most so many in that time; the rest waits untried, with the time it will be let."""
    await post.service(throttle={"max": 2, "per": "second"})
    items = [await post.store() for _ in range(6)]
    first = monotonic()
    done = await post.drain()
    # two at once, and one more with each half second that a busy machine took for them
    assert 2 <= done.sent <= 2 + 2 * (monotonic() - first)
    assert done.sent < 6
    assert done.next_due is not None
    assert done.next_due - timestamp() <= 1.0
    waiting = [one for one in [await post.show(item) for item in items] if one.state == "queued"]
    assert [one.attempts for one in waiting] == [0] * (6 - done.sent)
    while post.states() != {"sent": 6}:
        assert monotonic() - first < 20
        await asyncio.sleep(0.1)
        await post.drain()
    assert monotonic() - first > 1.9  # four of them had to wait for half a second each
    post.arrived(6)


async def test_a_full_queue_refuses_at_once(post: Outgoing) -> None:
    """One more than ``queue_size`` is refused and nothing of it is stored."""
    await post.service(queue_size=2)
    await post.store()
    await post.store()
    with pytest.raises(Refused) as full:
        await post.store()
    assert (full.value.code, full.value.temporary) == ("queue_full", True)
    assert (await post.drain()).sent == 2
    await post.store()


async def test_a_sender_that_is_not_allowed(post: Outgoing) -> None:
    """Refused before anything is stored, with the way to allow it; the own address always may."""
    await post.service()
    with pytest.raises(Refused) as refused:
        await post.store(from_="boss@ground.test")
    assert refused.value.code == "sender_not_allowed"
    assert post.states() == {}
    assert (await post.send(from_=f"Orders <{post.user.address}>")).state == "sent"
    post.arrived(1)


async def test_an_allowed_sender_leaves_the_envelope_as_it_is(post: Outgoing) -> None:
    """From is another's, Sender and MAIL FROM stay the account's: the server lets it in."""
    await post.service(allowed_senders=["*@ground.test"])
    found = await post.send(from_="Boss <boss@ground.test>")
    assert found.state == "sent"
    [raw] = post.arrived()
    assert b"\nFrom: Boss <boss@ground.test>" in raw
    assert f"\nSender: {post.user.address}".encode() in raw
    assert f"Return-Path: <{post.user.address}>".encode() in raw


async def test_a_connection_is_a_service_by_itself(post: Outgoing) -> None:
    """Without a service: the implicit one, drained like any other."""
    item = await post.room.email.store("connection:acme", post.draft())
    assert (await post.room.email.dispatch()).sent == 1
    assert (await post.show(item)).service == "connection:acme"
    post.arrived(1)


async def test_a_server_that_does_not_answer_holds_up_nobody_else(post: Outgoing) -> None:
    """Two services, one of them over a slow line: the other's messages do not wait for it."""
    await post.service()
    slow = Rule("to_client", Delay(1.0))  # six answers and more, before anything of it is sent
    async with FaultProxy(post.ground.postfix.plain, rules=[slow]) as proxy:
        auth = {"type": "secret", "credential": "acme-login"}
        outgoing = {
            "protocol": "smtp",
            "host": "127.0.0.1",
            "port": str(proxy.port),
            "security": "none",
            "auth": auth,
        }
        await post.room.credentials.set("acme-login", {"password": Secret(post.user.password)})
        await post.room.connections.add({"name": "a-slow", "outgoing": outgoing}, rebind=True)
        await post.room.services.add({"name": "a-service", "connection": "a-slow"})
        await post.room.email.store("a-service", post.draft())
        item = await post.store()
        draining = asyncio.create_task(post.room.email.dispatch())
        begun = monotonic()
        while (await post.show(item)).state != "sent":
            assert monotonic() - begun < 8
            await asyncio.sleep(0.02)
        assert not draining.done()
        assert (await draining).sent == 2


# ------------------------------------------------------------------ the worker


class worker:  # noqa: N801  # reads as a word: with worker(settings)
    """``postroom worker`` in a process of its own."""

    def __init__(self, settings: Settings) -> None:
        self._child = Child(
            "-m", "postroom", "--room", str(settings.room), "--kek", str(settings.kek), "worker"
        )

    def __enter__(self) -> Child:
        return self._child.__enter__()

    def __exit__(self, *reason: object) -> None:
        self._child.__exit__(None, None, None)


async def test_a_worker_sends_what_another_process_stored(
    post: Outgoing, settings: Settings
) -> None:
    """Stored here, sent there, within a moment; SIGTERM ends it tidily and its seat is free."""
    await post.service()
    with worker(settings) as child:
        assert await asyncio.to_thread(child.complaint) != "", "it has begun"
        for number in range(3):
            item = await post.store(subject=f"m{number}")
            await soon(lambda: set(post.states()) == {"sent"}, seconds=5.0)
            assert (await post.show(item)).attempts == 1
        await asyncio.to_thread(child.stop)
    seats = post.room.desk.db.read_now(lambda tx: tx.all("SELECT pid FROM workers"))
    assert [row["pid"] for row in seats if row["pid"] == child.pid] == []
    post.arrived(3)


async def test_stopping_a_worker_is_no_mistake(post: Outgoing, settings: Settings) -> None:
    """SIGTERM is how workers end: no stack trace, and a good status."""
    with worker(settings) as child:
        assert await asyncio.to_thread(child.complaint) != ""
        assert await asyncio.to_thread(child.stop) == 0


async def test_a_worker_that_is_stopped_cuts_no_message(post: Outgoing, settings: Settings) -> None:
    """SIGTERM in the middle of a queue: what is on the wire is finished, the rest stays queued."""
    async with FaultProxy(post.ground.postfix.plain, latency=0.02) as proxy:
        await post.through(proxy)
        for number in range(40):
            await post.store(subject=f"m{number}")
        with worker(settings) as child:
            await soon(lambda: post.states().get("sent", 0) >= 3, seconds=8.0)
            await asyncio.to_thread(child.stop)
        states = post.states()
        assert set(states) == {"sent", "queued"}, "nothing in doubt, nothing claimed"
        assert states["queued"] > 0, "the whole queue was sent before it stopped"
        await asyncio.to_thread(post.arrived, states["sent"])
        done = await post.drain()
        assert done.sent == states["queued"]
        await asyncio.to_thread(post.arrived, 40)
        assert len(set(message_ids(post.other))) == 40


async def test_a_held_service_takes_and_keeps(post: Outgoing) -> None:
    """An operator stops a service: nobody sends through it, senders are told, nothing is lost."""
    await post.service()
    held = await post.room.services.hold("orders-out")
    assert held["held"]
    started = monotonic()
    item = await post.room.email.follow(await post.store(), wait=30)
    assert monotonic() - started < 15, "nobody waits for what is not sent"
    assert (item.state, item.attempts) == ("queued", 0)
    assert (await post.drain()).sent == 0
    assert not (await post.room.services.release("orders-out"))["held"]
    assert (await post.drain()).sent == 1


async def test_a_mass_of_mail_is_stopped_while_a_worker_sends_it(
    post: Outgoing, settings: Settings
) -> None:
    """What an operator holds is not begun any more, though the drain began before; then it is
    cancelled as a whole.
    """
    async with FaultProxy(
        post.ground.postfix.plain,
        rules=[Rule("to_server", Delay(0.05), before=b"DATA", again=True)],
    ) as proxy:
        await post.through(proxy)
        for number in range(60):
            await post.store(subject=f"m{number}")
        where = ("--room", str(settings.room), "--kek", str(settings.kek))
        with Child("-m", "postroom", "worker", *where):
            await soon(lambda: post.states().get("sent", 0) >= 2, seconds=20.0)
            await post.room.services.hold("orders-out")
            at_once = post.states().get("sent", 0)
            await soon(
                lambda: set(post.states()) <= {"sent", "queued"}, seconds=20.0
            )  # what was in its hands is given back
            await asyncio.sleep(1.5)
            assert post.states()["sent"] <= at_once + 12, "what was on its way, and no more"
            left = post.states()["queued"]
            assert await post.room.outbox.cancel_held(service="orders-out") == left
            assert post.states() == {"sent": 60 - left, "cancelled": left}


async def test_what_was_deferred_is_hurried_when_the_cause_is_gone(post: Outgoing) -> None:
    """After an outage a restart of the connection, an edit or another secret brings it forward."""
    async with FaultProxy(post.ground.postfix.submission, record=False) as proxy:
        side = {"outgoing": {"port": str(proxy.port)}}
        await post.room.connections.set("acme", side, rebind=True)
        await post.room.services.add({"name": "orders-out", "connection": "acme"})
        await proxy.down()
        item = await post.store()
        await post.drain()
        assert (await post.show(item)).state == "deferred"
        await proxy.up()
        assert (await post.drain()).sent == 0, "it waits for its time"
        await post.room.connections.restart("acme")
        assert (await post.drain()).sent == 1
        await post.room.connections.set("acme", {"outgoing": {"port": "1"}}, rebind=True)
        await post.store()
        assert (await post.drain()).deferred == 1
        await post.room.connections.set("acme", side, rebind=True)
        assert (await post.drain()).sent == 1


async def test_a_refused_password_is_shown_to_the_server_once(post: Outgoing) -> None:
    """Every try counts towards a lock: what waits, and what is sent meanwhile, wait together
    until somebody mends it; whoever sends hears at once why.
    """
    async with FaultProxy(post.ground.postfix.submission, record=False) as proxy:
        await post.room.connections.set(
            "acme", {"outgoing": {"port": str(proxy.port)}}, rebind=True
        )
        await post.room.credentials.set("acme-login", {"password": Secret("wrong")})
        await post.service()
        first, *_ = [await post.store(subject=f"m{number}") for number in range(3)]
        for _ in range(3):
            await post.drain()
        began = monotonic()
        sent = await post.send(subject="m3")
        assert monotonic() - began < 8.0, "it does not wait for what will not come"
        assert (sent.state, sent.attempts) == ("queued", 0)
        assert "refused a moment ago" in sent.reason
        assert len(proxy.connections) == 1
        await post.room.outbox.retry(first)
        await post.drain()
        assert len(proxy.connections) == 2, "whoever says retry means now"
        await post.room.credentials.set("acme-login", {"password": Secret(post.user.password)})
        assert (await post.drain()).sent == 4
        assert len(proxy.connections) == 3
    post.arrived(4)
