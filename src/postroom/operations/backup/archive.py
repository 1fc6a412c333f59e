"""The file of a backup: a tar (POSIX.1-2017 ustar) of three members, and not one byte besides.

    room.db          the database, a snapshot
    manifest.json    what it must be: see manifest.py
    manifest.check   the SHA-256 and the HMAC of the manifest

So any tar takes it apart, in any year.  Reading is strict: a header is exactly what we would have
written for that name, size and time, fillings are zeros, and nothing follows the end.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from postroom.operations.backup.manifest import DATABASE_NAME, damaged

__all__ = ["Archive", "write_archive"]

_MANIFEST: Final = "manifest.json"
_CHECK: Final = "manifest.check"
_BLOCK: Final = 512
_AT_ONCE: Final = 1 << 20
_MOST: Final = {_MANIFEST: 256 << 20, _CHECK: 4096}
"""Bytes that are read into memory at the most."""

Tell = Callable[[int, int], None]
"""Hears how many bytes of how many are done; whatever it raises ends the work."""
Describe = Callable[[int, str], tuple[bytes, bytes]]
"""Gives manifest and check for a database of that size and SHA-256 (hexadecimal)."""


def write_archive(
    to: Path, database: Path, describe: Describe, *, at: int, tell: Tell | None = None
) -> None:
    """Write a backup to the new file ``to``, mode 0600, synced.  ``at`` is seconds since 1970.

    Raises OSError.
    """
    file = os.open(to, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with os.fdopen(file, "wb") as out, database.open("rb") as source:
        size = os.fstat(source.fileno()).st_size
        out.write(_header(DATABASE_NAME, size, at))
        sha256 = _copy(source, size, out, tell)
        out.write(_filling(size))
        for name, text in zip((_MANIFEST, _CHECK), describe(size, sha256), strict=True):
            out.write(_header(name, len(text), at) + text + _filling(len(text)))
        out.write(bytes(2 * _BLOCK))
        out.flush()
        os.fsync(out.fileno())


class Archive:
    """An opened backup: ``with Archive(path) as archive``; its manifest, and its database to copy.

    Opening reads everything but the database.  Raises Refused (``backup_damaged``), OSError.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        try:
            self.size, self.at = self._head(DATABASE_NAME)
            self._first = self._file.tell()
            self._file.seek(self.size, os.SEEK_CUR)
            self._filled(self.size)
            self.manifest = self._small(_MANIFEST)
            self.check = self._small(_CHECK)
            if self._file.read() != bytes(2 * _BLOCK):
                raise damaged("it does not end where a backup ends")
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def database(self, to: Path | None = None, *, tell: Tell | None = None) -> str:
        """The SHA-256 of the database (hexadecimal); ``to`` gets it as a new file, mode 0600."""
        self._file.seek(self._first)
        if to is None:
            return _copy(self._file, self.size, None, tell)
        file = os.open(to, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        with os.fdopen(file, "wb") as out:
            return _copy(self._file, self.size, out, tell)

    def _head(self, name: str) -> tuple[int, int]:
        """Size and time of the member that comes next, which must be that one."""
        block = self._file.read(_BLOCK)
        if len(block) < _BLOCK:
            raise damaged("it is cut short")
        try:
            size, at = _number_in(block[124:136]), _number_in(block[136:148])
        except ValueError:
            size, at = -1, -1
        if size < 0 or block != _header(name, size, at):
            raise damaged(f"{name} does not stand where it belongs")
        return size, at

    def _small(self, name: str) -> bytes:
        size, at = self._head(name)
        if at != self.at or size > _MOST[name]:
            raise damaged(f"{name} is not of this backup")
        text = self._file.read(size)
        if len(text) < size:
            raise damaged("it is cut short")
        self._filled(size)
        return text

    def _filled(self, size: int) -> None:
        wanted = _filling(size)
        if self._file.read(len(wanted)) != wanted:
            raise damaged("it is cut short, or something stands between its parts")


def _copy(source: IO[bytes], size: int, out: IO[bytes] | None, tell: Tell | None) -> str:
    digest = hashlib.sha256()
    done = 0
    while done < size:
        part = source.read(min(_AT_ONCE, size - done))
        if not part:
            raise damaged("it is cut short")
        digest.update(part)
        if out is not None:
            out.write(part)
        done += len(part)
        if tell is not None:
            tell(done, size)
    return digest.hexdigest()


# ------------------------------------------------------------------ tar, POSIX.1-2017 (pax, "ustar")


def _header(name: str, size: int, at: int) -> bytes:
    """The header block of an ordinary file that belongs to nobody and only its owner reads."""
    fields = (
        name.encode().ljust(100, b"\0"),
        *(b"%07o\0" % number for number in (0o600, 0, 0)),  # mode, uid, gid
        _number(size),
        _number(at),
        b" " * 8,  # what its own sum is made with
        b"0".ljust(101, b"\0"),  # an ordinary file; no link
        b"ustar\x0000",
    )
    block = b"".join(fields).ljust(_BLOCK, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _number(value: int) -> bytes:
    """Twelve bytes: octal up to 8 GiB, above it base 256 as GNU tar has it."""
    return b"%011o\0" % value if value < 8**11 else b"\x80" + value.to_bytes(11, "big")


def _number_in(field: bytes) -> int:
    return int.from_bytes(field[1:], "big") if field[0] & 0x80 else int(field[:11], 8)


def _filling(size: int) -> bytes:
    return bytes(-size % _BLOCK)
