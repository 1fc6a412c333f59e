"""Steps over real servers: a thousand messages of a ``for_each`` are moved by batches on the wire."""

from __future__ import annotations

import asyncio
import functools
import re
from pathlib import Path
from typing import Any

import pytest

from postroom.connections.mailbox import Mailbox
from postroom.errors import NotThere
from postroom.fields import parse
from postroom.jobs.checks import check_steps
from postroom.jobs.commands import Command, Result
from postroom.jobs.interpreter import run_steps
from postroom.jobs.job import Job
from postroom.jobs.values import Scope
from postroom.protocols.imap import open_store
from tests.ground import Ground, User
from tests.ground.messages import small
from tests.ground.proxy import FaultProxy
from tests.wire.imap_ground import oracle, sign_in, target
from tests.wire.test_command_contract import Bench
from tests.wire.test_store_contract import Rig, Spooled, rig

__all__ = ["rig"]

EACH = {"for_each": "${step:found.items}"}
LIST: dict[str, Any] = {"list-email": {"via": "acme", "limit": 0}, "name": "found"}
MOVE: dict[str, Any] = {
    "move-email": {"via": "acme", "ids": "${item:id}", "to": "Done", "create": True}
}


async def done(box: Mailbox, base: Path, *steps: dict[str, Any]) -> Any:
    job = parse(Job, {"name": "tidy", "steps": list(steps)})
    check_steps(job)
    bench: Any = Bench(box, base)

    async def execute(command: Command) -> Result:
        return await command.run(bench)

    return await run_steps(job.steps, Scope(), execute, lambda level, text: None, asyncio.sleep)


async def test_a_thousand_moves_are_batches_on_the_wire(
    ground: Ground, fresh_user: User, tmp_path: Path
) -> None:
    ground.dovecot.fill(fresh_user, (small(n) for n in range(1000)))
    async with FaultProxy(("127.0.0.1", ground.dovecot.imap)) as proxy:
        store = await open_store(target(ground, proxy.port, host="127.0.0.1"), sign_in(fresh_user))
        async with Mailbox(store, Spooled) as box:
            before = proxy.transcript.round_trips
            result = await done(box, tmp_path, LIST, {**MOVE, **EACH, "name": "moved"})
            trips = proxy.transcript.round_trips - before
    assert result["steps"]["moved"] == {"count": 1000, "failed": 0, "errors": []}
    assert len(re.findall(rb"UID MOVE ", proxy.transcript.to_server)) == 2
    assert trips <= 20
    with oracle(ground, fresh_user, "Done") as client:
        assert len(client.search()) == 1000


@pytest.mark.parametrize("on_error", ["continue", "stop"])
async def test_a_message_that_is_gone_fails_alone(rig: Rig, tmp_path: Path, on_error: str) -> None:
    """On every wire that has folders: the others are moved, or those before it, and none twice."""
    if rig.kind == "pop3":
        pytest.skip("POP3 has no folders to move to")
    rig.fill([small(n) for n in range(5)])
    store = await rig.inbox()
    async with Mailbox(store, Spooled) as box:
        items = (await box.lines())[::-1]
        ids = [one["id"] for one in items]
        await box.move([ids[2]], "Elsewhere", create=True)
        run = functools.partial(
            done, box, tmp_path, {**MOVE, "for_each": [{"id": one} for one in ids], "name": "moved",
                                  "on_error": on_error}
        )  # fmt: skip
        if on_error == "stop":
            with pytest.raises(NotThere, match=r"steps\.0\.move-email \(item 2\)"):
                await run()
        else:
            result = (await run())["steps"]["moved"]
            assert (result["count"], result["failed"]) == (4, 1)
            assert result["errors"][0]["item"] == 2
        moved = {one["subject"] for one in await box.lines(folder="Done")}
        behind = [] if on_error == "stop" else items[3:]
        assert moved == {one["subject"] for one in [*items[:2], *behind]}
        assert len(await box.lines()) == 4 - len(moved)
