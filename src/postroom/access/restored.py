"""The people of a room that comes out of a backup: nothing lets anybody in that was given before it.

Since the backup a token may have been revoked because somebody had stolen it, and a user disabled: this room
does not know.  Passwords stay, and with them whoever makes new tokens.
"""

from __future__ import annotations

from postroom.clock import timestamp
from postroom.db import Tx

__all__ = ["let_nobody_in"]


def let_nobody_in(tx: Tx) -> tuple[int, int]:
    """End every session and invitation, and revoke every token; gives how many tokens those were, and
    how many users there are whom nothing keeps out."""
    tx.execute("DELETE FROM sessions")
    tx.execute("DELETE FROM invitations")
    now = timestamp()
    tokens = tx.execute(
        "UPDATE api_tokens SET revoked_at = :now WHERE revoked_at IS NULL AND expires_at > :now",
        now=now,
    )
    return tokens, tx.value("SELECT count(*) FROM users WHERE disabled = 0")
