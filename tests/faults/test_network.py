"""F17: a worker on a bad network: slow, resetting, trickling, silent, nameless; nothing gets stuck."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import gc
import io
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

import pytest

from postroom.clock import monotonic
from postroom.connections import effective
from postroom.protocols.base import Limits
from postroom.sources import watcher
from postroom.worker import Worker
from tests.faults.collecting import mailbox
from tests.faults.dose import dose, minutes
from tests.faults.stage import SEED, Stage
from tests.ground.faults import Cut, Rule, Stall, Throttle
from tests.ground.proxy import FaultProxy
from tests.journeys.incoming import Incoming, letter, soon
from tests.journeys.outgoing import Outgoing, message_ids

pytestmark = pytest.mark.timeout(minutes(3, 20, 60))
SECONDS: Final = dose(4.0, 60.0, 360.0)
"""How long each network is bad."""
_MANY: Final = 5_000
"""More connections than there will be."""


@dataclasses.dataclass(frozen=True)
class Network:
    """What is wrong: rules of the proxies, the latency of a round trip, the host that is dialled.

    ``timeout`` is how long we wait for an answer meanwhile.
    """

    rules: Callable[[random.Random], Sequence[Rule]] = lambda chance: ()
    latency: float = 0.0
    host: str = "127.0.0.1"
    timeout: float = 2.0


def _resets(chance: random.Random) -> Sequence[Rule]:
    """Three connections of ten are reset, somewhere."""
    return [
        Rule("to_client", Cut("rst"), after=chance.randint(0, 4_000), connection=number)
        for number in range(1, _MANY)
        if chance.random() < 0.3
    ]


def _half_open(chance: random.Random) -> Sequence[Rule]:
    """From some byte on, nothing comes any more, and no end either."""
    return [
        Rule("to_client", Stall(), after=chance.randint(0, 4_000), connection=number)
        for number in range(1, _MANY)
    ]


def _trickle(chance: random.Random) -> Sequence[Rule]:
    return [Rule("to_client", Throttle(1024)), Rule("to_server", Throttle(1024))]


NETWORKS: Final = {
    "latency": Network(latency=dose(0.5, 2.0, 2.0), timeout=10.0),
    "resets": Network(_resets),
    "one KB a second": Network(_trickle, timeout=10.0),
    "half-open": Network(_half_open, timeout=1.0),
    "no DNS": Network(host="nowhere.invalid"),
}


@pytest.fixture
def quiet() -> Callable[[], tuple[int, set[str]]]:
    """How many files are open, and which tasks there are."""

    def look() -> tuple[int, set[str]]:
        gc.collect()
        tasks = {task.get_coro().__qualname__ for task in asyncio.all_tasks()}  # type: ignore[union-attr]
        return len(os.listdir("/proc/self/fd")), tasks  # noqa: PTH208  # a count

    return look


@dataclasses.dataclass
class Bad:
    """A mailbox and an outbox behind proxies, on a network that can be good again."""

    box: Incoming
    post: Outgoing
    proxies: tuple[FaultProxy, FaultProxy]

    async def point(self, host: str) -> None:
        """Dial the proxies by this name."""
        incoming, outgoing = self.proxies
        plain = {"host": host, "security": "none", "trust": "", "cleartext_sign_in": True}
        sides = {
            "incoming": {**plain, "port": str(incoming.port)},
            "outgoing": {**plain, "port": str(outgoing.port)},
        }
        await self.box.room.connections.set("acme", sides, rebind=True)

    async def heal(self) -> None:
        """From now on all is well, for new connections; those that hang, hang."""
        for proxy in self.proxies:
            proxy.rules, proxy.latency = [], 0.0
            for connection in proxy.connections:
                for pump in connection.pumps:
                    pump.rate, pump.delay = None, 0.0
        await self.point("127.0.0.1")


@contextlib.asynccontextmanager
async def bad(stage: Stage, network: Network) -> AsyncIterator[Bad]:
    chance = random.Random(SEED)
    async with mailbox(stage) as box:
        ground = box.ground
        post = Outgoing(box.room, ground, box.user, ground.user())
        async with (
            FaultProxy(
                ground.dovecot.imap,
                rules=network.rules(chance), latency=network.latency, record=False,
            ) as incoming,
            FaultProxy(
                ground.postfix.plain,
                rules=network.rules(chance), latency=network.latency, record=False,
            ) as outgoing,
        ):  # fmt: skip
            made = Bad(box, post, (incoming, outgoing))
            await made.point(network.host)
            await box.source(polling_timeout=f"{round(network.timeout) + 1}s")
            await post.service(on_ambiguous="hold")
            yield made


@pytest.mark.parametrize("name", NETWORKS)
async def test_a_bad_network_leaves_nothing_stuck_and_nothing_open(
    stage: Stage,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    quiet: Callable[[], tuple[int, set[str]]],
) -> None:
    """F17: good again, all goes on within the time-out and five seconds; no file, no task is left."""
    network = NETWORKS[name]
    limits = functools.partial(
        Limits, reply_timeout=network.timeout, connect_timeout=network.timeout, idle_renewal=1.0
    )
    monkeypatch.setattr(effective, "Limits", limits)
    monkeypatch.setattr(watcher, "wait_after", lambda backoff, failures: 0.2)
    stage.ground().postfix  # noqa: B018  # its files are none of ours
    before = quiet()
    async with bad(stage, network) as run:
        await _one_worker(run, network)
    await soon(lambda: quiet()[0] <= before[0] and quiet()[1] <= before[1], seconds=15.0)


async def _one_worker(run: Bad, network: Network) -> None:
    box, post = run.box, run.post
    worker = asyncio.create_task(Worker(box.room).run())
    count = 0
    end = monotonic() + SECONDS
    while monotonic() < end:
        box.fill(letter(f"m{count}"))
        await post.store(subject=f"m{count}")
        count += 1
        await asyncio.sleep(SECONDS / 20)
        if worker.done():
            worker.result()
    await run.heal()
    longest = network.timeout + 5.0
    await soon(lambda: len(box.subjects()) >= count, seconds=longest + 5.0)
    await soon(lambda: post.waiting() == 0, seconds=longest + 5.0)
    worker.cancel()
    over, _ = await asyncio.wait([worker], timeout=longest)
    assert over, f"after {longest} s it has not stopped:\n{_standing()}"
    await asyncio.to_thread(post.ground.postfix.idle)
    assert sorted(box.subjects()) == sorted(f"m{n}" for n in range(count))
    assert box.counts() == {"done": count}
    arrived = Counter(message_ids(post.other))
    assert set(post.states()) <= {"sent", "ambiguous"}
    assert max(arrived.values()) == 1
    assert len(arrived) >= post.states()["sent"]


def _standing() -> str:
    """Where every task stands."""
    out = io.StringIO()
    for task in asyncio.all_tasks():
        task.print_stack(file=out)
    return out.getvalue()


async def test_a_watcher_that_is_stopped_while_it_wakes_stops(
    box: Incoming, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F17: told to stop in the instant in which it is asked to look, it stops; no stop is overheard."""
    monkeypatch.setattr(watcher, "LOOK_SECONDS", 0.002)
    chance = random.Random(SEED)
    await box.source()
    for number in range(dose(60, 600, 6_000)):
        before = box.row()["successes"]
        task = asyncio.create_task(box.room.collecting.watch("orders-in"))
        await soon(
            lambda: box.row()["successes"] > before and box.state() == "listening",  # noqa: B023
            seconds=20.0,
        )
        await box.room.collecting.run("orders-in")  # it is asked to look: somebody has the source
        await asyncio.sleep(chance.uniform(0.0, 0.004))
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=10.0)
        assert done, f"round {number}: it goes on"
