"""Where a room may lie: local file systems only; what ails its disk; who holds the write lock."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
from pathlib import Path

from postroom.errors import RoomError

__all__ = ["check_place", "is_full", "lock_holder", "openers"]

_REMOTE = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "afs",
        "ceph",
        "glusterfs",
        "lustre",
        "fuse.sshfs",
        "fuse.glusterfs",
        "fuse.s3fs",
        "ncpfs",
        "9p",
    }
)
_LEAST_BYTES = 64 * 1024  # twice what SQLite needs to open a room that nobody has open (its -shm)
_WRITE_LOCK_BYTE = 120  # of the -shm file: WAL_WRITE_LOCK, https://www.sqlite.org/walformat.html


def check_place(directory: Path) -> None:
    """Refuse a network file system: SQLite's locks and shared memory do not hold there.

    Raises RoomError.  Where the kind of file system cannot be told (not Linux), nothing is refused.
    """
    kind = _filesystem(directory)
    if kind in _REMOTE:
        raise RoomError(
            f"{directory} is on a network file system ({kind}), where a room is not safe.",
            hint="Put the room on a local disk, or use PostgreSQL for several machines.",
        )


def _filesystem(directory: Path) -> str:
    if not sys.platform.startswith("linux"):
        return ""
    here = os.path.realpath(directory)
    best, kind = "", ""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        point = left.split()[4].replace("\\040", " ")
        inside = here == point or here.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, right.split()[0]
    return kind


def is_full(directory: Path) -> bool:
    """Whether the disk takes nothing more here, for us: no space, no inode, or over our quota.

    It is tried, with a file that has no name: free blocks that a quota withholds look free.
    """
    try:
        with tempfile.TemporaryFile(dir=directory) as file:
            file.write(bytes(_LEAST_BYTES))
            file.flush()
            os.fsync(file.fileno())  # some file systems choose the blocks only now
    except OSError as error:
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return False


def lock_holder(path: Path) -> str:
    """`` (process 1234)`` if the kernel tells who holds the write lock, else an empty text.

    It is read from /proc/locks: asking with fcntl would need the file opened and closed here, and
    closing it drops every lock this process itself holds on it (POSIX advisory locks).
    """
    try:
        inode = os.stat(f"{path}-shm").st_ino
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return ""
    for line in lines:
        parts = line.split()
        if len(parts) < 8 or parts[3] != "WRITE" or not parts[5].endswith(f":{inode}"):
            continue
        if (
            int(parts[6]) <= _WRITE_LOCK_BYTE
            and parts[7] != "EOF"
            and (int(parts[7]) >= _WRITE_LOCK_BYTE)
        ):
            return f" (process {parts[4]})"
    return ""


def openers(path: Path) -> list[int]:
    """The other processes that have the database open, as far as the kernel tells.

    SQLite holds a shared lock on the file for each of them as long as it is in WAL mode.
    """
    try:
        inode = os.stat(path).st_ino
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return []
    held = [parts for parts in map(str.split, lines) if len(parts) >= 8 and parts[1] == "POSIX"]
    found = {int(parts[4]) for parts in held if parts[5].endswith(f":{inode}")}
    return sorted(found - {os.getpid()})
