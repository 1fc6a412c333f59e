"""Connections: the list, one of them with its state and log, its test, restart, copy and end."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

from starlette.responses import Response

from postroom.errors import PostroomError, Refused
from postroom.web.paths import get, post
from postroom.web.rebinding import agreed, pairs_of
from postroom.web.said import Notice
from postroom.web.visit import Visit, at
from postroom.web.works import Work

__all__ = ["ROUTES", "begin_test"]

_LOGGED = 40


async def _list(visit: Visit) -> Response:
    wanted = visit.query("q").casefold()
    found = await visit.room.connections.list()
    shown = [one for one in found if wanted in f"{one['name']} {one['description']}".casefold()]
    asking = {
        name: one["state"] for one in await visit.room.signins.list() for name in one["connections"]
    }
    return visit.page(
        "connections/list.html", items=shown, all=len(found), q=visit.query("q"), signins=asking
    )


async def _show(visit: Visit) -> Response:
    one = await visit.room.connections.show(visit["name"])
    name = one["name"]
    signins = [each for each in await visit.room.signins.list() if name in each["connections"]]
    return visit.page(
        "connections/show.html",
        one=one,
        effective=one["effective"],
        log=await visit.room.connections.log(name, limit=_LOGGED),
        signins=signins,
        personal=_personal(one),
        guide=await _guide(visit, name),
        ending=await _ending(visit, one),
    )


async def _ending(visit: Visit, one: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """What of it ends: the sentence, whether now, where it is mended, and how that is called."""
    found = []
    for each in (await visit.room.converting.census()).passwords:
        if (each.noun, each.name) == ("connection", one["name"]):
            path = at("connections", one["name"], "convert") if each.convert else ""
            found.append((each.sentence, "bad" if each.due else "warn", path, "Change it to OAuth"))
    effective, named = one["effective"] or {}, set()
    for place in ("incoming", "outgoing"):
        side = effective.get(place) or {"auth": {}}
        named |= {side["auth"].get("credential"), side.get("trust"), side.get("client_certificate")}
    for need in await visit.room.notify.needs():
        if need["kind"] == "expiry" and need["name"] in named:
            kind = "bad" if need["broken"] else "warn"
            found.append((need["said"], kind, at("credentials", need["name"]), "Give it a new one"))
    return [*dict.fromkeys(found)]


def _personal(one: dict[str, Any]) -> bool:
    """Whether a person signs in for it."""
    effective = one["effective"] or {}
    kinds = {
        side["auth"].get("type", "none")
        for place in ("incoming", "outgoing")
        if (side := effective.get(place))
    }
    return bool(kinds & {"oauth_device_flow", "oauth_authorization_code"})


async def _guide(visit: Visit, name: str) -> str:
    """Where the guide is that fits a connection, with what it says; empty where there is none."""
    try:
        facts = await visit.room.guides.facts(name)
    except PostroomError:
        return ""
    wires = facts["wires"]
    asked = {
        "flow": facts.get("flow", ""), "mailbox": "".join(facts["mailboxes"][:1]),
        "wires": "graph" if "graph" in wires else "pop3,smtp" if "pop3" in wires else "imap,smtp",
    }  # fmt: skip
    return f"/guide/{facts['provider']}?{urlencode(asked)}"


async def _test(visit: Visit) -> Response:
    form = visit.form
    work = begin_test(visit, visit["name"], form.text("send_to"), form.text("from"))
    return visit.go(f"/works/{work.id}")


def begin_test(visit: Visit, name: str, send_to: str = "", from_: str = "") -> Work:
    """Begin the test of a connection, step by step."""

    async def run(work: Work) -> Any:
        return await visit.room.connections.test(
            name,
            on_step=lambda place, step: work.tell((place, step)),
            send_to=send_to,
            from_=from_,
        )

    back = at("connections", name)
    return visit.begin(
        "_tested.html", run, title=f"Test of {name}", back=back, trust=f"{back}/trust",
    )  # fmt: skip


async def _trust(visit: Visit) -> Response:
    form, name = visit.form, visit["name"]
    place, fingerprint = form.text("place"), form.text("fingerprint")
    try:
        await visit.room.connections.trust(name, place, fingerprint, rebind=agreed(form))
    except PostroomError as error:
        return visit.page(
            "connections/trust.html", 422, name=name, place=place, fingerprint=fingerprint,
            error=error, pairs=pairs_of(error, form),
        )  # fmt: skip
    visit.say(f"The certificate of the {place} server is trusted for {name}.")
    return visit.go(f"/works/{begin_test(visit, name).id}")


async def _restart(visit: Visit) -> Response:
    begun = await visit.room.connections.restart(visit["name"])
    idle = [name for name, at_work in begun.items() if not at_work]
    told = "What is open is dropped, and begins anew."
    if idle:
        told += f" No worker collects for {', '.join(idle)} right now: start one."
    return visit.go(at("connections", visit["name"]), told, "note" if idle else "done")


async def _copy(visit: Visit) -> Response:
    new = visit.form.text("new_name")
    try:
        await visit.room.connections.copy(visit["name"], new, rebind=agreed(visit.form))
    except PostroomError as error:
        if not (pairs := pairs_of(error, visit.form)):
            raise
        return visit.page(
            "work/copy.html", 422, name=visit["name"], new=new, pairs=pairs, field="new_name",
            back=at("connections", visit["name"]),
        )  # fmt: skip
    return visit.go(at("connections", new), f"{new} is a copy of {visit['name']}.")


async def _end(visit: Visit, error: PostroomError | None = None) -> Response:
    one = await visit.room.connections.show(visit["name"])
    name = one["name"]
    return visit.page(
        "work/confirm.html", 422 if error else 200, title=f"Delete the connection {name}?",
        back=at("connections", name), back_label=name, action=at("connections", name, "delete"), error=error,
        button="Delete it", usage={**one, "uses": one["usage"]},
        sentence="Its settings and its log go; a sign-in that serves nothing else is revoked.",
        force="Delete it although it is used" if one["usage"] else "",
        force_help="Sources and services over it stop. What extends it has to be changed first.",
    )  # fmt: skip


async def _ended(visit: Visit) -> Response:
    name = visit["name"]
    try:
        await visit.room.connections.delete(name, force=visit.form.ticked("force"))
    except Refused as error:
        return await _end(visit, error)
    return visit.go("/connections", f"{name} is deleted.")


async def _sign_out(visit: Visit) -> Response:
    name = visit["name"]

    async def sign_out(_: Work) -> Notice:
        revoked = await visit.room.signins.sign_out(name)
        told = (
            "The server has revoked it."
            if revoked
            else "The server was not told: it has no way to revoke, or did not answer. Remove the app in "
            "the account's settings there too."
        )
        return Notice("done" if revoked else "note", f"Signed out of {name}. {told}")

    work = visit.begin(
        "_told.html", sign_out, title=f"Sign out of {name}", back=at("connections", name), name=name,
        doing="The server is asked to revoke the sign-in", wrong="Nobody was signed out.",
    )  # fmt: skip
    return visit.go(at("works", work.id))


async def _which(visit: Visit) -> Response:
    return visit.page(
        "connections/which.html",
        provider=visit.query("provider"),
        person=visit.query("person"),
        browser=visit.query("browser"),
        answer=_answer(visit.query("provider"), visit.query("person"), visit.query("browser")),
    )


_PRESETS: Final = {"microsoft": "microsoft365", "google": "gmail", "other": ""}


def _answer(provider: str, person: str, browser: str) -> tuple[str, str, str, str] | None:
    """The type of sign-in for three answers, as it is called, why, and the preset to fill in; None
    before they are given.
    """
    if provider not in _PRESETS or not person or not browser:
        return None
    return (*_picked(provider, person, browser), _PRESETS[provider])


def _picked(provider: str, person: str, browser: str) -> tuple[str, str, str]:
    if provider == "other":
        return ("secret", "User name and password", "Most servers know nothing else. Where the provider "
                "wants two-step verification, make an app password and give that.")  # fmt: skip
    if provider == "microsoft" and person == "no":
        return ("oauth_client_credentials", "OAuth, as an app", "No person has to sign in, ever again: an "
                "administrator registers the app once and lets it into the mailbox.")  # fmt: skip
    if provider == "google" and person == "no":
        return ("secret", "An app password", "Google lets no app into a mailbox without somebody signing "
                "in; an app password is made once in the account's settings.")  # fmt: skip
    if browser == "no" and provider == "microsoft":
        return ("oauth_device_flow", "OAuth, with a code on another device", "The code is typed on any "
                "phone. Many tenants block it; then sign in by link.")  # fmt: skip
    return ("oauth_authorization_code", "OAuth, in a browser", "One click and the account's own sign-in "
            "page, with its second factor; nobody here sees the password.")  # fmt: skip


ROUTES = (
    get("/connections", _list),
    get("/which-sign-in", _which),
    get("/connections/{name}", _show),
    post("/connections/{name}/test", _test, "use"),
    post("/connections/{name}/trust", _trust, "edit"),
    post("/connections/{name}/restart", _restart, "use"),
    post("/connections/{name}/copy", _copy, "edit"),
    post("/connections/{name}/sign-out", _sign_out, "use"),
    get("/connections/{name}/delete", _end, "edit", proved=True),
    post("/connections/{name}/delete", _ended, "edit", proved=True),
)
