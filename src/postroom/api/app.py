"""The API's application: a route for each door, streams, the OpenAPI document, and how errors are told."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from postroom.api.description import description
from postroom.api.events import Events
from postroom.api.problems import JSON, as_json, of_mistake, of_starlette, problem
from postroom.api.routes import Route
from postroom.api.signing import signed_in
from postroom.app import NOUNS, Room
from postroom.errors import PostroomError
from postroom.operations.asking import all_asked

__all__ = ["Unbroken", "make_app"]

OPENAPI: Final = "/openapi.json"


def make_app(room: Room) -> ASGIApp:
    """The application that answers for a room; its routes are relative to where it is mounted."""
    app = FastAPI(
        openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False, title="Postroom"
    )
    asked = all_asked(NOUNS)
    # a fixed address before one with a name in it: /outbox/waiting is no item
    places: dict[str, dict[str, Route]] = {}
    for one in sorted(asked.values(), key=lambda one: one.door.path.replace("{", "~")):
        places.setdefault(one.door.path, {})[one.door.http] = Route(room, one, asked)
    for path, routes in places.items():
        app.add_route(path, _place(routes), [*routes], include_in_schema=False)
    app.add_route("/events", Events(room).answer, ["GET"], include_in_schema=False)
    written = as_json(description(asked))

    async def openapi(request: Request) -> Response:
        await signed_in(room, request)
        return Response(written, media_type=JSON)

    app.add_route(OPENAPI, openapi, ["GET"], include_in_schema=False)
    app.add_exception_handler(PostroomError, _told)
    app.add_exception_handler(HTTPException, of_starlette)
    app.add_exception_handler(Exception, of_mistake)
    return Unbroken(app)


class Unbroken:
    """The application, of which no exception comes out: it was answered, and stands in the log."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        with contextlib.suppress(Exception):
            await self._app(scope, receive, send)


def _place(routes: Mapping[str, Route]) -> Callable[[Request], Awaitable[Response]]:
    """One address: what is asked there with each method."""

    async def answer(request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        return await routes[method].answer(request)

    return answer


def _told(_request: Request, error: Exception) -> Response:
    assert isinstance(error, PostroomError)  # noqa: S101  # it is registered for no other
    return problem(error)
