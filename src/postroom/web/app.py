"""The application: routes of the pages, whoever comes in, and what is answered when something is wrong."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from postroom.clock import timestamp
from postroom.errors import NotThere, PostroomError, Refused
from postroom.operations.gate import check_may
from postroom.operations.people import Session
from postroom.web import cookies
from postroom.web.drafts import Drafts
from postroom.web.form import Form, read_form
from postroom.web.guard import SAFE, check_origin, check_token
from postroom.web.letters import Letters
from postroom.web.pages import PAGES
from postroom.web.paths import Path
from postroom.web.said import Said
from postroom.web.seen import FORMS, keep_what_was_seen, look
from postroom.web.statics import answer as static_file
from postroom.web.templating import ENVIRONMENT
from postroom.web.visit import Visit, at, by_itself, fresh, origin_of
from postroom.web.works import Works

if TYPE_CHECKING:
    from postroom.app import Room

__all__ = ["Hall", "make_app"]

_NOTHING: Final = Form(FormData())
_AT_FIRST: Final = ("base.html", "ui.html", "entrance/sign_in.html")
"""Templates that are compiled before anybody comes: the first page would wait for them."""


class Hall:
    """What every visit shares: the room, what is said, what is under way, the places there are."""

    def __init__(self, room: Room, places: frozenset[str]) -> None:
        self.room = room
        self.people = room.people
        self.said = Said()
        self.drafts = Drafts()
        self.works = Works()
        self.letters = Letters()
        self.places = places


def make_app(room: Room) -> Starlette:
    """The web page of a room, to be served at ``/``; it never closes the room.

    Raises nothing itself: what goes wrong is answered with a page that says what to do.
    """
    for name in _AT_FIRST:
        ENVIRONMENT.get_template(name)
    paths = [path for page in PAGES for path in page.ROUTES]
    hall = Hall(room, frozenset(each.path for each in paths if each.method == "GET"))

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await hall.works.close()

    routes = [Route("/static/{name}", static_file)]
    routes += [Route(each.path, _answering(hall, each), methods=[each.method]) for each in paths]
    handlers: Mapping[Any, Callable[[Request, Exception], Awaitable[Response]]] = {
        HTTPException: _missing(hall),
        Exception: _mistake(hall),
    }
    return Starlette(routes=routes, exception_handlers=handlers, lifespan=lifespan)


def _answering(hall: Hall, path: Path) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        visit = await _received(hall, request)
        if visit.session is None and not path.open:
            return _to_the_door(visit)
        try:
            if request.method not in SAFE:
                check_origin(request.headers, origin_of(request))
            if visit.session is not None and not path.open:
                check_may(visit.session.person, path.right)  # before a large form is read
            if request.method not in SAFE:
                visit.form = await read_form(request)
                check_token(visit.form.text("csrf"), visit.csrf)
            if path.proved and visit.session and not fresh(visit.session, timestamp()):
                back = _page_of(path.path, request.url.path, hall.places)
                if request.method not in SAFE:
                    visit.say("Nothing was done yet: prove who you are, then do it again.", "note")
                return visit.go(f"{at('prove')}?next={quote(back)}")
            if path.path.endswith(FORMS):
                noun = path.path.split("/")[1]
                if request.method in SAFE:
                    await look(visit, noun)
                else:
                    keep_what_was_seen(visit, noun)
            answered = await path.handler(visit)
        except PostroomError as error:
            if error.code == "not_signed_in":
                return _to_the_door(visit)
            answered = visit.failed(error)
        return _with_guest(visit, answered)

    return answer


def _page_of(template: str, path: str, places: frozenset[str]) -> str:
    """The page where a form stands that is sent to ``path``: the same path, or the nearest above it."""
    while template and template not in places:
        template, path = template.rpartition("/")[0], path.rpartition("/")[0]
    return path or "/"


async def _received(hall: Hall, request: Request) -> Visit:
    """Who this is: by their session, or a guest with a token for the form of the door."""
    cookie = cookies.session_of(request)
    session: Session | None = None
    if cookie is not None:
        with contextlib.suppress(PostroomError):
            session = await hall.people.session(cookie, used=not by_itself(request))
    if session is not None:
        return Visit(hall, request, session, session.csrf, _NOTHING)
    guest = cookies.guest_of(request) or secrets.token_urlsafe(24)
    return Visit(hall, request, None, guest, _NOTHING)


def _with_guest(visit: Visit, answered: Response) -> Response:
    if visit.session is None and cookies.guest_of(visit.request) != visit.csrf:
        cookies.set_guest(visit.request, answered, visit.csrf)
    return answered


def _to_the_door(visit: Visit) -> Response:
    """To the sign-in page, and back from there where nothing was sent."""
    wanted = visit.request.url.path if visit.request.method in SAFE and not visit.live else "/"
    return _with_guest(visit, visit.go(f"/sign-in?next={wanted}" if wanted != "/" else "/sign-in"))


def _missing(hall: Hall) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answer(request: Request, error: Exception) -> Response:
        visit = await _received(hall, request)
        if visit.session is None:
            return _to_the_door(visit)
        return visit.failed(
            NotThere("There is no such page.", hint="The ways through the page begin at Overview.")
        )

    return answer


def _mistake(hall: Hall) -> Callable[[Request, Exception], Awaitable[Response]]:
    """What is answered; the exception goes on to the border, which logs where it came from."""

    async def answer(request: Request, error: Exception) -> Response:
        visit = await _received(hall, request)
        return visit.failed(
            Refused(
                "This is a mistake of Postroom's; what you asked for was not done, or not to its end.",
                code="mistake",
                hint="Look whether it was done before you do it again. The log has more.",
            )
        )

    return answer
