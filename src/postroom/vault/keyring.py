"""The keyring of a room: KEK wraps vault keys, a vault key wraps data keys, data keys seal fields.

Why three levels: the KEK can change without touching a record (only the few vault keys are wrapped
again); a vault key can change without opening a secret (only data keys are wrapped again); and one
record version is destroyed for good by dropping its data key.  Keys live in memory as long as the
process; Python cannot wipe them, and the documentation promises no more.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from postroom.db import Row, Tx
from postroom.errors import Locked, Refused, Unreadable
from postroom.secret import Secret
from postroom.vault.datakey import Binding, DataKey
from postroom.vault.hints import KIND, SEALED_IN, Hints
from postroom.vault.kek import Kek
from postroom.vault.seal import KEY_BYTES, open_value
from postroom.vault.terms import Terms, kek_ids

__all__ = ["AUDIT_KEY", "Keyring"]

_KEPT_KEYS: Final = 1024
"""Opened data keys that are kept: unwrapping one anew takes as long as opening three fields."""


class Keyring:
    """The opened keys of one room.  All calls are given a ``tx``; none touches the network."""

    def __init__(self, room_id: str, kek: Kek) -> None:
        """Use :meth:`create` or :meth:`unlock`."""
        self.room_id = room_id
        self.terms = Terms(room_id, kek)
        self._hints: Hints | None = None
        # By the very bytes of the row, so that a row that was edited or wrapped anew is opened anew.
        self._opened: dict[tuple[str, str, bytes], AESGCM] = {}

    @property
    def kek_id(self) -> str:
        """The id of the KEK that opened it."""
        return self.terms.kek.id

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
        keyring.terms.begin(tx, [kek])
        hints = keyring.new_data_key(tx)
        tx.execute("INSERT INTO room (key, value) VALUES ('hints_key', :id)", id=hints.id)
        audit = keyring.new_data_key(tx)
        keyring.seal(tx, audit, AUDIT_KEY, {"key": Secret(os.urandom(KEY_BYTES))})
        return keyring

    @classmethod
    def unlock(cls, tx: Tx, room_id: str, kek: Kek) -> Keyring:
        """Open the keyring with ``kek``.  Raises Locked (``key_wrong``), naming both key ids."""
        keyring = cls(room_id, kek)
        wanted = kek_ids(tx)
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
            keyring.terms.open_all(tx)
        except Unreadable:
            raise Locked(
                f"The key {kek.id} is right, but the keyring in the database is damaged.",
                code="key_wrong",
                wanted=wanted,
                given=kek.id,
                hint="Restore the database from a backup; nothing was changed.",
            ) from None
        return keyring

    # ------------------------------------------------------------------ seal and open

    def new_data_key(self, tx: Tx) -> DataKey:
        """A new data key, wrapped by the active vault key of the database (not of our memory)."""
        key, key_id = os.urandom(KEY_BYTES), secrets.token_hex(16)
        self.terms.insert(tx, key_id, key)
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
        """Open every field of a record version, in one query.  Raises Unreadable.

        Values that were sealed before what lies beside them was bound open as well.  That is no way
        round: the two are different associated data, so without the key nobody turns one of today
        into one of then.  Who must know asks :meth:`is_fully_bound`.
        """
        try:
            return self._rows(tx, binding, None)
        except Unreadable:
            if not binding.beside:
                raise
            try:
                return self._rows(tx, binding.early(), None)
            except Unreadable:
                pass
            raise

    def is_fully_bound(self, tx: Tx, binding: Binding) -> bool:
        """Whether every field of a record version opens with all it should be bound to."""
        try:
            return bool(self._rows(tx, binding, None))
        except Unreadable:
            return False

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
        self._opened.clear()  # what is destroyed is not kept in memory either
        for row in keys if kind != KIND else ():  # the key of hints is for all hints
            tx.execute(
                "DELETE FROM data_keys WHERE id = :id "
                "AND NOT EXISTS (SELECT 1 FROM sealed WHERE data_key = :id)",
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
            self._hints = Hints(self.room_id, row["id"], self.terms.unwrap(tx, row))
        return self._hints

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
        for row in rows:
            name = row["field"]
            try:
                bound = binding.bound(self.room_id, name)
                found[name] = Secret(open_value(self._data_key(tx, row), row["blob"], bound))
            except Unreadable:
                raise _unreadable(binding, name, "does not open") from None
        return found

    def _data_key(self, tx: Tx, row: Row) -> AESGCM:
        """The data key in a row with ``id``, ``vault_key`` and ``wrapped``; raises Unreadable."""
        known = (row["id"], row["vault_key"], row["wrapped"])
        opened = self._opened.get(known)
        if opened is None:
            opened = AESGCM(self.terms.unwrap(tx, row))
            if len(self._opened) >= _KEPT_KEYS:
                self._opened.clear()
            self._opened[known] = opened
        return opened


AUDIT_KEY: Final = Binding(kind="audit-key", record="audit")


def _unreadable(binding: Binding, field: str, what: str) -> Unreadable:
    return Unreadable(
        f"{binding.kind} {binding.name or binding.record}: the sealed field {field} {what}; it was "
        "damaged, moved or rolled back, or its destinations or the fields beside it were edited.",
        hint="Enter the value again, or restore the record from a backup. Other records are fine.",
        kind=binding.kind,
        record=binding.record,
        field=field,
    )
