"""Versions of a credential, and the secrets of a client: brought back, proven, retired, destroyed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.responses import Response

from postroom.errors import NotThere, PostroomError, WrongUse
from postroom.web.paths import get, post
from postroom.web.rebinding import agreed, pairs_of
from postroom.web.said import Notice
from postroom.web.visit import Visit, at
from postroom.web.works import Work

__all__ = ["ROUTES"]


async def _bring_back(visit: Visit, error: PostroomError | None = None) -> Response:
    name, version = await _version(visit)
    return visit.page(
        "credentials/restore.html", 422 if error else 200, name=name, version=version,
        error=error, pairs=pairs_of(error, visit.form),
    )  # fmt: skip


async def _brought_back(visit: Visit) -> Response:
    name, version = visit["name"], _number(visit)
    try:
        new = await visit.room.versions.restore(name, version, rebind=agreed(visit.form))
    except PostroomError as error:
        return await _bring_back(visit, error)
    return visit.go(at("credentials", name), f"Version {new} holds what version {version} held.")


async def _destroy(visit: Visit) -> Response:
    name, version = await _version(visit)
    return visit.page(
        "work/confirm.html", title=f"Destroy version {version}?", button="Destroy it",
        back=at("credentials", name),
        back_label=name, sentence=f"What {name} was in version {version} cannot be brought back then.",
    )  # fmt: skip


async def _destroyed(visit: Visit) -> Response:
    name, version = visit["name"], _number(visit)
    await visit.room.versions.destroy(name, version)
    return visit.go(at("credentials", name), f"Version {version} is destroyed.")


async def _version(visit: Visit) -> tuple[str, int]:
    """The version that a question is about.  Raises NotThere: nothing is asked of what there is not."""
    name, version = visit["name"], _number(visit)
    if version not in [one["version"] for one in await visit.room.versions.list(name)]:
        raise NotThere(f"Credential {name} has no version {version}.")
    return name, version


def _number(visit: Visit) -> int:
    try:
        return int(visit["version"])
    except ValueError:
        raise WrongUse("A version is a number.") from None


async def _add_secret(visit: Visit) -> Response:
    form, name = visit.form, visit["name"]
    value = form.secret("value")
    if value is None:
        raise WrongUse(
            "Give the value of the new secret.", hint="At Microsoft it is the Value, not the ID."
        )
    label, valid_until = form.text("label"), form.text("valid_until") or None

    async def add(_: Work) -> Notice:
        proof = await visit.room.client_secrets.add(
            name, value, label, valid_until=valid_until, description=form.text("description")
        )
        return Notice("done" if proof.proven else "note", proof.told)

    return _asked(visit, add, "It was not added.")


async def _prove_secret(visit: Visit) -> Response:
    name, label = visit["name"], visit.form.text("label")

    async def prove(_: Work) -> Notice:
        proof = await visit.room.client_secrets.prove(name, label)
        return Notice("done" if proof.proven else "wrong", proof.told)

    return _asked(visit, prove, "It is not proven.")


def _asked(visit: Visit, run: Callable[[Work], Awaitable[Notice]], wrong: str) -> Response:
    """The authorization server is asked, which may take long: it is watched."""
    name = visit["name"]
    work = visit.begin(
        "_told.html", run, title=f"A client secret of {name}", back=at("credentials", name),
        name=name, doing="The authorization server is asked for a token", wrong=wrong,
    )  # fmt: skip
    return visit.go(at("works", work.id))


async def _retire(visit: Visit) -> Response:
    name, label = visit["name"], visit["label"]
    if label not in [one["label"] for one in await visit.room.client_secrets.list(name)]:
        raise NotThere(f"Credential {name} has no client secret {label}.")
    return visit.page(
        "work/confirm.html", title=f"Retire client secret {label}?", button="Retire it",
        back=at("credentials", name), back_label=name,
        sentence="It is not used any more. Delete it at the authorization server too.",
    )  # fmt: skip


async def _retired(visit: Visit) -> Response:
    name, label = visit["name"], visit["label"]
    await visit.room.client_secrets.retire(name, label)
    return visit.go(
        at("credentials", name),
        f"Client secret {label} is out of use; the kept versions still hold it, sealed.",
    )


ROUTES = (
    get("/credentials/{name}/versions/{version}/restore", _bring_back, "replace"),
    post("/credentials/{name}/versions/{version}/restore", _brought_back, "replace"),
    get("/credentials/{name}/versions/{version}/destroy", _destroy, "destroy", proved=True),
    post("/credentials/{name}/versions/{version}/destroy", _destroyed, "destroy", proved=True),
    post("/credentials/{name}/secrets", _add_secret, "replace"),
    post("/credentials/{name}/secrets/prove", _prove_secret, "use"),
    get("/credentials/{name}/secrets/{label}/retire", _retire, "destroy", proved=True),
    post("/credentials/{name}/secrets/{label}/retire", _retired, "destroy", proved=True),
)
