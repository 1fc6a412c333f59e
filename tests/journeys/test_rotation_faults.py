"""kill -9 of who rotates the vault key and of who writes credentials, at random times."""

from __future__ import annotations

import asyncio
import json
import random
import time
from typing import Any

import pytest

from postroom.app import open_room
from postroom.settings import Settings
from tests.child import Child
from tests.journeys.conftest import Cli

ROUNDS = 10
SEED = 20261129

_OPEN = """
import asyncio, sys
from pathlib import Path
from postroom.app import open_room
from postroom.settings import Settings
room, kek, run = sys.argv[1:4]

async def main():
    opened = await open_room(Settings(Path(room), kek))
    print("ready", flush=True)
    number = 0
    while True:
        number += 1
        await step(opened, number)
"""
ROTATOR = f"""{_OPEN}
from postroom.operations.keys.rotating import rotate

async def step(opened, number):
    terms = opened.keys.kek.keyring().terms
    await rotate(opened.desk, terms, [terms.kek], batch=3)
    print("rotated", flush=True)

asyncio.run(main())
"""
WRITER = f"""{_OPEN}
from postroom.secret import Secret

async def step(opened, number):
    name, value = f"w{{run}}-{{number % 7}}", f"the secret of {{run}} is {{number}}"
    print("try", name, value, sep="|", flush=True)
    if number > 7:
        await opened.credentials.set(name, {{"value": Secret(value)}})
    else:
        await opened.credentials.create(name, "secret", details={{"value": Secret(value)}})
    print("ok", name, value, sep="|", flush=True)

asyncio.run(main())
"""


@pytest.mark.timeout(240)
def test_no_acknowledged_secret_is_lost_when_rotator_and_writer_are_killed(
    cli: Cli, settings: Settings
) -> None:
    """F1, F5, T20: every acknowledged secret opens, as the last value that was acknowledged or as
    the one that was under way; the next rotation ends, and no term is left over."""
    chance = random.Random(SEED)
    where = (str(settings.room), str(settings.kek))
    acked: dict[str, str] = {}
    tried: dict[str, str] = {}
    rotated = 0
    for run in range(ROUNDS):
        with (
            Child("-c", ROTATOR, *where, str(run)) as rotator,
            Child("-c", WRITER, *where, str(run)) as writer,
        ):
            assert (rotator.line(), writer.line()) == ("ready", "ready")
            time.sleep(chance.uniform(0.02, 0.6))
            first, second = chance.sample([rotator, writer], 2)
            first.kill()
            time.sleep(chance.uniform(0, 0.1))
            second.kill()
            rotated += sum(line == "rotated" for line in rotator.lines())
            for line in writer.lines():
                word, name, value = line.split("|")
                (acked if word == "ok" else tried)[name] = value
    # how many depends on the machine: that there were some is enough
    assert rotated
    assert acked

    assert cli("keys", "rotate", "--json").status == 0
    status = cli("keys", "status", "--json").json
    assert [term["state"] for term in status["vault_keys"]] == ["active"]
    assert cli("audit", "verify").status == 0
    asyncio.run(_check(settings, acked, tried))


async def _check(settings: Settings, acked: dict[str, str], tried: dict[str, str]) -> None:
    room = await open_room(settings)
    try:
        assert await room.keys.damaged() == []
        for name, value in acked.items():
            found = await room.desk.db.write(_opening(room, name))
            assert found.fields.value.reveal() in (value, tried[name]), name
        whole = room.desk.db.read_now(lambda tx: tx.value("PRAGMA integrity_check"))
        assert whole == "ok"
    finally:
        await room.close()


def _opening(room: Any, name: str) -> Any:
    return lambda tx: room.desk.credentials.open(tx, name, line=None, actor="test", purpose="test")


def test_rotation_by_command_line_says_what_it_did(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VALUE", "a secret of acme")
    assert cli("credential", "add", "acme", "--type", "secret",
               "--value-from-env", "VALUE").status == 0  # fmt: skip
    told = cli("keys", "rotate")
    assert told.status == 0
    assert told.out == (
        "The vault key is new. Term 2 is active; 3 data keys were wrapped anew. "
        "Term 1 is destroyed.\n"
    )
    again = cli("keys", "rotate", "--json")
    assert again.json == {
        "v": 1, "term": 3, "resumed": False, "rewrapped": 3, "destroyed": [2], "kept": [],
        "damaged": 0,
    }  # fmt: skip
    done = json.loads(cli("audit", "list", "--noun", "keys", "--json").out)["items"]
    assert [row["action"] for row in done] == ["destroy", "rotate"] * 2
