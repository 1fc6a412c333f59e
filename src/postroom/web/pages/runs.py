"""Runs: what jobs have done and are doing; the log of one as it is written; ending it."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

from starlette.responses import Response

from postroom.errors import InvalidValue
from postroom.web.paging import MANY, ways
from postroom.web.paths import get, post
from postroom.web.visit import Visit, at

__all__ = ["ROUTES"]

STATES: Final = ("waiting", "queued", "running", "succeeded", "failed", "cancelled", "lost")
MEANS: Final = {
    "waiting": "It waits for another run of its job.",
    "queued": "It begins as soon as a worker takes it.",
    "running": "A worker is at it.",
    "succeeded": "All of it was done; what it sent was let go.",
    "failed": "It ended in an error. What it sent and was held is cancelled.",
    "cancelled": "Somebody ended it. What it sent and was held is cancelled.",
    "lost": "Its worker was killed while it ran.",
}
_LINES: Final = 1000
_MOST: Final = 5000
"""Lines of a log that a page shows; behind them the command line is the place."""


async def _list(visit: Visit) -> Response:
    given = {name: visit.query(name) for name in ("job", "state", "since")}
    kept = {name: value for name, value in given.items() if value}
    error: InvalidValue | None = None
    try:
        found = await visit.room.runs.list(
            given["job"] or None,
            states=[given["state"]] if given["state"] else [],
            since=given["since"] or None,
            limit=MANY,
            after=visit.query("after") or None,
        )
    except InvalidValue as wrong:
        error, found = wrong, await visit.room.runs.list()
    jobs = [str(one["name"]) for one in await visit.room.jobs.list()]
    return visit.page(
        "runs/_list.html" if visit.live else "runs/list.html", runs=found, given=given, jobs=jobs,
        states=STATES, error=error, address=f"/runs?{urlencode(kept)}", **ways(visit, kept, found)._asdict(),
    )  # fmt: skip


async def _show(visit: Visit) -> Response:
    """A run; while it is not over, its part of the page asks for what is new."""
    run = await visit.room.runs.show(visit["run"])
    lines: list[Any] = []
    seen = 0
    while len(lines) < _MOST and (more := await visit.room.runs.log(run.id, after=seen)):
        lines += more
        seen = more[-1]["line"]
        if len(more) < _LINES:
            break
    sent = await visit.room.outbox.list(run=run.id, limit=20)
    return visit.page(
        "runs/_run.html" if visit.live else "runs/show.html",
        run=run, lines=lines[-_MOST:], means=MEANS[run.state], sent=sent,
    )  # fmt: skip


async def _cancel(visit: Visit) -> Response:
    run = await visit.room.runs.cancel(visit["run"])
    told = "It was cancelled." if run.finished else "It is being ended; that takes a few seconds."
    return visit.go(at("runs", run.id), told)


ROUTES = (
    get("/runs", _list),
    get("/runs/{run}", _show),
    post("/runs/{run}/cancel", _cancel, "use"),
)
