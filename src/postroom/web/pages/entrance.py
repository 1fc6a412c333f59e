"""The entrance: signing in and out, one-time addresses, and proving once more who somebody is."""

from __future__ import annotations

from starlette.responses import Response

from postroom.errors import CODES, PostroomError
from postroom.operations.people import Begun, SignedIn
from postroom.secret import Secret
from postroom.web import cookies
from postroom.web.guard import here
from postroom.web.paths import get, post
from postroom.web.visit import Visit, agent_of, origin_of, peer_of

__all__ = ["ROUTES"]


async def _sign_in(visit: Visit) -> Response:
    if visit.session is not None:
        return visit.go(visit.query("next") or "/")
    return _door(visit, next=visit.query("next"))


async def _signed_in(visit: Visit) -> Response:
    form = visit.form
    try:
        done = await visit.hall.people.sign_in(
            form.text("name"),
            form.secret("password") or Secret(""),
            peer=peer_of(visit.request),
            agent=agent_of(visit.request),
        )
    except PostroomError as error:
        return _door(visit, error, name=form.text("name"), next=form.text("next"))
    return await _entered(visit, done, here(form.text("next") or "/"))


async def _entered(visit: Visit, done: SignedIn, path: str) -> Response:
    """On with a new session; another one that this browser had before is over."""
    before = cookies.session_of(visit.request)
    if before is not None and before != done.cookie:
        await visit.hall.people.sign_out(before)
    answer = visit.go(path)
    cookies.set_session(visit.request, answer, done.cookie)
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
            _back(visit), code=visit.form.text("code"), back=visit.form.text("next"),
            peer=peer_of(visit.request),
        )  # fmt: skip
    except PostroomError as error:
        return _door(visit, error)
    return _off(visit, begun)


def _off(visit: Visit, begun: Begun) -> Response:
    # a form may only lead back here (form-action), so the way out is a link that is followed by itself
    answer = visit.page("entrance/provider.html", url=begun.url)
    cookies.set_provider(visit.request, answer, begun.cookie)
    return answer


async def _from_provider(visit: Visit) -> Response:
    """Where the provider sends the browser back to."""
    request = visit.request
    try:
        done = await visit.hall.people.oidc_end(
            cookies.provider_of(request), request.url.query, peer=peer_of(request),
            agent=agent_of(request), session=cookies.session_of(request) or "",
        )  # fmt: skip
    except PostroomError as error:
        answer = _door(visit, error) if visit.session is None else _asked(visit, "/", error)
    else:
        answer = await _entered(visit, done, here(done.back or "/"))
    cookies.drop_provider(request, answer)
    return answer


def _back(visit: Visit) -> str:
    return f"{origin_of(visit.request)}/sign-in/provider"


async def _welcome(visit: Visit) -> Response:
    return visit.page(
        "entrance/welcome.html", code="", error=None, name="",
        provider=visit.hall.people.has_provider,
    )  # fmt: skip


async def _accepted(visit: Visit) -> Response:
    form = visit.form
    code = form.text("code")
    try:
        done = await visit.hall.people.accept(
            code, name=form.text("name"), password=form.twice("password"),
            agent=agent_of(visit.request),
        )  # fmt: skip
    except PostroomError as error:
        return visit.page(
            "entrance/welcome.html", 422, code=code, error=error, name=form.text("name"),
            provider=visit.hall.people.has_provider,
        )  # fmt: skip
    return await _entered(visit, done, "/")


async def _sign_out(visit: Visit) -> Response:
    cookie = cookies.session_of(visit.request)
    if cookie is not None and visit.session is not None:
        await visit.hall.people.sign_out(cookie)
    answer = visit.go("/sign-in")
    cookies.drop_session(visit.request, answer)
    return answer


async def _prove(visit: Visit) -> Response:
    return _asked(visit, visit.query("next"))


def _asked(visit: Visit, next: str, error: PostroomError | None = None) -> Response:
    """Whether it is them: by the password, or by a fresh sign-in at the provider, as they have it."""
    ways = () if visit.session is None else visit.session.ways
    return visit.page(
        "entrance/prove.html", 200 if error is None else CODES[error.code].http, next=next, error=error,
        password="password" in ways,
        provider="openid" in ways and visit.hall.people.has_provider,
    )  # fmt: skip


async def _prove_there(visit: Visit) -> Response:
    """Off to the provider, where they sign in anew, and back to the page where it was asked."""
    wanted, cookie = visit.form.text("next"), cookies.session_of(visit.request)
    try:
        begun = await visit.hall.people.oidc_begin(
            _back(visit), back=wanted, session=cookie or "", peer=peer_of(visit.request)
        )
    except PostroomError as error:
        return _asked(visit, wanted, error)
    return _off(visit, begun)


async def _proved(visit: Visit) -> Response:
    wanted = visit.form.text("next")
    try:
        cookie = cookies.own_session(visit.request)
        password = visit.form.secret("password") or Secret("")
        await visit.hall.people.prove(cookie, password, peer=peer_of(visit.request))
    except PostroomError as error:
        return _asked(visit, wanted, error)
    return visit.go(wanted or "/")


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
    post("/prove/provider", _prove_there),
)
