"""Messages that come with their listing, and what makes a source list first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from postroom.app import Room
from postroom.errors import WireError
from tests.ground import Ground
from tests.ground.faults import Cut, Rule
from tests.ground.proxy import FaultProxy
from tests.journeys.conftest import connect
from tests.journeys.incoming import Incoming, letter


@pytest.fixture
async def box(room: Room, ground: Ground, tmp_path: Path) -> Incoming:
    await connect(room, ground, user := ground.user())
    return Incoming(room, ground, user, tmp_path / "orders")


async def through(proxy: FaultProxy, box: Incoming, **fields: Any) -> None:
    """Send the connection through a proxy, in the clear, and define the source."""
    side = {"port": str(proxy.port), "security": "none", "trust": ""}
    await box.room.connections.set("acme", {"incoming": side}, rebind=True)
    await box.source(**fields)


def trips(proxy: FaultProxy) -> tuple[bool, bool]:
    """Whether something was listed alone, and whether something came with its listing."""
    said = proxy.transcript.to_server
    alone = b"RFC822.SIZE)" in said or b"RFC822.SIZE BODY.PEEK[HEADER" in said
    return alone, b"RFC822.SIZE BODY.PEEK[])" in said


async def test_one_command_lists_and_reads(box: Incoming) -> None:
    """A source that judges nothing beforehand has all of it by one command, also what comes later."""
    box.fill(*(letter(f"m{n}") for n in range(30)))
    async with FaultProxy(box.ground.dovecot.imap) as proxy:
        await through(proxy, box)
        assert (await box.run()).delivered == 30
        box.fill(letter("later"))
        tally = await box.run()
        assert (tally.listed, tally.read, tally.delivered) == (1, 1, 1)
        assert trips(proxy) == (False, True)
    assert box.counts() == {"done": 31}
    assert box.subjects() == [*(f"m{n}" for n in range(30)), "later"]


async def test_what_is_expected_ends_as_what_came(box: Incoming) -> None:
    """Numbers that are gone leave gaps: at the end, nothing is waited for any more."""
    box.fill(letter("m1"))
    await box.source()
    await box.run()
    box.fill(*(letter(f"m{n}") for n in range(2, 6)))
    async with box.store() as other:
        state = await other.open("INBOX", read_only=False)
        await other.delete([f"{state.uidvalidity}-{uid}" for uid in (3, 4)])
    told: list[tuple[int, int]] = []
    await box.room.collecting.run(
        "orders-in", progress=lambda tally: told.append((tally.read, tally.total))
    )
    assert 2 <= told[0][1] <= 4
    assert told[-1] == (2, 2)


@pytest.mark.parametrize(
    "fields",
    [
        {"max_size": "1KiB"},
        {"order": "newest"},
        {"ignore": {"subject": {"deny": ["m1"]}}},
        {"start": {"since": "2020-01-01"}},
        {"clearance": True},
        {"stable_time": "1h"},
        {"throttle": {"max": 5, "per": "hour"}},
    ],
    ids=lambda fields: next(iter(fields)),
)
async def test_what_is_judged_or_sorted_first_is_listed_first(
    box: Incoming, fields: dict[str, Any]
) -> None:
    """No body is asked for that a filter, a limit or the order may not want."""
    box.fill(letter("m1"), letter("m2", size=2_000))
    async with FaultProxy(box.ground.dovecot.imap) as proxy:
        await through(proxy, box, **fields)
        await box.run()
        assert trips(proxy) == (True, False)


async def test_after_a_lost_connection_it_lists_first(box: Incoming) -> None:
    """F12, T77: what came whole is delivered; then who breaks the connection is found and held."""
    box.fill(*(letter(f"m{n}", size=3_000) for n in range(20)))
    async with FaultProxy(box.ground.dovecot.imap) as proxy:
        await through(proxy, box)
        proxy.rules = [Rule("to_client", Cut("rst"), after=b"Subject: m12\r\n")]
        with pytest.raises(WireError):
            await box.run()
        assert box.counts() == {"done": 12}
        assert trips(proxy) == (False, True)
        for _ in range(3):
            with pytest.raises(WireError):
                await box.run()
        assert trips(proxy) == (True, True)
        await box.run()
    assert box.counts() == {"done": 19, "held": 1}
    [held] = await box.room.ledger.list("orders-in", states=["held"])
    assert held.reason == "third failure"


async def test_a_pass_that_ended_well_lists_in_one_go_again(box: Incoming) -> None:
    """One lost connection costs one careful pass, not every later one."""
    box.fill(*(letter(f"m{n}", size=3_000) for n in range(20)))
    async with FaultProxy(box.ground.dovecot.imap) as proxy:
        await through(proxy, box)
        proxy.rules = [Rule("to_client", Cut("rst"), after=b"Subject: m12\r\n", connection=1)]
        with pytest.raises(WireError):
            await box.run()
        assert (await box.run()).delivered == 8
        before = len(proxy.transcript.to_server)
        box.fill(letter("later"))
        assert (await box.run()).delivered == 1
        assert b"RFC822.SIZE BODY.PEEK[])" in proxy.transcript.to_server[before:]


async def test_newest_messages_that_are_gone_leave_nothing_to_be_careful_about(
    box: Incoming,
) -> None:
    """Somebody deleted them before they were seen: the pass ended well, and the next goes as fast."""
    box.fill(*(letter(f"m{n}") for n in range(4)))
    async with box.store() as store:
        await store.open("INBOX", read_only=False)
        ids = [one.id async for page in store.newer("") for one in page.summaries]
        await store.delete(ids[-2:])
    async with FaultProxy(box.ground.dovecot.imap) as proxy:
        await through(proxy, box)
        assert (await box.run()).delivered == 2
        assert (await box.run()).delivered == 0
        before = len(proxy.transcript.to_server)
        box.fill(letter("later"))
        assert (await box.run()).delivered == 1
        assert b"RFC822.SIZE BODY.PEEK[])" in proxy.transcript.to_server[before:]
    assert box.counts() == {"done": 3}
