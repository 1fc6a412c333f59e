"""Files that appear whole or not at all: private temporary names, one sync for a batch, renames."""

from __future__ import annotations

import contextlib
import errno
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Self

from postroom.clock import monotonic
from postroom.errors import PostroomError, Refused
from postroom.protocols.base import Content
from postroom.sinks.base import Delivery, Item

__all__ = ["Batch", "cannot_write", "make_directory", "take_in_portions"]

_MOST_FILES: Final = 256
"""Files and directories open at the same time: a process often may have 1,024, sockets included."""
_SYNCERS: Final = 4
"""Syncs that may run at the same time: the file system groups them into fewer journal commits."""
_INSTANT: Final = 0.0001
"""Seconds below which a sync did not wait for a disk (tmpfs): then threads only cost."""
_AT_ONCE: Final = 1 << 18
"""Bytes written at once; a larger content is read in pieces of so many."""


def make_directory(path: Path) -> None:
    """Make the directory of a sink and those above it; raises Refused with a sentence."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
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


Take = Callable[[Sequence[Item]], list[Delivery]]


def take_in_portions(
    take: Take, items: Sequence[Item], root: Path, *, files: Callable[[Item], int]
) -> list[Delivery]:
    """Take a batch, so much of it at a time as may be open; ``files`` says how many an item needs.

    When one message's file cannot be written, its portion is taken singly and that one is failed.
    Raises as :func:`cannot_write` when the place as a whole is the trouble.
    """
    return [one for portion in _portions(items, files) for one in _one_by_one(take, portion, root)]


def _portions(items: Sequence[Item], files: Callable[[Item], int]) -> Iterator[list[Item]]:
    portion: list[Item] = []
    total = 0
    for item in items:
        total += files(item)
        if portion and total > _MOST_FILES:
            yield portion
            portion, total = [], files(item)
        portion.append(item)
    if portion:
        yield portion


def _one_by_one(take: Take, items: Sequence[Item], root: Path) -> list[Delivery]:
    try:
        return take(items)
    except OSError as error:
        if error.errno not in _ONE_MESSAGE:
            raise cannot_write(root, error) from error
        if len(items) == 1:
            return [Delivery(items[0].ledger, error=f"cannot be written: {error.strerror}")]
    return [one for item in items for one in _one_by_one(take, [item], root)]


class Batch:
    """A batch of new files below ``root``: ``with Batch(root) as batch: ...; batch.commit()``.

    Nothing has its final name before every byte of the batch is synced.  ``root`` may be a link;
    below it no link is followed, neither as a directory nor as a file: everything is opened
    relative to the directory above it, level by level.
    """

    def __init__(self, root: Path, *, staging: str = "") -> None:
        """Temporary files lie in the folder ``staging``, else beside their final names."""
        self._root = root
        self._above = str(root)
        self._staging = staging
        self._directories: dict[str, int] = {}
        self._changed: set[int] = set()
        self._files: list[int] = []
        self._names: deque[tuple[int, str, int, str]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: object) -> None:
        """Remove what has no final name yet, close everything."""
        while self._files:
            os.close(self._files.pop())
        for place, temporary, _, _ in self._names:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=place)
        self._names.clear()
        for directory in self._directories.values():
            os.close(directory)
        self._directories.clear()

    def folder(self, name: str) -> None:
        """Open a folder that many messages go to; raises as :func:`cannot_write` if that fails."""
        try:
            self._directory(name)
        except OSError as error:
            raise cannot_write(self._root / name, error) from error

    def add(self, folder: str, name: str, content: bytes | Content) -> str:
        """Write one file under a temporary name; :meth:`commit` gives it the path returned here."""
        final = self._directory(folder)
        place = self._directory(self._staging) if self._staging else final
        temporary = name if self._staging else f".{name}.part"
        file = _new(temporary, place)
        self._files.append(file)
        self._names.append((place, temporary, final, name))
        if isinstance(content, bytes):
            _write(file, content)
        elif content.size <= _AT_ONCE:
            _write(file, content.bytes())
        else:
            with content.open() as source:
                while piece := source.read(_AT_ONCE):
                    _write(file, piece)
        return f"{self._above}/{folder}/{name}" if folder else f"{self._above}/{name}"

    def commit(self) -> None:
        """Sync every file, give each its name, sync the directories."""
        _sync(self._files)
        while self._files:
            os.close(self._files.pop())
        while self._names:
            place, temporary, final, name = self._names[0]
            os.rename(temporary, name, src_dir_fd=place, dst_dir_fd=final)
            self._changed.add(final)
            self._names.popleft()
        for directory in self._changed:
            os.fsync(directory)

    def _directory(self, folder: str) -> int:
        """The open directory of a folder (``a/b``; empty: the root), made when missing."""
        known = self._directories.get(folder)
        if known is None:
            known = self._directories[folder] = self._open(folder)
        return known

    def _open(self, folder: str) -> int:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        if not folder:
            return os.open(self._root, flags)
        above, _, name = folder.rpartition("/")
        parent = self._directory(above)
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=parent)
            self._changed.add(parent)
        return os.open(name, flags | os.O_NOFOLLOW, dir_fd=parent)


def _new(name: str, place: int) -> int:
    """A new file of that name, which is ours alone; open for writing."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(name, flags, 0o600, dir_fd=place)
    except FileExistsError:
        # a left-over of a killed run, even a link, is replaced, not followed
        os.unlink(name, dir_fd=place)
        return os.open(name, flags, 0o600, dir_fd=place)


def _write(file: int, data: bytes) -> None:
    written = os.write(file, data)
    if written == len(data):
        return
    view = memoryview(data)[written:]
    while view:
        view = view[os.write(file, view) :]


def _sync(files: Sequence[int]) -> None:
    """Make the files durable: several at the same time where a sync has to wait for a disk."""
    left = iter(files)
    for file in left:
        began = monotonic()
        os.fdatasync(file)
        if monotonic() - began > _INSTANT:
            break
    waiting = list(left)
    if waiting:
        with ThreadPoolExecutor(_SYNCERS) as pool:
            list(pool.map(_sync_all, [waiting[start::_SYNCERS] for start in range(_SYNCERS)]))


def _sync_all(files: Sequence[int]) -> None:
    for file in files:
        os.fdatasync(file)
