"""Key files: made whole or not at all, and read only when nobody else can have read them.

The text is made of comment lines (``#``) and one line: 32 bytes in base64 or in hexadecimal.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from postroom.errors import Locked
from postroom.secret import Secret

__all__ = [
    "lies_inside",
    "parse_key",
    "read_mounted",
    "read_private",
    "write_key",
    "write_private",
]

KEY_BYTES: Final = 32
MOST_BYTES: Final = 4096
_HEADER = (
    "# The key-encryption key of a Postroom room. Whoever has it and the database has every\n"
    "# secret of the room; without it they are lost. Keep a copy, and never beside the database.\n"
)


def write_key(path: Path) -> Secret:
    """Make a new random key at ``path`` (mode 0600) and give it.

    The file appears under its name whole and synced, or not at all: it is written beside it under
    O_EXCL and then linked, which fails when the name is taken.  Raises FileExistsError, or Locked
    (``key_unsafe``) when the directory cannot be written.
    """
    key = secrets.token_bytes(KEY_BYTES)
    try:
        write_private(path, _HEADER + base64.b64encode(key).decode() + "\n")
    except FileExistsError:
        raise
    except OSError as error:
        raise _unsafe(
            f"The key file {path} cannot be made ({error.strerror}).",
            "Check the directory, or name another place with POSTROOM_KEK.",
        ) from error
    return Secret(key)


def write_private(path: Path, text: str) -> None:
    """Write a new file that only we can read, whole and synced or not at all.  Raises OSError."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(file, "w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(file)
        os.link(beside, path)
    finally:
        beside.unlink()
    try:
        _sync_directory(path.parent)
    except OSError:  # nobody may rely on a key whose name goes with the power
        path.unlink()
        raise


def _sync_directory(directory: Path) -> None:
    file = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def read_private(path: Path, *, data_dir: Path, name: str = "key file") -> str:
    """The text of a file that only we can read.

    Raises Locked: ``key_missing``, or ``key_unsafe`` for a link, a FIFO, another owner, a mode
    looser than 0600, a place under the data directory, a byte order mark or more than 4 KiB.
    """
    _refuse_inside(path, data_dir, name)
    if path.is_symlink():
        raise _unsafe(
            f"The {name} {path} is a symbolic link.",
            "Name the file itself, or use mounted:PATH for a mounted secret.",
        )
    with _opened(path, os.O_NOFOLLOW, name) as file:
        facts = os.fstat(file)
        _refuse_special(path, facts, name)
        if facts.st_uid != os.geteuid():
            raise _unsafe(
                f"The {name} {path} belongs to another user (uid {facts.st_uid}).",
                f"Run as that user, or: chown {os.geteuid()} {path}",
            )
        if loose := stat.S_IMODE(facts.st_mode) & ~0o600:
            raise _unsafe(
                f"The {name} {path} has mode {stat.S_IMODE(facts.st_mode):04o}, "
                f"which lets others in ({loose:04o} too much).",
                f"If nobody can have read it: chmod 600 {path}",
            )
        return _text(file, path, name)


def read_mounted(path: Path, *, data_dir: Path) -> str:
    """The text of a secret that Docker or Kubernetes mounted.

    Links are followed and root may own it, because that is how they are mounted; in exchange the
    mount must be in memory (tmpfs, ramfs) or read-only, and nobody else may write the file.
    Raises Locked as :func:`read_private`.
    """
    _refuse_inside(path, data_dir, "mounted key")
    with _opened(path, 0, "mounted key") as file:
        facts = os.fstat(file)
        _refuse_special(path, facts, "mounted key")
        if facts.st_uid not in (0, os.geteuid()):
            raise _unsafe(
                f"The mounted key {path} belongs to another user (uid {facts.st_uid}).",
                "It must belong to root or to the user who runs Postroom.",
            )
        if stat.S_IMODE(facts.st_mode) & 0o022:
            raise _unsafe(
                f"The mounted key {path} can be written by others.",
                "Mount it with mode 0400 or 0440.",
            )
        if not (os.fstatvfs(file).f_flag & os.ST_RDONLY or _in_memory(facts.st_dev)):
            raise _unsafe(
                f"The mounted key {path} is on an ordinary writable disk.",
                "Mount it read-only or from memory (tmpfs), or use file:PATH.",
            )
        return _text(file, path, "mounted key")


def parse_key(text: str, place: str) -> Secret:
    """The key in the text of a key file or variable; raises Locked (``key_unsafe``)."""
    lines = [line for line in text.split("\n") if line and not line.startswith("#")]
    if len(lines) != 1:
        raise _bad_key(place, f"it has {len(lines)} lines that could be a key, not one")
    try:
        if re.fullmatch(r"[0-9A-Fa-f]{62,66}", lines[0]):
            key = bytes.fromhex(lines[0])
        else:
            key = base64.b64decode(lines[0], validate=True)
    except (binascii.Error, ValueError):
        raise _bad_key(place, "it is neither base64 nor hexadecimal") from None
    if len(key) != KEY_BYTES:
        raise _bad_key(place, f"it is {len(key)} bytes long, not {KEY_BYTES}")
    return Secret(key)


@contextlib.contextmanager
def _opened(path: Path, flags: int, name: str) -> Iterator[int]:
    try:
        # O_NONBLOCK: a FIFO in the file's place must be refused, not waited for
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | flags)
    except FileNotFoundError:
        raise Locked(
            f"There is no {name} at {path}.",
            code="key_missing",
            path=str(path),
            hint="Put it back, or say where it is with POSTROOM_KEK.",
        ) from None
    except OSError as error:
        raise _unsafe(
            f"The {name} {path} cannot be read ({error.strerror}).",
            "Check the file and who may read it.",
        ) from error
    try:
        yield file
    finally:
        os.close(file)


def lies_inside(path: Path, data_dir: Path) -> bool:
    """Whether a file is in the data directory, by its name or by where its name leads."""
    inside = Path(os.path.realpath(path.parent)) / path.name
    rooms = Path(os.path.realpath(data_dir))
    return inside.is_relative_to(rooms) or path.resolve().is_relative_to(rooms)


def _refuse_inside(path: Path, data_dir: Path, name: str) -> None:
    if lies_inside(path, data_dir):
        raise _unsafe(
            f"The {name} {path} is in the data directory, beside what it protects.",
            "Whoever copies the data would have the key too: move it elsewhere.",
        )


def _refuse_special(path: Path, facts: os.stat_result, name: str) -> None:
    if not stat.S_ISREG(facts.st_mode):
        raise _unsafe(
            f"The {name} {path} is not an ordinary file.", "Name a file that holds the key."
        )


def _text(file: int, path: Path, name: str) -> str:
    data = os.read(file, MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise _unsafe(
            f"The {name} {path} is longer than {MOST_BYTES} bytes.",
            "It holds comments (#) and one line with the key.",
        )
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise _unsafe(
            f"The {name} {path} begins with a byte order mark.",
            "Save it as plain text (UTF-8 without a mark).",
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise _unsafe(
            f"The {name} {path} is not text.", "The key is written in base64 or hexadecimal."
        ) from None


def _in_memory(device: int) -> bool:
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return False
    for line in lines:
        left, _, right = line.partition(" - ")
        if left.split()[2] == wanted:
            return right.split()[0] in {"tmpfs", "ramfs"}
    return False


def _bad_key(place: str, why: str) -> Locked:
    return _unsafe(
        f"{place} does not hold a key: {why}.",
        "It holds 32 bytes in base64 (44 characters) or hexadecimal (64).",
    )


def _unsafe(sentence: str, hint: str) -> Locked:
    return Locked(sentence, code="key_unsafe", hint=hint)
