"""Overview: what needs a person now, and what is there; an empty room begins with an account."""

from __future__ import annotations

from starlette.responses import Response

from postroom.web.paths import get
from postroom.web.visit import Visit

__all__ = ["ROUTES"]


async def _overview(visit: Visit) -> Response:
    return visit.page("overview.html")


ROUTES = (get("/", _overview),)
