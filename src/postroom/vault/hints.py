"""Hints: the last characters that lists show of secrets, sealed apart from them."""

from __future__ import annotations

import hmac
from typing import Final

from postroom.db import Tx
from postroom.secret import Secret
from postroom.vault.datakey import Binding, DataKey
from postroom.vault.seal import derive

__all__ = ["KIND", "SEALED_IN", "Hints"]

SEALED_IN: Final = (
    "INSERT INTO sealed (kind, record, version, field, data_key, blob) "
    "VALUES (:kind, :record, :version, :field, :data_key, :blob)"
)
KIND: Final = "hint"
FIELD: Final = "hints"


class Hints:
    """The hints of one room.  ``Keyring.hints`` gives it.

    All hints share one data key, so that a list of ten thousand unwraps one key and opens no
    secret.  That key seals often, which random nonces allow 2**32 times (SP 800-38D section 8.3).
    What a hint is bound to has no destinations: it may be shown wherever the record is.
    """

    def __init__(self, room_id: str, key_id: str, key: bytes) -> None:
        self._room_id = room_id
        self._key = DataKey(key_id, key, once=False)
        # a key of its own for fingerprints, by HKDF (RFC 5869): one key, one purpose
        self._fingerprints = derive(key, b"postroom fingerprint 1")

    def seal(self, tx: Tx, binding: Binding, text: str) -> None:
        """Seal what a list may show of one record version."""
        bound = binding.bound(self._room_id, FIELD)
        tx.execute(
            SEALED_IN,
            kind=binding.kind,
            record=binding.record,
            version=binding.version,
            field=FIELD,
            data_key=self._key.id,
            blob=self._key.seal(bound, text.encode()),
        )

    def open(self, binding: Binding, blob: bytes) -> str:
        """What was sealed.  Needs no transaction; raises Unreadable."""
        return self._key.open(binding.bound(self._room_id, FIELD), blob).decode()

    def fingerprint(self, secret: Secret) -> str:
        """Eight hexadecimal characters by which people tell two long secrets apart.

        HMAC under a key of this room: a plain hash would let whoever sees it test guesses.
        """
        return hmac.digest(self._fingerprints, secret.reveal_bytes(), "sha256").hex()[:8]
