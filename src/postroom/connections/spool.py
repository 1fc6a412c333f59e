"""Spool files: where the bytes of one large message go while they arrive (base.Spool)."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import BinaryIO

from postroom.clock import timestamp

__all__ = ["SpoolFile", "SpooledContent", "Spools"]


class Spools:
    """A private directory of spool files; calling it opens one (base.OpenSpool).

    The directory is made with mode 0700.  Files have random names, mode 0600, and are never opened
    through a link; each is removed when its content is discarded, or at the latest with ``clear``.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __call__(self, size: int) -> SpoolFile:
        """A new spool for a message of about ``size`` bytes.  Raises OSError (a full disk)."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._directory / secrets.token_hex(16)
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW
        return SpoolFile(path, os.open(path, flags, 0o600))

    def clear(self, *, older_than: float = 0.0) -> int:
        """Remove what killed processes left behind; gives how many files.

        Only files not written to for ``older_than`` seconds: another process may be spooling here.
        """
        count = 0
        for path in self._directory.iterdir() if self._directory.is_dir() else ():
            with contextlib.suppress(OSError):  # gone a moment ago, or not ours to remove
                if timestamp() - path.stat().st_mtime >= older_than:
                    path.unlink()
                    count += 1
        return count


class SpoolFile:
    """One message on its way into a file."""

    __slots__ = ("_file", "_path", "_size")

    def __init__(self, path: Path, number: int) -> None:
        self._path = path
        self._file = os.fdopen(number, "wb", buffering=0)
        self._size = 0

    def write(self, data: bytes | memoryview, /) -> int:
        """Append; gives how many bytes.  Raises OSError (a full disk)."""
        view = memoryview(data)
        while view:  # unbuffered, so a write may be short
            view = view[self._file.write(view) :]
        self._size += len(data)
        return len(data)

    def finish(self) -> SpooledContent:
        """Close the file; its content is what was written."""
        self._file.close()
        return SpooledContent(self._path, self._size)

    def discard(self) -> None:
        """Forget the message: the file is removed."""
        self._file.close()
        self._path.unlink(missing_ok=True)


class SpooledContent:
    """The exact bytes of one message in a file (base.Content)."""

    __slots__ = ("_path", "_size")

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size

    @property
    def size(self) -> int:
        """How many bytes."""
        return self._size

    def bytes(self) -> bytes:
        """All of them, read into memory."""
        with self.open() as file:
            return file.read()

    def open(self) -> BinaryIO:
        """The file, open for reading, at its first byte."""
        return os.fdopen(os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW), "rb")

    def discard(self) -> None:
        """Remove the file; calling it twice is fine."""
        self._path.unlink(missing_ok=True)
