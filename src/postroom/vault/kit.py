"""The recovery kit: the key of a room in a file of its own, with the words to use it by."""

from __future__ import annotations

import base64
from pathlib import Path

from postroom.clock import now
from postroom.errors import InvalidValue, Locked, RoomError
from postroom.vault.kek import Kek, load_kek
from postroom.vault.keyfile import lies_inside, write_private

__all__ = ["kit_place", "remove_kit", "write_kit"]

_TEXT = """\
# Recovery kit of the Postroom room {room}
# Written on {day}. The key in it has the id {kek}.
#
# Whoever has this file and the room's database has every secret of the room. Without the key
# they are lost. Keep it where the room and its backups are not, and where it will be found.
#
# To recover, with the room restored from a backup to ROOM (postroom backup restore, which takes
# this file as its key: --kek file:FILE):
#   1. copy this file to the machine, owned by the user who runs Postroom:  chmod 600 FILE
#   2. see that it is the right one:   postroom keys doctor --room ROOM --kek file:FILE
#   3. make a new key of your own:     postroom keys kek add file:NEW --make \\
#                                          --room ROOM --kek file:FILE
#   4. work with that from now on:     export POSTROOM_ROOM=ROOM POSTROOM_KEK=file:NEW
#   5. retire the key of this kit:     postroom keys kek retire {kek}
#      and write the next kit:         postroom keys kit --to FILE
{key}
"""


def kit_place(path: Path, *, data_dir: Path) -> Path:
    """Where a kit may be written, as a whole path.

    Raises InvalidValue when there is a file of that name or the place is in the data directory.
    """
    path = path.expanduser().absolute()
    if lies_inside(path, data_dir):
        raise InvalidValue(
            "to", f"{path} is in the room's directory: whoever copies the room would have the key"
        )
    if path.exists() or path.is_symlink():
        raise _taken(path)
    return path


def _taken(path: Path) -> InvalidValue:
    return InvalidValue("to", f"{path} is there already; nothing was written")


def write_kit(path: Path, *, room_id: str, kek: Kek, data_dir: Path) -> Path:
    """Write the kit of ``kek`` to ``path``, mode 0600, whole or not at all, and read it back.

    Gives the whole path.  Raises as :func:`kit_place`; RoomError when it cannot be written.
    """
    path = kit_place(path, data_dir=data_dir)
    key = base64.b64encode(kek.key.reveal_bytes()).decode()
    text = _TEXT.format(room=room_id, day=now().date(), kek=kek.id, key=key)
    try:
        write_private(path, text)
    except FileExistsError:
        raise _taken(path) from None
    except OSError as error:
        raise RoomError(
            f"The recovery kit {path} cannot be written ({error.strerror}).",
            hint="Choose another place.",
        ) from error
    try:
        good = load_kek(f"file:{path}", data_dir=data_dir).id == kek.id
    except Locked:
        good = False
    if not good:  # such as a file system without modes: a kit that does not open is none
        path.unlink(missing_ok=True)
        raise RoomError(
            f"What was written to {path} does not read back as a key that only you can read.",
            hint="Choose a place whose file system keeps modes and owners.",
        )
    return path


def remove_kit(path: Path) -> None:
    """Take back a kit that was written a moment ago."""
    path.unlink(missing_ok=True)
