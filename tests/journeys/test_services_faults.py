"""Sending when things break: cut connections at every step, kill -9, a takeover; nothing is lost."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from postroom.app import Room
from postroom.settings import Settings
from tests.child import Child
from tests.ground import Ground
from tests.ground.faults import Cut, Rule, Stall
from tests.ground.proxy import FaultProxy
from tests.journeys.conftest import connect
from tests.journeys.incoming import soon
from tests.journeys.outgoing import Outgoing, message_ids

ANSWER = b"250 2.0.0 Ok: queued"


@pytest.fixture
async def post(room: Room, ground: Ground) -> Outgoing:
    user = ground.user()
    await connect(room, ground, user)
    return Outgoing(room, ground, user, ground.user())


CUTS = {
    "the banner": Rule("to_client", Cut(), before=b"220 ", connection=1),
    "EHLO": Rule("to_server", Cut(), before=b"EHLO", connection=1),
    "AUTH": Rule("to_server", Cut(), before=b"AUTH", connection=1),
    "the answer to AUTH": Rule("to_client", Cut(), before=b"235 ", connection=1),
    "MAIL": Rule("to_server", Cut(), before=b"MAIL FROM", connection=1),
    "RCPT 2": Rule("to_server", Cut(), before=b"RCPT TO", nth=2, connection=1),
    "DATA": Rule("to_server", Cut(), before=b"DATA\r\n", connection=1),
    "the go-ahead": Rule("to_client", Cut("fin"), before=b"354 ", connection=1),
}


@pytest.mark.parametrize("step", CUTS)
async def test_cut_before_the_content_it_is_sent_later_once(post: Outgoing, step: str) -> None:
    """No byte of the content went out: deferred with a reason, and sent by the next try (F9)."""
    async with FaultProxy(post.ground.postfix.plain, rules=[CUTS[step]]) as proxy:
        await post.through(proxy)
        third = post.ground.user()
        item = await post.store(post.other.address, third.address)
        assert (await post.drain()).deferred == 1
        found = await post.show(item)
        assert (found.state, found.attempts) == ("deferred", 1)
        assert found.reason
        await post.due(item)
        assert (await post.drain()).sent == 1
        again = await post.show(item)
        assert [one.state for one in again.recipients] == ["sent", "sent"]
    post.arrived(1)
    assert message_ids(post.other) == [found.message_id]


async def test_cut_before_the_answer_is_ambiguous(post: Outgoing) -> None:
    """The final dot went out and no answer came (RFC 1047): said aloud, never resent by itself (F9)."""
    rule = Rule("to_client", Cut(), before=ANSWER, connection=1)
    async with FaultProxy(post.ground.postfix.plain, rules=[rule]) as proxy:
        await post.through(proxy)
        found = await post.send()
        assert (found.state, found.recipients[0].state) == ("ambiguous", "ambiguous")
        assert found.finished
        assert found.reason
        post.arrived(1)
        await post.due(found.id)
        assert (await post.drain()).settled == 0
        assert len(proxy.connections) == 1, "nobody tried again"
        post.arrived(1)
        await post.room.outbox.retry(found.id)
        assert (await post.drain()).sent == 1
    post.arrived(2)
    assert message_ids(post.other) == [found.message_id] * 2, "the same Message-ID on every try"


async def test_a_refused_recipient_is_known_though_the_rest_is_in_doubt(post: Outgoing) -> None:
    """Who was refused before the cut is failed, not ambiguous (RFC 1047)."""
    rule = Rule("to_client", Cut(), before=ANSWER, connection=1)
    async with FaultProxy(post.ground.postfix.plain, rules=[rule]) as proxy:
        await post.through(proxy)
        found = await post.send(post.other.address, "refused@ground.test")
    assert [one.state for one in found.recipients] == ["ambiguous", "failed"]
    assert found.state == "ambiguous"


async def test_cut_after_the_answer_it_is_sent(post: Outgoing) -> None:
    """The answer came: sent, whatever happens to the connection afterwards (F9)."""
    rule = Rule("to_server", Cut(), before=b"QUIT", connection=1)
    async with FaultProxy(post.ground.postfix.plain, rules=[rule]) as proxy:
        await post.through(proxy)
        assert (await post.send()).state == "sent"
    post.arrived(1)


async def test_a_cut_in_the_middle_of_a_queue(post: Outgoing) -> None:
    """One message in doubt at most, those before are sent, those behind go with the next try (F9)."""
    rule = Rule("to_client", Cut(), before=ANSWER, nth=5, connection=1)
    async with FaultProxy(post.ground.postfix.plain, rules=[rule]) as proxy:
        await post.through(proxy)
        items = [await post.store(subject=f"m{n}") for n in range(12)]
        done = await post.drain()
        assert (done.sent, done.ambiguous) == (4, 1)
        for item in items:
            if not (await post.show(item)).finished:
                await post.due(item)
        assert (await post.drain()).sent == 7
    assert post.states() == {"sent": 11, "ambiguous": 1}
    await asyncio.to_thread(post.arrived, 12)
    assert max(Counter(message_ids(post.other)).values()) == 1


# ------------------------------------------------------------------ kill -9


DRAIN = """
import asyncio, sys
from pathlib import Path
from postroom.app import open_room
from postroom.settings import Settings

async def main():
    room = await open_room(Settings(Path(sys.argv[1]), sys.argv[2]))
    print("ready", flush=True)
    await room.email.dispatch()
    print("done", flush=True)
    await room.close()

asyncio.run(main())
"""


def draining(settings: Settings) -> Child:
    return Child("-c", DRAIN, str(settings.room), str(settings.kek))


async def test_killed_while_submitting_is_ambiguous_after_the_takeover(
    post: Outgoing, settings: Settings
) -> None:
    """kill -9 between the content and its answer: the next process says so, and sends nothing (F8)."""
    rule = Rule("to_client", Stall(), before=ANSWER, connection=1)
    async with FaultProxy(post.ground.postfix.plain, rules=[rule]) as proxy:
        await post.through(proxy)
        item = await post.store()
        with draining(settings) as child:
            await soon(lambda: post.states() == {"submitting": 1}, seconds=8.0)
            await asyncio.to_thread(post.arrived, 1)
            child.kill()
        done = await post.drain()
        assert (done.settled, done.ambiguous) == (1, 1), "who drains hears of it"
        found = await post.show(item)
        assert (found.state, found.recipients[0].state) == ("ambiguous", "ambiguous")
        assert "ended before" in found.reason
        assert len(proxy.connections) == 1
        await post.drain()
    post.arrived(1)


async def test_killed_before_the_content_another_one_sends_it(
    post: Outgoing, settings: Settings
) -> None:
    """kill -9 during the sign-in: claimed only, so the next process sends it at once (F8)."""
    rule = Rule("to_client", Stall(), before=b"235 ", connection=1)
    async with FaultProxy(post.ground.postfix.plain, rules=[rule]) as proxy:
        await post.through(proxy)
        item = await post.store()
        with draining(settings) as child:
            # claimed comes first: killed before it dials, the stalled connection would be ours
            await soon(lambda: len(proxy.connections) == 1, seconds=8.0)
            assert post.states() == {"claimed": 1}
            child.kill()
        assert (await post.drain()).sent == 1
        assert (await post.show(item)).attempts == 1
    post.arrived(1)


async def test_kill_9_at_random_loses_nothing_and_sends_nothing_twice(
    post: Outgoing, settings: Settings
) -> None:
    """Killed again and again in the middle of a queue: each is sent once or said to be in doubt (F8)."""
    await post.service()
    count = 150
    ids = {}
    for number in range(count):
        item = await post.store(subject=f"m{number}")
        ids[(await post.show(item)).message_id] = item
    rng = random.Random(3)
    kills = 0
    for _ in range(5):
        with draining(settings) as child:
            assert child.line() == "ready"
            await asyncio.sleep(rng.uniform(0.03, 0.12))
            child.kill()
            kills += child.lines() != ["done"]
    assert kills >= 3, "the rounds were too long to show anything"
    while (await post.drain()).settled:
        continue
    states = post.states()
    assert set(states) <= {"sent", "ambiguous"}
    assert sum(states.values()) == count
    assert states.get("ambiguous", 0) <= 16 * kills
    await soon(lambda: len(set(message_ids(post.other))) >= states["sent"], seconds=10.0)
    await asyncio.sleep(0.3)
    arrived = Counter(message_ids(post.other))
    assert max(arrived.values()) == 1
    for message_id, item in ids.items():
        state = (await post.show(item)).state
        assert state == "ambiguous" or message_id in arrived, (
            f"{item} is {state} and did not arrive"
        )
