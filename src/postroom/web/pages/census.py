"""The census: who still signs in with a password where a provider ends them; and its way to OAuth."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from postroom.operations.converting import Conversion
from postroom.web.form import Form
from postroom.web.paths import get, post
from postroom.web.person import asking, hows, way_to
from postroom.web.rebinding import Pair, agreed, pairs_of
from postroom.web.visit import Visit, at
from postroom.web.works import Work

__all__ = ["ROUTES"]

_WITHIN: Final = ("30", "90", "365")
_FLOWS: Final = (
    ("oauth_authorization_code", "a person, in a browser"),
    ("oauth_device_flow", "a person, with a code on another device"),
    ("oauth_client_credentials", "an app, without anybody"),
)
_APPS: Final = ("oauth_client", "msgraph")


async def _list(visit: Visit) -> Response:
    within = visit.query("within") if visit.query("within") in _WITHIN else "90"
    found = await visit.room.converting.census(within=int(within))
    return visit.page(
        "census/list.html", found=found, within=within,
        choices=[(each, f"{each} days") for each in _WITHIN],
    )  # fmt: skip


async def _form(visit: Visit) -> Response:
    """How a connection is to sign in instead; nothing is changed until the new sign-in has worked."""
    one = await visit.room.connections.show(visit["name"])
    known = await visit.room.credentials.list(types=_APPS)
    apps = [(each["name"], each["name"]) for each in known]
    census = await visit.room.converting.census()
    mine = next((each for each in census.passwords if each.name == one["name"]), None)
    return visit.page(
        "census/convert.html", one=one, mine=mine, flows=_FLOWS, apps=[("", "choose one"), *apps],
        chosen=visit.query("chosen") or (apps[0][0] if len(apps) == 1 else ""),
        flow=next((key for key, _ in _FLOWS if mine and key in mine.convert), _FLOWS[0][0]),
    )  # fmt: skip


async def _convert(visit: Visit) -> Response:
    name, form, room = visit["name"], visit.form, visit.room
    asked, rebind = _asked(form), agreed(form)
    how = hows(visit, "")[0] if asked.auth == "oauth_authorization_code" else None

    async def run(work: Work) -> Any:
        way = way_to(visit, work, how, at("works", work.id))
        return await room.converting.convert(name, asked, way, rebind=rebind)

    def pairs(work: Work) -> list[tuple[str, str, str]]:
        return pairs_of(work.error, form)

    work = visit.begin(
        "census/_converted.html", run, title=f"{name} changes to OAuth", back=at("connections", name),
        name=name, pairs=pairs, given=_kept(form), **asking(visit),
    )  # fmt: skip
    return visit.go(f"/works/{work.id}")


def _asked(form: Form) -> Conversion:
    return Conversion(
        form.text("auth"), form.text("credential"), account=form.text("account"),
        scopes=tuple(form.raw("scopes").split()),
    )  # fmt: skip


def _kept(form: Form) -> list[Pair]:
    """What the form said, for the one that agrees to where a secret would go."""
    return [(name, form.raw(name)) for name in ("auth", "credential", "account", "scopes")]


ROUTES = (
    get("/census", _list),
    get("/connections/{name}/convert", _form, "edit"),
    post("/connections/{name}/convert", _convert, "edit"),
)
