"""Scenarios of the store: writers of credentials are killed, and nothing acknowledged is lost."""

from __future__ import annotations

import asyncio

from postroom.app import Room, open_room
from postroom.errors import PostroomError
from postroom.secret import Secret
from postroom.vault import rotation
from tests.faults.children import Victim, until_dead
from tests.faults.clients import read
from tests.faults.dose import dose
from tests.faults.history import History, Pen, registers
from tests.faults.stage import Stage

__all__ = [
    "killed_at",
    "killed_beginning",
    "killed_between_keks",
    "killed_writers",
    "look",
    "made",
    "ready",
    "sealed_or_nothing",
]

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
            wrong += await look(stage, pen)
        return wrong + registers(history.end())


async def ready(*victims: Victim) -> None:
    """Wait until each has opened the room."""
    for victim in victims:
        async with asyncio.timeout(START_SECONDS):
            assert await asyncio.to_thread(victim.line) == "ready"


async def killed_at(stage: Stage, story: str, spot: str) -> list[str]:
    """A client is killed at a point of its story; what it leaves is sound, and the story can be
    told again to its end."""
    await made(stage)
    client = f"tests.faults.clients:{story}"
    with History() as history:
        with Victim(client, *stage.where, "a", history=history, name="first", spot=spot) as victim:
            if not await until_dead(victim):
                return [f"{spot} was never reached: {victim.complaints()}"]
        wrong = await look(stage, Pen(history.pen, "after the kill"))
        with Victim(client, *stage.where, "b", history=history, name="second") as victim:
            if await until_dead(victim) or victim.status:
                wrong.append(f"The room is of no more use: {victim.complaints()}")
        wrong += await look(stage, Pen(history.pen, "in the end"), finish=True)
        return wrong + registers(history.end())


async def killed_beginning(stage: Stage, spot: str) -> list[str]:
    """``postroom init`` is killed; saying it again makes the room, and no second key."""
    words = ("init", "--room", stage.where[0], "--kek", stage.where[1])
    with Victim("postroom", *words, spot=spot) as victim:
        if not await until_dead(victim):
            return [f"{spot} was never reached: {victim.complaints()}"]
    key = stage.path / "keys" / "room.key"
    before = key.read_bytes() if key.exists() else b""
    with Victim("postroom", *words) as victim:
        if await until_dead(victim) or victim.status:
            return [f"init cannot be said again: {victim.complaints()}"]
    wrong = [] if key.read_bytes().startswith(before) else ["The key was written over."]
    with History() as history:
        return wrong + await look(stage, Pen(history.pen, "in the end"))


async def killed_between_keks(stage: Stage, spot: str) -> list[str]:
    """A second key takes the place of the first; killed anywhere, one of the two opens the room, and
    the change can be finished."""
    await made(stage)
    second = f"file:{stage.path / 'keys' / 'second.key'}"
    client = "tests.faults.clients:another_kek"
    with History() as history:
        with Victim("tests.faults.clients:rotations", *stage.where, "a", history=history) as victim:
            assert not await until_dead(victim)
        with Victim(client, *stage.where, second, spot=spot) as victim:
            if not await until_dead(victim):
                return [f"{spot} was never reached: {victim.complaints()}"]
        pen = Pen(history.pen, "after the kill")
        opening = [kek for kek in (stage.where[1], second) if await _opens(stage, kek)]
        if not opening:
            return ["No key opens the room."]
        wrong = [one for kek in opening for one in await look(stage, pen, kek=kek)]
        if second not in opening:
            with Victim(client, *stage.where, second) as victim:
                if await until_dead(victim) or victim.status:
                    wrong.append(f"The change cannot be finished: {victim.complaints()}")
            wrong += await look(stage, pen, kek=second)
        return wrong + registers(history.end())


async def sealed_or_nothing(stage: Stage, mutant: str = "") -> list[str]:
    """A secret is saved while the cipher fails, and a blob is replaced by a plain text: no secret
    lies anywhere in the clear, and no plain text is taken for one."""
    await made(stage)
    value, planted = "a canary in the clear", "hunter2hunter2"
    wrong = []
    with History() as history:
        client = "tests.faults.clients:unsealing"
        with Victim(client, *stage.where, value, history=history, mutant=mutant) as victim:
            await ready(victim)
            if (told := await asyncio.to_thread(victim.line)) == "saved":
                wrong.append("A secret was saved, and nothing was there to seal it.")
        if value.encode() in b"".join(path.read_bytes() for path in stage.files()):
            wrong.append(f"The secret lies in the clear ({told}).")
        room = await open_room(stage.settings)
        await room.credentials.create("acme", "secret", details={"value": Secret("of acme's own")})
        await room.desk.db.write(
            lambda tx: tx.execute(
                "UPDATE sealed SET blob = :text WHERE kind = 'credential'", text=planted.encode()
            )
        )
        await room.close()
        client = "tests.faults.clients:peeking"
        with Victim(client, *stage.where, "acme", history=history, mutant=mutant) as victim:
            await ready(victim)
            if (told := await asyncio.to_thread(victim.line)) != "unreadable":
                wrong.append(f"A plain text was taken for a sealed value: {told}.")
    return wrong


async def _opens(stage: Stage, kek: str) -> bool:
    room = await open_room(stage.settings._replace(kek=kek))
    try:
        return room.desk.locked is None
    finally:
        await room.close()


async def look(stage: Stage, pen: Pen, *, kek: str = "", finish: bool = False) -> list[str]:
    """Open the room as anybody would after a crash, and read everything; what is wrong with it.

    ``finish``: a rotation that was interrupted is finished first, and leaves one term.
    """
    settings = stage.settings._replace(kek=kek) if kek else stage.settings
    room = await open_room(settings)
    try:
        wrong = []
        if finish:
            await room.keys.finish()
            if terms := room.desk.db.read_now(rotation.retired):
                wrong.append(f"The terms {terms} are left over.")
        wrong += await _unsound(room)
        for one in [] if wrong else await room.credentials.list():
            try:
                await read(room, pen, one["name"])
            except PostroomError as error:
                wrong.append(f"{one['name']} is unreadable: {error}")
        return wrong
    finally:
        await room.close()


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
