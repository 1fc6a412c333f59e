"""Users and tokens: who may come in, with which role; tokens for programs; who may use which credential."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from postroom.errors import InvalidValue, PostroomError
from postroom.operations.users import MEANS, ROLES_MEAN
from postroom.web.paths import get, post
from postroom.web.visit import Visit, at, origin_of

__all__ = ["ROUTES"]

_LASTS: Final = (("7d", "7 days"), ("30d", "30 days"), ("90d", "90 days"), ("366d", "366 days"))


async def _list(visit: Visit, error: PostroomError | None = None) -> Response:
    return visit.page(
        "users/list.html", 422 if error else 200, users=await visit.room.users.list(), roles=ROLES_MEAN,
        error=error, given=visit.form.plain() if error else {},
    )  # fmt: skip


async def _add(visit: Visit) -> Response:
    """A user comes in by an invitation, which is shown on the page that follows, this once."""
    name = visit.form.text("name")
    try:
        await visit.room.users.add(
            name, visit.form.text("role"), address=visit.form.text("address")
        )
        invited = await visit.room.users.invite(name)
    except PostroomError as error:
        return await _list(visit, error)
    return _invited(visit, invited)


async def _invite(visit: Visit) -> Response:
    return _invited(visit, await visit.room.users.invite(visit["name"]))


def _invited(visit: Visit, invited: dict[str, Any]) -> Response:
    # behind the # of the address, which no server and no log sees
    return visit.page(
        "users/invited.html",
        invited=invited,
        address=f"{origin_of(visit.request)}/welcome#{invited['code']}",
    )


async def _show(visit: Visit, error: PostroomError | None = None) -> Response:
    user = await visit.room.users.show(visit["name"])
    everyone = await visit.room.grants.list()
    return visit.page(
        "users/show.html", 422 if error else 200, user=user, roles=ROLES_MEAN, error=error,
        given=visit.form.plain() if error else {},
        sessions=await visit.room.users.sessions(user["name"]),
        tokens=await visit.room.tokens.list(user["name"]),
        grants=[one for one in everyone if one["grantee"] == f"user:{user['name']}"],
        credentials=[one["name"] for one in await visit.room.credentials.list()],
    )  # fmt: skip


async def _set(visit: Visit) -> Response:
    form = visit.form
    try:
        await visit.room.users.set(
            visit["name"],
            role=form.text("role") or None,
            address=form.text("address"),
            disabled=form.ticked("disabled"),
        )
    except PostroomError as error:
        return await _show(visit, error)
    return visit.go(at("users", visit["name"]), "Saved.")


async def _end(visit: Visit) -> Response:
    done = await visit.room.users.end_sessions(visit["name"])
    return visit.go(at("users", visit["name"]), f"Sessions ended: {done}.")


async def _doomed(visit: Visit, error: PostroomError | None = None) -> Response:
    user = await visit.room.users.show(visit["name"])
    return visit.page(
        "work/confirm.html", 422 if error else 200, title=f"Delete the user {user['name']}?",
        back=at("users", user["name"]), back_label=user["name"],
        action=at("users", user["name"], "delete"), button="Delete them",
        sentence="Their sessions, tokens and grants go with them. What they did stays in the audit record.",
        error=error,
    )  # fmt: skip


async def _delete(visit: Visit) -> Response:
    try:
        await visit.room.users.delete(visit["name"])
    except PostroomError as error:
        return await _doomed(visit, error)
    return visit.go("/users", f"Deleted the user {visit['name']}.")


async def _grant(visit: Visit) -> Response:
    credential, user = visit.form.text("credential"), visit["name"]
    await visit.room.grants.give(credential, f"user:{user}")
    return visit.go(at("users", user), f"{user} may use {credential}.")


async def _take(visit: Visit) -> Response:
    credential, user = visit.form.text("credential"), visit["name"]
    await visit.room.grants.take(credential, f"user:{user}")
    return visit.go(at("users", user), f"{user} has no grant of {credential} any more.")


# ------------------------------------------------------------------ tokens


async def _tokens(visit: Visit, error: PostroomError | None = None) -> Response:
    own = [verb for verb in MEANS if visit.may(verb)]
    return visit.page(
        "users/tokens.html", 422 if error else 200, tokens=await visit.room.tokens.list(), error=error,
        rights={verb: MEANS[verb] for verb in own}, lasts=_LASTS, base=origin_of(visit.request),
        given=visit.form.plain() if error else {}, chosen=visit.form.texts("verb") if error else [],
    )  # fmt: skip


async def _make(visit: Visit) -> Response:
    """A token is in the answer to this form and nowhere else ever after."""
    try:
        verbs = visit.form.texts("verb")
        if not verbs:
            raise InvalidValue("verbs", "choose at least one right for the token")
        made = await visit.room.tokens.add(
            visit.form.text("name"), verbs=verbs, expires_in=visit.form.text("lasts") or "90d"
        )
    except PostroomError as error:
        return await _tokens(visit, error)
    return visit.page("users/token.html", made=made, base=origin_of(visit.request))


async def _revoke(visit: Visit) -> Response:
    revoked = await visit.room.tokens.revoke(visit["id"])
    return visit.go(
        visit.form.text("next") or "/tokens", f"The token {revoked['name']} is revoked."
    )


ROUTES = (
    get("/users", _list, "users"),
    post("/users", _add, "users", proved=True),
    get("/users/{name}", _show, "users"),
    post("/users/{name}", _set, "users", proved=True),
    post("/users/{name}/invite", _invite, "users", proved=True),
    post("/users/{name}/end-sessions", _end, "users"),
    get("/users/{name}/delete", _doomed, "users", proved=True),
    post("/users/{name}/delete", _delete, "users", proved=True),
    post("/users/{name}/grant", _grant, "users"),
    post("/users/{name}/take", _take, "users"),
    get("/tokens", _tokens),
    post("/tokens", _make, proved=True),
    post("/tokens/{id}/revoke", _revoke),
)
