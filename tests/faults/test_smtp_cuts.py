"""F9: the connection to a real Postfix is cut at every place of sending; nobody is told too much."""

from __future__ import annotations

import asyncio
import dataclasses
import random
from collections import Counter
from collections.abc import Mapping
from typing import Final, Literal

import pytest

from tests.faults.dose import dose
from tests.ground import User
from tests.ground.faults import Cut, Rule
from tests.ground.proxy import FaultProxy
from tests.journeys.outgoing import Outgoing, message_ids

ANSWER: Final = b"250 2.0.0 Ok: queued"
DOT: Final = b"\r\n.\r\n"
LARGE: Final = ("x" * 70 + "\n") * 100_000
"""More than the buffers between the two ends hold."""
REFUSED: Final = "refused@ground.test"


@dataclasses.dataclass(frozen=True)
class Point:
    """Where the connection is cut: before a pattern passes, or behind it."""

    direction: Literal["to_server", "to_client"]
    pattern: bytes
    nth: int = 1
    passed: bool = False

    def rule(self, how: Literal["rst", "fin"], connection: int) -> Rule:
        if self.passed:
            return Rule(
                self.direction, Cut(how), after=self.pattern, nth=self.nth, connection=connection
            )
        return Rule(
            self.direction, Cut(how), before=self.pattern, nth=self.nth, connection=connection
        )


STARTTLS: Final = {
    "STARTTLS": Point("to_server", b"STARTTLS"),
    "the answer to STARTTLS": Point("to_client", b"220 2.0.0 "),
    "the client's TLS hello": Point("to_server", b"\x16\x03"),
    "the server's TLS hello": Point("to_client", b"\x16\x03"),
    "the middle of the server's TLS hello": Point("to_client", b"\x16\x03", passed=True),
    "the client's key": Point("to_server", b"\x14\x03"),
}
BEFORE: Final = {
    "the banner": Point("to_client", b"220 "),
    "EHLO": Point("to_server", b"EHLO"),
    "the answer to EHLO": Point("to_client", b"250-PIPELINING"),
    "AUTH": Point("to_server", b"AUTH"),
    "the answer to AUTH": Point("to_client", b"235 "),
    "MAIL": Point("to_server", b"MAIL FROM"),
    "the answer to MAIL": Point("to_client", b"250 2.1.0 "),
    "RCPT 1 of 4": Point("to_server", b"RCPT TO", 1),
    "RCPT 2 of 4": Point("to_server", b"RCPT TO", 2),
    "RCPT 4 of 4": Point("to_server", b"RCPT TO", 4),
    "the answer to RCPT 1": Point("to_client", b"250 2.1.5 ", 1),
    "the answer to RCPT 2, a refusal": Point("to_client", b"550 5.1.1 "),
    "the answer to RCPT 4": Point("to_client", b"250 2.1.5 ", 3),
    "DATA": Point("to_server", b"DATA\r\n"),
    "the go-ahead": Point("to_client", b"354 "),
}
DOUBT: Final = {
    # what the client had written it cannot take back: for it the final dot is out
    "the middle of the content": (Point("to_server", b"Subject: "), 0),
    "the final dot": (Point("to_server", DOT), 0),
    "behind the final dot, before the answer": (Point("to_client", ANSWER), 1),
    "the middle of the answer": (Point("to_client", ANSWER, passed=True), 1),
}
AFTER: Final[dict[str, Point | None]] = {  # None: the line is counted in the test
    "behind the answer": None,
    "QUIT": Point("to_server", b"QUIT"),
    "the answer to QUIT": Point("to_client", b"221 "),
}
SETTLED: Final = ["sent", "failed", "sent", "sent"]


@dataclasses.dataclass
class Cutting:
    """Messages to four recipients, one of whom is refused; each over a connection that is cut."""

    post: Outgoing
    proxy: FaultProxy
    people: list[User]
    rng: random.Random = dataclasses.field(default_factory=lambda: random.Random(9))

    @property
    def to(self) -> list[str]:
        one, *others = [user.address for user in self.people]
        return [one, REFUSED, *others]

    async def cut(self, point: Point | None) -> str:
        """Send a message whose connection is cut there (None: there is none); gives the item."""
        item = await self.post.store(*self.to)
        self.proxy.rules = []
        if point is not None:
            how = self.rng.choice(("rst", "fin"))
            self.proxy.rules = [point.rule(how, len(self.proxy.connections) + 1)]  # type: ignore[arg-type]
        await self.post.drain()
        return item

    async def told(self, item: str) -> list[str]:
        """What is said of each recipient."""
        return [one.state for one in (await self.post.show(item)).recipients]

    async def arrived(self, item: str) -> list[int]:
        """How often it came to each of the three that exist."""
        await asyncio.to_thread(self.post.ground.postfix.idle)
        key = (await self.post.show(item)).message_id
        return [Counter(message_ids(user))[key] for user in self.people]


def cutting(post: Outgoing, proxy: FaultProxy) -> Cutting:
    return Cutting(post, proxy, [post.other, post.ground.user(), post.ground.user()])


async def _sent_later(run: Cutting, points: Mapping[str, Point | None]) -> None:
    """Each is deferred with a reason, for every recipient, and the next try settles all of them."""
    for name, point in points.items():
        for _ in range(dose(1, 20, 60)):
            item = await run.cut(point)
            found = await run.post.show(item)
            assert (name, found.state, found.attempts) == (name, "deferred", 1)
            assert found.reason, name
            assert (name, await run.told(item)) == (name, ["deferred"] * 4)
            await run.post.due(item)
            run.proxy.rules = []
            await run.post.drain()
            assert (name, await run.told(item)) == (name, SETTLED)
            assert (name, await run.arrived(item)) == (name, [1, 1, 1])


async def test_cut_before_the_content_it_is_sent_later_once(post: Outgoing) -> None:
    """F9: no byte of the content went out, so trying again is safe, and it is done."""
    async with FaultProxy(post.ground.postfix.plain) as proxy:
        await post.through(proxy)
        await _sent_later(cutting(post, proxy), BEFORE)


async def test_cut_before_there_is_a_connection_or_tls(post: Outgoing) -> None:
    """F9: nobody listens, or the cut is in STARTTLS or the handshake: as before the content."""
    async with FaultProxy(post.ground.postfix.submission, record=False) as proxy:
        side = {"port": str(proxy.port)}
        await post.room.connections.set("acme", {"outgoing": side}, rebind=True)
        await post.service()
        run = cutting(post, proxy)
        await _sent_later(run, STARTTLS)
        await proxy.down()
        item = await run.cut(None)
        assert (await post.show(item)).state == "deferred"
        await proxy.up()
        await post.due(item)
        await post.drain()
        assert await run.told(item) == SETTLED
        assert await run.arrived(item) == [1, 1, 1]


@pytest.mark.parametrize("name", DOUBT)
async def test_cut_around_the_final_dot_it_is_ambiguous(post: Outgoing, name: str) -> None:
    """F9: RFC 1047.  Who was refused is known, the rest is in doubt, and nobody tries again."""
    point, times = DOUBT[name]
    async with FaultProxy(post.ground.postfix.plain) as proxy:
        await post.through(proxy)
        run = cutting(post, proxy)
        for _ in range(dose(1, 20, 60)):
            item = await run.cut(point)
            found = await post.show(item)
            assert (found.state, found.finished, bool(found.reason)) == ("ambiguous", True, True)
            assert await run.told(item) == ["ambiguous", "failed", "ambiguous", "ambiguous"]
            await post.due(item)
            before = len(proxy.connections)
            assert (await post.drain()).settled == 0
            assert len(proxy.connections) == before, "nobody tried again"
            assert await run.arrived(item) == [times] * 3
        await post.room.outbox.retry(item)
        assert (await post.drain()).settled == 1
        assert await run.told(item) == SETTLED
        # a person said so: with the same Message-ID, to those in doubt
        assert await run.arrived(item) == [times + 1] * 3


async def test_cut_behind_the_answer_it_is_sent(post: Outgoing) -> None:
    """F9: the answer came, so it is sent, whatever happens to the connection afterwards."""
    async with FaultProxy(post.ground.postfix.plain) as proxy:
        await post.through(proxy)
        run = cutting(post, proxy)
        await run.cut(None)
        lines = proxy.transcript.to_client.split(b"\r\n")
        number = next(n for n, line in enumerate(lines, 1) if line.startswith(ANSWER))
        answer = Point("to_client", b"\r\n", number, passed=True)
        for name, point in AFTER.items():
            for _ in range(dose(1, 20, 60)):
                item = await run.cut(point or answer)
                assert (name, await run.told(item)) == (name, SETTLED)
                assert (name, (await post.drain()).settled) == (name, 0)
                assert (name, await run.arrived(item)) == (name, [1, 1, 1])


async def test_cut_in_a_large_content_it_is_sent_later_once(post: Outgoing) -> None:
    """F9: most of the content is not even written yet, so the final dot is not, and all is safe."""
    async with FaultProxy(post.ground.postfix.big, record=False, window=1 << 15) as proxy:
        side = {"port": str(proxy.port), "security": "none", "trust": "", "auth": {"type": "none"}}
        await post.room.connections.set("acme", {"outgoing": side}, rebind=True)
        await post.service(from_=post.user.address)
        for number in range(dose(1, 20, 60)):
            item = await post.store(subject=f"large {number}", text=LARGE)
            cut = Rule("to_server", Cut(), after=500_000, connection=len(proxy.connections) + 1)
            proxy.rules = [cut]
            assert (await post.drain()).deferred == 1
            await post.due(item)
            assert (await post.drain()).sent == 1
        await asyncio.to_thread(post.ground.postfix.idle)
        assert sorted(Counter(message_ids(post.other)).values()) == [1] * dose(1, 20, 60)


async def test_a_cut_in_the_middle_of_a_queue(post: Outgoing) -> None:
    """F9: one message in doubt, those before it are sent, those behind it go with the next try."""
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
