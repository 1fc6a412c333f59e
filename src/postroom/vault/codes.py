"""The codes (HMAC-SHA-256, RFC 2104) under keys that lie sealed in the room: audit rows, manifests."""

from __future__ import annotations

import hmac
from collections.abc import Callable

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from postroom.db import Tx
from postroom.vault.keyring import AUDIT_KEY, Keyring
from postroom.vault.seal import KEY_BYTES

__all__ = ["Code", "audit_code", "manifest_code"]

Code = Callable[[bytes], bytes]


def audit_code(keyring: Keyring, tx: Tx) -> Code:
    """What makes the codes of audit rows; the same in every process.  Raises Unreadable."""
    begun = hmac.new(keyring.open(tx, AUDIT_KEY, "key").reveal_bytes(), digestmod="sha256")

    def code(data: bytes) -> bytes:
        mac = begun.copy()  # half the time of beginning anew, and there is one for each opening
        mac.update(data)
        return mac.digest()

    return code


def manifest_code(keyring: Keyring, tx: Tx) -> Code:
    """What makes the codes of the manifests of backups: a key of this purpose alone.

    Derived from the audit key (HKDF-Expand, RFC 5869), which is uniformly random and sealed in the
    room itself: so the copy in a backup proves its own manifest to whoever has the KEK.
    """
    key = HKDFExpand(SHA256(), KEY_BYTES, info=b"postroom backup manifest 1").derive(
        keyring.open(tx, AUDIT_KEY, "key").reveal_bytes()
    )
    return lambda data: hmac.digest(key, data, "sha256")
