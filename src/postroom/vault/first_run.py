"""The first run, and every later one: what there is decides what is made, opened or left alone.

    keyring   key        told to make        not told
    no        missing    make key, keyring   locked
    no        there      make keyring        locked
    no        unfit      locked              locked
    yes       missing    locked              locked
    yes       unfit      locked              locked
    yes       right      open                open

A room without an id gets one before the table is asked, when told to make.  The order room id, key
file under that id, keyring makes every crash between two steps a row of the table, and each step is
taken only if it is missing.  Where a keyring exists nothing is generated, overwritten or deleted.
"""

from __future__ import annotations

import contextlib
import secrets
from typing import Final, Literal, NamedTuple

from postroom.db import Conflict, Database, Tx
from postroom.errors import Locked
from postroom.vault.kek import Ask, Kek, default_source, load_kek, make_key_file, source_file
from postroom.vault.keyring import Keyring
from postroom.vault.passphrase import Argon2
from postroom.vault.terms import kek_ids

__all__ = ["STEPS", "Key", "Start", "Step", "another_kek", "open_vault"]

Key = Literal["missing", "unfit", "there", "right"]
"""Unfit: unsafe to use, or not this room's.  There: good, and no keyring to compare with."""
Step = Literal["make", "open", "locked"]

STEPS: Final[dict[tuple[bool, Key, bool], Step]] = {
    # (a keyring exists, key, told to make): step
    (False, "missing", True): "make",
    (False, "missing", False): "locked",
    (False, "there", True): "make",
    (False, "there", False): "locked",
    (False, "unfit", True): "locked",
    (False, "unfit", False): "locked",
    (True, "missing", True): "locked",
    (True, "missing", False): "locked",
    (True, "unfit", True): "locked",
    (True, "unfit", False): "locked",
    (True, "right", True): "open",
    (True, "right", False): "open",
}


class Start(NamedTuple):
    """What opening the vault gave: a keyring, or why the room is locked.

    ``source`` is the KEK source that was used; ``warning`` is for people (empty when all is well);
    ``made`` says that keys were made now.
    """

    room_id: str
    keyring: Keyring | None
    locked: Locked | None
    source: str
    warning: str = ""
    made: bool = False

    def opened(self) -> Keyring:
        """The keyring.  Raises why the room is locked."""
        if self.keyring is None:
            raise self.locked or Locked("The room is locked.")
        return self.keyring


class _Look(NamedTuple):
    """What was found: the key's state, and what it led to."""

    exists: bool
    key: Key
    kek: Kek | None
    keyring: Keyring | None
    locked: Locked | None


async def open_vault(
    db: Database, source: str | None = None, *, make: bool = False, ask: Ask | None = None
) -> Start:
    """Open the vault of a room, or make it when it has none and ``make`` is said.

    ``source`` is a KEK source; None is the file of this room in the configuration directory.  A key
    that is missing, unsafe or wrong gives ``locked``: the room is not changed, listing works, and
    whoever needs a secret raises it (exit 78).
    """
    room_id = await db.write(_room_id) if make else db.read_now(_known_room_id)
    chosen = source or default_source(room_id)
    if make and chosen.startswith("passphrase:") and not db.read_now(Keyring.exists):
        await db.write(_make_argon2)
    look = _look(db, room_id, chosen, ask)
    step = STEPS[look.exists, look.key, make]
    if step == "make" and look.key == "missing":
        path = source_file(chosen)
        if path is not None:  # the other kinds of source are made by their owners
            with contextlib.suppress(FileExistsError):  # another process was faster: its key it is
                make_key_file(path)
            look = _look(db, room_id, chosen, ask)
            step = STEPS[look.exists, look.key, make]
    if step == "make" and look.kek is not None:
        keyring, made = await _make(db, room_id, look.kek)
        return Start(room_id, keyring, None, chosen, look.kek.warning, made)
    if step == "open" and look.kek is not None:
        return Start(room_id, look.keyring, None, chosen, look.kek.warning)
    return Start(room_id, None, _named(look.locked, db, chosen, make=make), chosen)


async def another_kek(
    db: Database, source: str, *, make: bool = False, ask: Ask | None = None
) -> Kek:
    """The KEK at a source, which may be other than the one that opened the room.

    ``make`` makes a key file that is not there yet.  Raises Locked, InvalidValue.
    """
    if source.startswith("passphrase:"):
        await db.write(_make_argon2)
    path = source_file(source) if make else None
    if path is not None:
        with contextlib.suppress(FileExistsError):
            make_key_file(path)
    return load_kek(source, data_dir=db.path.parent, ask=ask, argon2=_argon2(db))


def _look(db: Database, room_id: str, source: str, ask: Ask | None) -> _Look:
    exists = db.read_now(Keyring.exists)
    try:
        kek = load_kek(source, data_dir=db.path.parent, ask=ask, argon2=_argon2(db))
    except Locked as locked:
        key: Key = "missing" if locked.code == "key_missing" else "unfit"
        return _Look(exists, key, None, None, locked)
    if not exists:
        return _Look(exists, "there", kek, None, None)
    try:
        keyring = db.read_now(lambda tx: Keyring.unlock(tx, room_id, kek))
    except Locked as locked:
        return _Look(exists, "unfit", kek, None, locked)
    return _Look(exists, "right", kek, keyring, None)


async def _make(db: Database, room_id: str, kek: Kek) -> tuple[Keyring, bool]:
    def body(tx: Tx) -> tuple[Keyring, bool]:
        if Keyring.exists(tx):
            return Keyring.unlock(tx, room_id, kek), False
        return Keyring.create(tx, room_id, kek), True

    try:
        return await db.write(body)
    except Conflict:
        return await db.write(body)  # another process committed between the look and the insert


def _named(locked: Locked | None, db: Database, source: str, *, make: bool) -> Locked:
    """Why the room is locked, with the key id it wants and the place where the key is expected."""
    ids = db.read_now(kek_ids)
    if not ids and (locked is None or not make):
        return Locked(
            "This room has no keys yet.", hint="Make them with: postroom init", source=source
        )
    if locked is None:  # cannot be: the table opens or makes whatever has no reason to be locked
        return Locked("The key of this room cannot be used.", source=source)
    if locked.code == "key_wrong" or not ids:
        return locked
    sentence = f"{locked.sentence} This room wants the key {' or '.join(ids)}."
    return Locked(
        sentence,
        code=locked.code,
        hint=locked.hint,
        temporary=locked.temporary,
        wanted=ids,
        source=source,
    )


def _known_room_id(tx: Tx) -> str:
    return tx.value("SELECT value FROM room WHERE key = 'id'") or ""


def _room_id(tx: Tx) -> str:
    tx.execute(
        "INSERT INTO room (key, value) VALUES ('id', :id) ON CONFLICT (key) DO NOTHING",
        id=secrets.token_hex(8),
    )
    room_id: str = tx.value("SELECT value FROM room WHERE key = 'id'")
    return room_id


def _make_argon2(tx: Tx) -> None:
    tx.execute(
        "INSERT INTO room (key, value) VALUES ('argon2id', :text) ON CONFLICT (key) DO NOTHING",
        text=Argon2.new().to_text(),
    )


def _argon2(db: Database) -> Argon2 | None:
    text = db.read_now(lambda tx: tx.value("SELECT value FROM room WHERE key = 'argon2id'"))
    return None if text is None else Argon2.from_text(text)
