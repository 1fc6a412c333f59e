"""The code of a job: that nobody else can change it, and that it is what was saved."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from postroom.errors import InvalidValue, Refused
from postroom.jobs.job import Job

__all__ = ["CODE_BYTES", "check_code", "read_script", "saved"]

CODE_BYTES: Final = 4 << 20
"""A script is no larger: it is read whole, each time."""


def saved(job: Job) -> Job:
    """The job as it is saved: with the digest of its script, once nobody else can change its code.

    Raises InvalidValue with the field, the file and what to do.
    """
    check_code(job)
    if job.python is None:
        return job
    digest = ""
    if job.python.file:
        digest = hashlib.sha256(_read(f"job {job.name}: python.file", job.python.file)).hexdigest()
    if digest == job.python.sha256:
        return job
    return job.model_copy(update={"python": job.python.model_copy(update={"sha256": digest})})


def read_script(job: Job) -> bytes:
    """The script of a ``python`` job, read once: what is given is what is executed.

    Raises Refused (``destination_not_bound``) when it is not what was saved, InvalidValue as
    :func:`saved` does.
    """
    if job.python is None or not job.python.file:
        return b""
    check_code(job)
    code = _read(f"job {job.name}: python.file", job.python.file)
    if hashlib.sha256(code).hexdigest() != job.python.sha256:
        raise Refused(
            f"{job.python.file} was changed after job {job.name} was saved; nothing was run.",
            code="destination_not_bound",
            hint="Look at the change; if it is right, save the job again: "
            f"postroom job set {job.name} --set python.file={job.python.file}",
        )
    return code


def check_code(job: Job) -> None:
    """Refuse a script or program that others than its owner, root or we may change (as ssh does).

    Looked at are the file, and every directory above it, behind links too: whoever may write one of
    those can put another file in its place.  A directory that others may write and in which nobody can
    replace what is another's (the sticky bit, as on /tmp) does.  Raises InvalidValue.
    """
    for field, path in _files(job):
        for place in _places(Path(path)):
            if why := _open_to_others(place):
                raise InvalidValue(
                    f"job {job.name}: {field}",
                    f"{place} {why}, so that others could change what runs with your secrets: "
                    f"chmod go-w {place}, or use another place",
                )


def _files(job: Job) -> Iterator[tuple[str, str]]:
    if job.python is not None and job.python.file:
        yield "python.file", job.python.file
    if job.command is not None and job.command.words[0].startswith("/"):
        yield "command.words", job.command.words[0]


def _places(path: Path) -> Iterator[Path]:
    """The file, the directories above it, and the same of what links lead to."""
    real = Path(os.path.realpath(path))
    yield from dict.fromkeys([real, *real.parents, *path.parents])


def _open_to_others(place: Path) -> str:
    try:
        found = place.stat()
    except OSError:
        return ""  # what is not there cannot be run either, and that is said then
    if found.st_uid not in (0, os.geteuid()):
        return "belongs to another user"
    sticky = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
    return "may be written by others" if found.st_mode & 0o022 and not sticky else ""


def _read(field: str, path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            code = file.read(CODE_BYTES + 1)
    except OSError as error:
        raise InvalidValue(field, f"{path} cannot be read: {error.strerror}") from None
    if len(code) > CODE_BYTES:
        raise InvalidValue(field, f"{path} is larger than {CODE_BYTES >> 20} MiB")
    return code
