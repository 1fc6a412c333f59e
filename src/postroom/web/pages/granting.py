"""Who may use a credential: everybody whose role permits it, or only who has a grant; on its own page."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from postroom.errors import InvalidValue
from postroom.web.paths import post
from postroom.web.visit import Visit, at

__all__ = ["ROUTES", "granted"]

_NOUNS: Final = {"user": "users", "service": "services", "job": "jobs"}
"""Who may be given a grant, and where each is shown."""


async def granted(visit: Visit, name: str) -> dict[str, Any]:
    """Who has a grant of a credential, and who may be given one; nothing for who sees to no people."""
    if not visit.may("users"):
        return {"grants": None}
    room = visit.room
    found = [{**one, "path": _path(one["grantee"])} for one in await room.grants.list(name)]
    known = {
        "user": [one["name"] for one in await room.users.list()],
        "service": [one["name"] for one in await room.services.list()],
        "job": [one["name"] for one in await room.jobs.list()],
    }
    have = {one["grantee"].casefold() for one in found}
    free = [
        (noun, [each for each in names if f"{noun}:{each}".casefold() not in have])
        for noun, names in known.items()
    ]
    return {"grants": found, "grantees": [each for each in free if each[1]]}


def _path(grantee: str) -> str:
    noun, _, name = grantee.partition(":")
    return at(_NOUNS[noun], name)


async def _restrict(visit: Visit) -> Response:
    name = visit["name"]
    changed = await visit.room.grants.restrict(name)
    told = f"{name} is there for whoever has a grant, and for nobody else."
    return visit.go(at("credentials", name), told if changed else f"{name} was restricted already.")


async def _open(visit: Visit) -> Response:
    name = visit["name"]
    changed = await visit.room.grants.open(name)
    told = f"{name} is there for everybody whose role permits it."
    return visit.go(at("credentials", name), told if changed else f"{name} was not restricted.")


async def _give(visit: Visit) -> Response:
    name, whom = visit["name"], visit.form.text("grantee")
    if not whom:
        raise InvalidValue("grantee", "choose whom to grant it to")
    given = await visit.room.grants.give(name, whom)
    told = f"{_said(whom)} {'may' if given else 'might already'} use {name}."
    return visit.go(at("credentials", name), told)


async def _take(visit: Visit) -> Response:
    name, whom = visit["name"], visit.form.text("grantee")
    taken = await visit.room.grants.take(name, whom)
    told = f"{_said(whom)} has no grant of {name} any more."
    return visit.go(
        at("credentials", name), told if taken else f"{_said(whom)} had no grant of {name}."
    )


def _said(grantee: str) -> str:
    noun, _, name = grantee.partition(":")
    return f"{noun.capitalize()} {name}"


ROUTES = (
    post("/credentials/{name}/restrict", _restrict, "users"),
    post("/credentials/{name}/open", _open, "users"),
    post("/credentials/{name}/grant", _give, "users"),
    post("/credentials/{name}/take", _take, "users"),
)
