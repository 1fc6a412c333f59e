"""Servers that take only so many messages on one connection: the queue goes on over a new one."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from postroom.app import Room
from postroom.secret import Secret
from tests.ground import Ground
from tests.ground.scripted import Close, Expect, ScriptedServer, Send, Step
from tests.journeys.conftest import connect
from tests.journeys.outgoing import Outgoing

MAIL = Expect(rb"MAIL FROM:.*")


@pytest.fixture
async def post(room: Room, ground: Ground) -> Outgoing:
    user = ground.user()
    await connect(room, ground, user)
    return Outgoing(room, ground, user, ground.user())


def hello(*offers: bytes) -> list[Step]:
    """From the greeting to the sign-in."""
    said = [b"x", b"AUTH PLAIN", *offers]
    lines = [b"250-" + one for one in said[:-1]] + [b"250 " + said[-1]]
    return [
        Send(b"220 x\r\n"), Expect(rb"EHLO .*"), Send(b"\r\n".join(lines) + b"\r\n"),
        Expect(rb"AUTH PLAIN .*"), Send(b"235 2.7.0 ok\r\n"),
    ]  # fmt: skip


def messages(count: int) -> list[Step]:
    """So many are taken."""
    one = [
        MAIL, Send(b"250 ok\r\n"), Expect(rb"RCPT TO:.*"), Send(b"250 ok\r\n"),
        Expect(rb"DATA"), Send(b"354 go\r\n"),
        Expect(rb".*", until=b"\r\n.\r\n"), Send(b"250 2.0.0 taken\r\n"),
    ]  # fmt: skip
    return one * count


BYE: list[Step] = [Expect(rb"QUIT"), Send(b"221 bye\r\n"), Close()]


async def through(post: Outgoing, server: ScriptedServer, **fields: object) -> None:
    side = {"port": str(server.port), "security": "none", "trust": ""}
    await post.room.connections.set("acme", {"outgoing": side}, rebind=True)
    await post.room.credentials.set("acme-login", {"password": Secret(post.user.password)})
    await post.service(**fields)


def refusing(reply: bytes) -> list[Step]:
    """Two are taken, the third MAIL hears this."""
    return [*hello(), *messages(2), MAIL, Send(reply)]


LIMITS: dict[str, Sequence[Sequence[Step]]] = {
    "announced (RFC 9422)": (
        [*hello(b"PIPELINING", b"LIMITS MAILMAX=2"), *messages(2), *BYE],
        [*hello(b"PIPELINING", b"LIMITS MAILMAX=2"), *messages(2), *BYE],
        [*hello(b"PIPELINING", b"LIMITS MAILMAX=2"), *messages(1), *BYE],
    ),
    "one a connection": (
        *([*hello(b"PIPELINING", b"LIMITS MAILMAX=1"), *messages(1), *BYE] for _ in range(5)),
    ),
    "421": (
        [*refusing(b"421 4.7.0 too many messages in this connection\r\n"), Close()],
        [*refusing(b"421 4.7.0 too many messages in this connection\r\n"), Close()],
        [*hello(), *messages(1), *BYE],
    ),
    "421 after the answer": (
        [*hello(), *messages(2), Send(b"421 4.7.0 enough\r\n"), Close()],
        [*hello(), *messages(3), *BYE],
    ),
    "452 to MAIL": (
        [
            *refusing(b"452 4.5.3 too many messages\r\n"),
            *[MAIL, Send(b"452 4.5.3 too many messages\r\n")] * 2,
            *BYE,
        ],
        [*hello(), *messages(3), *BYE],
    ),
}


@pytest.mark.parametrize("limit", LIMITS)
async def test_a_limit_of_messages_costs_no_attempt(post: Outgoing, limit: str) -> None:
    """All five are sent by one drain, each by its first attempt, in their order."""
    async with ScriptedServer(*LIMITS[limit]) as server:
        await through(post, server, throttle={"max": 5, "per": "hour"})
        items = [await post.store(subject=f"m{n}") for n in range(5)]
        done = await post.drain()
        assert (done.sent, done.deferred, done.error) == (5, 0, None)
        assert len(server.sessions) == len(LIMITS[limit])
    found = [await post.show(item) for item in items]
    assert {(one.state, one.attempts) for one in found} == {("sent", 1)}


async def test_a_server_that_takes_nothing_is_not_dialled_again_and_again(post: Outgoing) -> None:
    """Refused on the new connection too: then it waits for its time, as after any other refusal."""
    busy = [MAIL, Send(b"421 4.7.0 too busy\r\n"), Close()]
    async with ScriptedServer([*hello(), *messages(1), *busy], [*hello(), *busy]) as server:
        await through(post, server)
        items = [await post.store(subject=f"m{n}") for n in range(3)]
        done = await post.drain()
        assert (done.sent, done.deferred) == (1, 2)
        assert len(server.sessions) == 2
    found = [await post.show(item) for item in items]
    assert [(one.state, one.attempts) for one in found] == [
        ("sent", 1), ("deferred", 1), ("deferred", 1),
    ]  # fmt: skip


async def test_a_refused_sender_is_not_a_limit(post: Outgoing) -> None:
    """4yz to one MAIL while others are taken after it: no new connection, it waits for its time."""
    script = [*refusing(b"450 4.7.1 greylisted\r\n"), *messages(1), *BYE]
    async with ScriptedServer(script) as server:
        await through(post, server)
        for number in range(4):
            await post.store(subject=f"m{number}")
        done = await post.drain()
        assert (done.sent, done.deferred) == (3, 1)
        assert len(server.sessions) == 1
