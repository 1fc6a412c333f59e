"""What the children of the store's fault tests do, over and over, saying each step in the history."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from postroom.app import Room, open_room
from postroom.db import Tx
from postroom.errors import PostroomError
from postroom.operations.keys.rotating import rotate
from postroom.secret import Secret
from postroom.settings import Settings
from postroom.vault import datakey
from tests.faults.history import Pen

__all__ = [
    "another_kek",
    "changes",
    "opened",
    "read",
    "rotate_once",
    "rotations",
    "rotator",
    "writer",
]


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


async def rotate_once(pen: Pen, room: str, kek: str) -> None:
    """One rotation, or the rest of one that was begun."""
    found = await opened(room, kek)
    await found.keys.rotate()
    await found.close()


async def changes(pen: Pen, room: str, kek: str, seed: str) -> None:
    """All that can be done with a credential, three times over, and then an end."""
    found = await opened(room, kek)
    for turn in range(3):
        name = f"c{turn}-{seed}"
        for number in range(7):  # the sixth drops the first
            await _write(found, pen, name, f"{name}, number {number}", new=not number)
        step = pen.invoke("write", name, f"{name}, number 5")
        pen.ok(step, version=await found.versions.restore(name, 6))
        await found.versions.destroy(name, 5)
        await read(found, pen, name)
        await found.credentials.change(name, description="Another text")
        await _write(found, pen, f"scratch-{name}", name, new=True)
        step = pen.invoke("delete", f"scratch-{name}")
        await found.credentials.delete(f"scratch-{name}")
        pen.ok(step)
    await found.close()


async def rotations(pen: Pen, room: str, kek: str, seed: str) -> None:
    """A few credentials under a vault key that is rotated three times, and then an end."""
    found = await opened(room, kek)
    for number in range(5):
        name = f"c{number}-{seed}"
        await _write(found, pen, name, f"the secret of {name}", new=True)
    for _ in range(3):
        terms = found.keys.kek.keyring().terms
        await rotate(found.desk, terms, [terms.kek], batch=2)
    await found.close()


async def another_kek(pen: Pen, room: str, kek: str, second: str) -> None:
    """Let a second key open the room, and the first no more."""
    found = await opened(room, kek)
    first = found.keys.kek.keyring().kek_id
    await found.keys.kek.add(second, make=True)
    await found.close()
    found = await opened(room, second)
    await found.keys.kek.retire(first)
    await found.close()


class _Broken:
    """A cipher whose hardware has failed: it opens, and seals nothing."""

    def __init__(self, key: bytes) -> None:
        self._whole = AESGCM(key)
        self.decrypt = self._whole.decrypt

    def encrypt(self, nonce: bytes, data: bytes, bound: bytes) -> bytes:
        raise RuntimeError("the cipher has failed")


async def unsealing(pen: Pen, room: str, kek: str, value: str) -> None:
    """Save a secret while the cipher fails; say what became of it."""
    found = await opened(room, kek)
    vars(datakey)["AESGCM"] = _Broken
    try:
        await _write(found, pen, "unsealed", value, new=True)
        print("saved", flush=True)
    except Exception as error:  # noqa: BLE001  # whatever it is
        print("not saved:", type(error).__name__, flush=True)


async def peeking(pen: Pen, room: str, kek: str, name: str) -> None:
    """Open a secret; say what came out."""
    found = await opened(room, kek)
    try:
        await read(found, pen, name)
        print("opened", flush=True)
    except PostroomError as error:
        print(error.code, flush=True)


async def read(room: Room, pen: Pen, name: str) -> None:
    """Open a credential and say what is in it; raises PostroomError."""

    def body(tx: Tx) -> Any:
        return room.desk.credentials.open(tx, name, line=None, actor="test", purpose="test")

    step = pen.invoke("read", name)
    try:
        found = await room.desk.db.write(body)
    except PostroomError:
        pen.fail(step)
        raise
    pen.ok(step, value=found.fields.value.reveal(), version=found.version)


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
