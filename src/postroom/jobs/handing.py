"""Handing a program what it was granted: by file descriptor, in files in memory, or in its environment.

Never as words of its command line, which every process of the machine may read.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from postroom.credentials.record import Opened
from postroom.errors import InvalidValue, Refused
from postroom.fields import nearest
from postroom.jobs.guard import remove_tree
from postroom.jobs.guarding import held_in_memory
from postroom.jobs.handover import HandOver
from postroom.secret import Secret

__all__ = [
    "FD",
    "Granted",
    "Handed",
    "Told",
    "fields_of",
    "hand_over",
    "memory_directory",
    "one_field",
]

FD: Final = 3
"""The number that POSTROOM_FD names; one digit, since some shells know no other in ``<&3``."""

Granted = Mapping[str, Mapping[str, Any]]
"""The fields of each credential by its name: a Secret where they are sealed, else what JSON can hold."""

_IN_MEMORY: Final = ("tmpfs", "ramfs")


@dataclasses.dataclass(frozen=True, slots=True)
class Told:
    """What a program is told beside its credentials: of which run and job, and its parameters."""

    run: str
    job: str = ""
    parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Handed:
    """What the program gets: variables, and a file descriptor (to be closed by the caller) or -1."""

    environment: dict[str, str]
    fd: int = -1


def fields_of(opened: Opened) -> dict[str, Any]:
    """The fields of an opened credential, flat: ``password``, ``client_secrets.2026a.value``."""
    plain, sealed = opened.fields.split()
    return dict(plain) | {slot.replace("/", "."): value for slot, value in sealed.items()}


def hand_over(granted: Granted, how: HandOver, told: Told, *, private: Path) -> Handed:
    """Prepare it.  ``private`` is where files go; whoever made the run removes it.

    Raises InvalidValue for a field that there is not, Refused where nothing is in memory for files or
    a value cannot stand in an environment.
    """
    if how.by == "environment":
        named = how.environment.items()
        return Handed({name: _as_variable(name, one_field(granted, of)) for name, of in named})
    if how.by == "files":
        _write_files(granted, private)
        return Handed({"POSTROOM_DIRECTORY": str(private)})
    document = {
        "v": 1,
        "job": told.job,
        "run": told.run,
        "parameters": dict(told.parameters),
        "credentials": {
            name: {field: _revealed(value) for field, value in fields.items()}
            for name, fields in granted.items()
        },
    }
    fd = held_in_memory(json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogateescape"))
    return Handed({"POSTROOM_FD": str(FD)}, fd)


def one_field(granted: Granted, path: str) -> Any:
    """The value of ``credential.field``; a name may have dots, and so may a field."""
    for name, fields in sorted(granted.items(), key=lambda one: -len(one[0])):
        if path.casefold().startswith(f"{name.casefold()}."):
            field = path[len(name) + 1 :]
            if field not in fields:
                close = nearest(field, fields)
                raise InvalidValue(
                    path,
                    f"credential {name} has no field {field!r}"
                    + (f"; did you mean {close}?" if close else f", only {', '.join(fields)}"),
                )
            return fields[field]
    raise InvalidValue(path, f"give credential.field; granted are {', '.join(granted) or 'none'}")


def memory_directory(key: str) -> Path:
    """Where the files of a run go: a path in memory that nobody else can write; it is not made yet.

    The same ``key`` gives the same path, so that what a killed run left is found.  Raises Refused where
    there is no directory in memory: no secret is written to a disk.
    """
    name = f"postroom-{hashlib.sha256(key.encode()).hexdigest()[:24]}"
    for base in filter(None, (os.environ.get("XDG_RUNTIME_DIR"), "/dev/shm")):  # noqa: S108
        if _is_in_memory(base) and os.access(base, os.W_OK | os.X_OK):
            return Path(base, name)
    raise Refused(
        "There is no directory in memory here for files with secrets, and none is written to a disk.",
        code="not_supported",
        hint="Hand over by descriptor; or mount a tmpfs, and name it with XDG_RUNTIME_DIR.",
    )


def _write_files(granted: Granted, private: Path) -> None:
    """``CREDENTIAL/FIELD`` each, 0400; a text as it is, anything else as JSON."""
    remove_tree(str(private))
    private.mkdir(mode=0o700)  # fails if it is there: whoever made it could read along
    for name, fields in granted.items():
        place = private / name
        place.mkdir(mode=0o700)
        for field, value in fields.items():
            fd = os.open(place / field, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o400)
            with open(fd, "wb") as file:  # noqa: PTH123
                file.write(_as_bytes(value))


def _as_bytes(value: Any) -> bytes:
    if isinstance(value, Secret):
        return value.reveal_bytes()
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


def _as_variable(name: str, value: Any) -> str:
    if b"\0" in (data := _as_bytes(value)):
        raise Refused(
            f"The value for {name} has a NUL in it, which cannot stand in an environment.",
            hint="Hand it over by descriptor or files.",
        )
    return os.fsdecode(data)


def _revealed(value: Any) -> Any:
    return value.reveal() if isinstance(value, Secret) else value


def _is_in_memory(base: str) -> bool:
    """Whether a directory of ours, or one with the sticky bit, lies on a tmpfs (proc(5), mountinfo)."""
    if sys.platform != "linux":
        return False
    with contextlib.suppress(OSError):
        found = os.stat(base)
        ours = found.st_uid == os.geteuid() or found.st_mode & stat.S_ISVTX
        device = f"{os.major(found.st_dev)}:{os.minor(found.st_dev)}"
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as mounts:  # noqa: PTH123
            for line in mounts:
                head, _, tail = line.partition(" - ")
                if head.split()[2] == device:
                    return bool(ours) and tail.split()[0] in _IN_MEMORY
    return False
