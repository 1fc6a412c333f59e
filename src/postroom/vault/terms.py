"""The terms of the vault key: each is wrapped by every KEK of the room, and wraps data keys.

A new data key is wrapped by the *active* term and by no other.  The statement that inserts it asks
again whether that term is active, so that whoever read it a moment too early is refused, and a term
is destroyed only inside the transaction that finds no data key under it.
"""

from __future__ import annotations

import hmac
import os
import secrets
from collections.abc import Callable, Collection
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from postroom.clock import timestamp
from postroom.db import Row, Tx
from postroom.errors import Locked, Refused, RoomError, Unreadable
from postroom.vault.kek import Kek
from postroom.vault.seal import (
    KEY_BYTES,
    LABEL,
    SUITE,
    associated_data,
    derive,
    unwrap_key,
    wrap_key,
)

__all__ = ["SWAP", "Kept", "Rewrap", "Terms", "Told", "kek_ids"]

_SUITE: Final = str(SUITE).encode()
NEW_DATA_KEY: Final = """
    INSERT INTO data_keys (id, vault_key, wrapped, created_at)
    SELECT :id, :vault_key, :wrapped, :now
    WHERE EXISTS (SELECT 1 FROM vault_keys WHERE id = :vault_key AND state = 'active')
"""
SWAP: Final = """
    UPDATE data_keys SET vault_key = :to, wrapped = :new
    WHERE id = :id AND vault_key = :vault_key AND wrapped = :old
    AND EXISTS (SELECT 1 FROM vault_keys WHERE id = :to AND state = 'active')
"""


Told = Callable[[Tx], tuple[int, str | None] | None]
"""What the audit record says of the last rotation: the term it made, and the id of its key."""
Kept = Callable[[], tuple[int, str]]
"""What is kept of it outside of the database: the same, or 0 and an empty text."""


class Rewrap(NamedTuple):
    """One data key wrapped anew: it is written only where the row still is what was read."""

    id: str
    vault_key: str
    old: bytes
    to: str
    new: bytes


class Terms:
    """The opened vault keys of one room, as the KEK of this process opens them."""

    def __init__(self, room_id: str, kek: Kek) -> None:
        self.room_id = room_id
        self.kek = kek
        self._wrapper = _wrapper(kek, room_id)
        self._keys: dict[str, AESGCM] = {}
        self.told: Told | None = None
        self.kept: Kept | None = None

    def active(self, tx: Tx) -> str:
        """The id of the term that wraps new data keys, as this transaction sees it.

        Raises Locked when it is not the one that the last rotation made active, as :attr:`told` has
        it: who can write to the database could else put back a key that was rotated away.
        """
        found = tx.one(
            "SELECT id, term FROM vault_keys WHERE state = 'active' ORDER BY term DESC LIMIT 1"
        )
        if found is None:
            raise RoomError("This room has no active vault key.")
        told = None if self.told is None else self.told(tx)
        if told is not None and (found["term"], found["id"]) != (told[0], told[1] or found["id"]):
            raise Locked(
                f"The database says that term {found['term']} of the vault key (key {found['id']}) is "
                f"active, and the audit record that the last rotation made it term {told[0]}"
                f"{f' (key {told[1]})' if told[1] else ''}: an old vault key was put back.",
                code="key_wrong",
                hint="Find out who did. Restore the database from a backup; nothing was changed.",
            )
        return str(found["id"])

    def to_seal(self, tx: Tx) -> str:
        """As :meth:`active`, for what is sealed from now on.

        Raises Locked also when a later term is kept outside of the database: the row of a rotation can
        be hidden for a while, with an old vault key in its place, and be put back without a trace.
        What opens goes on opening, so that whoever put an old database back on purpose can say so.
        """
        active = self.active(tx)
        kept, key = (0, "") if self.kept is None else self.kept()
        term = tx.value("SELECT term FROM vault_keys WHERE id = :id", id=active) if kept else 1
        if term > kept or (term == kept and key in (active, "")):
            return active
        raise Locked(
            f"The database says that term {term} of the vault key (key {active}) is active, and beside "
            f"the room's key it is kept that term {kept} was made since{f' (key {key})' if key else ''}: an "
            "old vault key or an old database was put back. Nothing is sealed with it.",
            code="key_wrong",
            hint="If somebody put it back on purpose: postroom audit accept --why TEXT",
        )

    def begin(self, tx: Tx, keks: Collection[Kek]) -> int:
        """Make the next term, wrapped by each of ``keks``, and retire the one that was active.

        Gives its number.  Raises Refused when a KEK that opens the room now is not among them:
        whoever has only that one would be locked out.
        """
        given = {kek.id for kek in keks}
        lacking = sorted(set(kek_ids(tx)) - given)
        if lacking:
            raise Refused(
                f"The room is also opened by the key {' and '.join(lacking)}, which is not here; a "
                "new vault key would lock it out, so nothing was changed.",
                lacking=lacking,
                hint="Say where it is with --also SOURCE, or retire it: postroom keys kek retire",
            )
        for kek in keks:
            if not self._proven(tx, kek):
                raise Refused(
                    f"The room names the key {kek.id}, but that key does not open it: its entry is "
                    "damaged, or somebody wrote it there to be given the new vault key. Nothing was "
                    "changed.",
                    lacking=[kek.id],
                    hint=f"Retire it: postroom keys kek retire {kek.id}",
                )
        if kek_ids(tx):
            self.to_seal(tx)
        term: int = 1 + (tx.value("SELECT max(term) FROM vault_keys") or 0)
        key, key_id = os.urandom(KEY_BYTES), secrets.token_hex(8)
        tx.execute("UPDATE vault_keys SET state = 'retired' WHERE state = 'active'")
        tx.execute(
            "INSERT INTO vault_keys (id, term, state, created_at) "
            "VALUES (:id, :term, 'active', :now)",
            id=key_id,
            term=term,
            now=timestamp(),
        )
        for kek in keks:
            self._wrap(tx, kek, key_id, key)
            _keep(tx, kek)
        return term

    def _proven(self, tx: Tx, kek: Kek) -> bool:
        """Whether a KEK opens the active term.

        Who can write to the database can name a key of their own there, and where to find it; but
        nobody can wrap the present vault key with it who does not have that already.
        """
        if kek.id == self.kek.id:
            return True
        active = self.active(tx)
        wrapped = tx.value(
            "SELECT wrapped FROM vault_key_wraps WHERE vault_key = :id AND kek = :kek",
            id=active,
            kek=kek.id,
        )
        bound = self._bound("vault-key", kek.id, active)
        try:
            found = unwrap_key(_wrapper(kek, self.room_id), wrapped, bound)
        except Unreadable:
            return False
        return hmac.compare_digest(found, self._unwrapped(tx, active))

    def open_all(self, tx: Tx) -> None:
        """Open every term; raises Unreadable when one was damaged, or Locked."""
        for row in tx.all("SELECT id FROM vault_keys ORDER BY term"):
            self._key(tx, row["id"])

    def add_kek(self, tx: Tx, kek: Kek) -> None:
        """Let a second KEK open this keyring too: every vault key is wrapped with it as well."""
        for row in tx.all("SELECT id FROM vault_keys ORDER BY term"):
            self._wrap(tx, kek, row["id"], self._unwrapped(tx, row["id"]))
        _keep(tx, kek)

    # ------------------------------------------------------------------ data keys

    def insert(self, tx: Tx, key_id: str, key: bytes) -> None:
        """Keep a new data key, wrapped by the active term.

        Raises RoomError (temporary) when that term was replaced between the look and the insert.
        """
        active = self.to_seal(tx)
        made = tx.execute(
            NEW_DATA_KEY,
            id=key_id,
            vault_key=active,
            wrapped=wrap_key(self._key(tx, active), key, self._bound("data-key", active, key_id)),
            now=timestamp(),
        )
        if not made:
            raise RoomError(
                "The vault key was replaced a moment ago; nothing was sealed.",
                code="room_busy",
                temporary=True,
                hint="Try again.",
            )

    def unwrap(self, tx: Tx, row: Row) -> bytes:
        """The data key in a row with ``id``, ``vault_key`` and ``wrapped``; raises Unreadable."""
        bound = self._bound("data-key", row["vault_key"], row["id"])
        return unwrap_key(self._key(tx, row["vault_key"]), row["wrapped"], bound)

    def rewrap(self, tx: Tx, row: Row) -> Rewrap:
        """That data key wrapped by the active term instead; raises Unreadable."""
        active, key = self.to_seal(tx), self.unwrap(tx, row)
        new = wrap_key(self._key(tx, active), key, self._bound("data-key", active, row["id"]))
        return Rewrap(row["id"], row["vault_key"], row["wrapped"], active, new)

    # ------------------------------------------------------------------ inside

    def _key(self, tx: Tx, key_id: str) -> AESGCM:
        if key_id not in self._keys:  # another process may have begun a new term
            self._keys[key_id] = AESGCM(self._unwrapped(tx, key_id))
        return self._keys[key_id]

    def _unwrapped(self, tx: Tx, key_id: str) -> bytes:
        wrapped = tx.value(
            "SELECT wrapped FROM vault_key_wraps WHERE vault_key = :id AND kek = :kek",
            id=key_id,
            kek=self.kek.id,
        )
        wanted = [] if wrapped is not None else kek_ids(tx)
        if wanted and self.kek.id not in wanted:
            raise Locked(
                f"The key {self.kek.id} was retired while this process used it; the room wants "
                f"{' or '.join(wanted)}.",
                code="key_wrong",
                wanted=wanted,
                given=self.kek.id,
                hint="Start it again with that key (POSTROOM_KEK); nothing was changed.",
            )
        return unwrap_key(self._wrapper, wrapped, self._bound("vault-key", self.kek.id, key_id))

    def _wrap(self, tx: Tx, kek: Kek, key_id: str, key: bytes) -> None:
        bound = self._bound("vault-key", kek.id, key_id)
        tx.execute(
            "INSERT INTO vault_key_wraps (vault_key, kek, wrapped, created_at) "
            "VALUES (:vault_key, :kek, :wrapped, :now)",
            vault_key=key_id,
            kek=kek.id,
            wrapped=wrap_key(_wrapper(kek, self.room_id), key, bound),
            now=timestamp(),
        )

    def _bound(self, purpose: str, wrapping: str, wrapped: str) -> bytes:
        """What a wrapped key is bound to: room, purpose and the ids of both keys."""
        words = (self.room_id, purpose, wrapping, wrapped)
        return associated_data([LABEL, _SUITE, *(word.encode() for word in words)])


def kek_ids(tx: Tx) -> list[str]:
    """The ids of the KEKs that open the room."""
    return [row["kek"] for row in tx.all("SELECT DISTINCT kek FROM vault_key_wraps ORDER BY kek")]


def _keep(tx: Tx, kek: Kek) -> None:
    tx.execute(
        "INSERT INTO keks (id, source, created_at, kit_at) VALUES (:id, :source, :now, NULL) "
        "ON CONFLICT (id) DO NOTHING",
        id=kek.id,
        source=kek.source,
        now=timestamp(),
    )


def _wrapper(kek: Kek, room_id: str) -> AESGCM:
    """The key that wraps vault keys: HKDF-SHA-256 (RFC 5869) of the KEK under a label of its own.

    So the KEK itself is never an AES key, its id (kek.py) is unrelated to this output, and with the
    room id as salt one KEK that guards two rooms wraps with two keys.
    """
    return AESGCM(derive(kek.key.reveal_bytes(), b"postroom wrap 1", salt=room_id.encode()))
