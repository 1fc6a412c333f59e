"""What the children of the store's fault tests do, over and over, saying each step in the history."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from postroom.app import Room, open_room
from postroom.clock import timestamp
from postroom.credentials.record import Saved
from postroom.db import Claim, Queue, Tx
from postroom.errors import PostroomError
from postroom.operations.keys.rotating import rotate
from postroom.secret import Secret
from postroom.settings import Settings
from postroom.vault import datakey
from tests.faults.history import Pen

__all__ = [
    "CLAIMED",
    "another_kek",
    "changes",
    "claimer",
    "on_a_full_disk",
    "opened",
    "opening",
    "peeking",
    "read",
    "rotate_once",
    "rotations",
    "rotator",
    "unsealing",
    "writer",
]


LONGEST = 99
"""What a history keeps of a value."""


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
                # of this process alone: the same value again would be no change, and no version
                found,
                pen,
                name,
                f"{name} by {os.getpid()}, number {number}",
                new=name not in made,
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
        terms = found.keys._start.opened().terms
        await rotate(found.desk, terms, [terms.kek], batch=2)
    await found.close()


async def another_kek(pen: Pen, room: str, kek: str, second: str) -> None:
    """Let a second key open the room, and the first no more."""
    found = await opened(room, kek)
    first = found.keys._start.opened().kek_id
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


async def on_a_full_disk(pen: Pen, room: str, kek: str, name: str) -> None:
    """Create, change and rotate, once each; say ``STEP ok`` or ``STEP CODE`` of each."""
    try:
        found = await open_room(Settings(Path(room), kek))
    except PostroomError as error:
        print("open", error.code, flush=True)
        return

    async def saying(step: str, doing: Awaitable[object]) -> None:
        try:
            await doing
            print(step, "ok", flush=True)
        except PostroomError as error:
            print(step, error.code, flush=True)

    value = {"value": Secret(f"first of {name}, " + "x" * 9000)}
    creating = found.credentials.create(name, "secret", details=value)
    await saying("create", _told(pen, name, value["value"].reveal(), creating))
    value = {"value": Secret(f"second of {name}, " + "y" * 9000)}
    setting = found.credentials.set(name, value)
    await saying("set", _told(pen, name, value["value"].reveal(), setting))
    await saying("rotate", found.keys.rotate())
    with contextlib.suppress(PostroomError):
        await found.close()  # its last audit row may find no room


async def _told(pen: Pen, name: str, value: str, saving: Awaitable[Saved]) -> None:
    step = pen.invoke("write", name, value[:LONGEST])
    try:
        saved = await saving
    except PostroomError:
        pen.fail(step)
        raise
    pen.ok(step, version=saved.credential.version)


CLAIMED = 1e12
"""When a row that was settled is due again: never."""
_QUEUE = Queue("sources", order="due_at, id")


async def claimer(pen: Pen, room: str, kek: str) -> None:
    """Claim rows, settle each in a transaction of its own, until there is none."""
    found = await opened(room, kek)
    seat = await found.desk.seat()
    db = found.desk.db

    def take(tx: Tx) -> list[Claim]:
        return _QUEUE.claim(tx, owner=seat.owner, now=timestamp(), limit=7)

    def settling(one: Claim) -> Callable[[Tx], None]:
        def settle(tx: Tx) -> None:
            _QUEUE.guard(tx, one, owner=seat.owner)
            tx.execute("UPDATE sources SET successes = successes + 1 WHERE id = :id", id=one.id)
            _QUEUE.release(tx, one, owner=seat.owner, due_at=CLAIMED)

        return settle

    while taken := await db.write(take):
        for one in taken:
            await db.write(settling(one))
    await found.close()


def opening(room: Room, name: str) -> Callable[[Tx], Any]:
    """The body that opens a credential."""
    store = room.desk.credentials
    return lambda tx: store.open(tx, name, line=None, actor="test", purpose="test")


async def read(room: Room, pen: Pen, name: str) -> None:
    """Open a credential and say what is in it; raises PostroomError."""
    step = pen.invoke("read", name)
    try:
        found = await room.desk.db.write(opening(room, name))
    except PostroomError:
        pen.fail(step)
        raise
    value = found.fields.value.reveal()
    pen.ok(step, value=value[:LONGEST], version=found.version)


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
        terms = found.keys._start.opened().terms
        await rotate(found.desk, terms, [terms.kek], batch=3)
        print("rotated", flush=True)
