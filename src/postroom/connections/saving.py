"""Files written for a person: never over another, never through a link, never half of one."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from postroom.errors import InvalidValue, RoomError
from postroom.mail import Message, safe_name

__all__ = ["write_attachments", "write_new"]

_MOST_NUMBERS: Final = 10_000


def write_new(directory: Path, name: str, pieces: Iterable[bytes]) -> Path:
    """Write a file of that name; where one is there already, ``name-2`` and so on.

    ``name`` is one safe path component.  The file is readable by its owner alone, and removed again
    when writing fails.  Raises InvalidValue or RoomError(``room_full``) with a sentence.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        number, path = _create(directory, name)
        try:
            with os.fdopen(number, "wb") as file:
                for piece in pieces:
                    file.write(piece)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _translated(error, directory) from error
    return path


def write_attachments(directory: Path, message: Message) -> list[Path]:
    """Write the attachments of a message under safe names.  Raises as :func:`write_new`."""
    return [
        write_new(directory, safe_name(part.name), [part.data()]) for part in message.attachments
    ]


def _create(directory: Path, name: str) -> tuple[int, Path]:
    stem, dot, extension = name.rpartition(".")
    stem, ending = (stem, dot + extension) if stem else (name, "")
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW
    for count in range(1, _MOST_NUMBERS):
        path = directory / (name if count == 1 else f"{stem}-{count}{ending}")
        try:
            return os.open(path, flags, 0o600), path
        except FileExistsError:
            continue
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(directory / name))


def _translated(error: OSError, directory: Path) -> InvalidValue | RoomError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return RoomError(
            f"The disk of {directory} is full; the file begun last was removed again.",
            code="room_full",
            temporary=True,
            hint="Free some space and try again; nothing on the server was changed.",
        )
    return InvalidValue("to", f"nothing can be written to {directory}: {error.strerror}")
