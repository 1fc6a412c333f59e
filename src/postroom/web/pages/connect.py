"""Connect an account: an address, the sign-in that works there, a live test, and all of it made at once."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from postroom.errors import PostroomError
from postroom.web.form import Form
from postroom.web.paths import get, post
from postroom.web.visit import Visit, at
from postroom.web.works import Work

__all__ = ["ROUTES"]

_SIDES: Final = ("incoming", "outgoing")
_SIDE_FIELDS: Final = ("protocol", "host", "port", "security")
_SEALED: Final = ("password", "client_secret")
_PERSONAL: Final = ("oauth_authorization_code", "oauth_device_flow")


async def _address(visit: Visit, error: PostroomError | None = None) -> Response:
    address = visit.query("address")
    if not address:
        return visit.page("connect/address.html", 422 if error else 200, error=error, address="")
    try:
        found = await visit.room.accounts.recognise(address)
    except PostroomError as wrong:
        return visit.page("connect/address.html", 422, error=wrong, address=address)
    return await _account(visit, found, {}, None)


async def _account(
    visit: Visit, found: Mapping[str, Any], given: Mapping[str, str], error: PostroomError | None
) -> Response:
    """The second step: how to sign in, and what that wants."""
    wanted = given.get("way") or visit.query("way")
    ways = found["ways"]
    way = next((each for each in ways if each["type"] == wanted), ways[0])
    return visit.page(
        "connect/account.html", 422 if error else 200, found=found, way=way, given=given, error=error,
        sides={place: _side(found, place, given) for place in _SIDES},
        callback=f"{visit.request.url.scheme}://{visit.request.headers.get('host', '')}/callback",
    )  # fmt: skip


def _side(found: Mapping[str, Any], place: str, given: Mapping[str, str]) -> dict[str, str]:
    """Protocol, host, port and security of a side: as typed, else of the preset, else guessed."""
    protocol = "imap" if place == "incoming" else "smtp"
    side = {"protocol": protocol, "host": "", "port": "", "security": "tls"}
    if found[protocol]:
        server, side["security"] = found[protocol].split()
        side["host"], _, side["port"] = server.rpartition(":")
    elif not given:
        domain = str(found["address"]).rpartition("@")[2]
        side["host"] = f"{protocol}.{domain}"
    typed = {key: given[f"{place}.{key}"] for key in _SIDE_FIELDS if f"{place}.{key}" in given}
    return side | typed


async def _try(visit: Visit) -> Response:
    """What was typed is tried at once; it is kept by this process alone until it is made, or 15 minutes."""
    form = visit.form
    data = _typed(form)
    try:
        if data["sign_in"] == "secret":
            # everything that is wrong with it is said before anything is dialled
            await visit.room.accounts.recognise(data["address"])
        work = _begin(visit, data)
    except PostroomError as error:
        found = await visit.room.accounts.recognise(form.text("address"))
        return await _account(visit, found, form.plain(_SEALED), error)
    return visit.go(at("connect", work.id))


def _typed(form: Form) -> dict[str, Any]:
    """The account in the form, as the operations take it."""
    data: dict[str, Any] = {
        "address": form.text("address"),
        "provider": form.text("provider"),
        "sign_in": form.text("way"),
    }
    for name in ("user_name", "tenant_id", "client_id", "authority", "redirect_uri"):
        if form.text(name):
            data[name] = form.text(name)
    for name in _SEALED:
        if (secret := form.secret(name)) is not None:
            data[name] = secret
    for place in _SIDES:
        side = {key: form.text(f"{place}.{key}") for key in _SIDE_FIELDS}
        if side["protocol"] == "none":
            data[place] = {"protocol": "none"}
        elif side["host"]:
            data[place] = {key: value for key, value in side.items() if value}
    return data


def _begin(visit: Visit, data: dict[str, Any]) -> Work:
    tried = {**data, "name": f"try-{secrets.token_hex(4)}", "collect": False, "send": False}

    async def run(work: Work) -> Any:
        if data["sign_in"] != "secret":
            return None  # a person or an app signs in once it is made
        return await visit.room.accounts.test(
            tried, on_step=lambda place, step: work.tell((place, step))
        )

    return visit.begin("connect/_tried.html", run, data=data, plain=_plain(data), made=None)


def _plain(data: Mapping[str, Any]) -> dict[str, str]:
    """What may be shown again: everything but the secrets."""
    plain = {key: str(value) for key, value in data.items() if key not in (*_SEALED, *_SIDES)}
    for place in _SIDES:
        for key, value in data.get(place, {}).items():
            plain[f"{place}.{key}"] = str(value)
    return plain | {"way": plain["sign_in"]}


def _kept(visit: Visit) -> Work:
    return visit.works.find(visit.actor, visit["work"])


async def _tried(visit: Visit, error: PostroomError | None = None) -> Response:
    """The third step: how the test goes, and what to do with the account."""
    work = _kept(visit)
    data = work.facts["data"]
    local = str(data["address"]).partition("@")[0]
    given = visit.form.plain() if error else {}
    name = given.get("name") or re.sub(r"[^A-Za-z0-9._-]+", "-", local).strip("-._")[:50] or "mail"
    beside = visit.hall.room.settings.room
    reads = data.get("incoming", {}).get("protocol") != "none"
    work.facts |= {
        "name": name, "given": given, "wrong": error, "reads": reads,
        "sends": data.get("outgoing", {}).get("protocol") != "none",
        "directory": given.get("directory") or str(beside.with_name(f"{beside.name}-mail") / name),
    }  # fmt: skip
    return visit.page("connect/tried.html", 422 if error else 200, work=work)


async def _again(visit: Visit) -> Response:
    """Back to the second step, with what was typed but the secret."""
    plain = _kept(visit).facts["plain"]
    found = await visit.room.accounts.recognise(plain["address"])
    return await _account(visit, found, plain, None)


async def _trust(visit: Visit) -> Response:
    data = dict(_kept(visit).facts["data"])
    data[f"trust_{visit.form.text('place')}"] = visit.form.text("fingerprint")
    return visit.go(at("connect", _begin(visit, data).id))


async def _make(visit: Visit) -> Response:
    work, form = _kept(visit), visit.form
    data = {
        **work.facts["data"], "name": form.text("name"), "collect": form.ticked("collect"),
        "directory": form.text("directory"), "start": form.text("start") or "new",
        "send": form.ticked("send"),
    }  # fmt: skip
    try:
        work.facts["made"] = await visit.room.accounts.connect(data)
    except PostroomError as error:
        return await _tried(visit, error)
    work.facts["data"] = work.facts["plain"]  # its secrets are sealed now, and nowhere else
    return visit.go(at("connect", work.id, "made"))


async def _made(visit: Visit) -> Response:
    work = _kept(visit)
    if work.facts["made"] is None:
        return visit.go(at("connect", work.id))
    sign_in = work.facts["plain"]["sign_in"]
    return visit.page(
        "connect/made.html", made=work.facts["made"], personal=sign_in in _PERSONAL, sign_in=sign_in,
        address=work.facts["plain"]["address"],
    )  # fmt: skip


ROUTES = (
    get("/connect", _address, "edit"),
    post("/connect", _try, "edit"),
    get("/connect/{work}", _tried, "edit"),
    get("/connect/{work}/again", _again, "edit"),
    post("/connect/{work}/trust", _trust, "edit"),
    post("/connect/{work}/make", _make, "edit"),
    get("/connect/{work}/made", _made, "edit"),
)
