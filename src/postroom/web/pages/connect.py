"""Connect an account: an address, the sign-in that works there, a live test, and all of it made at once."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from starlette.responses import Response

from postroom.errors import NotThere, PostroomError, Refused
from postroom.operations.personal import How
from postroom.operations.presetting import presets
from postroom.settings import mail_beside
from postroom.web.form import Form
from postroom.web.leaving import as_left, leave_for
from postroom.web.paths import get, post
from postroom.web.person import asking, callback, hows, is_local, way_to
from postroom.web.visit import Visit, at
from postroom.web.works import Work

__all__ = ["ROUTES"]

_SIDES: Final = ("incoming", "outgoing")
_SIDE_FIELDS: Final = ("protocol", "host", "port", "security")
_TO_DO: Final = {
    "certificate_untrusted": "If whoever runs the server says that the fingerprint below is right, trust it; "
    "where an authority of your own has signed it, choose its certificate under Servers instead.",
    "certificate_name": "Give the name of the server that stands in its certificate as host; it is not the "
    "one that was typed.",
    "certificate_expired": "Let whoever runs the server renew its certificate; nothing can be done here.",
    "host_unknown": "Check how the host is spelled; a name inside a private network needs its name server.",
    "connect_refused": "Check the port, and that the server runs. Usual ports: IMAP 993 (TLS) or 143 "
    "(STARTTLS), POP3 995 or 110, SMTP 465 (TLS) or 587 (STARTTLS).",
    "timed_out": "Check host and port; a firewall between this machine and the server may drop what is sent.",
    "tls_failed": "Check port and security: a port for STARTTLS does not speak TLS from the first byte.",
    "tls_unavailable": "Choose TLS from the first byte and its port; the server offers no STARTTLS here.",
}
"""One sentence for what has been typed and stands nowhere yet: no record can be named to whoever typed it."""
_TO_DO_BY_PASSWORD: Final = {
    "sign_in_failed": "Check user name and password. Where the provider wants two-step verification, make an "
    "app password in the account's settings there, and give that.",
}
_SEALED: Final = ("password", "client_secret")
_PLAIN_FIELDS: Final = (
    "user_name", "tenant_id", "client_id", "authority", "redirect_uri", "graph_url", "trust",
)  # fmt: skip


async def _address(visit: Visit, error: PostroomError | None = None) -> Response:
    address = visit.query("address")
    if not address:
        return visit.page("connect/address.html", 422 if error else 200, error=error, address="")
    try:
        found = await visit.room.accounts.recognise(address, provider=visit.query("provider"))
    except PostroomError as wrong:
        return visit.page("connect/address.html", 422, error=wrong, address=address)
    left = as_left(visit)
    return await _account(visit, found, {} if left is None else left.plain(_SEALED), None)


async def _account(
    visit: Visit, found: Mapping[str, Any], given: Mapping[str, str], error: PostroomError | None
) -> Response:
    """The second step: how to sign in, and what that wants."""
    wanted = given.get("way") or visit.query("way")
    ways = found["ways"]
    way = next((each for each in ways if each["type"] == wanted), ways[0])
    trusted = [
        (one["name"], one["name"])
        for one in await visit.room.credentials.list(types=["trusted_certificate"])
    ]
    return visit.page(
        "connect/account.html", 422 if error else 200, found=found, way=way, given=given, error=error,
        sides={place: _side(found, place, given) for place in _SIDES},
        callback=callback(visit), local=is_local(visit), trusted=trusted,
        providers=[(one["preset"], one["provider"]) for one in presets()],
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
    if form.text("make"):
        asked = {name: form.text(name) for name in ("address", "provider", "way")}
        return leave_for(visit, f"/connect?{urlencode(asked)}", ["trusted_certificate"], _SEALED)
    try:
        work = _begin(visit, data)
    except PostroomError as error:
        return await _account(visit, await _found(visit, data), form.plain(_SEALED), error)
    return visit.go(at("connect", work.id))


async def _found(visit: Visit, plain: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of the address, at the provider that was chosen."""
    return await visit.room.accounts.recognise(
        str(plain["address"]), provider=str(plain.get("provider", ""))
    )


def _typed(form: Form) -> dict[str, Any]:
    """The account in the form, as the operations take it."""
    data: dict[str, Any] = {
        "address": form.text("address"),
        "provider": form.text("provider"),
        "sign_in": form.text("way"),
    }
    for name in _PLAIN_FIELDS:
        if form.text(name):
            data[name] = form.text(name)
    if scopes := form.text("scopes").replace(",", " ").split():
        data["scopes"] = scopes
    for name in _SEALED:
        if (secret := form.secret(name)) is not None:
            data[name] = secret
    if form.text("wires") == "graph":
        return data
    for place in _SIDES:
        side = {key: form.text(f"{place}.{key}") for key in _SIDE_FIELDS}
        if form.text(f"trust_{place}"):
            data[f"trust_{place}"] = form.text(f"trust_{place}")
        if side["protocol"] == "none":
            data[place] = {"protocol": "none"}
        elif side["host"]:
            data[place] = {key: value for key, value in side.items() if value}
    return data


def _begin(visit: Visit, data: dict[str, Any]) -> Work:
    tried = {**data, "name": f"try-{secrets.token_hex(4)}", "collect": False, "send": False}
    how = _how(visit, data)

    async def run(work: Work) -> Any:
        def tell(place: str, step: Any) -> None:
            if work.facts["step"] is not None:  # whoever was to sign in has: the test begins
                work.facts["step"], work.steps[:] = None, []
            work.tell((place, step))

        way = way_to(visit, work, how, at("connect", work.id)) if how else None
        found = await visit.room.accounts.attempt(tried, on_step=tell, way=way)
        work.facts["tried"] = found
        return found.report

    return visit.begin(
        "connect/_tried.html", run, data=data, plain=_plain(data), made=None, tried=None,
        person=how is not None, todo=_to_do(data), **asking(visit),
    )  # fmt: skip


def _to_do(data: Mapping[str, Any]) -> dict[str, str]:
    return _TO_DO | _TO_DO_BY_PASSWORD if data["sign_in"] == "secret" else _TO_DO


def _how(visit: Visit, data: Mapping[str, Any]) -> How | None:
    """How a person signs in for it; None where none does."""
    if data["sign_in"] == "oauth_device_flow":
        return "device"
    if data["sign_in"] == "oauth_authorization_code":
        return hows(visit, str(data.get("redirect_uri", "")))[0]
    return None


def _plain(data: Mapping[str, Any]) -> dict[str, str]:
    """What may be shown again: everything but the secrets."""
    plain = {key: str(value) for key, value in data.items() if key not in (*_SEALED, *_SIDES)}
    plain["scopes"] = " ".join(data.get("scopes", ()))
    for place in _SIDES:
        for key, value in data.get(place, {}).items():
            plain[f"{place}.{key}"] = str(value)
    wires = "wires" if any(place in data for place in _SIDES) else "graph"
    return plain | {"way": plain["sign_in"], "wires": wires}


def _kept(visit: Visit) -> Work:
    try:
        return visit.works.find(visit.actor, visit["work"])
    except NotThere:
        raise NotThere(
            "What was typed for this account is not known any more: it was left for more than 15 "
            "minutes, or Postroom was started anew since. Nothing of it was stored.",
            hint="Begin again with its address, at Connect an account.",
        ) from None


async def _tried(visit: Visit, error: PostroomError | None = None) -> Response:
    """The third step: how the test goes, and what to do with the account."""
    work = _kept(visit)
    data = work.facts["data"]
    local = str(data["address"]).partition("@")[0]
    given = visit.form.plain() if error else {}
    name = given.get("name") or re.sub(r"[^A-Za-z0-9._-]+", "-", local).strip("-._")[:50] or "mail"
    reads = data.get("incoming", {}).get("protocol") != "none"
    work.facts |= {
        "name": name, "given": given, "wrong": error, "reads": reads,
        "sends": data.get("outgoing", {}).get("protocol") != "none",
        "directory": given.get("directory", ""), "beside": f"{mail_beside(visit.hall.room.settings.room)}/",
        "files": visit.session is not None and visit.session.person.unrestricted,
        "jobs": [(one["name"], one["name"]) for one in await visit.room.jobs.list()],
    }  # fmt: skip
    return visit.page("connect/tried.html", 422 if error else 200, work=work)


async def _again(visit: Visit) -> Response:
    """Back to the second step, with what was typed but the secret."""
    plain = _kept(visit).facts["plain"]
    return await _account(visit, await _found(visit, plain), plain, None)


async def _retry(visit: Visit) -> Response:
    return visit.go(at("connect", _begin(visit, dict(_kept(visit).facts["data"])).id))


async def _trust(visit: Visit) -> Response:
    data = dict(_kept(visit).facts["data"])
    data[f"trust_{visit.form.text('place')}"] = visit.form.text("fingerprint")
    return visit.go(at("connect", _begin(visit, data).id))


async def _make(visit: Visit) -> Response:
    work, form = _kept(visit), visit.form
    data = {
        **work.facts["data"], "name": form.text("name"), "collect": form.ticked("collect"),
        "directory": form.text("directory"), "start": form.text("start") or "new",
        "job": form.text("job"), "send": form.ticked("send"),
    }  # fmt: skip
    try:
        if work.facts["tried"] is None:
            raise Refused("It was not tried to its end yet.", hint="Wait for the test.")
        work.facts["made"] = await visit.room.accounts.complete(data, work.facts["tried"])
    except PostroomError as error:
        return await _tried(visit, error)
    # its secrets and tokens are sealed now, and nowhere else
    work.facts["data"], work.facts["tried"] = work.facts["plain"], None
    return visit.go(at("connect", work.id, "made"))


async def _made(visit: Visit) -> Response:
    work = _kept(visit)
    if work.facts["made"] is None:
        return visit.go(at("connect", work.id))
    return visit.page(
        "connect/made.html", made=work.facts["made"], address=work.facts["plain"]["address"],
    )  # fmt: skip


ROUTES = (
    get("/connect", _address, "create"),
    post("/connect", _try, "create"),
    get("/connect/{work}", _tried, "edit"),
    get("/connect/{work}/again", _again, "edit"),
    post("/connect/{work}/retry", _retry, "edit"),
    post("/connect/{work}/trust", _trust, "edit"),
    post("/connect/{work}/make", _make, "edit"),
    get("/connect/{work}/made", _made, "edit"),
)
