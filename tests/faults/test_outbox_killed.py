"""F8: the worker is killed (kill -9) while it sends, again and again, at every place of the dialogue."""

from __future__ import annotations

import asyncio
import dataclasses
import random
from collections import Counter
from typing import Final, Literal

import pytest

from postroom.app import Room
from postroom.settings import Settings
from tests.child import Child
from tests.faults.dose import dose
from tests.ground import Ground
from tests.ground.faults import Call, Rule, Stall
from tests.ground.proxy import FaultProxy
from tests.journeys.conftest import connect
from tests.journeys.incoming import soon
from tests.journeys.outgoing import Outgoing, message_ids

QUEUED: Final = b"250 2.0.0 Ok: queued"
DOT: Final = b"\r\n.\r\n"
LEVEL: Final = 30
"""So many messages wait when a worker starts: it is killed in the middle of them."""
IN_DOUBT: Final = 16
"""The most that one kill may leave in doubt: eight marked ahead, eight answered and not yet stored."""


@pytest.fixture
async def post(room: Room, ground: Ground) -> Outgoing:
    user = ground.user()
    await connect(room, ground, user)
    return Outgoing(room, ground, user, ground.user())


@dataclasses.dataclass(frozen=True)
class Place:
    """Where in the dialogue the worker dies: with what is before it (or it, too) on the wire."""

    direction: Literal["to_server", "to_client"]
    pattern: bytes
    passed: bool = False

    def rule(self, kill: Call, nth: int, connection: int) -> Rule:
        if self.passed:
            return Rule(self.direction, kill, after=self.pattern, nth=nth, connection=connection)
        return Rule(self.direction, kill, before=self.pattern, nth=nth, connection=connection)


PLACES: Final = (
    Place("to_server", b"MAIL FROM"),
    Place("to_server", b"RCPT TO"),
    Place("to_server", b"DATA\r\n"),
    Place("to_client", b"354 "),
    Place("to_server", DOT),
    Place("to_server", DOT, passed=True),
    Place("to_client", QUEUED),
    Place("to_client", QUEUED, passed=True),
)


@dataclasses.dataclass
class Killing:
    """Workers are started on a room and killed; ``stored`` maps Message-IDs to items."""

    post: Outgoing
    settings: Settings
    proxy: FaultProxy
    rng: random.Random
    stored: dict[str, str] = dataclasses.field(default_factory=dict)

    async def rounds(self, count: int) -> None:
        """So many workers, each killed at the next of the places."""
        for number in range(count):
            await self._fill()
            await self._kill(PLACES[number % len(PLACES)])

    async def _fill(self) -> None:
        while self.post.states().get("queued", 0) < LEVEL:
            item = await self.post.store(subject=f"m{len(self.stored)}")
            self.stored[(await self.post.show(item)).message_id] = item

    async def _kill(self, place: Place) -> None:
        killed = asyncio.Event()
        jitter = self.rng.choice((0.0, 0.0, self.rng.uniform(0.0, 0.02)))
        room = ("--room", str(self.settings.room), "--kek", str(self.settings.kek))
        with Child("-m", "postroom", "worker", *room) as child:

            async def kill() -> None:
                await asyncio.sleep(jitter)
                child.kill()
                killed.set()

            connection = len(self.proxy.connections) + 1
            nth = self.rng.randint(1, LEVEL // 2)
            self.proxy.rules = [place.rule(Call(kill), nth, connection)]
            await asyncio.wait_for(killed.wait(), 30)

    async def finish(self) -> None:
        """Nobody is killed any more: what is due and what will be is sent."""
        self.proxy.rules = []
        while self.post.waiting():
            await self.post.all_due()
            assert (await self.post.drain()).settled
        await asyncio.to_thread(self.post.ground.postfix.idle)


async def test_killed_again_and_again_nothing_is_lost_or_sent_twice(
    post: Outgoing, settings: Settings
) -> None:
    """F8: with `hold`, each is sent once, or in doubt and here at most once; few are in doubt."""
    kills = dose(8, 200, 5_000)
    async with FaultProxy(post.ground.postfix.plain, record=False) as proxy:
        await post.through(proxy)
        run = Killing(post, settings, proxy, random.Random(8))
        await run.rounds(kills)
        await run.finish()
    states = {key: (await post.show(item)).state for key, item in run.stored.items()}
    arrived = Counter(message_ids(post.other))
    assert set(states.values()) <= {"sent", "ambiguous"}
    assert set(arrived) <= set(states), "a Message-ID that nobody stored"
    assert [key for key, state in states.items() if state == "sent" and arrived[key] != 1] == []
    assert max(arrived.values()) == 1
    doubts = sum(state == "ambiguous" for state in states.values())
    assert doubts <= IN_DOUBT * kills


async def test_with_resend_a_kill_costs_one_duplicate_at_most(
    post: Outgoing, settings: Settings
) -> None:
    """F8: with `resend`, all arrive; a duplicate was in doubt before, and no kill makes two."""
    kills = dose(8, 200, 5_000)
    async with FaultProxy(post.ground.postfix.plain, record=False) as proxy:
        await post.through(proxy, on_ambiguous="resend")
        await post.room.connections.set("acme", {"incoming": {"protocol": "none"}}, rebind=True)
        run = Killing(post, settings, proxy, random.Random(9))
        await run.rounds(kills)
        await run.finish()
    arrived = Counter(message_ids(post.other))
    assert set(arrived) == set(run.stored), "lost, or with a Message-ID that nobody stored"
    assert post.states() == {"sent": len(run.stored)}
    twice = {key: count - 1 for key, count in arrived.items() if count > 1}
    for key in twice:
        tries = [one["outcome"] for one in await post.room.outbox.attempts(run.stored[key])]
        assert tries.count("ambiguous") >= twice[key], f"{key} came twice and was never in doubt"
    assert sum(twice.values()) <= kills


# ------------------------------------------------------------------ who takes over


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
    """F8: kill -9 between the content and its answer: the next process says so, and sends nothing."""
    rule = Rule("to_client", Stall(), before=QUEUED, connection=1)
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
    """F8: kill -9 during the sign-in: claimed only, so the next process sends it at once."""
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
