"""What a sealed value belongs to, and the key that seals it once (NIST SP 800-38D)."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from postroom.errors import RoomError
from postroom.net.destination import digest
from postroom.vault.seal import (
    LABEL,
    NONCE_BYTES,
    SUITE,
    associated_data,
    open_value,
    seal_value,
)

__all__ = ["Binding", "DataKey"]

_SUITE: Final = str(SUITE).encode()


@dataclasses.dataclass(frozen=True, slots=True)
class Binding:
    """What a sealed value belongs to.  Change one of these by a letter and it does not open.

    ``destinations`` are canonical lines (net/destination); their order does not matter.  ``beside``
    is a digest of what is stored beside the value in the clear; empty where nothing is.
    """

    kind: str
    record: str
    name: str = ""
    type: str = ""
    version: int = 1
    destinations: tuple[str, ...] = ()
    beside: bytes = b""

    def bound(self, room_id: str, field: str) -> bytes:
        """The associated data of one field: every word and the digest of the destinations."""
        return _bound(self, room_id, field)

    def early(self) -> Binding:
        """The same without what lies beside it, as values were bound at first."""
        return dataclasses.replace(self, beside=b"")


@functools.lru_cache(4096)  # nothing secret, and the same few records are opened again and again
def _bound(to: Binding, room_id: str, field: str) -> bytes:
    words = (room_id, to.kind, to.record, to.name, to.type, str(to.version), field)
    parts = [LABEL, _SUITE, *(word.encode() for word in words), digest(to.destinations)]
    return associated_data([*parts, to.beside] if to.beside else parts)


class DataKey:
    """A new data key: seals each thing once, then is only ever opened with.

    GCM breaks when one key meets one nonce twice (SP 800-38D section 8).  Random nonces make that
    improbable; this guard makes a broken random source, or a second seal of a field, an error.
    ``once=False`` is for the one key that seals the hints of all records: a save that was rolled
    back is tried again under it.
    """

    __slots__ = ("_aead", "_nonces", "_once", "_random", "_sealed", "id")

    def __init__(
        self,
        key_id: str,
        key: bytes,
        *,
        once: bool = True,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.id = key_id
        self._aead = AESGCM(key)
        self._random = random
        self._once = once
        self._sealed: set[bytes] = set()
        self._nonces: set[bytes] = set()

    def seal(self, bound: bytes, plaintext: bytes) -> bytes:
        """Seal one value under its associated data; raises RoomError on a second for the same."""
        if bound in self._sealed:
            raise RoomError("A data key was asked to seal one field twice; nothing was sealed.")
        blob = seal_value(self._aead, self.id, plaintext, bound, random=self._nonce)
        if self._once:
            self._sealed.add(bound)
        return blob

    def open(self, bound: bytes, blob: bytes) -> bytes:
        """Open what was sealed with this key; raises Unreadable."""
        return open_value(self._aead, blob, bound)

    def _nonce(self, size: int) -> bytes:
        nonce = self._random(size)
        if len(nonce) != NONCE_BYTES or nonce in self._nonces:
            raise RoomError(
                "The random source of this machine gave the same number twice; nothing was sealed.",
                hint="Do not use this machine for secrets until that is understood.",
            )
        self._nonces.add(nonce)
        return nonce
