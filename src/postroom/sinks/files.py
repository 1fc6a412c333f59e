"""Files that appear whole or not at all: private temporary names, one sync for a batch, renames."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from postroom.errors import PostroomError, Refused
from postroom.protocols.base import Content
from postroom.sinks.base import Delivery, Item

__all__ = ["Batch", "cannot_write", "make_directory", "one_by_one"]

_SYNCERS = 4
"""Syncs that may run at the same time: the file system groups them into fewer journal commits."""


def make_directory(path: Path) -> None:
    """Make the directory of a sink and those above it; raises Refused with a sentence."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error


def cannot_write(path: Path, error: OSError) -> PostroomError:
    """What an operating system error means to a person who waits for files in ``path``."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Refused(
            f"The disk is full: {path} takes no more messages.",
            code="room_full",
            temporary=True,
            hint="Free some space; nothing was lost, they wait.",
        )
    reason = error.strerror or type(error).__name__
    return Refused(
        f"Messages cannot be written to {path}: {reason}.",
        temporary=True,
        hint="Check the path, its owner and its permissions.",
    )


_ONE_MESSAGE = frozenset(
    {
        errno.EISDIR,
        errno.ENOTDIR,
        errno.ENOTEMPTY,
        errno.ENAMETOOLONG,
        errno.EINVAL,
        errno.EILSEQ,
        errno.ELOOP,
    }
)
"""Errors that concern one file and its name, not the place as a whole."""


def one_by_one(
    take: Callable[[Sequence[Item]], list[Delivery]], items: Sequence[Item], root: Path
) -> list[Delivery]:
    """Take a batch; when one message's file cannot be written, take them singly and say which.

    Raises as :func:`cannot_write` when the place as a whole is the trouble.
    """
    try:
        return take(items)
    except OSError as error:
        if error.errno not in _ONE_MESSAGE:
            raise cannot_write(root, error) from error
        if len(items) == 1:
            return [Delivery(items[0].ledger, error=f"cannot be written: {error.strerror}")]
    return [one for item in items for one in one_by_one(take, [item], root)]


class Batch:
    """A batch of new files.  Nothing has its final name before every byte of the batch is synced."""

    def __init__(self, *, staging: Path | None = None) -> None:
        self._files: list[tuple[int, Path, Path]] = []
        self._staging = staging

    def add(self, directory: Path, name: str, content: bytes | Content) -> Path:
        """Write one file under a temporary name; :meth:`commit` gives it the path returned here."""
        final = directory / name
        temporary = self._staging / name if self._staging else directory / f".{name}.part"
        # the name is ours alone; a left-over of a killed run, even a link, is replaced, not followed
        temporary.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(temporary, flags, 0o600)
        self._files.append((file, temporary, final))
        if isinstance(content, bytes):
            _write(file, content)
            return final
        with content.open() as source:
            while piece := source.read(1 << 18):
                _write(file, piece)
        return final

    def commit(self) -> None:
        """Sync every file, give each its name, sync the directories."""
        files = [file for file, _, _ in self._files]
        if len(files) > 1:
            with ThreadPoolExecutor(_SYNCERS) as pool:
                list(pool.map(os.fdatasync, files))
        else:
            for file in files:
                os.fdatasync(file)
        for file, temporary, final in self._files:
            os.close(file)
            os.rename(temporary, final)
        directories = {final.parent for _, _, final in self._files}
        self._files.clear()
        _sync_directories(directories)

    def abandon(self) -> None:
        """Remove what has no final name yet."""
        for file, temporary, _ in self._files:
            os.close(file)
            temporary.unlink(missing_ok=True)
        self._files.clear()


def _write(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _sync_directories(directories: Iterable[Path]) -> None:
    for directory in directories:
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
