"""Opening: a room on this machine, or one that is served; and what is done with backups."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from postroom import app
from postroom.app import open_room
from postroom.library.room import AsyncRoom
from postroom.operations.backup import Restored, Verified
from postroom.secret import Secret
from postroom.settings import served_at, settings_of

__all__ = ["aopen", "arestore_backup", "averify_backup"]


@contextlib.asynccontextmanager
async def aopen(
    room: str | Path | None = None,
    *,
    kek: str | None = None,
    token: str | Secret | None = None,
    trust: str | Path | None = None,
) -> AsyncIterator[AsyncRoom]:
    """Open a room: ``async with postroom.aopen() as room``.

    ``room`` is the data directory (default: ``POSTROOM_ROOM``, else the user's data directory),
    ``kek`` the source of its key.  Where ``room`` (or ``POSTROOM_URL``) is the address of a room that is
    served, ``token`` says who asks (default: ``POSTROOM_TOKEN``, ``POSTROOM_TOKEN_FILE``) and ``trust``
    is a file with the certificate (PEM) that is trusted instead of the system's (default:
    ``POSTROOM_TRUST``); it has the same methods, as far as they need no files of the room.  Raises
    RoomError when there is no room.  No key is ever made.
    """
    if (served := served_at(room=room, token=token, trust=trust)) is not None:
        from postroom.library.remote import aopen_served

        async with aopen_served(served) as remote:
            yield remote
        return
    opened = await open_room(settings_of(room=room, kek=kek))
    try:
        yield AsyncRoom(opened)
    finally:
        await opened.close()


async def arestore_backup(
    file: str | Path, *, room: str | Path | None = None, kek: str | None = None
) -> Restored:
    """Make the room of a backup at ``room``, where nothing is yet; it sends nothing before
    ``outbox.release_held``.  Raises Refused, Locked and RoomError; then nothing is left there.
    """
    return await app.restore_backup(file, settings_of(room=room, kek=kek))


async def averify_backup(file: str | Path, *, kek: str | None = None) -> Verified:
    """Check a backup; with the key of its room it is proven who made it.

    Raises Refused (``backup_damaged``), and Locked where ``kek`` is named and does not fit.
    """
    return await app.verify_backup(file, settings_of(kek=kek))
