"""What is not finished lies in a private directory beside its place, and gets its name at once."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["is_ours", "publish", "staging"]

_OURS: Final = ".postroom-unfinished-"
_NO_LINKS: Final = {errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK}


@contextlib.contextmanager
def staging(place: Path) -> Iterator[Path]:
    """A directory (0700) in ``place`` that goes with everything in it when the block ends.

    Its lock is held meanwhile: what a killed process left there is found free, and removed first.
    Raises OSError.
    """
    for left in place.glob(f"{_OURS}*"):
        _remove_abandoned(left)
    made, lock = _locked(place)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        os.close(lock)


def _locked(place: Path) -> tuple[Path, int]:
    while True:
        made = place / f"{_OURS}{secrets.token_hex(8)}"
        made.mkdir(mode=0o700)
        # whoever looks for what is abandoned may be faster than the lock: then there is another
        with contextlib.suppress(FileNotFoundError):
            lock = os.open(made, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if made.exists():
                return made, lock
            os.close(lock)


def _remove_abandoned(left: Path) -> None:
    with contextlib.suppress(OSError):
        lock = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left, ignore_errors=True)
        finally:
            os.close(lock)


def is_ours(entry: Path) -> bool:
    """Whether it is such a directory, in use or abandoned."""
    return entry.name.startswith(_OURS)


def publish(staged: Path, to: Path) -> None:
    """Give a finished and synced file its name, durably.  Raises FileExistsError, OSError.

    A name that cannot be made durable is taken away again: what was told to have failed is not there.
    """
    try:
        os.link(staged, to, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # FAT and some shares have no links: take the name first, with nothing in it
        os.close(os.open(to, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        staged.replace(to)
    directory = os.open(to.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    except OSError:
        to.unlink()
        raise
    finally:
        os.close(directory)
