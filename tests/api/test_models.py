"""The models of the OpenAPI document: there is one for every answer, and every answer is as it says."""

from __future__ import annotations

import inspect
from typing import Any, Final

import pytest

from postroom.access import throttle
from postroom.app import Room
from postroom.db import Tx
from postroom.errors import PostroomError
from postroom.operations.asking import Asked
from postroom.operations.documents import document, item_of
from postroom.secret import Secret
from tests.api.models import answer_of, asked, described, open_places, wrong_with
from tests.ground import Pki
from tests.unit.operations.askings import ASKED, GOOD, SHOWN, Ask, fill
from tests.unit.operations.furnished import furnish, ids_of

NO_JSON: Final = {"outbox.content": "the exact bytes of a message"}
OPEN: Final = {
    "facts": "of an error: by its code",
    "error": "of a step in a job: code, error and hint, and its facts",
    "stored": "by the credential's type",
    "fields": "by the credential's type",
    "parameters": "by the job",
    "result": "of a run: what a step, a function or a program gave",
    "JobStepOut": "its command is a key of its own, with that command's parameters",
    "detail": "by the action that was recorded",
}
"""Where a model leaves open what is there, and why."""
NOT_HERE: Final = {
    "collecting.run": "wants a mail server",
    "collecting.preview": "wants a mail server",
    "signins.sign_in": "wants an authorization server",
    "signins.list": "wants an authorization server",
    "keys.damaged": "wants a record that does not open",
}
"""Of whose answer nothing is seen here: test_every_verb sees some of them, over real servers."""
MORE: Final = {
    "credentials.copy": (SHOWN, "copied"),
    "connections.copy": ("orders-mail", "copied"),
    "sources.copy": ("orders-in", "copied"),
    "services.copy": ("orders-out", "copied"),
    "jobs.copy": ("orders-job", "copied"),
    "notify.copy": ("orders-tell", "copied"),
    "guides.facts": ("guided",),
    "users.sessions": ("ada",),
    "runs.log": ("{logged}",),
    "tokens.revoke": ("{ada}",),
    "accounts.connect": ({
        "name": "made", "address": "a@example.com", "password": Secret(GOOD), "directory": "mail",
        "incoming": {"host": "127.0.0.1", "port": "1", "security": "none"},
        "outgoing": {"host": "127.0.0.1", "port": "1", "security": "none"},
    },),
}  # fmt: skip
"""What is asked first, so that every door answers once."""


def test_every_answer_has_a_model_that_names_what_is_in_it() -> None:
    """A door whose operation says no more than dict of itself is seen here."""
    shapes = described()["components"]["schemas"]
    for one in asked().values():
        name = name_of(one)
        model = answer_of(one)
        if model is None:
            assert one.returns is type(None) or name in NO_JSON, name
            continue
        shape = shapes[model["$ref"].rpartition("/")[2]]
        for each in shape.get("anyOf", [shape]):
            assert each["properties"].keys() - {"v"}, name
            assert "v" in each["required"], name
    found = {
        place.rpartition(".")[2]
        for name, shape in shapes.items()
        for place in open_places(shape, name)
        if not name.endswith("In")
    }
    assert found == OPEN.keys()


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.bares("file", "log", why="what is typed is sealed; the test looks at answers")
async def test_every_answer_is_as_its_model_says(
    room: Room, pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Generated from the doors, on a furnished room: no answer has a name, or a type, of its own."""
    monkeypatch.setattr("postroom.operations.notify.TEST_SECONDS", 0.2)
    often = throttle.Limit("sign-in test", 1_000_000, 60.0)
    monkeypatch.setattr("postroom.access.throttle.TESTS", often)
    await furnish(room, (SHOWN, "more"), pki.ca.read_text())
    words = {**await ids_of(room, SHOWN), **await _more(room)}
    wrong: list[str] = []
    answered: set[str] = set()
    seen: list[Any] = [type(None)]
    turns = ("GET", "POST", "PUT", "PATCH", "DELETE")
    doors = sorted(asked().values(), key=lambda one: turns.index(one.door.http))
    names = {name_of(one): one for one in doors}
    for name, one in names.items():
        for ask in (Ask(MORE[name], {}), *ASKED[name]) if name in MORE else ASKED[name]:
            value = await _given(room, one, ask, words)
            if isinstance(value, PostroomError):
                continue
            if name in answered and one.door.http != "GET":
                break
            answered.add(name)
            if value != []:
                seen.append(kind_of(one))
            if one.returns is not type(None) and name not in NO_JSON:
                wrong += wrong_with(one, _paged(one, document(one.returns, value)))
    assert wrong == [], "\n".join(wrong[:40])
    left = [name for name, one in names.items() if kind_of(one) not in seen and name not in NO_JSON]
    assert not set(left) ^ NOT_HERE.keys(), str(sorted(set(left) ^ NOT_HERE.keys()))


async def _more(room: Room) -> dict[str, Any]:
    """What the furnished room has none of: a session, a token, a grant, a guide, an attempt, a log."""
    await room.users.add("ada", "admin", password=Secret(GOOD))
    await room.people.sign_in("ada", Secret(GOOD))
    token = await room.tokens.add("deploy", user="ada")
    await room.grants.give(SHOWN, "user:ada")
    device = {"type": "oauth_device_flow", "client_id": "1-2-3",
              "authority": "https://login.microsoftonline.com/common"}  # fmt: skip
    office = {"protocol": "imap", "host": "outlook.office365.com", "account": "ada@x.org"}
    await room.connections.add({"name": "guided", "incoming": {**office, "auth": device}})

    def body(tx: Tx) -> dict[str, Any]:
        tx.execute(
            "INSERT INTO outbox_attempts (item, attempt, at, outcome, said) "
            "SELECT id, 1, 1, 'failed', 'no' FROM outbox"
        )
        return {"logged": tx.value("SELECT min(run) FROM run_log"), "ada": token["id"]}

    return await room.desk.db.write(body)


def kind_of(one: Asked) -> Any:
    """What it gives, or gives a list of."""
    return item_of(one.returns) or one.returns


def name_of(one: Asked) -> str:
    return f"{one.door.noun}.{one.door.method}"


async def _given(room: Room, one: Asked, ask: Ask, words: dict[str, Any]) -> Any:
    operation = getattr(getattr(room, one.door.noun), one.door.method)
    try:
        found = operation(*fill(ask.given, words), **fill(dict(ask.named), words))
        return await found if inspect.isawaitable(found) else found
    except PostroomError as error:
        return error


def _paged(one: Asked, told: dict[str, Any]) -> dict[str, Any]:
    """As the API has it: a list that is looked up whole comes in pages."""
    return {"next": None, **told} if one.pages else told
