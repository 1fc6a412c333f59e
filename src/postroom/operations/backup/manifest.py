"""The manifest of a backup: what the database beside it must be, which room and key it is of; pure.

The text is JSON.  Its check is two lines: the SHA-256 of that text, which anybody can compare, and an
HMAC-SHA-256 (RFC 2104) of it under a key that only the room's vault gives.  The manifest in turn
states size and SHA-256 of the database, so the one code proves every byte.

The key is of this purpose alone: HKDF-Expand (RFC 5869, 2.3; one block) of the audit key, which is
uniformly random and sealed in the room itself.  So a backup proves its own manifest to whoever has
the KEK.  What the audit record puts into that HMAC begins with a length, never with this label.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import json
from typing import Any, Final, Literal

from postroom.audit import Mac
from postroom.errors import Refused

__all__ = ["DATABASE_NAME", "Manifest", "Proof", "check_lines", "damaged", "proven"]

FORMAT: Final = 1
DATABASE_NAME: Final = "room.db"
_PURPOSE: Final = b"postroom backup manifest 1"

Proof = Literal["key", "hash"]
"""``key``: nobody without the room's key made or changed it.  ``hash``: it is whole, whoever made it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says of itself.

    ``created_at`` is RFC 3339; ``host`` and ``path`` are where the room was; ``keks`` the ids of the
    keys that open it; ``tables`` the rows of each; ``heads`` the last number and code of each stream
    of the audit record.
    """

    room: str
    epoch: int
    schema: int
    release: str
    created_at: str
    host: str
    path: str
    keks: list[str]
    vault_keys: list[str]
    size: int
    sha256: str
    tables: dict[str, int]
    heads: dict[str, tuple[int, str]]

    def to_bytes(self) -> bytes:
        """The text that is stored and that the check is over."""
        fields = dataclasses.asdict(self)
        database = {
            "name": DATABASE_NAME,
            "size": fields.pop("size"),
            "sha256": fields.pop("sha256"),
        }
        told = {"postroom_backup": FORMAT, "database": database, **fields}
        return json.dumps(told, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"

    @classmethod
    def parse(cls, text: bytes) -> Manifest:
        """Read one.  Raises Refused (``backup_damaged``) for anything else."""
        try:
            told = json.loads(text)
            number = told.pop("postroom_backup")
            if number != FORMAT:
                raise Refused(
                    f"This backup has the format {number!r}; this release reads {FORMAT}.",
                    hint="Use the release that made it, or a later one.",
                )
            database = told.pop("database")
            if database.pop("name") != DATABASE_NAME:
                raise ValueError
            told["heads"] = {
                name: (int(seq), str(mac)) for name, (seq, mac) in told["heads"].items()
            }
            found = cls(**told, **database)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise damaged("its manifest cannot be read") from None
        if not all(isinstance(getattr(found, name), kind) for name, kind in _KINDS.items()):
            raise damaged("its manifest cannot be read")
        return found


_KINDS: Final[dict[str, type]] = {
    "room": str, "epoch": int, "schema": int, "release": str, "created_at": str, "host": str,
    "path": str, "keks": list, "vault_keys": list, "size": int, "sha256": str, "tables": dict,
    "heads": dict,
}  # fmt: skip


def check_lines(text: bytes, mac: Mac) -> bytes:
    """The check of a manifest, as it is stored beside it; ``mac`` is that of the audit record."""
    code = hmac.digest(mac(_PURPOSE + b"\x01"), text, "sha256")
    return f"sha256 {_sha256(text)}\nhmac-sha256 {code.hex()}\n".encode()


def proven(text: bytes, check: bytes, mac: Mac | None) -> Proof:
    """How a manifest stands to its check, by the key if there is one.

    Raises Refused (``backup_damaged``) where they do not agree.
    """
    if mac is not None:
        if not hmac.compare_digest(check_lines(text, mac), check):
            raise damaged("its manifest is not what the holder of the room's key wrote")
        return "key"
    if not check.startswith(f"sha256 {_sha256(text)}\nhmac-sha256 ".encode()):
        raise damaged("its manifest does not have the SHA-256 that stands beside it")
    return "hash"


def damaged(why: str, **facts: Any) -> Refused:
    """Why a file is not, or is no longer, a backup to rely on."""
    return Refused(
        f"This is no whole and untouched backup: {why}.",
        code="backup_damaged",
        hint="Take another copy of it, or an older backup.",
        **facts,
    )


def _sha256(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()
