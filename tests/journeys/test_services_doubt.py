"""`on_ambiguous: resend` over a real Postfix and Dovecot: looked for in the Sent folder first."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest

from postroom.app import Room
from postroom.db import Tx
from postroom.errors import RoomError
from postroom.services.outbox import Item
from tests.ground import Ground
from tests.ground.faults import Call, Cut, Rule
from tests.ground.proxy import FaultProxy
from tests.journeys.conftest import connect
from tests.journeys.incoming import soon
from tests.journeys.outgoing import Outgoing, message_ids
from tests.unit.test_worker import unwritable

CUT = Rule("to_client", Cut(), before=b"250 2.0.0 Ok: queued", connection=1)


@pytest.fixture
async def post(room: Room, ground: Ground) -> Outgoing:
    user = ground.user()
    await connect(room, ground, user)
    return Outgoing(room, ground, user, ground.user())


async def doubt(post: Outgoing, proxy: FaultProxy) -> Item:
    """A message whose answer never came, though the server took it."""
    await post.through(proxy, on_ambiguous="resend")
    found = await post.send()
    assert (found.state, found.finished, found.attempts) == ("ambiguous", False, 1)
    post.arrived(1)
    await post.due(found.id)
    return found


async def test_found_in_the_sent_folder_it_is_sent(post: Outgoing) -> None:
    """The server keeps copies, so the copy is the answer: sent, with the reason, and not again."""
    async with FaultProxy(post.ground.postfix.plain, rules=[CUT]) as proxy:
        item = await doubt(post, proxy)
        copy = await post.room.outbox.content(item.id)
        post.ground.dovecot.fill(post.user, [copy], folder="Sent")
        done = await post.drain()
        assert (done.sent, done.ambiguous) == (1, 0)
        assert len(proxy.connections) == 1, "nothing was sent again"
    found = await post.show(item.id)
    assert (found.state, found.recipients[0].state) == ("sent", "sent")
    assert "Sent folder" in found.reason
    post.arrived(1)


async def test_found_elsewhere_it_is_no_evidence(post: Outgoing) -> None:
    """A copy in the inbox, and another message in Sent: sent again with the same Message-ID."""
    async with FaultProxy(post.ground.postfix.plain, rules=[CUT]) as proxy:
        item = await doubt(post, proxy)
        copy = await post.room.outbox.content(item.id)
        post.ground.dovecot.fill(post.user, [copy])
        other = copy.replace(item.message_id.encode(), b"<x" + item.message_id[1:].encode())
        post.ground.dovecot.fill(post.user, [other], folder="Sent")
        assert (await post.drain()).sent == 1
    assert (await post.show(item.id)).state == "sent"
    post.arrived(2)
    assert message_ids(post.other) == [item.message_id] * 2


async def test_without_an_incoming_side_it_is_sent_again(post: Outgoing) -> None:
    """There is nowhere to look, and the service says resend."""
    async with FaultProxy(post.ground.postfix.plain, rules=[CUT]) as proxy:
        await doubt(post, proxy)
        await post.room.connections.set("acme", {"incoming": {"protocol": "none"}}, rebind=True)
        assert (await post.drain()).sent == 1
    post.arrived(2)


async def test_while_nobody_can_look_nothing_is_sent(post: Outgoing) -> None:
    """The mailbox is unreachable: in doubt still, with the reason; looked for when it is back."""
    async with FaultProxy(post.ground.postfix.plain, rules=[CUT]) as proxy:
        item = await doubt(post, proxy)
        async with FaultProxy(post.ground.dovecot.imaps) as mailbox:
            side = {"port": str(mailbox.port)}
            await post.room.connections.set("acme", {"incoming": side}, rebind=True)
            await mailbox.down()
            done = await post.drain()
            assert (done.sent, done.settled) == (0, 0)
            assert done.next_due is not None
            found = await post.show(item.id)
            assert (found.state, found.finished) == ("ambiguous", False)
            assert "not known yet" in found.reason
            assert len(proxy.connections) == 1
            await mailbox.up()
            await post.due(item.id)
            assert (await post.drain()).sent == 1
    post.arrived(2)


@pytest.mark.parametrize("writable", ["at once", "before a heartbeat", "at the end"])
async def test_an_answer_that_cannot_be_stored_at_once_is_stored_later(
    room: Room, post: Outgoing, monkeypatch: pytest.MonkeyPatch, writable: str
) -> None:
    """The server took it, and the room could not be written just then: it is sent, not in doubt.

    Stored with the next heartbeat, or, where the process ends before that, at its end; also where
    the room can be written again before what was claimed is given back.
    """
    ends = writable == "at the end"
    monkeypatch.setattr("postroom.db.seats.HEARTBEAT_SECONDS", 3600.0 if ends else 0.3)
    full = contextlib.ExitStack()

    async def fills() -> None:
        full.enter_context(unwritable(room))

    seat = await room.desk.seat()
    owe = seat.owe

    def owes(body: Callable[[Tx], object]) -> None:
        owe(body)
        if writable == "at once":
            full.close()

    monkeypatch.setattr(seat, "owe", owes)
    rule = Rule("to_client", Call(fills), before=b"250 2.0.0 Ok: queued", connection=1)
    async with FaultProxy(post.ground.postfix.plain, rules=[rule]) as proxy:
        with full:
            await post.through(proxy)
            items = [await post.store(), await post.store()]
            assert isinstance((await post.drain()).error, RoomError)
            assert post.states().get("ambiguous", 0) == 0
        if ends:
            assert post.states() == {"submitting": 2}
            await room.desk.leave()
            assert post.states() == {"sent": 2}
        await soon(lambda: post.states() == {"sent": 2})
    post.arrived(2)
    assert [(await post.show(item)).recipients[0].code for item in items] == [250, 250]
