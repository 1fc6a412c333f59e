"""What a run does: its steps on a bench of its own, its function or its program, with what it is granted."""

from __future__ import annotations

import asyncio
import dataclasses
import shlex
from collections.abc import Callable, Mapping
from typing import Any

from postroom import macros
from postroom.clock import now, rfc3339
from postroom.connections.scope import scope_of
from postroom.db import Tx
from postroom.db.claims import claim_lost
from postroom.jobs import messages
from postroom.jobs.commands import Command, Result
from postroom.jobs.interpreter import run_steps
from postroom.jobs.job import Job
from postroom.jobs.plans import plan_steps
from postroom.jobs.runner import Attempt
from postroom.jobs.values import Scope, read_value
from postroom.operations.bench import Workbench
from postroom.operations.desk import Desk

__all__ = ["do_in", "expander_now", "plan_of"]


async def do_in(desk: Desk, attempt: Attempt) -> Any:
    """Do the job of an attempt; gives its result.  Raises PostroomError."""

    def body(tx: Tx) -> tuple[bytes | None, dict[str, Any] | None, Callable[[str, str], str]]:
        run = attempt.run.id
        found = messages.content_of(tx, run), messages.facts_of(tx, run)
        return *found, expander_now(tx, desk.environ)

    message, facts, expand = await desk.db.read(body)
    bench = Workbench(
        desk,
        base=desk.data_dir,
        message=message,
        patient=True,
        run=attempt.run.id,
        run_epoch=attempt.epoch,
    )

    async def execute(command: Command) -> Result:
        if not attempt.standing():
            raise claim_lost()
        return await command.run(bench)

    attempt.following = bench.following
    async with bench:
        scope = Scope(
            parameters=attempt.run.parameters,
            run=_facts_of(attempt),
            message=facts,
            expand=expand,
        )
        return await run_steps(attempt.job.steps, scope, execute, attempt.log.say, asyncio.sleep)


def plan_of(job: Job, scope: Scope) -> list[str]:
    """What a job would do, a line a step; macros that only a run knows stay as they are."""
    if job.steps:
        return plan_steps(job.steps, scope)
    handed = f", handed {', '.join(job.credentials)}" if job.credentials else ""
    if job.python is not None:
        return [f"python: call {job.python.call or job.python.file}{handed}"]
    if job.command is None:
        return []
    words = [str(read_value(word, "command.words").shown(scope)) for word in job.command.words]
    return [f"command: run {shlex.join(words)}{handed} by {job.command.hand_over.by}"]


def expander_now(tx: Tx, environ: Mapping[str, str]) -> Callable[[str, str], str]:
    """Expands macros of the room as of now, for what a run does; it outlives the transaction."""
    scope = dataclasses.replace(scope_of(tx, environ), now=now())

    def expand(text: str, where: str) -> str:
        return macros.expand(text, scope, allowed=macros.SETTING, name=where).text

    return expand


def _facts_of(attempt: Attempt) -> dict[str, Any]:
    run = attempt.run
    began = run.created_at if run.started_at is None else run.started_at
    return {"id": run.id, "job": run.job, "started": rfc3339(began), "attempt": run.attempts}
