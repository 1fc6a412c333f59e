"""Files that appear whole or not at all and replace no other: temporary names, one sync a batch."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import stat
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Final, NamedTuple, Self

from postroom.clock import monotonic
from postroom.errors import PostroomError, Refused
from postroom.protocols.base import Content

__all__ = ["Batch", "Message", "cannot_write", "make_directory"]

_SYNCERS: Final = 4
"""Syncs that may run at the same time: the file system groups them into fewer journal commits."""
_INSTANT: Final = 0.0001
"""Seconds below which a sync did not wait for a disk (tmpfs): then threads only cost."""
_AT_ONCE: Final = 1 << 18
"""Bytes written at once; a larger content is read in pieces of so many."""
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS})
"""What a file system without hard links (FAT) answers to one."""
_TO_MAKE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_TO_COMPARE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


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
    in_the_way = _no_directory(path) if error.errno in (errno.EEXIST, errno.ENOTDIR) else None
    if in_the_way is not None:
        return Refused(
            f"{in_the_way} is a file, not a directory.",
            hint="Give the source another path: postroom source set NAME --set sink.path=PATH; or "
            "move the file away.",
        )
    reason = error.strerror or type(error).__name__
    return Refused(
        f"Messages cannot be written to {path}: {reason}.",
        temporary=True,
        hint="Check the path, its owner and its permissions.",
    )


def _no_directory(path: Path) -> Path | None:
    """What stands where a directory would: the path itself, or something above it."""
    there = next((one for one in (path, *path.parents) if os.path.lexists(one)), path)
    return None if there.is_dir() or not there.exists() else there


class _File(NamedTuple):
    """A file under its temporary name, and the name that it is to have."""

    place: int
    temporary: str
    final: int
    name: str


@dataclasses.dataclass(slots=True, eq=False)
class Message:
    """The files of one message: its own, whose path is ``where``, and those beside it.

    ``collided`` after the commit: other bytes have one of its names, and nothing was published.
    """

    where: str
    own: _File
    beside: list[_File] = dataclasses.field(default_factory=list)
    collided: bool = False

    @property
    def files(self) -> list[_File]:
        """All of them."""
        return [self.own, *self.beside]


class Batch:
    """A batch of new files below ``root``: ``with Batch(root) as batch: ...; batch.commit()``.

    Nothing has its final name before every byte of the batch is synced, and no other message's
    bytes are replaced: a message's own name is taken by a link, which only one writer can make,
    and the names beside it go with it.

    ``root`` may be a link; below it no link is followed, neither as a directory nor as a file:
    everything is opened relative to the directory above it, level by level.
    """

    def __init__(self, root: Path, *, staging: str = "") -> None:
        """Temporary files lie in the folder ``staging``, else beside their final names."""
        self._root = root
        self._above = str(root)
        self._staging = staging
        self._directories: dict[str, int] = {}
        self._changed: set[int] = set()
        self._files: list[int] = []
        self._messages: deque[Message] = deque()
        self._named: list[_File] = []
        self._made: list[tuple[int, str]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: object) -> None:
        """Remove what has no final name yet, directories made for it too, and close everything."""
        while self._files:
            os.close(self._files.pop())
        for file in (file for message in self._messages for file in message.files):
            with contextlib.suppress(OSError):
                os.unlink(file.temporary, dir_fd=file.place)
        for parent, name in reversed(self._made if self._messages else ()):
            with contextlib.suppress(OSError):
                os.rmdir(name, dir_fd=parent)
        self._messages.clear()
        for directory in self._directories.values():
            os.close(directory)
        self._directories.clear()

    def folder(self, name: str) -> None:
        """Open a folder that many messages go to; raises as :func:`cannot_write` if that fails."""
        try:
            self._directory(name)
        except OSError as error:
            raise cannot_write(self._root / name, error) from error

    def names(self, folder: str) -> list[str]:
        """The names of what lies in a folder."""
        with os.scandir(self._directory(folder)) as found:
            return [entry.name for entry in found]

    def has(self, folder: str, name: str, content: Content) -> bool:
        """Whether these bytes lie there under that name; then :meth:`commit` makes that durable."""
        place = self._directory(folder)
        try:
            found = os.open(name, _TO_COMPARE, dir_fd=place)
        except OSError:  # gone, or a link: what is not known to be there is written once more
            return False
        with os.fdopen(found, "rb") as there, content.open() as ours:
            state = os.fstat(found)
            if not stat.S_ISREG(state.st_mode) or not _alike(ours, there):
                return False
            os.fsync(found)
        self._changed.add(place)
        return True

    def add(self, folder: str, name: str, content: bytes | Content, *, mark: str = "") -> Message:
        """Write a message under a temporary name; :meth:`commit` gives it the path told here.

        ``mark`` makes the temporary name one that no other message's writer uses.
        """
        own = self._file(folder, name, mark)
        where = f"{self._above}/{folder}/{name}" if folder else f"{self._above}/{name}"
        message = Message(where, own)
        self._messages.append(message)
        self._fill(content)
        return message

    def beside(
        self, message: Message, folder: str, name: str, content: bytes | Content, *, mark: str = ""
    ) -> None:
        """Write one more file of a message, which gets its name after the message has its own."""
        message.beside.append(self._file(folder, name, mark))
        self._fill(content)

    def _file(self, folder: str, name: str, mark: str) -> _File:
        """Open the next file, which is the last of those that are open."""
        final = self._directory(folder)
        if self._staging:
            place, temporary = self._directory(self._staging), name
        else:
            place, temporary = final, f".{name}{mark}.part"
        self._files.append(_new(temporary, place))
        return _File(place, temporary, final, name)

    def _fill(self, content: bytes | Content) -> None:
        file = self._files[-1]
        if isinstance(content, bytes):
            _write(file, content)
        elif content.size <= _AT_ONCE:
            _write(file, content.bytes())
        else:
            with content.open() as source:
                while piece := source.read(_AT_ONCE):
                    _write(file, piece)

    def commit(self) -> None:
        """Sync every file, give each its name, sync the directories.

        A message that is there with the same bytes already stays as it is.  One whose name other
        bytes have is ``collided``, and not there.  Raises OSError; what could not be made durable is
        then not there either.
        """
        _sync(self._files)
        while self._files:
            os.close(self._files.pop())
        collided: deque[Message] = deque()
        while self._messages:
            if not self._published(self._messages[0]):
                collided.append(self._messages[0])
            self._messages.popleft()
        self._messages = collided
        try:
            for directory in self._changed:
                os.fsync(directory)
        except OSError:
            # the next sync of a directory that failed once may be called a success, for names that the
            # kernel has dropped: so they are taken away, and made anew when the batch is tried again
            for file in self._named:
                with contextlib.suppress(OSError):
                    os.unlink(file.name, dir_fd=file.final)
            raise

    def _published(self, message: Message) -> bool:
        own, beside = message.own, message.beside
        free = not beside or all(_there(file) is not False for file in beside)
        if free and _moved(own):
            self._named.append(own)
        else:
            if not _there(own):
                message.collided = True
                return False
            os.unlink(own.temporary, dir_fd=own.place)
        self._changed.add(own.final)
        for file in beside:
            os.rename(file.temporary, file.name, src_dir_fd=file.place, dst_dir_fd=file.final)
            self._changed.add(file.final)
            self._named.append(file)
        return True

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
            self._made.append((parent, name))
        return os.open(name, flags | os.O_NOFOLLOW, dir_fd=parent)


def _new(name: str, place: int) -> int:
    """A new file of that name, which is ours alone; open for writing."""
    try:
        return os.open(name, _TO_MAKE, 0o600, dir_fd=place)
    except FileExistsError:
        # a left-over of a killed run, even a link, is replaced, not followed
        os.unlink(name, dir_fd=place)
        return os.open(name, _TO_MAKE, 0o600, dir_fd=place)


def _moved(file: _File) -> bool:
    """Give the file its name, unless something has that name."""
    try:
        os.link(file.temporary, file.name, src_dir_fd=file.place, dst_dir_fd=file.final)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if _there(file) is not None:
            return False
        # without links, two writers at the same instant are not told apart
        os.rename(file.temporary, file.name, src_dir_fd=file.place, dst_dir_fd=file.final)
        return True
    os.unlink(file.temporary, dir_fd=file.place)
    return True


def _there(file: _File) -> bool | None:
    """Whether what has the file's name has its bytes too, which are durable then; None: nothing.

    A directory there is an error: no message has made it.
    """
    try:
        state = os.stat(file.name, dir_fd=file.final, follow_symlinks=False)
        if stat.S_ISDIR(state.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), file.name)
        size = os.stat(file.temporary, dir_fd=file.place).st_size
        if not stat.S_ISREG(state.st_mode) or state.st_size != size:
            return False
        found = os.open(file.name, _TO_COMPARE, dir_fd=file.final)
    except FileNotFoundError:
        return None
    except PermissionError:
        return False
    with os.fdopen(found, "rb") as there:
        with os.fdopen(os.open(file.temporary, _TO_COMPARE, dir_fd=file.place), "rb") as ours:
            if not _alike(ours, there):
                return False
        os.fsync(found)
    return True


def _alike(ours: IO[bytes], there: IO[bytes]) -> bool:
    """Whether two files have the same bytes."""
    while piece := ours.read(_AT_ONCE):
        if there.read(len(piece)) != piece:
            return False
    return not there.read(1)


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
