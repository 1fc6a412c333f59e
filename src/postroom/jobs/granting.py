"""Which programs may be handed what: the destination lines of jobs and of ``postroom exec`` (DESIGN 4.1).

A job's line has a digest of all that decides what runs and what it is handed.  Change a word of it, and
it is another destination: the secret's value is asked for again, or somebody agrees (``rebind``).
"""

from __future__ import annotations

import hashlib
import json
from typing import Final

from postroom.db import Tx
from postroom.jobs import store
from postroom.jobs.job import Job

__all__ = ["EXEC", "digest_of", "line_of", "lines_of", "program_lines"]

EXEC: Final = "exec"
"""Any program that somebody with the room's key starts: ``postroom exec``."""

PERMITTED: Final = "SELECT name_key FROM credentials WHERE programs = 1"


def digest_of(job: Job) -> str:
    """The SHA-256 (hexadecimal) of what a job runs and what that is handed.

    In it: the words of a command, its working directory and how it is handed fields; the function of a
    ``python`` job, the path of its script and the digest of what is in that; the credentials.  Not in
    it: description, schedule, parameters, limits.  Of a module it is the name alone: what is installed
    is the machine's, as a program is that a command names.
    """
    said = {
        "name": job.name.casefold(),
        "credentials": sorted({name.casefold() for name in job.credentials}),
        "python": job.python and job.python.model_dump(mode="json", exclude_defaults=True),
        "command": job.command and job.command.model_dump(mode="json", exclude_defaults=True),
    }
    whole = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(whole.encode()).hexdigest()


def line_of(job: Job) -> str:
    """The destination of a job's credentials: ``job:NAME#SHA256``."""
    return f"job:{job.name}#{digest_of(job)}"


def lines_of(job: Job) -> dict[str, set[str]]:
    """The lines that a job adds, by credential (its name in lower case); none for steps."""
    return {name.casefold(): {line_of(job)} for name in job.credentials}


def program_lines(tx: Tx) -> dict[str, set[str]]:
    """The lines of all jobs, and of credentials that any program may be handed, by credential."""
    found: dict[str, set[str]] = {row["name_key"]: {EXEC} for row in tx.all(PERMITTED)}
    for job in store.load_all(tx):
        for name, lines in lines_of(job).items():
            found.setdefault(name, set()).update(lines)
    return found
