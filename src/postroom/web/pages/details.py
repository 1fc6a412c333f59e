"""The details of a credential: a form out of its fields; saved, tested at once, cleared field by field."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from postroom.errors import InvalidValue, PostroomError
from postroom.fields import describe
from postroom.operations.declared import about_type, credential_fields
from postroom.web.controls import Control, controls, read
from postroom.web.form import Form
from postroom.web.leaving import as_left, came_from, leave_for, onward
from postroom.web.pages.credentials import begin_test, with_back
from postroom.web.paths import get, post
from postroom.web.rebinding import agreed, pairs_of
from postroom.web.seen import look
from postroom.web.visit import Visit, at
from postroom.web.works import Work

__all__ = ["ROUTES"]

_GENERIC: Final = "generic"
_SECRETS: Final = "client_secrets"
_SKIP: Final = (_SECRETS, "next_private_key", "next_certificate", "plain", "secrets")
"""What has its own place in the page: secrets of a client by label, the next key pair, custom fields."""
_CUSTOM: Final = "custom."
_NEW: Final = "new."
_BLANK_ROWS: Final = 3
_SYSTEM: Final = "the system's authorities"
_TRUST: Final = "Where an authority of your own has signed the server's certificate."


async def _details(
    visit: Visit, error: PostroomError | None = None, tested: Work | str = ""
) -> Response:
    """The form; ``tested``: the test that was begun with it, or why there is none."""
    one = await visit.room.credentials.show(visit["name"])
    left = visit.form if error else as_left(visit)
    given = None if left is None else left.plain(_sealed(one["type"], left))
    label, about = about_type(one["type"])
    drawn = await _controls(visit, one, given, error)
    called = {c.name: c.label for c in drawn} | {_SECRETS: "Client secret"}
    return visit.page(
        "credentials/details.html",
        422 if error else 200,
        one=one, label=label, about=about, error=error,
        work=None if isinstance(tested, str) else tested,
        untested=tested if isinstance(tested, str) else "",
        controls=drawn, lacking=[called.get(each, each) for each in one["missing"]],
        custom=_custom(one) if one["type"] == _GENERIC else None,
        blank=_BLANK_ROWS, given=given or {},
        pairs=pairs_of(error, visit.form),
        back=came_from(visit),
        client=_SECRETS in credential_fields(one["type"]).model_fields,
    )  # fmt: skip


async def _controls(
    visit: Visit,
    one: Mapping[str, Any],
    given: Mapping[str, str] | None,
    error: PostroomError | None,
) -> list[Control]:
    model = credential_fields(one["type"])
    masks = {name: str(one["fields"].get(name, "")) for name in _sealed(one["type"], visit.form)}
    plain = {**one["fields"]}
    certificate = plain.pop("certificate", None)  # shown by its facts; typed anew to replace it
    stored = {name: mask for name, mask in masks.items() if mask}
    if certificate:
        stored["certificate"] = str(certificate)
    trusted = [
        (each["name"], each["name"])
        for each in await visit.room.credentials.list(types=["trusted_certificate"])
    ]
    drawn = controls(
        model, plain, given=given, stored=stored, offered={"credential": trusted},
        makes={"credential": "credential"}, error=error, skip=_SKIP,
    )  # fmt: skip
    return [
        dataclasses.replace(one, options=[("", _SYSTEM), *one.options[1:]], help=_TRUST)
        if one.name == "trust"
        else one
        for one in drawn
    ]


def _sealed(type_name: str, form: Form) -> list[str]:
    found = [one.name for one in describe(credential_fields(type_name)) if one.sealed]
    rows = [name for name in form if name.startswith((_CUSTOM, _NEW)) and name.endswith(".value")]
    return [*found, "secret.value", *rows]


def _custom(one: Mapping[str, Any]) -> list[tuple[str, str, bool]]:
    """The fields of a credential with fields of its own: name, what is shown, whether it is sealed."""
    return [(name, str(value), name in one["secrets"]) for name, value in one["fields"].items()]


def _typed(type_name: str, form: Form) -> dict[str, Any]:
    """The details in the form, as the operations take them."""
    if type_name == _GENERIC:
        return _typed_custom(form)
    found = read(credential_fields(type_name), form, skip=_SKIP)
    # a file of several lines that is left empty keeps what there is, as a secret does
    found = {
        name: value for name, value in found.items() if value or not name.endswith("certificate")
    }
    value = form.secret("secret.value")
    if value is not None or form.text("secret.label"):
        label = form.text("secret.label")
        if not label:
            raise InvalidValue(_SECRETS, "give the secret a label, such as 2026a")
        secret: dict[str, Any] = {"value": value} if value else {}
        if form.text("secret.valid_until"):
            secret["valid_until"] = form.text("secret.valid_until")
        found[_SECRETS] = {label: secret}
    return found


def _typed_custom(form: Form) -> dict[str, Any]:
    """Fields that there are stand under their names, new ones under numbers: a name may be a number."""
    found: dict[str, Any] = {}
    for key in sorted(
        {name.rpartition(".")[0] for name in form if name.startswith((_CUSTOM, _NEW))}
    ):
        name, value = form.text(f"{key}.name"), form.secret(f"{key}.value")
        if key.startswith(_NEW) and bool(name) != (value is not None):
            raise InvalidValue(name or "fields", "a new field has a name and a value")
        if not name or value is None:
            continue
        plain = form.ticked(f"{key}.plain")
        found[name] = {"value": form.raw(f"{key}.value"), "plain": True} if plain else value
    return found


async def _save(visit: Visit) -> Response:
    form, name = visit.form, visit["name"]
    one = await visit.room.credentials.show(name)
    if form.text("make"):
        return leave_for(
            visit,
            at("credentials", name, "details"),
            ["trusted_certificate"],
            _sealed(one["type"], form),
        )
    clear = form.texts("clear")
    try:
        details = {} if clear else _typed(one["type"], form)
        saved = await visit.room.credentials.set(name, details, clear=clear, rebind=agreed(form))
    except PostroomError as error:
        return await _details(visit, error)
    told = " ".join(f"{note[:1].upper()}{note[1:]}" for note in saved.notes)
    back = came_from(visit)
    if clear:
        visit.say(f"{clear[0]} is empty now.")
    elif form.text("then") == "refresh":
        visit.say(f"Saved. {told}".strip())
        visit.form = Form.of({"back": back})
        await look(visit, "credentials")
        return await _details(visit, tested=await _tested(visit, name))
    else:
        there = onward(back, name) if back else at("credentials", name)
        return visit.go(there, f"{name} is saved. {told}".strip())
    return visit.go(with_back(at("credentials", name, "details"), back))


async def _tested(visit: Visit, name: str) -> Work | str:
    """The test with what was saved just now: of its own server, or of a connection that uses it; or why
    there is none."""
    if not visit.may("use"):
        return "Testing it is for somebody with the right to use."
    one = await visit.room.credentials.show(name)
    if one["state"] != "complete":
        return f"It can be tested once it is complete: it lacks {', '.join(one['missing'])}."
    if one["direct"]:
        return begin_test(visit, name)
    over = sorted({use["name"] for use in one["usage"] if use["noun"] == "connection"})
    if not over:
        return "There is nothing to test it with yet: no connection uses it."
    first = over[0]

    async def run(work: Work) -> Any:
        return await visit.room.connections.test(
            first, on_step=lambda place, step: work.tell((place, step))
        )

    return visit.begin("_tested.html", run, title=f"Test of {first}", back=at("credentials", name))


async def _generate(visit: Visit) -> Response:
    name = visit["name"]
    saved, certificate = await visit.room.credentials.generate(
        name, replace=visit.form.ticked("replace")
    )
    return visit.page(
        "credentials/generated.html", name=saved.credential.name, certificate=certificate
    )


ROUTES = (
    get("/credentials/{name}/details", _details, "replace"),
    post("/credentials/{name}/details", _save, "replace"),
    post("/credentials/{name}/generate", _generate, "replace"),
)
