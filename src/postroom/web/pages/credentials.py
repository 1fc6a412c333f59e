"""Credentials: the list, one of them, a new one, what is said of it, its copy and its end."""

from __future__ import annotations

import functools
from typing import Any, Final

from starlette.responses import Response

from postroom.errors import PostroomError, Refused
from postroom.fields import Described, describe
from postroom.operations.declared import about_type, credential_fields, credential_types
from postroom.operations.page import Page
from postroom.web.controls import Options
from postroom.web.pages.granting import granted
from postroom.web.paging import MANY, ways
from postroom.web.paths import get, post
from postroom.web.rebinding import agreed, pairs_of
from postroom.web.visit import Visit, at
from postroom.web.works import Work

__all__ = ["ROUTES", "begin_test", "type_options", "with_back"]

_CLIENTS: Final = ("msgraph", "oauth_client")
_SECRETS: Final = "client_secrets"
_SOON: Final = 30 * 86400.0
_SIFTED: Final = 1000


def type_options() -> Options:
    """The types of credentials to choose from."""
    return [(name, about_type(name)[0]) for name in credential_types()]


async def _list(visit: Visit) -> Response:
    wanted, kind, only = visit.query("q"), visit.query("type"), visit.query("only")
    kept = {"q": wanted, "type": kind, "only": only}
    kept = {name: value for name, value in kept.items() if value}
    shown = await _some(visit, wanted, kind, only)
    any_ = bool(shown or kept) or (await visit.room.health.counts())["credentials"] > 0
    return visit.page(
        "credentials/list.html", items=[(one, _masks(one)) for one in shown], any=any_, q=wanted,
        kind=kind, only=only, types=dict(type_options()), **ways(visit, kept, shown)._asdict(),
    )  # fmt: skip


async def _some(visit: Visit, part: str, kind: str, only: str) -> Page[dict[str, Any]]:
    """A page of the list; what no statement of the database tells is sifted here, a part at a time."""
    types, shown = [kind] if kind else [], []
    after, many = visit.query("after"), _SIFTED if only else MANY
    while True:
        found = await visit.room.credentials.list(types=types, part=part, limit=many, after=after)
        shown += [one for one in found if _fits(one, only)]
        if len(shown) > MANY:
            return Page(shown[:MANY], next=shown[MANY - 1]["name"])
        if found.next is None or not only:
            return Page(shown, next=found.next)
        after = str(found.next)


def _masks(one: dict[str, Any]) -> list[tuple[str, bool]]:
    """The secrets of a record in the list: what each is called, and whether it is set.

    By the names of the slots of its version: listing opens no secret, so a mask has no last four.
    """
    labels = {each.name: each.label for each in _sealed_fields(one["type"])}

    def called(slot: str) -> str:
        name, *below = slot.split("/")
        return below[0] if below else labels.get(name, name)

    have = [(called(slot), True) for slot in one["secrets"]]
    wanted = [name for name in one["missing"] if name.partition("/")[0] in {*labels, _SECRETS}]
    return have + [
        ("client secret" if name == _SECRETS else called(name), False) for name in wanted
    ]


@functools.cache
def _sealed_fields(type_name: str) -> list[Described]:
    return [each for each in describe(credential_fields(type_name)) if each.sealed]


def _fits(one: dict[str, Any], only: str) -> bool:
    due = any(each["days"] <= _SOON / 86400 for each in one["due"])
    picked: dict[str, bool] = {
        "": True, "unused": not one["used_by"], "incomplete": one["state"] != "complete", "ending": due,
    }  # fmt: skip
    return picked.get(only, True)


async def _show(visit: Visit) -> Response:
    one = await visit.room.credentials.show(visit["name"])
    client = one["type"] in _CLIENTS and one["state"] != "unreadable"
    return visit.page(
        "credentials/show.html",
        one=one,
        label=about_type(one["type"])[0],
        fields=_rows(one),
        versions=await visit.room.versions.list(one["name"]),
        secrets=await visit.room.client_secrets.list(one["name"]) if client else [],
        client=client,
        pair="private_key" in credential_fields(one["type"]).model_fields,
        **await granted(visit, one["name"]),
    )


def _rows(one: dict[str, Any]) -> list[tuple[str, Any, bool]]:
    """Each field with its label, as it is shown, and whether it is sealed."""
    known = {each.name: each for each in describe(credential_fields(one["type"]))}
    rows = []
    for name, value in one["fields"].items():
        if name == _SECRETS:
            continue
        declared = known.get(name)
        sealed = declared.sealed if declared else str(value).startswith("****")
        if isinstance(value, dict) and "value" in value:  # a custom field that is declared plain
            value, sealed = value["value"], False
        rows.append((declared.label if declared else name, value, sealed))
    return rows


async def _new(visit: Visit, error: PostroomError | None = None) -> Response:
    given = visit.form.plain() if error else {}
    types = [(name, *about_type(name)) for name in credential_types()]
    offered = visit.query("types").split(",") if visit.query("types") else []
    return visit.page(
        "credentials/new.html",
        200 if error is None else 422,
        error=error,
        given=given,
        types=[each for each in types if not offered or each[0] in offered],
        chosen=given.get("type") or (offered[0] if offered else "password"),
        back=given.get("back") or visit.query("back"),
    )


async def _made(visit: Visit) -> Response:
    form = visit.form
    try:
        made = await visit.room.credentials.create(
            form.text("name"), form.text("type"), description=form.text("description")
        )
    except PostroomError as error:
        return await _new(visit, error)
    name = made.credential.name
    return visit.go(with_back(at("credentials", name, "details"), form.text("back")))


def with_back(path: str, back: str) -> str:
    """A path that knows where somebody came from."""
    from urllib.parse import quote

    return f"{path}?back={quote(back, safe='')}" if back else path


async def _about(visit: Visit, error: PostroomError | None = None) -> Response:
    one = await visit.room.credentials.show(visit["name"])
    return visit.page(
        "credentials/about.html", 200 if error is None else 422, one=one, error=error,
        given=visit.form.plain() if error else None, types=type_options(),
        pairs=pairs_of(error, visit.form),
    )  # fmt: skip


async def _said(visit: Visit) -> Response:
    form, name = visit.form, visit["name"]
    one = await visit.room.credentials.show(name)
    changes: dict[str, Any] = {
        "description": form.text("description"),
        "expires_at": form.text("expires_at"),
        "rotate_after": form.text("rotate_after"),
        "programs": form.ticked("programs"),
    }
    if form.text("type") != one["type"]:
        changes["type"] = form.text("type")
    try:
        await visit.room.credentials.change(name, rebind=agreed(form), **changes)
    except PostroomError as error:
        return await _about(visit, error)
    return visit.go(at("credentials", name), "Saved.")


async def _copy(visit: Visit) -> Response:
    new = visit.form.text("new_name")
    await visit.room.credentials.copy(visit["name"], new)
    return visit.go(
        at("credentials", new, "details"),
        f"{new} has the type and the plain fields of {visit['name']}; no secret was carried over.",
    )


async def _test(visit: Visit) -> Response:
    return visit.go(f"/works/{begin_test(visit, visit['name']).id}")


def begin_test(visit: Visit, name: str) -> Work:
    """Begin the test of a credential that names its own server."""

    async def run(work: Work) -> Any:
        return await visit.room.credentials.test(
            name, on_step=lambda place, step: work.tell((place, step))
        )

    back = at("credentials", name)
    return visit.begin(
        "_tested.html", run, title=f"Test of {name}", back=back, trust=f"{back}/trust",
        trust_right="replace",
    )  # fmt: skip


async def _trust(visit: Visit) -> Response:
    """Trust the certificate that the credential's own server shows; it is seen again before."""
    form, name = visit.form, visit["name"]
    fingerprint = form.text("fingerprint")
    try:
        await visit.room.credentials.trust(name, fingerprint, rebind=agreed(form))
    except PostroomError as error:
        return visit.page(
            "connections/trust.html", 422, name=name, place="outgoing", fingerprint=fingerprint,
            error=error, pairs=pairs_of(error, form), back=at("credentials", name),
        )  # fmt: skip
    visit.say(f"The certificate of its server is trusted for {name}.")
    return visit.go(f"/works/{begin_test(visit, name).id}")


async def _end(visit: Visit, error: PostroomError | None = None) -> Response:
    one = await visit.room.credentials.show(visit["name"])
    name = one["name"]
    return visit.page(
        "work/confirm.html", 422 if error else 200, title=f"Delete the credential {name}?",
        back=at("credentials", name), back_label=name, action=at("credentials", name, "delete"), error=error,
        button="Delete it", usage={**one, "uses": one["usage"]},
        sentence="It and every version of its secrets are destroyed. Nobody can bring them back.",
        force="Delete it although it is used" if one["usage"] else "",
        force_help="What uses it cannot sign in any more.",
    )  # fmt: skip


async def _ended(visit: Visit) -> Response:
    name = visit["name"]
    try:
        await visit.room.credentials.delete(name, force=visit.form.ticked("force"))
    except Refused as error:
        return await _end(visit, error)
    return visit.go("/credentials", f"{name} is deleted, and its secrets are destroyed.")


ROUTES = (
    get("/credentials", _list),
    get("/new/credential", _new, "create"),
    post("/new/credential", _made, "create"),
    get("/credentials/{name}", _show),
    get("/credentials/{name}/about", _about, "edit"),
    post("/credentials/{name}/about", _said, "edit"),
    post("/credentials/{name}/copy", _copy, "create"),
    post("/credentials/{name}/test", _test, "use"),
    post("/credentials/{name}/trust", _trust, "replace"),
    get("/credentials/{name}/delete", _end, "destroy", proved=True),
    post("/credentials/{name}/delete", _ended, "destroy", proved=True),
)
