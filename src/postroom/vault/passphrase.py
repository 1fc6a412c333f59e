"""A key from a passphrase: Argon2id (RFC 9106) with a floor that a database row cannot lower."""

from __future__ import annotations

import base64
import binascii
import json
import os
import unicodedata
from typing import NamedTuple

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from postroom.errors import Locked
from postroom.secret import Secret

__all__ = ["SHORTEST", "Argon2"]

LEAST_MEMORY = 64 * 1024  # KiB
MOST_MEMORY = 4 * 1024 * 1024
SHORTEST = 12
"""Characters a passphrase needs at least."""


class Argon2(NamedTuple):
    """The parameters a room keeps beside its keyring: they are not secret, but they can be edited.

    64 MiB, 3 passes and 4 lanes is the second recommended option of RFC 9106 section 4.  Who edits
    the row to make guessing cheap meets a floor; who edits it to exhaust the machine, a ceiling.
    """

    salt: bytes
    memory: int = LEAST_MEMORY
    passes: int = 3
    lanes: int = 4

    @classmethod
    def new(cls) -> Argon2:
        """Parameters for a new room: a random salt of 16 bytes (RFC 9106 section 3.1)."""
        return cls(os.urandom(16))

    @classmethod
    def from_text(cls, text: str) -> Argon2:
        """What :meth:`to_text` wrote.  Raises Locked (``key_unsafe``) below the floor or above."""
        try:
            row = json.loads(text)
            found = cls(
                base64.b64decode(row["salt"], validate=True),
                int(row["m"]),
                int(row["t"]),
                int(row["p"]),
            )
        except (ValueError, KeyError, TypeError, binascii.Error):
            raise _edited("cannot be read") from None
        if (
            found.memory < LEAST_MEMORY
            or found.passes < 3
            or found.lanes < 1
            or (len(found.salt) < 16)
        ):
            raise _edited(f"are too weak (m={found.memory} KiB, t={found.passes})")
        if found.memory > MOST_MEMORY or found.passes > 64 or found.lanes > 64:
            raise _edited(f"are beyond reason (m={found.memory} KiB, t={found.passes})")
        return found

    def to_text(self) -> str:
        """The parameters as the room's table holds them."""
        salt = base64.b64encode(self.salt).decode()
        return json.dumps({"salt": salt, "m": self.memory, "t": self.passes, "p": self.lanes})

    def derive(self, passphrase: Secret) -> Secret:
        """32 bytes of key; raises Locked (``key_unsafe``) for a short passphrase.

        The text is brought to NFC first, since keyboards differ (RFC 8265 section 4.2).
        """
        text = unicodedata.normalize("NFC", passphrase.reveal())
        if len(text) < SHORTEST:
            raise Locked(
                f"The passphrase is shorter than {SHORTEST} characters.",
                code="key_unsafe",
                hint="Take four or five random words.",
            )
        kdf = Argon2id(
            salt=self.salt,
            length=32,
            iterations=self.passes,
            lanes=self.lanes,
            memory_cost=self.memory,
        )
        return Secret(kdf.derive(text.encode()))


def _edited(why: str) -> Locked:
    return Locked(
        f"The passphrase parameters stored in this room {why}; nothing was derived with them.",
        code="key_unsafe",
        hint="Somebody edited the room: restore its database from a backup.",
    )
