"""The entrance: signing in and out, one-time addresses, and proving once more who somebody is."""

from __future__ import annotations

from starlette.responses import Response

from postroom.errors import CODES, InvalidValue, PostroomError, Refused
from postroom.secret import Secret
from postroom.web import cookies
from postroom.web.guard import here
from postroom.web.paths import get, post
from postroom.web.visit import Visit

__all__ = ["ROUTES"]


async def _sign_in(visit: Visit) -> Response:
    if visit.session is not None:
        return visit.go(visit.query("next") or "/")
    return _door(visit, next=visit.query("next"))


async def _signed_in(visit: Visit) -> Response:
    form, request = visit.form, visit.request
    try:
        done = await visit.hall.people.sign_in(
            form.text("name"),
            form.secret("password") or Secret(""),
            peer=_peer(visit),
            agent=_agent(visit),
        )
    except PostroomError as error:
        return _door(visit, error, name=form.text("name"), next=form.text("next"))
    answer = visit.go(here(form.text("next") or "/"))
    cookies.set_session(request, answer, done.cookie)
    return answer


def _door(
    visit: Visit, error: PostroomError | None = None, *, name: str = "", next: str = ""
) -> Response:
    status = 200 if error is None else CODES[error.code].http
    return visit.page(
        "entrance/sign_in.html", status, error=error, name=name, next=next,
        provider=visit.hall.people.has_provider,
    )  # fmt: skip


async def _to_provider(visit: Visit) -> Response:
    """Off to the provider of OpenID Connect; a form, since it begins something."""
    try:
        begun = await visit.hall.people.oidc_begin(
            _back(visit), code=visit.form.text("code"), peer=_peer(visit)
        )
    except PostroomError as error:
        return _door(visit, error)
    # a form may only lead back here (form-action), so the way out is a link that is followed by itself
    answer = visit.page("entrance/provider.html", url=begun.url)
    cookies.set_provider(visit.request, answer, begun.cookie)
    return answer


async def _from_provider(visit: Visit) -> Response:
    """Where the provider sends the browser back to."""
    request = visit.request
    try:
        done = await visit.hall.people.oidc_end(
            cookies.provider_of(request), request.url.query, peer=_peer(visit), agent=_agent(visit)
        )
    except PostroomError as error:
        answer = _door(visit, error)
    else:
        answer = visit.go("/")
        cookies.set_session(request, answer, done.cookie)
    cookies.drop_provider(request, answer)
    return answer


def _back(visit: Visit) -> str:
    return f"{visit.request.url.scheme}://{visit.request.headers.get('host', '')}/sign-in/provider"


async def _welcome(visit: Visit) -> Response:
    return visit.page(
        "entrance/welcome.html", code="", error=None, name="",
        provider=visit.hall.people.has_provider,
    )  # fmt: skip


async def _accepted(visit: Visit) -> Response:
    form = visit.form
    code, password = form.text("code"), form.secret("password")
    try:
        if password is None or password != form.secret("again"):
            raise InvalidValue("password", "the two are not the same; type it twice")
        done = await visit.hall.people.accept(
            code, name=form.text("name"), password=password, agent=_agent(visit)
        )
    except PostroomError as error:
        return visit.page(
            "entrance/welcome.html", 422, code=code, error=error, name=form.text("name"),
            provider=visit.hall.people.has_provider,
        )  # fmt: skip
    answer = visit.go("/")
    cookies.set_session(visit.request, answer, done.cookie)
    return answer


async def _sign_out(visit: Visit) -> Response:
    cookie = cookies.session_of(visit.request)
    if cookie is not None and visit.session is not None:
        await visit.hall.people.sign_out(cookie)
    answer = visit.go("/sign-in")
    cookies.drop_session(visit.request, answer)
    return answer


async def _prove(visit: Visit) -> Response:
    return visit.page("entrance/prove.html", next=visit.query("next"), error=None)


async def _proved(visit: Visit) -> Response:
    cookie = cookies.session_of(visit.request)
    wanted = visit.form.text("next")
    try:
        if cookie is None:
            raise Refused("You are not signed in any more.", code="not_signed_in")
        password = visit.form.secret("password") or Secret("")
        await visit.hall.people.prove(cookie, password, peer=_peer(visit))
    except PostroomError as error:
        return visit.page("entrance/prove.html", CODES[error.code].http, next=wanted, error=error)
    return visit.go(wanted or "/")


def _peer(visit: Visit) -> str:
    """Where they come from; behind a trusted proxy the border has put the right address there."""
    return visit.request.client.host if visit.request.client else ""


def _agent(visit: Visit) -> str:
    return visit.request.headers.get("user-agent", "")[:200]


ROUTES = (
    get("/sign-in", _sign_in, open=True),
    post("/sign-in", _signed_in, open=True),
    post("/sign-in/to-provider", _to_provider, open=True),
    get("/sign-in/provider", _from_provider, open=True),
    get("/welcome", _welcome, open=True),
    post("/welcome", _accepted, open=True),
    post("/sign-out", _sign_out, open=True),
    get("/prove", _prove),
    post("/prove", _proved),
)
