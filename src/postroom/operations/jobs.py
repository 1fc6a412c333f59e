"""Operations on jobs: their definitions, when they are due, and whether they are held."""

from __future__ import annotations

import builtins
import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from postroom.access import grants
from postroom.clock import rfc3339, timestamp
from postroom.db import Tx
from postroom.errors import NotThere, WrongUse
from postroom.fields import parse, shown
from postroom.jobs import claiming, runs, store
from postroom.jobs.arguments import check_defaults
from postroom.jobs.checks import check_steps, check_words
from postroom.jobs.code import saved
from postroom.jobs.job import Job
from postroom.jobs.missing import missing
from postroom.operations import usage
from postroom.operations.connections import merge
from postroom.operations.desk import Desk, Rebind
from postroom.operations.doing import expander_now
from postroom.operations.fits import check_handed
from postroom.operations.jobnames import check_names, check_no_circle
from postroom.operations.permitting import check_job, check_runs_code
from postroom.operations.sight import check_may_change
from postroom.operations.stepfits import check_fits
from postroom.operations.usage import Usage

if TYPE_CHECKING:
    from postroom.operations import models

__all__ = ["Jobs"]

NEXT_TIMES: Final = 3
"""Times of its schedule that a job shows."""
_DOES: Final = {"steps", "python", "command"}
_REPLACED: Final = _DOES | {"parameters"}
"""What a change replaces as a whole."""


class Jobs:
    """What a person may do with the definitions of jobs."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def add(
        self, data: Mapping[str, Any], *, base: Path | None = None, rebind: Rebind = False
    ) -> models.Job:
        """Make a job; relative paths are taken from ``base`` (default: here).

        Raises what is wrong with it, or ``secret_reentry_required`` where it would be handed stored
        secrets.
        """
        job = self.declared(data, base or Path.cwd())
        await self._desk.change(lambda tx: self.save(tx, job, new=True), rebind=rebind)
        return await self.show(job.name)

    async def set(
        self,
        name: str,
        changes: Mapping[str, Any],
        *,
        base: Path | None = None,
        rebind: Rebind = False,
    ) -> models.Job:
        """Change fields of a job; what it does, its schedule and its parameters are replaced whole."""

        def there(tx: Tx) -> dict[str, Any]:
            check_may_change(tx, "job", store.row_of(tx, name))
            return shown(store.get(tx, name))

        def body(tx: Tx) -> bool:
            if same := there(tx) == old:
                self.save(tx, job, new=False)
            return same

        while True:  # a script is read while nobody waits for it
            old = await self._desk.db.read(there)
            job = self.declared(self.merged(old, changes), base or Path.cwd())
            if await self._desk.change(body, rebind=rebind):
                return await self.show(name)

    def merged(self, old: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
        """A definition with changes; what it does is one thing, so another one takes its place."""
        replaced = {key for key in _REPLACED if key in changes}
        if any(changes.get(key) for key in _DOES):
            replaced |= _DOES
        kept = {key: value for key, value in old.items() if key not in replaced}
        other = {"cron": "every", "every": "cron"}
        if isinstance(kept.get("schedule"), Mapping) and isinstance(
            changes.get("schedule"), Mapping
        ):
            gone = {other[key] for key in changes["schedule"] if key in other}
            kept["schedule"] = {k: v for k, v in kept["schedule"].items() if k not in gone}
        return merge(kept, changes)

    def declared(self, data: Mapping[str, Any], base: Path) -> Job:
        """The definition in input, with absolute paths and the digest of its script.

        Raises what is wrong with it, and where others may change what it runs.
        """
        job = parse(Job, data, where=f"job {data.get('name', '')}".strip())
        check_runs_code(self._desk.person, job)  # before any file is looked at
        return saved(job.resolved(base))

    def save(self, tx: Tx, job: Job, *, new: bool) -> None:
        """Store it, check what it refers to, and write it down."""
        where = f"job {job.name}"
        check_job(self._desk.person, job)
        expand = expander_now(tx, self._desk.environ)
        with _placed(where):
            check_defaults(job)
            check_words(job, expand=expand)
            if job.steps:
                check_steps(job, expand=expand)
        if job.steps:
            check_names(self._desk, tx, job)
            check_no_circle(tx, job)
            check_fits(self._desk, tx, job)
        for name in job.credentials:
            if not self._desk.credentials.exists(tx, name):
                raise NotThere(f"{where}: credentials: there is no credential called {name!r}.")
        if new:
            store.add(tx, job)
        else:
            check_handed(tx, job)
            store.replace(tx, job)
            claiming.unminded(tx, job, now=timestamp())
        self._desk.record(tx, "add" if new else "set", "job", job.name)

    async def copy(self, name: str, new_name: str, *, rebind: Rebind = False) -> models.Job:
        """Make another job with the same settings under a new name; it keeps nothing yet."""
        data = shown(await self._desk.db.read(lambda tx: store.get(tx, name)))
        return await self.add({**data, "name": new_name}, rebind=rebind)

    async def delete(self, name: str, *, force: bool = False, dry_run: bool = False) -> None:
        """Remove a job; its runs stay.  Refused while runs are not finished, unless forced: then those
        that nobody has begun are cancelled.
        """
        await self._desk.change(lambda tx: self.remove(tx, name, force=force), dry_run=dry_run)

    def remove(self, tx: Tx, name: str, *, force: bool = False) -> None:
        """As :meth:`delete`, inside a transaction."""
        found = store.spelled(tx, name)
        uses = usage.standing(tx, usage.of_job, found)
        if others := [use for use in uses if use.noun != "runs"]:
            hint = "Change or delete those first."
            raise usage.in_use(f"Job {found}", others, hint)
        if uses and not force:
            hint = (
                f"See them: postroom job runs {found}. Let them end, cancel them, or use --force."
            )
            raise usage.in_use(f"Job {found}", uses, hint)
        store.delete(tx, found)
        grants.forget(tx, grantee=f"job:{found}")
        while runs.orphans(tx, now=timestamp()):
            pass
        self._desk.record(tx, "delete", "job", found)

    async def hold(self, name: str) -> models.Job:
        """Begin no run of a job until it is released; its schedule passes by."""
        return await self._switch(name, held=True)

    async def release(self, name: str) -> models.Job:
        """Begin runs again of a job that was held."""
        return await self._switch(name, held=False)

    async def _switch(self, name: str, *, held: bool) -> models.Job:
        def body(tx: Tx) -> None:
            found = store.spelled(tx, name)
            if store.hold(tx, found, held=held):
                self._desk.record(tx, "hold" if held else "release", "job", found)

        await self._desk.write(body)
        return await self.show(name)

    async def usage(self, name: str) -> Usage:
        """The sources that hand messages to a job, the jobs that begin it, its unfinished runs."""
        return await self._desk.db.read(lambda tx: usage.of_job(tx, store.get(tx, name).name))

    async def list(self) -> builtins.list[models.JobLine]:
        """Every job: what it does, when it is due next, how its last run ended, what is unfinished.

        Of one whose settings cannot be read, ``error`` says why.
        """

        def body(tx: Tx) -> builtins.list[dict[str, Any]]:
            found = [{**shown(one), **_status(tx, one)} for one in store.load_all(tx)]
            for name, error in store.unreadable(tx).items():
                found.append({"name": name, "error": str(error)})
            return sorted(found, key=lambda one: one["name"].casefold())

        return await self._desk.db.read(body)

    async def show(self, name: str) -> models.Job:
        """One job with every setting, its next times, and how it stands, as in :meth:`list`.

        ``warnings`` are sentences about what it would run and is not there.
        """

        def body(tx: Tx) -> dict[str, Any]:
            one = store.get(tx, name)
            return {**shown(one, defaults=True), **_status(tx, one), "warnings": missing(one)}

        return await self._desk.db.read(body)


@contextlib.contextmanager
def _placed(where: str) -> Iterator[None]:
    """What is wrong inside a job says of which one."""
    try:
        yield
    except WrongUse as error:
        error.sentence = f"{where}: {error.sentence}"
        raise


def _status(tx: Tx, job: Job) -> dict[str, Any]:
    row = store.row_of(tx, job.name)
    last = runs.listed(tx, job=job.name, states=(), since=None, limit=1)
    return {
        "does": next(one for one in _DOES if getattr(job, one)),
        "held": bool(row["held"]),
        "next_times": _next_times(job, row["next_at"], held=bool(row["held"])),
        "last_run": None if not last else last[0].as_json(),
        "runs": runs.counts(tx, job.name),
    }


def _next_times(job: Job, due: float | None, *, held: bool) -> list[str]:
    """The next times of its schedule, the first being when it is due."""
    if job.schedule is None or due is None or held:
        return []
    times = [due]
    while len(times) < NEXT_TIMES:
        times.append(job.schedule.after(times[-1]))
    return [rfc3339(each) for each in times]
