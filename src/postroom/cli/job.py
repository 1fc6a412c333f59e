"""``postroom job``: work with credentials and mail: defined, run by hand or a schedule, followed."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from postroom.cli import show
from postroom.cli.flags import changes_of, read_flags
from postroom.cli.options import OPTIONS
from postroom.cli.outbox import A_WORKER, nobody_sends
from postroom.cli.run import agreed, in_room, rebinding
from postroom.cli.usage import show_usage
from postroom.cli.verbs import Verbs
from postroom.clock import rfc3339, timestamp
from postroom.errors import FAILED, OK, UNFINISHED, WrongUse
from postroom.operations.declared import nouns

if TYPE_CHECKING:
    from postroom.app import Room

__all__ = ["app"]

app = Verbs("Jobs: what is done with credentials and mail, and when (postroom explain job).")

Name = Annotated[str, typer.Argument(help="Name of the job.")]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="Id of the run, or its beginning.")]
Rebind = Annotated[
    bool, typer.Option("--rebind", help="Hand it the stored secrets that it names; do not ask.")
]


@app.verb("list")
def list_() -> None:
    """Every job, when it is due next, and how its last run ended."""
    rows = [_line(one) for one in in_room(lambda room: room.jobs.list())]
    show.items(
        rows,
        (
            ("name", "NAME"),
            ("does", "DOES"),
            ("next", "NEXT"),
            ("held", "HELD"),
            ("last", "LAST RUN"),
            ("open", "UNFINISHED"),
            ("description", "DESCRIPTION"),
            ("error", "PROBLEM"),
        ),
        empty="No jobs yet. They stand in a room file (postroom apply FILE); see: postroom explain job",
        give=("description", "error", "last"),
    )


def _line(one: dict[str, Any]) -> dict[str, Any]:
    """A job in one line: what programs find too, and what people read."""
    last = one.get("last_run")
    counts = one.get("runs", {})
    return {
        **one,
        "next": (one.get("next_times") or [""])[0],
        "last": f"{last['state']} {last['finished_at'] or ''}".strip() if last else "",
        "open": sum(counts.get(state, 0) for state in ("waiting", "queued", "running")) or "",
    }


@app.verb("show")
def show_(name: Name) -> None:
    """One job with every setting, its next times, and its last run."""
    _show(in_room(lambda room: room.jobs.show(name)))


@app.verb(fields="job")
def add(ctx: typer.Context, name: Name, rebind: Rebind = False) -> None:
    """Make a job; one with several steps reads better in a room file (postroom apply)."""
    given = read_flags(ctx.args, nouns()["job"])

    async def body(room: Room) -> dict[str, Any]:
        data = {"name": name, **given.values}
        return await rebinding(lambda may: room.jobs.add(data, rebind=may), rebind=rebind)

    _saved(in_room(body))


@app.verb("set", fields="job")
def set_(ctx: typer.Context, name: Name, rebind: Rebind = False) -> None:
    """Change a job; --clear FIELD takes a value away."""
    changes = changes_of(read_flags(ctx.args, nouns()["job"]))

    async def body(room: Room) -> dict[str, Any]:
        return await rebinding(lambda may: room.jobs.set(name, changes, rebind=may), rebind=rebind)

    _saved(in_room(body))


@app.verb()
def copy(
    name: Name,
    new_name: Annotated[str, typer.Argument(help="Name of the new one.")],
    rebind: Rebind = False,
) -> None:
    """Make another job with the same settings."""

    async def body(room: Room) -> dict[str, Any]:
        return await rebinding(
            lambda may: room.jobs.copy(name, new_name, rebind=may), rebind=rebind
        )

    _saved(in_room(body))


@app.verb()
def delete(
    name: Name,
    force: Annotated[bool, typer.Option("--force", help="Even while runs are unfinished.")] = False,
) -> None:
    """Delete a job; its runs and their logs stay for a while."""

    async def body(room: Room) -> None:
        await room.jobs.delete(name, force=force, dry_run=True)
        agreed(f"Delete job {name}?")
        await room.jobs.delete(name, force=force)

    in_room(body)
    show.say(f"Deleted job {name}; its runs stay.", deleted=name)


@app.verb()
def hold(name: Name) -> None:
    """Begin no run of a job until it is released; times of its schedule pass by."""
    found = in_room(lambda room: room.jobs.hold(name))
    show.say(f"{found['name']} is held: nothing of it begins.", **found)
    show.note(f"Let it go: postroom job release {found['name']}")


@app.verb()
def release(name: Name) -> None:
    """Begin runs again of a job that was held."""
    found = in_room(lambda room: room.jobs.release(name))
    show.say(f"{found['name']} runs.", **found)


@app.verb()
def usage(name: Name) -> None:
    """What begins a job, and its runs that are not finished."""
    show_usage("job", name, in_room(lambda room: room.jobs.usage(name)))


@app.verb()
def run(
    name: Name,
    parameter: Annotated[
        list[str] | None,
        typer.Option("-p", "--parameter", metavar="NAME=VALUE", help="Several times."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what each step would do.")
    ] = False,
    forget: Annotated[
        bool, typer.Option("--forget", help="Leave it to a worker, and return.")
    ] = False,
    role: Annotated[list[str] | None, typer.Option(help="As of a worker; several times.")] = None,
) -> int:
    """Run a job here and now: 0 it succeeded, 1 it did not.  Ctrl-C cancels it."""
    given = _parameters(parameter or [])

    async def body(room: Room) -> int:
        if dry_run:
            _show_plan(await room.runs.plan(name, given))
            return OK
        run = await room.runs.begin(name, given)
        if forget:
            show.say(f"Run {run} is queued. Follow it: postroom job log {run} --follow", id=run)
            return OK
        return await _done_here(room, run, tuple(role or ()))

    return in_room(body)


async def _done_here(room: Room, run: str, roles: tuple[str, ...]) -> int:
    """Do the run, with its log as it comes; Ctrl-C cancels it."""
    await _say_what_it_waits_for(room, run, roles)
    doing = asyncio.create_task(room.runs.here(run, roles=roles))
    try:
        await _follow(room, run, quiet=OPTIONS.json, until=doing)
        await doing
    except asyncio.CancelledError:
        await room.runs.cancel_here(run, doing)
        show.note(f"Cancelled run {run}.")
        raise
    return await _ended(room, run)


async def _say_what_it_waits_for(room: Room, run: str, roles: tuple[str, ...]) -> None:
    found = await room.runs.show(run)
    if found.state == "waiting":
        show.note(f"Run {run} waits for the runs of job {found.job} before it.")
    needed = (await room.jobs.show(found.job))["worker_roles"]
    if needed and not set(needed) & set(roles):
        show.note(f"Run {run} waits for a worker with the role {' or '.join(needed)} (--role).")


async def _ended(room: Room, run: str) -> int:
    found = await room.runs.show(run)
    shown = found.as_json()
    if OPTIONS.json:
        show.record(shown)
    else:
        _show_result(found.result)
    if found.state == "succeeded":
        await _say_what_is_sent(room, found.id)
        return OK
    if found.finished:
        show.note(f"Run {found.id} {_what(found.state)}. Its log: postroom job log {found.id}")
        return FAILED
    show.note(
        f"Run {found.id} is {found.state}: a worker goes on with it. Follow it: "
        f"postroom job log {found.id} --follow"
    )
    return UNFINISHED


def _show_result(result: Any) -> None:
    """What a run gave, for people: without what is not there."""
    if (said := _there(result)) not in (None, {}):
        print(json.dumps(said, ensure_ascii=False, indent=2))


def _there(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _there(each) for key, each in value.items() if each not in (None, "", [], {})}
    return [_there(each) for each in value] if isinstance(value, list) else value


async def _say_what_is_sent(room: Room, run: str) -> None:
    """That a run has succeeded says nothing of what it sent: that goes now, if somebody sends."""
    waiting = [one for one in await room.outbox.list(run=run) if not one.finished]
    if waiting:
        note = await nobody_sends(room, waiting[0].service)
        show.note(f"Of what it sent {len(waiting)} in the outbox. {note or A_WORKER}")


def _what(state: str) -> str:
    return {"failed": "failed", "cancelled": "was cancelled", "lost": "was lost"}[state]


def _parameters(given: list[str]) -> dict[str, str]:
    found = {}
    for word in given:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise WrongUse(f"-p {word}: give NAME=VALUE.")
        found[name] = value
    return found


def _show_plan(lines: list[str]) -> None:
    """What it would do: lines for people, a list for programs."""
    if OPTIONS.json:
        show.items([{"does": line.strip()} for line in lines], (("does", "DOES"),), empty="")
        return
    for line in lines:
        print(show.said(line))


@app.verb()
def runs(
    name: Annotated[str | None, typer.Argument(help="Name of the job; none: of all.")] = None,
    state: Annotated[str, typer.Option(help="Only these, separated by commas.")] = "",
    since: Annotated[
        str, typer.Option(metavar="WHEN", help="Begun since then: 1h, 5d, 2027-01-31.")
    ] = "",
    limit: Annotated[int, typer.Option(metavar="N", help="So many at most.", min=1)] = 50,
    after: Annotated[str, typer.Option(metavar="ID", help="Go on behind this run.")] = "",
) -> None:
    """Runs, newest first."""
    states = [part.strip() for part in state.split(",") if part.strip()]
    found = in_room(
        lambda room: room.runs.list(
            name, states=states, since=since or None, limit=limit, after=after or None
        )
    )
    show.items(
        [one.as_json() for one in found],
        (
            ("id", "ID"),
            ("job", "JOB"),
            ("state", "STATE"),
            ("cause", "CAUSE"),
            ("created_at", "BEGUN"),
            ("finished_at", "FINISHED"),
            ("attempts", "TRIES"),
            ("reason", "REASON"),
        ),
        empty="No run yet." if not states else "No such run.",
        give=("reason",),
        next=found.next,
    )
    if found.next:
        show.note(f"There are more than these {limit}: go on with --after {found.next}")


@app.verb()
def log(
    run: RunId,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Until it is finished, as it comes.")
    ] = False,
) -> int:
    """How a run stands, and its log, without secrets."""

    async def body(room: Room) -> int:
        found = await room.runs.show(run)
        if follow:
            await _follow(room, found.id, quiet=False)
            return await _ended(room, found.id)
        lines: list[dict[str, Any]] = []
        while more := await room.runs.log(found.id, after=lines[-1]["line"] if lines else 0):
            lines += more
        if OPTIONS.json:
            show.record({**found.as_json(), "log": lines})
            return OK
        people = {key: value for key, value in found.as_json().items() if key != "result"}
        show.record(people)
        print()
        for line in lines:
            _print(line)
        _show_result(found.result)
        return OK

    return in_room(body)


async def _follow(
    room: Room, run: str, *, quiet: bool, until: asyncio.Task[Any] | None = None
) -> None:
    """Print the lines of a run as they come, until it is finished or, if given, ``until`` is done."""
    async for lines in room.runs.follow(run, until=until):
        for line in () if quiet else lines:
            _print(line)


def _print(line: dict[str, Any]) -> None:
    level = "" if line["level"] in ("info", "output") else f"{line['level'].upper()} "
    print(f"{_time(line['at'])} {level}{line['said']}", flush=True)


def _time(at: str) -> str:
    """The time of day in UTC; before it the day, where that is not today."""
    day, _, hour = at.removesuffix("Z").partition("T")
    return hour[:8] if day == rfc3339(timestamp())[:10] else f"{day} {hour[:8]}"


@app.verb()
def cancel(run: RunId) -> None:
    """End a run; what it would have sent is cancelled."""
    found = in_room(lambda room: room.runs.cancel(run))
    told = "is cancelled" if found.finished else "is being ended by its worker"
    show.say(f"Run {found.id} {told}.", **found.as_json())


def _show(found: dict[str, Any]) -> None:
    show.record(found, {key: value for key, value in found.items() if key != "warnings"})
    for warning in found["warnings"]:
        show.note(f"Note: job {found['name']}: {warning}")


def _saved(found: dict[str, Any]) -> None:
    _show(found)
    show.note(f"Run it: postroom job run {found['name']}")
