"""Beginning a job: the one way to make a run because somebody asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from postroom.clock import timestamp
from postroom.db import Tx
from postroom.errors import Refused
from postroom.jobs import runs, store
from postroom.jobs.arguments import arguments
from postroom.operations.desk import Desk

__all__ = ["begin"]


async def begin(desk: Desk, name: str, parameters: Mapping[str, Any]) -> str:
    """Make a run of a job, which a worker takes; gives its id.

    Raises UnknownField and InvalidValue for what the job does not take, Refused for a held job.
    """
    actor = desk.actor

    def body(tx: Tx) -> str:
        row = store.row_of(tx, name)
        if row["held"]:
            raise Refused(
                f"Job {row['name']} is held: nothing of it begins.",
                hint=f"Let it go: postroom job release {row['name']}",
            )
        job = store.job_of(row)
        values = arguments(job, parameters)
        run = runs.add(tx, job, cause="manual", parameters=values, actor=actor, now=timestamp())
        desk.record(tx, "run", "job", job.name, run=run)
        return run

    return await desk.write(body)
