"""Messages that runs hold, by command line: seen, refused, cancelled, and let go by the run alone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from postroom.app import open_room
from postroom.mail import Draft
from tests.ground import User
from tests.journeys.conftest import Cli

ROOM = """\
postroom: 1
jobs:
  - {name: nightly, command: [/bin/true]}
"""


@pytest.fixture
def held(cli: Cli, wired: User, tmp_path: Path) -> tuple[str, list[str]]:
    """A run of the job ``nightly`` that nobody has taken yet, and two messages held under it."""
    (tmp_path / "jobs.yaml").write_text(ROOM)
    assert cli("apply", str(tmp_path / "jobs.yaml"), "--yes").status == 0

    async def made() -> tuple[str, list[str]]:
        room = await open_room(cli.settings)
        run = await room.runs.begin("nightly", {})
        draft = Draft(from_=None, to=["a@ground.test"], subject="Report", text="x")
        items = [await room.email.store("orders-out", draft, run=run) for _ in range(2)]
        await room.close()
        return run, items

    return asyncio.run(made())


def test_an_operator_sees_why_it_is_held_and_cannot_let_it_go(
    cli: Cli, held: tuple[str, list[str]]
) -> None:
    run, (item, other) = held
    shown = cli("outbox", "show", item, "--json").json
    assert (shown["state"], shown["run"]) == ("held", run)
    assert shown["reason"] == f"until run {run} of job nightly is over"
    assert run in cli("outbox", "show", item).out
    for verb in ("release", "retry"):
        refused = cli("outbox", verb, item)
        assert refused.status == 1
        assert f"held until run {run} of job nightly is over" in refused.err
        assert f"postroom job log {run}" in refused.err
    mass = cli("outbox", "release", "--service", "orders-out", "--yes")
    assert "Nothing was held" in mass.out
    assert "2 stay held until their runs are over" in mass.err
    listed = cli("outbox", "list", "--run", run[:12], "--json").json["items"]
    assert {one["id"] for one in listed} == {item, other}
    assert cli("outbox", "list", "--run", "ffff", "--json").json["items"] == []
    assert cli("outbox", "cancel", item).status == 0
    assert cli("outbox", "show", item, "--json").json["state"] == "cancelled"
    assert cli("outbox", "drain").status == 0
    assert cli("outbox", "show", other, "--json").json["attempts"] == 0


def test_a_run_that_is_cancelled_takes_its_messages_with_it(
    cli: Cli, held: tuple[str, list[str]]
) -> None:
    run, items = held
    assert cli("job", "cancel", run).status == 0
    for item in items:
        shown = cli("outbox", "show", item, "--json").json
        assert (shown["state"], shown["reason"]) == ("cancelled", "its run was cancelled")
