"""The routes that monitoring asks: ``/healthz``, ``/readyz`` and ``/metrics``.

Without a token the first two say ok or not, and nothing else; figures and reasons are for who may view.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from postroom.access import Person
from postroom.api.problems import problem
from postroom.api.signing import signed_in
from postroom.app import Room
from postroom.errors import PostroomError
from postroom.operations.gate import check_may

__all__ = ["TEXT_FORMAT", "health_routes"]

TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"
"""The media type of what Prometheus reads."""


def health_routes(room: Room) -> list[Route]:
    """The routes, for this room; they stand outside of sign-in and are not found by a page's links."""

    async def healthz(request: Request) -> Response:
        """The process lives and answers."""
        return JSONResponse({"ok": True})

    async def readyz(request: Request) -> Response:
        """Whether the room can do its work: 200 or 503; to who may view, why not."""
        found = await room.health.ready()
        shown = {"ok": found["ok"]}
        if "authorization" in request.headers:
            try:
                await _check_may_view(room, request)
            except PostroomError as error:
                return problem(error)
            shown = found
        return JSONResponse(shown, status_code=200 if found["ok"] else 503)

    async def metrics(request: Request) -> Response:
        """The figures, for a token that may view."""
        try:
            person = await _check_may_view(room, request)
            figures = await room.health.metrics(person)
            return Response(figures, headers={"Content-Type": TEXT_FORMAT})
        except PostroomError as error:
            return problem(error)

    return [
        Route("/healthz", healthz, methods=["GET"]),
        Route("/readyz", readyz, methods=["GET"]),
        Route("/metrics", metrics, methods=["GET"]),
    ]


async def _check_may_view(room: Room, request: Request) -> Person:
    """Whose token the request has, read as the API reads it.  Raises Refused unless they may view."""
    person = (await signed_in(room, request)).desk.person
    check_may(person, "view")
    return person
