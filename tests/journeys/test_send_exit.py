"""What `postroom send` and `postroom outbox drain` end with: the exit status a script relies on."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
from pathlib import Path

import pytest

from postroom.app import DATABASE, Room
from postroom.clock import monotonic
from postroom.errors import RoomError
from postroom.operations.email import Email
from postroom.settings import Settings
from tests.ground import Ground, User
from tests.ground.faults import Cut, Rule, Stall
from tests.ground.proxy import FaultProxy
from tests.journeys.conftest import Answer, Cli, connect
from tests.journeys.outgoing import NAME, Outgoing


def in_the_room(cli: Cli, statement: str) -> None:
    """Change a row behind the room's back, as time and dead processes do."""
    with sqlite3.connect(cli.settings.room / DATABASE) as db:
        db.execute(statement)


def test_a_drain_says_what_a_dead_process_left_in_doubt(
    cli: Cli, wired: User, ground: Ground
) -> None:
    """Found while draining: counted as ambiguous, and exit 1 though everything else was sent."""
    to = ground.user().address
    send = ("send", "--via", "orders-out", "--to", to, "--subject", "x", "--text", "t", "--forget")
    assert cli(*send).status == 0
    in_the_room(cli, "UPDATE outbox SET state = 'submitting', owner = 'gone', epoch = 1")
    assert cli(*send).status == 0
    answer = cli("outbox", "drain", "--json")
    assert answer.status == 1
    assert (answer.json["sent"], answer.json["ambiguous"]) == (1, 1)
    assert cli("outbox", "drain").out == "Nothing was due.\n"


# ------------------------------------------------------------------ send


@pytest.fixture
async def post(room: Room, ground: Ground) -> Outgoing:
    user = ground.user()
    await connect(room, ground, user)
    return Outgoing(room, ground, user, ground.user())


async def send(settings: Settings, *words: str, via: str = NAME) -> Answer:
    """`postroom send` in a process of its own, beside whatever this one does."""
    source = str(Path(__file__).parents[2] / "src")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "postroom", "--room", str(settings.room), "--kek", str(settings.kek),
        "--json", "send", "--via", via, "--subject", "x", "--text", "t", *words,
        env={**os.environ, "PYTHONPATH": source},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    return Answer(process.returncode or 0, out.decode(), err.decode())


async def test_0_means_sent_to_all(post: Outgoing, settings: Settings) -> None:
    """Every recipient was accepted; with --forget it means stored."""
    await post.service()
    answer = await send(settings, "--to", post.other.address, "--to", post.user.address)
    assert (answer.status, answer.json["state"]) == (0, "sent"), answer.err
    answer = await send(settings, "--to", post.other.address, "--forget")
    assert (answer.status, answer.json["state"]) == (0, "queued")


async def test_1_means_failed_or_in_doubt(post: Outgoing, settings: Settings) -> None:
    """One of two refused for good; or the answer never came."""
    cut = Rule("to_client", Cut(), before=b"250 2.0.0 Ok: queued", connection=2)
    async with FaultProxy(post.ground.postfix.plain, rules=[cut]) as proxy:
        await post.through(proxy)
        answer = await send(settings, "--to", post.other.address, "--to", "refused@ground.test")
        assert (answer.status, answer.json["state"]) == (1, "failed"), answer.err
        answer = await send(settings, "--to", post.other.address)
        assert (answer.status, answer.json["state"]) == (1, "ambiguous"), answer.err


async def test_3_means_stored_and_not_finished(post: Outgoing, settings: Settings) -> None:
    """Deferred; or in doubt and to be looked for; or for workers of a role: do not send it again."""
    cut = Rule("to_client", Cut(), before=b"250 2.0.0 Ok: queued", connection=2)
    async with FaultProxy(post.ground.postfix.plain, rules=[cut]) as proxy:
        await post.through(proxy, on_ambiguous="resend")
        answer = await send(settings, "--to", "retry@ground.test")
        assert (answer.status, answer.json["state"]) == (3, "deferred")
        answer = await send(settings, "--to", post.other.address)
        assert (answer.status, answer.json["state"]) == (3, "ambiguous"), answer.err
        await post.room.services.set(NAME, {"worker_roles": ["mailer"]})
        answer = await send(settings, "--to", post.other.address, "--wait", "1s")
        assert (answer.status, answer.json["state"]) == (3, "queued"), answer.err
        assert len(proxy.connections) == 2, "only a worker of that role may use the connection"


async def test_a_slow_server_is_not_waited_for_longer_than_asked(
    post: Outgoing, settings: Settings
) -> None:
    """No greeting: after --wait the command ends, the message waits untried for whoever is next."""
    slow = Rule("to_client", Stall(), before=b"220 ", connection=1)
    async with FaultProxy(post.ground.postfix.plain, rules=[slow]) as proxy:
        await post.through(proxy)
        begun = monotonic()
        answer = await send(settings, "--to", post.other.address, "--wait", "1s")
        assert monotonic() - begun < 15, "a server has a minute to greet"
        assert answer.status == 3, answer.err
        found = await post.show(answer.json["id"])
        assert (found.state, found.attempts) == ("queued", 0)
        assert (await post.drain()).sent == 1
    post.arrived(1)


async def test_75_means_that_nothing_was_stored(post: Outgoing, settings: Settings) -> None:
    """The queue is full: the same command may be tried again later."""
    await post.service(queue_size=1)
    await post.store()
    answer = await send(settings, "--to", post.other.address)
    assert (answer.status, answer.json["code"]) == (75, "queue_full")
    assert post.states() == {"queued": 1}


async def test_2_and_78_are_for_people(post: Outgoing, settings: Settings, tmp_path: Path) -> None:
    """A wrong request; a room that is not there, or whose key is not."""
    await post.service()
    to = ("--to", post.other.address)
    for words, via in (
        (("--to", "not an address"), NAME),
        ((*to, "--wait", "soon"), NAME),
        (to, "nobody"),
    ):
        assert (await send(settings, *words, via=via)).status == 2, words
    elsewhere = Settings(tmp_path / "elsewhere", settings.kek)
    assert (await send(elsewhere, *to)).status == 78
    (tmp_path / "keys" / "room.key").unlink()
    assert (await send(settings, *to)).status == 78
    assert post.states() == {}


def test_after_it_is_stored_no_status_says_try_again(
    cli: Cli, wired: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The room's disk fails while the outcome is awaited: 3 and the id, or a script sends it twice."""

    async def follow(self: Email, item: str, *, wait: float) -> None:
        raise RoomError("The room is busy.", code="room_busy", temporary=True)

    monkeypatch.setattr(Email, "follow", follow)
    words = ("send", "--via", "orders-out", "--to", wired.address, "--subject", "x", "--text", "t")
    answer = cli(*words, "--json")
    assert answer.status == 3
    [item] = cli("outbox", "list", "--json").json["items"]
    assert answer.json["id"] == item["id"]
