"""A visit: one request of one person, what they see the room as, and how a page is answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from postroom.errors import CODES, PostroomError
from postroom.log import known
from postroom.operations.people import PROVED_FOR, Session
from postroom.web.form import Form
from postroom.web.guard import here
from postroom.web.said import Kind
from postroom.web.templating import ENVIRONMENT
from postroom.web.works import Work, Works

if TYPE_CHECKING:
    from postroom.app import Room
    from postroom.web.app import Hall

__all__ = ["Visit", "agent_of", "at", "by_itself", "fresh", "origin_of", "peer_of"]


def at(*parts: str) -> str:
    """A path of the page, its parts quoted: ``at("credentials", name)``."""
    return "/" + "/".join(quote(part, safe="") for part in parts)


class Visit:
    """One request.  ``room`` is the room as this person sees it; ``form`` what they sent."""

    def __init__(
        self, hall: Hall, request: Request, session: Session | None, csrf: str, form: Form
    ) -> None:
        self.hall = hall
        self.request = request
        self.session = session
        self.csrf = csrf
        self.form = form
        self.seen = ""
        """The tag of the definition that the form of this page changes."""
        self._room: Room | None = None

    @property
    def room(self) -> Room:
        """The room as whoever is signed in sees it."""
        if self._room is None:
            if self.session is None:
                raise LookupError("nobody is signed in")
            known(actor=self.session.person.actor)
            self._room = self.hall.room.acting(self.session.person)
        return self._room

    @property
    def works(self) -> Works:
        """What is under way."""
        return self.hall.works

    @property
    def actor(self) -> str:
        """Who this is, as the audit record calls them."""
        return "" if self.session is None else str(self.session.person.actor)

    @property
    def live(self) -> bool:
        """Whether a part of a page is asked for, by htmx."""
        return self.request.headers.get("hx-request") == "true"

    @property
    def address(self) -> str:
        """Where this page is shown again: its path, and its query where it was asked for by one."""
        url = self.request.url
        # where a browser was sent back to with a code, that stands in no page (T85)
        plain = self.request.method != "GET" or "code" in self.request.query_params
        return url.path if plain or not url.query else f"{url.path}?{url.query}"

    def __getitem__(self, name: str) -> str:
        """A part of the path."""
        return str(self.request.path_params[name])

    def query(self, name: str, default: str = "") -> str:
        """A value of the address."""
        return self.request.query_params.get(name, default).strip()

    def may(self, *verbs: str) -> bool:
        """Whether this person has all of these rights."""
        return self.session is not None and all(self.session.person.may(each) for each in verbs)

    def say(self, text: str, kind: Kind = "done") -> None:
        """Say something on the next page."""
        self.hall.said.say(self.csrf, text, kind)

    def page(self, template: str, status: int = 200, **facts: Any) -> Response:
        """A page, or a part of one, drawn from a template."""
        error, headers = facts.get("error"), {}
        if status >= 400 and isinstance(error, PostroomError) and error.retry_after is not None:
            headers["Retry-After"] = str(error.retry_after)
        return HTMLResponse(self.drawn(template, **facts), status, headers)

    def drawn(self, template: str, **facts: Any) -> str:
        """The text of a template."""
        whole = not template.rpartition("/")[2].startswith("_")
        return ENVIRONMENT.get_template(template).render(
            visit=self,
            csrf=self.csrf,
            seen=self.seen,
            path=self.request.url.path,
            may=self.may,
            at=at,
            places=self.hall.places,
            theme=self.request.cookies.get("postroom-theme", "auto"),
            notices=self.hall.said.heard(self.csrf) if whole else [],
            **facts,
        )

    def go(self, path: str, text: str = "", kind: Kind = "done") -> Response:
        """On to another page, where ``text`` is said."""
        if text:
            self.say(text, kind)
        if self.live:
            return Response(status_code=204, headers={"HX-Redirect": here(path)})
        return RedirectResponse(here(path), status_code=303)

    def begin(self, template: str, run: Callable[[Work], Awaitable[Any]], **facts: Any) -> Work:
        """Begin what takes longer; show it with ``ui.watch(work)``."""
        return self.works.begin(self.actor, template, run, **facts)

    def failed(self, error: PostroomError) -> Response:
        """The page of an error: what is wrong, and what to do."""
        status = CODES[error.code].http
        template = "_failed.html" if self.live else "failed.html"
        # htmx puts nothing into the page that comes with the status of an error
        return self.page(
            template,
            200 if self.live else status,
            error=error,
            told=status,
            again=by_itself(self.request),
        )


def fresh(session: Session, now: float) -> bool:
    """Whether somebody has proved lately who they are."""
    return now - session.proved_at <= PROVED_FOR


def agent_of(request: Request) -> str:
    """What a browser calls itself, for the list of sessions."""
    return request.headers.get("user-agent", "")[:200]


def by_itself(request: Request) -> bool:
    """Whether a part of a page asks for itself anew, and nobody has done anything."""
    return "postroom-live" in request.headers


def origin_of(request: Request) -> str:
    """Where this page is: ``https://mail.example.com``, as the browser calls it."""
    return f"{request.url.scheme}://{request.headers.get('host', '')}"


def peer_of(request: Request) -> str:
    """Where somebody comes from; behind a trusted proxy the border has put the right address there."""
    return request.client.host if request.client else ""
