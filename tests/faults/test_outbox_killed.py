"""F8: the worker is killed (kill -9) while it sends, again and again, at every place of the dialogue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.faults import sending
from tests.faults.children import Victim
from tests.faults.dose import minutes
from tests.faults.sending import QUEUED
from tests.faults.stage import Stage
from tests.ground.faults import Rule, Stall
from tests.ground.proxy import FaultProxy
from tests.journeys.incoming import soon
from tests.journeys.outgoing import Outgoing

pytestmark = pytest.mark.timeout(minutes(3, 30, 600))


async def test_killed_again_and_again_nothing_is_lost_or_sent_twice(stage: Stage) -> None:
    """F8: with `hold`, each is sent once, or in doubt and here at most once; few are in doubt."""
    assert await sending.killed_workers(stage) == []


async def test_with_resend_a_kill_costs_one_duplicate_at_most(stage: Stage) -> None:
    """F8: with `resend`, all arrive; a duplicate was in doubt before, and no kill makes two."""
    assert await sending.killed_workers_that_resend(stage) == []


# ------------------------------------------------------------------ who takes over


@pytest.fixture
def draining(stage: Stage) -> Callable[[], Victim]:
    """A process of its own that sends what is due."""
    return lambda: Victim("tests.faults.sending:drain", *stage.where)


async def test_killed_while_submitting_is_ambiguous_after_the_takeover(
    post: Outgoing, draining: Callable[[], Victim]
) -> None:
    """F8: kill -9 between the content and its answer: the next process says so, and sends nothing."""
    rule = Rule("to_client", Stall(), before=QUEUED, connection=1)
    async with FaultProxy(post.ground.postfix.plain, rules=[rule]) as proxy:
        await post.through(proxy)
        item = await post.store()
        with draining() as child:
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
    post: Outgoing, draining: Callable[[], Victim]
) -> None:
    """F8: kill -9 during the sign-in: claimed only, so the next process sends it at once."""
    rule = Rule("to_client", Stall(), before=b"235 ", connection=1)
    async with FaultProxy(post.ground.postfix.plain, rules=[rule]) as proxy:
        await post.through(proxy)
        item = await post.store()
        with draining() as child:
            # claimed comes first: killed before it dials, the stalled connection would be ours
            await soon(lambda: len(proxy.connections) == 1, seconds=8.0)
            assert post.states() == {"claimed": 1}
            child.kill()
        assert (await post.drain()).sent == 1
        assert (await post.show(item)).attempts == 1
    post.arrived(1)
