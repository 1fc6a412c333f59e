"""What the children of the store's fault tests do, over and over, saying each step in the history."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

from postroom.app import Room, open_room
from postroom.errors import PostroomError
from postroom.operations.keys.rotating import rotate
from postroom.secret import Secret
from postroom.settings import Settings
from tests.faults.history import Pen

__all__ = ["opened", "rotator", "writer"]


async def opened(room: str, kek: str) -> Room:
    """Open the room and say ``ready`` to the parent."""
    found = await open_room(Settings(Path(room), kek))
    print("ready", flush=True)
    return found


async def writer(pen: Pen, room: str, kek: str, keys: str, seed: str) -> None:
    """Create and change the credentials ``keys`` (``a,b,c``), several at a time, without end."""
    found = await opened(room, kek)
    names = keys.split(",")
    chance = random.Random(int(seed))
    made = {one["name"] for one in await found.credentials.list()}

    async def go_on(name: str) -> None:
        number = 0
        while True:
            number += 1
            await _write(
                found, pen, name, f"{name} by {seed}, number {number}", new=name not in made
            )
            made.add(name)
            await asyncio.sleep(chance.uniform(0, 0.005))

    await asyncio.gather(*map(go_on, names))


async def _write(room: Room, pen: Pen, name: str, value: str, *, new: bool) -> None:
    step = pen.invoke("write", name, value)
    details: dict[str, Any] = {"value": Secret(value)}
    try:
        if new:
            saved = await room.credentials.create(name, "secret", details=details)
        else:
            saved = await room.credentials.set(name, details)
    except PostroomError as error:
        if error.temporary:  # a busy room: nothing was written, as the sentence says
            pen.fail(step)
            return
        raise
    pen.ok(step, version=saved.credential.version)


async def rotator(pen: Pen, room: str, kek: str) -> None:
    """Rotate the vault key without end, in small batches, saying ``rotated`` each time."""
    found = await opened(room, kek)
    while True:
        terms = found.keys.kek.keyring().terms
        await rotate(found.desk, terms, [terms.kek], batch=3)
        print("rotated", flush=True)
