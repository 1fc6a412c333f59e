"""Scenarios of the store: writers of credentials are killed, and nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
from typing import Any

from postroom.app import Room, open_room
from postroom.db import Tx
from postroom.errors import NotThere, PostroomError
from tests.faults.children import Victim
from tests.faults.dose import dose
from tests.faults.history import History, Pen, registers
from tests.faults.stage import Stage

__all__ = ["killed_writers", "look", "made"]

WRITER = "tests.faults.clients:writer"
START_SECONDS = 60.0


async def made(stage: Stage) -> None:
    """Make the room of the stage."""
    await (await open_room(stage.settings, make=True)).close()


async def killed_writers(stage: Stage, mutant: str = "") -> list[str]:
    """One writer after the other is killed at a random time; the room is looked at after each."""
    await made(stage)
    wrong: list[str] = []
    keys = [f"k{n}" for n in range(6)]
    with History() as history:
        pen = Pen(history.pen, "parent")
        for run in range(dose(10, 100, 2000)):
            with Victim(
                WRITER, *stage.where, ",".join(keys), run,
                history=history, name=f"writer {run}", mutant=mutant,
            ) as victim:  # fmt: skip
                await ready(victim)
                await asyncio.sleep(stage.chance.uniform(0, 0.15))
                victim.kill()
            wrong += await look(stage, pen, keys)
        return wrong + registers(history.end())


async def ready(*victims: Victim) -> None:
    """Wait until each has opened the room."""
    for victim in victims:
        async with asyncio.timeout(START_SECONDS):
            assert await asyncio.to_thread(victim.line) == "ready"


async def look(stage: Stage, pen: Pen, keys: list[str]) -> list[str]:
    """Open the room as anybody would after a crash, and read everything; what is wrong with it."""
    room = await open_room(stage.settings)
    try:
        wrong = await _unsound(room)
        for key in keys:
            step = pen.invoke("read", key)
            try:
                value, version = await _open(room, key)
            except NotThere:
                pen.fail(step)
            except PostroomError as error:
                pen.fail(step)
                wrong.append(f"{key} is unreadable: {error}")
            else:
                pen.ok(step, value=value, version=version)
        return wrong
    finally:
        await room.close()


async def _open(room: Room, name: str) -> tuple[str, int]:
    def body(tx: Tx) -> Any:
        return room.desk.credentials.open(tx, name, line=None, actor="test", purpose="test")

    found = await room.desk.db.write(body)
    return found.fields.value.reveal(), found.version


async def _unsound(room: Room) -> list[str]:
    """What SQLite, the vault and the audit record say of the room."""
    if room.desk.locked is not None:
        return [f"The room is locked: {room.desk.locked}"]
    wrong = []
    if (whole := room.desk.db.read_now(lambda tx: tx.value("PRAGMA integrity_check"))) != "ok":
        wrong.append(f"integrity_check: {whole}")
    if strays := room.desk.db.read_now(lambda tx: tx.all("PRAGMA foreign_key_check")):
        wrong.append(f"foreign_key_check: {len(strays)} rows")
    wrong += [f"damaged: {one}" for one in await room.keys.damaged()]
    wrong += [f"audit verify: {one}" for one in await room.audit.verify()]
    return wrong
