"""One contract for every transport: memory, SMTP into Postfix and into Exim, Graph do the same."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable

import pytest

from postroom.errors import Refused, SignInError, WireError
from postroom.protocols.base import Reply, SignIn, Transport
from postroom.protocols.graph import open_transport as open_graph
from postroom.protocols.memory import MemoryServer
from postroom.protocols.memory import open_transport as open_memory
from postroom.protocols.smtp import open_transport as open_smtp
from postroom.secret import Secret
from tests.ground import Ground, arrived
from tests.ground.maildir import read
from tests.wire.graph import graph_target
from tests.wire.outgoing import message, password, send, states, submission, target

__all__: list[str] = []

REPLIES = {
    "unknown@ground.test": Reply("rejected", 550, "5.1.1", "no", "rcpt"),
    "retry@ground.test": Reply("deferred", 450, "4.2.0", "later", "rcpt"),
}
UNKNOWN, RETRY = REPLIES


@dataclasses.dataclass
class Rig:
    """A transport, the address that may send over it, and what arrived."""

    open: Callable[[], Awaitable[Transport]]
    me: str
    arrived: Callable[[int], list[bytes]]
    whole: bool = False  # it takes a message for all recipients, and sends a DSN later
    most: int = 1024 * 1024
    large: tuple[str, int] = ("rejected", 552)  # its reply to a message of 1.2 MB


@pytest.fixture(params=["memory", "postfix", "exim", "graph"])
def rig(request: pytest.FixtureRequest) -> Rig:
    if request.param == "memory":
        server = MemoryServer(replies=REPLIES, max_size=1024 * 1024)

        def there(_count: int) -> list[bytes]:
            return [m.content for m in server.find("INBOX").messages.values()]

        return Rig(lambda: open_memory(server), "me@ground.test", there)
    ground: Ground = request.getfixturevalue("ground")
    if request.param == "graph":
        return _graph(ground)
    if request.param == "exim":
        user = ground.exim.user()
        smtp = target(ground.exim.submission, "starttls", ground.pki)
    else:
        user = ground.user()
        smtp = target(ground.postfix.smtps, "tls", ground.pki)

    def delivered(count: int) -> list[bytes]:
        return arrived(user.maildir, count) if count else read(user.maildir)

    return Rig(lambda: open_smtp(smtp, password(user)), user.address, delivered)


def _graph(ground: Ground) -> Rig:
    user = ground.user()
    ground.graph.mend()
    ground.graph.let_send_as(user.address, "a@ground.test")
    there, sign_in = graph_target(ground, user.address)

    def delivered(count: int) -> list[bytes]:
        return arrived(user.maildir, count) if count else read(user.maildir)

    most, taken = 150 * 1024 * 1024 * 4 // 3 + 1024 * 1024, ("accepted", 250)
    return Rig(lambda: open_graph(there, sign_in), user.address, delivered, True, most, taken)


async def test_one_outcome_for_each_and_one_reply_for_each_recipient(rig: Rig):
    transport = await rig.open()
    assert transport.max_size == rig.most
    outcomes = await send(
        transport,
        submission(1, rig.me, rig.me, UNKNOWN, RETRY),
        submission(2, rig.me, UNKNOWN),
        submission(3, rig.me, rig.me),
    )
    await transport.close()
    assert [(o.id, o.state, o.error) for o in outcomes] == [
        (str(n), "answered", None) for n in (1, 2, 3)
    ]
    taken = ("accepted", 250, "end-of-data")
    no = taken if rig.whole else ("rejected", 550, "rcpt")
    later = taken if rig.whole else ("deferred", 450, "rcpt")
    assert [states(o) for o in outcomes] == [[taken, no, later], [no], [taken]]
    assert [r.address for r in outcomes[0].recipients] == [rig.me, UNKNOWN, RETRY]
    came = len(await asyncio.to_thread(rig.arrived, 2))
    assert came >= 2 if rig.whole else came == 2


async def test_what_does_not_fit_is_refused_alone(rig: Rig):
    transport = await rig.open()
    outcomes = await send(
        transport,
        submission("large", rig.me, rig.me, content=b"x\r\n" * 400_000),
        submission("nul", rig.me, rig.me, content=b"Subject: x\r\n\r\na\0b\r\n"),
        submission("line", rig.me, rig.me, content=b"Subject: x\r\n\r\n" + b"x" * 2000 + b"\r\n"),
        submission("address", rig.me, "a@b>\r\nRCPT TO:<c@d"),
        submission("fine", rig.me, rig.me, content=message("ä", "Größe\r\n")),
    )
    await transport.close()
    assert {o.id: [(s, c) for s, c, _ in states(o)] for o in outcomes} == {
        "large": [rig.large],
        "nul": [("rejected", 554)],
        "line": [("rejected", 554)],
        "address": [("rejected", 553)],
        "fine": [("accepted", 250)],
    }
    got = await asyncio.to_thread(rig.arrived, 2 if rig.whole else 1)
    assert any("Größe".encode() in one for one in got)  # the larger one may come after it


async def test_before_data_is_awaited_and_may_refuse(rig: Rig):
    transport = await rig.open()
    called: list[str] = []

    async def fine() -> None:
        called.append("fine")

    async def lost() -> None:
        called.append("lost")
        raise Refused("Another worker has it.", code="claim_lost")

    one, two, three = (submission(n, rig.me, rig.me) for n in (1, 2, 3))
    one.before_data, two.before_data = fine, lost
    outcomes = {o.id: o for o in await send(transport, one, two, three)}
    await transport.close()
    assert list(dict.fromkeys(called)) == ["fine", "lost"]  # once more before the final dot
    assert {key: o.state for key, o in outcomes.items()} == {
        "1": "answered", "2": "untouched", "3": "answered",
    }  # fmt: skip
    assert isinstance(outcomes["2"].error, Refused)
    assert len(await asyncio.to_thread(rig.arrived, 2)) == 2


async def test_a_transport_is_used_again_and_again(rig: Rig):
    transport = await rig.open()
    assert await send(transport) == []
    for number in range(3):
        (outcome,) = await send(transport, submission(number, rig.me, rig.me))
        assert outcome.state == "answered"
        await transport.check()
    await transport.close()


async def test_an_abandoned_transport_leaves_everything_untouched(rig: Rig):
    transport = await rig.open()
    transport.abandon()
    transport.abandon()
    with pytest.raises(WireError) as caught:
        await transport.check()
    assert caught.value.temporary
    outcomes = await send(transport, submission(1, rig.me, rig.me), submission(2, rig.me, rig.me))
    assert [(o.state, o.recipients) for o in outcomes] == [("untouched", [])] * 2
    assert all(isinstance(o.error, WireError) for o in outcomes)
    await transport.close()
    assert rig.arrived(0) == []


# ------------------------------------------------------------------------------- memory alone

GONE = WireError("gone", code="connection_lost", temporary=True)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("mail", ["untouched", "untouched"]),
        ("rcpt", ["untouched", "untouched"]),
        ("data", ["untouched", "untouched"]),
        ("end-of-data", ["ambiguous", "untouched"]),
    ],
)
async def test_memory_fails_where_it_is_told_to(step: str, expected: list[str]):
    server = MemoryServer()
    server.fail(step, GONE)
    transport = await open_memory(server)
    outcomes = await send(
        transport, submission(1, "a@b.c", "d@e.f"), submission(2, "a@b.c", "d@e.f")
    )
    assert [o.state for o in outcomes] == expected
    assert len(server.submitted) == expected.count("ambiguous")
    again = await open_memory(server)
    assert [o.state for o in await send(again, submission(3, "a@b.c", "d@e.f"))] == ["answered"]


async def test_memory_signs_in_whom_it_knows():
    server = MemoryServer(users={"ada": "s3cret-x"})
    await open_memory(server, SignIn("password", "ada", Secret("s3cret-x")))
    for sign_in in (SignIn(), SignIn("password", "ada", Secret("other"))):
        with pytest.raises(SignInError):
            await open_memory(server, sign_in)
