"""What a run does: its steps on a bench of its own, its function or its program, with what it is granted."""

from __future__ import annotations

import asyncio
import dataclasses
import shlex
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from postroom import macros
from postroom.clock import now, rfc3339, timestamp
from postroom.connections.scope import scope_of
from postroom.db import Tx
from postroom.db.claims import claim_lost
from postroom.errors import Refused
from postroom.fields import parse
from postroom.jobs import messages
from postroom.jobs.code import check_code, read_script
from postroom.jobs.commands import Command, Result, RunJob, command_named
from postroom.jobs.granting import line_of
from postroom.jobs.handing import Told, fields_of
from postroom.jobs.interpreter import run_steps
from postroom.jobs.job import Job, Program
from postroom.jobs.plans import plan_steps
from postroom.jobs.process import run_program, why_it_ended
from postroom.jobs.python import Running, run_python
from postroom.jobs.received import ARGUMENT, CODE, code_word
from postroom.jobs.runner import Attempt
from postroom.jobs.scrubbing import holds_secret
from postroom.jobs.values import Scope, read_value, written
from postroom.operations.bench import Workbench
from postroom.operations.desk import Desk, for_job
from postroom.secret import Secret

__all__ = ["RUNS", "do_in", "expander_now", "granted", "plan_of"]

FILES: Final = "files"
"""The directory of the room in which relative paths of a run begin, where no room file says better."""
RUNS: Final = "runs"
"""The directory of the room in which what runs has its locks and its own directories."""


async def do_in(desk: Desk, attempt: Attempt) -> Any:
    """Do the job of an attempt; gives its result.  Raises PostroomError."""

    def body(tx: Tx) -> tuple[bytes | None, dict[str, Any] | None, Callable[[str, str], str]]:
        run = attempt.run.id
        found = messages.content_of(tx, run), messages.facts_of(tx, run)
        return *found, expander_now(tx, desk.environ)

    desk = for_job(desk, attempt.job.name)
    message, facts, expand = await desk.db.read(body)
    bench = Workbench(
        desk,
        base=desk.data_dir / FILES,
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
    scope = Scope(
        parameters=attempt.run.parameters,
        run=_facts_of(attempt),
        message=facts,
        passed_on=attempt.run.cause == "job",
        expand=expand,
    )
    async with bench:
        if attempt.job.steps:
            say = attempt.log.say
            result = await run_steps(attempt.job.steps, scope, execute, say, asyncio.sleep)
        elif attempt.job.command is not None:
            result = await _program(desk, attempt, attempt.job.command, scope, message)
        else:
            result = await _python(desk, attempt, execute, message)
        await bench.finish(attempt.log.say)
        return result


async def _program(
    desk: Desk, attempt: Attempt, command: Program, scope: Scope, message: bytes | None
) -> Any:
    """Run a ``command``; its output becomes lines of the log, and a status other than 0 an error."""
    job, run, log = attempt.job, attempt.run, attempt.log
    values = [read_value(word, f"command.words.{at}") for at, word in enumerate(command.words)]
    code = code_word(command.words)
    await asyncio.to_thread(check_code, job)
    ended = await run_program(
        [
            written(each.fill(scope, CODE if at == code else ARGUMENT))
            for at, each in enumerate(values)
        ],
        runs=desk.data_dir / RUNS,
        told=Told(run.id, job.name, run.parameters),
        on_output=lambda stream, line: log.say("output", line),
        credentials=await granted(desk, job),
        how=command.hand_over,
        stdin=message or b"",
        directory=command.directory,
        limits=job.limits,
    )
    if ended.why or ended.status != 0:
        raise Refused(why_it_ended(ended, job.limits), code="program_failed", status=ended.status)
    return {"status": 0}


async def _python(
    desk: Desk,
    attempt: Attempt,
    execute: Callable[[Command], Awaitable[Result]],
    message: bytes | None,
) -> Any:
    """Call the function of a ``python`` job; what it asks for is done on the run's bench."""
    job, run = attempt.job, attempt.run
    handed = await granted(desk, job)
    sealed = [one for each in handed.values() for one in each.values() if isinstance(one, Secret)]

    async def by_name(name: str, parameters: dict[str, Any]) -> Result:
        kind = command_named(name)
        if kind is RunJob and holds_secret(parameters, sealed):
            raise Refused(
                "The parameters of run-job hold something that this job was handed; they would be kept "
                "in the clear.",
                code="program_failed",
                hint="Name the credential in the other job's credentials: it is handed it itself.",
            )
        return await execute(parse(kind, parameters, where=kind.name))

    running = Running(
        runs=desk.data_dir / RUNS,
        told=Told(run.id, job.name, run.parameters),
        script=await asyncio.to_thread(read_script, job),
        granted=handed,
        execute=by_name,
        say=attempt.log.say,
        state=attempt.kept,
        message=message,
        attempt=run.attempts,
    )
    result, state = await run_python(job, running)
    attempt.kept.clear()
    attempt.kept.update(state)
    return result


async def granted(desk: Desk, job: Job) -> dict[str, dict[str, Any]]:
    """The fields of the credentials that a job is handed, opened for it and written down.

    Raises NotThere, Refused (``incomplete``, ``destination_not_bound``), Unreadable, Locked.
    """
    purpose = f"hand it to job {job.name}"

    def body(tx: Tx) -> dict[str, dict[str, Any]]:
        found, store = {}, desk.credentials
        line = line_of(job, desk.expander(tx))
        for name in job.credentials:
            opened = store.open(tx, name, line=line, actor=desk.actor, purpose=purpose)
            store.presented(tx, name, opened.version, timestamp())
            found[name] = fields_of(opened)
        return found

    return await desk.write(body) if job.credentials else {}


def plan_of(job: Job, scope: Scope) -> list[str]:
    """What a job would do, a line a step; macros that only a run knows stay as they are."""
    if job.steps:
        return plan_steps(job.steps, scope)
    handed = f", handed {', '.join(job.credentials)}" if job.credentials else ""
    if job.python is not None:
        return [f"python: call {job.python.call or job.python.file}{handed}"]
    if job.command is None:
        return []
    words = [written(read_value(word, "command.words").shown(scope)) for word in job.command.words]
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
