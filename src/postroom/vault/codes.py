"""The code (HMAC-SHA-256, RFC 2104) of audit rows, under a key that lies sealed in the room."""

from __future__ import annotations

import hmac
from collections.abc import Callable

from postroom.db import Tx
from postroom.vault.keyring import AUDIT_KEY, Keyring

__all__ = ["Code", "audit_code"]

Code = Callable[[bytes], bytes]


def audit_code(keyring: Keyring, tx: Tx) -> Code:
    """What makes the codes of audit rows; the same in every process.  Raises Unreadable."""
    begun = hmac.new(keyring.open(tx, AUDIT_KEY, "key").reveal_bytes(), digestmod="sha256")

    def code(data: bytes) -> bytes:
        mac = begun.copy()  # half the time of beginning anew, and there is one for each opening
        mac.update(data)
        return mac.digest()

    return code
