"""Parts of pages that change by themselves: works under way; and the colours of the page."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from postroom.errors import PostroomError
from postroom.web.cookies import set_theme
from postroom.web.paths import get, post
from postroom.web.times import next_times
from postroom.web.visit import Visit
from postroom.web.works import Work

__all__ = ["ROUTES"]

_THEMES: Final = ("auto", "light", "dark")


async def _work(visit: Visit) -> Response:
    """How a work is getting on: the part of the page that shows it."""
    work = visit.works.find(visit.actor, visit["id"])
    if visit.live and (address := _onward(work)):
        return Response(status_code=204, headers={"HX-Redirect": address})
    template = "_watched.html" if visit.live else "watched.html"
    return visit.page(template, work=work)


def _onward(work: Work) -> str:
    """The sign-in page of a provider, once, where this browser is what somebody signs in with."""
    step = work.facts.get("step")
    if work.done or not step or step["kind"] != "browser" or work.facts["gone"]:
        return ""
    work.facts["gone"] = True
    return str(step["url"])


async def _stop(visit: Visit) -> Response:
    stopped = visit.works.stop(visit.actor, visit["id"])
    told = "It was ended." if stopped else "It had come to its end already."
    return visit.go(visit.form.text("next") or "/", told, "note")


async def _times(visit: Visit) -> Response:
    """The next times of a schedule that is being typed: a part of its form."""
    if not visit.live:
        return visit.go("/")
    when, zone = visit.query("when"), visit.query("schedule.timezone")
    schedule = {when: visit.query(f"schedule.{when}"), "timezone": zone}
    try:
        times, error = next_times(schedule), None
    except PostroomError as wrong:
        times, error = [], wrong
    return visit.page("_times.html", times=times, zone=zone, error=error)


async def _theme(visit: Visit) -> Response:
    chosen = visit.form.text("theme")
    answer = visit.go(visit.form.text("next") or "/")
    set_theme(visit.request, answer, chosen if chosen in _THEMES else "auto")
    return answer


ROUTES = (
    get("/works/{id}", _work),
    post("/works/{id}/stop", _stop),
    get("/next-times", _times),
    post("/theme", _theme, open=True),
)
