"""Which programs may be handed what: the destination lines of jobs and of ``postroom exec`` (DESIGN 4.1).

A job's line has a digest of all that decides what runs and what it is handed.  Change a word of it, and
it is another destination: the secret's value is asked for again, or somebody agrees (``rebind``).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from typing import Final

from postroom.db import Tx
from postroom.errors import PostroomError
from postroom.jobs import store
from postroom.jobs.job import Job
from postroom.jobs.values import Expand, read_value

__all__ = ["EXEC", "digest_of", "line_of", "lines_of", "program_lines"]

EXEC: Final = "exec"
"""Any program that somebody with the room's key starts: ``postroom exec``."""

_SETTINGS: Final = ("var", "env")
"""The macros of words that somebody may set to something else; an instant or a host is no change."""
PERMITTED: Final = "SELECT name_key FROM credentials WHERE programs = 1"


def digest_of(job: Job, expand: Expand) -> str:
    """The SHA-256 (hexadecimal) of what a job runs and what that is handed.

    In it: the words of a command with what ``expand`` makes of variables in them, its working directory
    and how it is handed fields; the function of a ``python`` job, the path of its script and the digest
    of what is in that; the credentials.  Not in it: description, schedule, parameters, limits.  Of a
    module it is the name alone: what is installed is the machine's, as a program is that a command
    names.  Raises what ``expand`` does.
    """
    said = {
        "name": job.name.casefold(),
        "credentials": sorted({name.casefold() for name in job.credentials}),
        "python": job.python and job.python.model_dump(mode="json", exclude_defaults=True),
        "command": job.command and job.command.model_dump(mode="json", exclude_defaults=True),
    }
    if settings := _settings(job, expand):
        said["settings"] = settings
    whole = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(whole.encode()).hexdigest()


def _settings(job: Job, expand: Expand) -> dict[str, str]:
    """What the variables in the words of a command stand for: they are as much of it as its words."""
    words = job.command.words if job.command and job.credentials else ()
    read = [read_value(word, f"job {job.name}: command.words") for word in words]
    named = [(str(one), value.where) for value in read for one in value.references
             if one.prefix in _SETTINGS]  # fmt: skip
    return {macro: expand(macro, where) for macro, where in named}


def line_of(job: Job, expand: Expand) -> str:
    """The destination of a job's credentials: ``job:NAME#SHA256``."""
    return f"job:{job.name}#{digest_of(job, expand)}"


def lines_of(job: Job, expand: Expand) -> dict[str, set[str]]:
    """The lines that a job adds, by credential (its name in lower case); none for steps."""
    return {name.casefold(): {line_of(job, expand)} for name in job.credentials}


def program_lines(tx: Tx, expand: Expand) -> dict[str, set[str]]:
    """The lines of all jobs, and of credentials that any program may be handed, by credential.

    A job with a variable that is not there is handed nothing, and adds none.
    """
    found: dict[str, set[str]] = {row["name_key"]: {EXEC} for row in tx.all(PERMITTED)}
    for job in store.load_all(tx):
        with contextlib.suppress(PostroomError):
            for name, lines in lines_of(job, expand).items():
                found.setdefault(name, set()).update(lines)
    return found
