"""Parts of pages that change by themselves: works under way; and the colours of the page."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from postroom.web.cookies import set_theme
from postroom.web.paths import get, post
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
    visit.works.stop(visit.actor, visit["id"])
    return visit.go(visit.form.text("next") or "/", "It was ended.", "note")


async def _theme(visit: Visit) -> Response:
    chosen = visit.form.text("theme")
    answer = visit.go(visit.form.text("next") or "/")
    set_theme(visit.request, answer, chosen if chosen in _THEMES else "auto")
    return answer


ROUTES = (
    get("/works/{id}", _work),
    post("/works/{id}/stop", _stop),
    post("/theme", _theme, open=True),
)
