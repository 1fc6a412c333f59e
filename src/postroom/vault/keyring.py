"""The keyring of a room: KEK wraps vault keys, a vault key wraps data keys, data keys seal fields.

Why three levels: the KEK can change without touching a record (only the few vault keys are wrapped
again); a vault key can change without opening a secret (only data keys are wrapped again); and one
record version is destroyed for good by dropping its data key.  Keys live in memory as long as the
process; Python cannot wipe them, and the documentation promises no more.
"""

from __future__ import annotations

import hmac
import os
import secrets
from collections.abc import Callable, Mapping
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from postroom.clock import timestamp
from postroom.db import Row, Tx
from postroom.errors import Locked, Refused, RoomError, Unreadable
from postroom.secret import Secret
from postroom.vault.datakey import Binding, DataKey
from postroom.vault.hints import SEALED_IN, Hints
from postroom.vault.kek import Kek
from postroom.vault.seal import (
    KEY_BYTES,
    LABEL,
    SUITE,
    associated_data,
    open_value,
    unwrap_key,
    wrap_key,
)

__all__ = ["Keyring"]

_SUITE: Final = str(SUITE).encode()


class Keyring:
    """The opened keys of one room.  All calls are given a ``tx``; none touches the network."""

    def __init__(self, room_id: str, kek: Kek) -> None:
        """Use :meth:`create` or :meth:`unlock`."""
        self.room_id = room_id
        self.kek_id = kek.id
        self._wrapper = _wrapper(kek, room_id)
        self._vault_keys: dict[str, AESGCM] = {}
        self._hints: Hints | None = None

    # ------------------------------------------------------------------ the keyring itself

    @classmethod
    def exists(cls, tx: Tx) -> bool:
        """Whether the room has a keyring."""
        return tx.value("SELECT 1 FROM vault_keys LIMIT 1") is not None

    @classmethod
    def create(cls, tx: Tx, room_id: str, kek: Kek) -> Keyring:
        """Make the keyring of a room that has none: vault key 1, the key of hints, the audit key.

        Raises Refused when there is one, and Conflict when another process was faster.
        """
        if cls.exists(tx):
            raise Refused("This room has a keyring; nothing was made.", code="in_use")
        keyring = cls(room_id, kek)
        key, key_id = os.urandom(KEY_BYTES), secrets.token_hex(8)
        tx.execute(
            "INSERT INTO vault_keys (id, term, state, created_at) VALUES (:id, 1, 'active', :now)",
            id=key_id,
            now=timestamp(),
        )
        tx.execute(
            "INSERT INTO vault_key_wraps (vault_key, kek, wrapped, created_at) "
            "VALUES (:vault_key, :kek, :wrapped, :now)",
            vault_key=key_id,
            kek=kek.id,
            now=timestamp(),
            wrapped=wrap_key(keyring._wrapper, key, _bound(room_id, "vault-key", kek.id, key_id)),
        )
        keyring._vault_keys[key_id] = AESGCM(key)
        hints = keyring.new_data_key(tx)
        tx.execute("INSERT INTO room (key, value) VALUES ('hints_key', :id)", id=hints.id)
        audit = keyring.new_data_key(tx)
        keyring.seal(tx, audit, _AUDIT, {"key": Secret(os.urandom(KEY_BYTES))})
        return keyring

    @classmethod
    def unlock(cls, tx: Tx, room_id: str, kek: Kek) -> Keyring:
        """Open the keyring with ``kek``.  Raises Locked (``key_wrong``), naming both key ids."""
        keyring = cls(room_id, kek)
        rows = tx.all("SELECT vault_key, kek FROM vault_key_wraps ORDER BY created_at, kek")
        wanted = sorted({row["kek"] for row in rows})
        if kek.id not in wanted:
            raise Locked(
                f"The key does not belong to this room: it has the id {kek.id}, and the room wants "
                f"{' or '.join(wanted) or 'one that is lost with its keyring'}.",
                code="key_wrong",
                wanted=wanted,
                given=kek.id,
                hint="Put the right key in its place; nothing was changed.",
            )
        try:
            for row in rows:
                if row["kek"] == kek.id:
                    keyring._vault_key(tx, row["vault_key"])
        except Unreadable:
            raise Locked(
                f"The key {kek.id} is right, but the keyring in the database is damaged.",
                code="key_wrong",
                wanted=wanted,
                given=kek.id,
                hint="Restore the database from a backup; nothing was changed.",
            ) from None
        return keyring

    def add_kek(self, tx: Tx, kek: Kek) -> None:
        """Let a second KEK open this keyring too: every vault key is wrapped with it as well."""
        wrapper = _wrapper(kek, self.room_id)
        rows = tx.all(
            "SELECT vault_key, wrapped FROM vault_key_wraps WHERE kek = :kek", kek=self.kek_id
        )
        for row in rows:
            key_id = row["vault_key"]
            key = unwrap_key(
                self._wrapper,
                row["wrapped"],
                _bound(self.room_id, "vault-key", self.kek_id, key_id),
            )
            tx.execute(
                "INSERT INTO vault_key_wraps (vault_key, kek, wrapped, created_at) "
                "VALUES (:vault_key, :kek, :wrapped, :now)",
                vault_key=key_id,
                kek=kek.id,
                now=timestamp(),
                wrapped=wrap_key(wrapper, key, _bound(self.room_id, "vault-key", kek.id, key_id)),
            )

    # ------------------------------------------------------------------ seal and open

    def new_data_key(self, tx: Tx) -> DataKey:
        """A new data key, wrapped by the active vault key of the database (not of our memory)."""
        active: str | None = tx.value(
            "SELECT id FROM vault_keys WHERE state = 'active' ORDER BY term DESC LIMIT 1"
        )
        if active is None:
            raise RoomError("This room has no active vault key.")
        key, key_id = os.urandom(KEY_BYTES), secrets.token_hex(16)
        wrapped = wrap_key(
            self._vault_key(tx, active), key, _bound(self.room_id, "data-key", active, key_id)
        )
        tx.execute(
            "INSERT INTO data_keys (id, vault_key, wrapped, created_at) "
            "VALUES (:id, :vault_key, :wrapped, :now)",
            id=key_id,
            vault_key=active,
            wrapped=wrapped,
            now=timestamp(),
        )
        return DataKey(key_id, key)

    def seal(
        self, tx: Tx, data_key: DataKey, binding: Binding, fields: Mapping[str, Secret]
    ) -> None:
        """Seal fields under a data key that was made in this transaction."""
        for field, secret in fields.items():
            bound = binding.bound(self.room_id, field)
            tx.execute(
                SEALED_IN,
                kind=binding.kind,
                record=binding.record,
                version=binding.version,
                field=field,
                data_key=data_key.id,
                blob=data_key.seal(bound, secret.reveal_bytes()),
            )

    def open(self, tx: Tx, binding: Binding, field: str) -> Secret:
        """Open one field.  Raises Unreadable, which names the record and the field."""
        found = self._rows(tx, binding, field)
        if field not in found:
            raise _unreadable(binding, field, "is not there")
        return found[field]

    def open_all(self, tx: Tx, binding: Binding) -> dict[str, Secret]:
        """Open every field of a record version, in one query.  Raises Unreadable."""
        return self._rows(tx, binding, None)

    def destroy(self, tx: Tx, kind: str, record: str, version: int | None = None) -> int:
        """Drop the sealed fields of a version (None: of all), and with them their data keys.

        Gives how many fields there were.  The database overwrites what it deletes (secure_delete).
        """
        keys = tx.all(
            "SELECT DISTINCT data_key FROM sealed WHERE kind = :kind AND record = :record "
            "AND (:version IS NULL OR version = :version)",
            kind=kind,
            record=record,
            version=version,
        )
        gone = tx.execute(
            "DELETE FROM sealed WHERE kind = :kind AND record = :record "
            "AND (:version IS NULL OR version = :version)",
            kind=kind,
            record=record,
            version=version,
        )
        for row in keys:
            tx.execute(
                "DELETE FROM data_keys WHERE id = :id "
                "AND NOT EXISTS (SELECT 1 FROM sealed WHERE data_key = :id) "
                "AND NOT EXISTS (SELECT 1 FROM room WHERE key = 'hints_key' AND value = :id)",
                id=row["data_key"],
            )
        return gone

    def hints(self, tx: Tx) -> Hints:
        """The hints of this room: what lists may show of secrets.  Raises Unreadable."""
        if self._hints is None:
            row = tx.one(
                "SELECT id, vault_key, wrapped FROM data_keys WHERE id = "
                "(SELECT value FROM room WHERE key = 'hints_key')"
            )
            if row is None:
                raise Unreadable("The key of the hints is missing from this room.")
            self._hints = Hints(self.room_id, row["id"], self._unwrapped(tx, row))
        return self._hints

    def audit_key(self, tx: Tx) -> Callable[[bytes], bytes]:
        """HMAC-SHA-256 under the room's audit key, which is the same in every process."""
        key = self.open(tx, _AUDIT, "key").reveal_bytes()
        return lambda data: hmac.digest(key, data, "sha256")

    # ------------------------------------------------------------------ inside

    def _rows(self, tx: Tx, binding: Binding, field: str | None) -> dict[str, Secret]:
        rows = tx.all(
            "SELECT s.field, s.blob, d.id, d.vault_key, d.wrapped FROM sealed s "
            "JOIN data_keys d ON d.id = s.data_key WHERE s.kind = :kind AND s.record = :record "
            "AND s.version = :version AND (:field IS NULL OR s.field = :field)",
            kind=binding.kind,
            record=binding.record,
            version=binding.version,
            field=field,
        )
        found: dict[str, Secret] = {}
        opened: tuple[str, AESGCM] | None = None
        for row in rows:
            name = row["field"]
            try:
                if opened is None or opened[0] != row["id"]:
                    opened = row["id"], AESGCM(self._unwrapped(tx, row))
                bound = binding.bound(self.room_id, name)
                found[name] = Secret(open_value(opened[1], row["blob"], bound))
            except Unreadable:
                raise _unreadable(binding, name, "does not open") from None
        return found

    def _vault_key(self, tx: Tx, key_id: str) -> AESGCM:
        if key_id not in self._vault_keys:  # another process may have begun a new term
            wrapped = tx.value(
                "SELECT wrapped FROM vault_key_wraps WHERE vault_key = :id AND kek = :kek",
                id=key_id,
                kek=self.kek_id,
            )
            key = unwrap_key(
                self._wrapper, wrapped, _bound(self.room_id, "vault-key", self.kek_id, key_id)
            )
            self._vault_keys[key_id] = AESGCM(key)
        return self._vault_keys[key_id]

    def _unwrapped(self, tx: Tx, row: Row) -> bytes:
        bound = _bound(self.room_id, "data-key", row["vault_key"], row["id"])
        return unwrap_key(self._vault_key(tx, row["vault_key"]), row["wrapped"], bound)


_AUDIT: Final = Binding(kind="audit-key", record="audit")


def _bound(room_id: str, purpose: str, wrapping: str, wrapped: str) -> bytes:
    """What a wrapped key is bound to: room, purpose and the ids of both keys."""
    words = (room_id, purpose, wrapping, wrapped)
    return associated_data([LABEL, _SUITE, *(word.encode() for word in words)])


def _wrapper(kek: Kek, room_id: str) -> AESGCM:
    """The key that wraps vault keys: HKDF-SHA-256 (RFC 5869) of the KEK under a label of its own.

    So the KEK itself is never an AES key, its id (kek.py) is unrelated to this output, and with the
    room id as salt one KEK that guards two rooms wraps with two keys.
    """
    hkdf = HKDF(SHA256(), KEY_BYTES, salt=room_id.encode(), info=b"postroom wrap 1")
    return AESGCM(hkdf.derive(kek.key.reveal_bytes()))


def _unreadable(binding: Binding, field: str, what: str) -> Unreadable:
    return Unreadable(
        f"{binding.kind} {binding.name or binding.record}: the sealed field {field} {what}; it was "
        "damaged, moved, rolled back or its destinations were edited.",
        hint="Enter the value again, or restore the record from a backup. Other records are fine.",
        kind=binding.kind,
        record=binding.record,
        field=field,
    )
