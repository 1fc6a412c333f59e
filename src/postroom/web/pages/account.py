"""My account: one's own password, sessions and tokens; whoever is signed in has this page, with any role."""

from __future__ import annotations

from starlette.responses import Response

from postroom.clock import timestamp
from postroom.errors import PostroomError
from postroom.secret import Secret
from postroom.web import cookies
from postroom.web.paths import get, post
from postroom.web.visit import Visit, agent_of, fresh, peer_of

__all__ = ["ROUTES"]


async def _show(visit: Visit, error: PostroomError | None = None) -> Response:
    own = await visit.hall.people.own(cookies.own_session(visit.request))
    return visit.page(
        "account/show.html", 422 if error else 200, own=own, error=error,
        tokens=await visit.room.tokens.list(own.name),
        proved=visit.session is not None and fresh(visit.session, timestamp()),
    )  # fmt: skip


async def _password(visit: Visit) -> Response:
    """Another password: the one before is asked for, and every other session is over."""
    form = visit.form
    try:
        done = await visit.hall.people.change_password(
            cookies.own_session(visit.request), form.secret("old") or Secret(""),
            form.twice("password"), peer=peer_of(visit.request), agent=agent_of(visit.request),
        )  # fmt: skip
    except PostroomError as error:
        return await _show(visit, error)
    # what is said belongs to the session, and this is another one
    visit.hall.said.say(
        done.session.csrf, "The password is changed. Every other session of yours is over."
    )
    answer = visit.go("/account")
    cookies.set_session(visit.request, answer, done.cookie)
    return answer


async def _end(visit: Visit) -> Response:
    """End one session of one's own, or every other one."""
    done = await visit.hall.people.sign_out(
        cookies.own_session(visit.request), visit.form.text("session")
    )
    told = "It was over already." if not done else f"Sessions ended: {done}."
    return visit.go("/account", told)


ROUTES = (
    get("/account", _show),
    post("/account/password", _password),
    post("/account/sessions", _end),
)
