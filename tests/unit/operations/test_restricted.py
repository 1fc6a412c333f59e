"""Credentials that are restricted are not there for whoever has no grant, nor is what rests on them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from postroom.access import ROLES, Person
from postroom.app import Room
from postroom.errors import NotThere, PostroomError, Refused
from postroom.operations.converting import Conversion
from postroom.operations.doors import DOORS
from postroom.secret import Secret

GOOD = "correct horse battery"


async def person(room: Room, name: str, role: str = "editor") -> Person:
    """A user, as they ask."""
    await room.users.add(name, role)
    found = await room.desk.db.read(
        lambda tx: tx.value("SELECT id FROM users WHERE name = :name", name=name)
    )
    return Person(f"user:{name}", role, ROLES[role], found)


def side(credential: str, protocol: str = "imap") -> dict[str, Any]:
    return {
        "protocol": protocol,
        "host": "127.0.0.1",
        "port": "1",
        "security": "none",
        "auth": {"type": "secret", "credential": credential},
    }


@pytest.fixture
async def hidden(room: Room) -> Room:
    """A room with a restricted credential, what rests on it, and as much that does not."""
    for each in ("payroll", "orders"):
        details = {"user_name": f"{each}@example.com", "password": Secret(GOOD + each)}
        await room.credentials.create(each, "password", details=details)
        await room.connections.add(
            {"name": f"{each}-mail", "incoming": side(each), "outgoing": side(each, "smtp")}
        )
        await room.connections.add({"name": f"{each}-below", "extends": f"{each}-mail"})
        sink = {"type": "directory", "path": str(room.settings.room.parent / each)}
        await room.sources.add({"name": f"{each}-in", "connection": f"{each}-below", "sink": sink})
        await room.services.add({"name": f"{each}-out", "connection": f"{each}-below"})
        step = {"read-email": {"via": f"{each}-below", "id": "1"}}
        await room.jobs.add({"name": f"{each}-job", "steps": [step]})
    await room.grants.restrict("payroll")
    return room


SAID: dict[str, tuple[Any, ...]] = {
    "credentials.set": ({"user_name": "eve"},),
    "credentials.copy": ("mine",),
    "credentials.trust": ("00",),
    "versions.restore": (1,),
    "versions.destroy": (1,),
    "client_secrets.add": ("x", Secret(GOOD)),
    "client_secrets.retire": ("x",),
    "connections.set": ({"description": "x"},),
    "connections.copy": ("mine",),
    "connections.trust": ("incoming", "00"),
    "converting.convert": (Conversion("secret"),),
    "signins.sign_in": (print,),
    "sources.set": ({"description": "x"},),
    "sources.copy": ("mine",),
    "services.set": ({"description": "x"},),
    "services.copy": ("mine",),
    "jobs.set": ({"description": "x"},),
    "jobs.copy": ("mine",),
}
NAMES = {
    "credentials": "payroll",
    "guides": "payroll-mail",
    "connections": "payroll-below",
    "sources": "payroll-in",
    "services": "payroll-out",
    "jobs": "payroll-job",
}
"""What a name behind that part of a path is of."""
ONE = [door for door in DOORS if "{name}" in door.path and door.path.split("/")[1] in NAMES]


async def ask(room: Room, door: Any, name: str) -> str:
    """What somebody is told who asks for that; every mention of the name as NAME."""
    method = getattr(getattr(room, door.noun), door.method)
    try:
        said = await method(name, *SAID.get(f"{door.noun}.{door.method}", ()))
    except PostroomError as error:
        told = json.dumps([type(error).__name__, error.as_json()], default=str)
        return told.replace(name, "NAME")
    return f"done: {said!r}"


@pytest.mark.parametrize("door", ONE, ids=lambda door: f"{door.noun}.{door.method}")
async def test_what_is_hidden_is_answered_as_what_does_not_exist(hidden: Room, door: Any) -> None:
    """T27, T48: on every path with a name, in the same words, for whoever may all but see to people."""
    if door.right == "users":
        return
    everything = ROLES["admin"] - {"users"}
    eve = (await person(hidden, "eve")).user
    acting = hidden.acting(Person("user:eve", "editor", everything, eve))
    there = NAMES[door.path.split("/")[1]]
    missing = "zz" + there[2:]  # nothing is near enough to be suggested
    secret = await ask(acting, door, there)
    assert secret == (await ask(acting, door, missing)), (door, secret)
    assert secret.startswith('["NotThere"'), (door, secret)


async def test_no_list_has_what_is_hidden(hidden: Room) -> None:
    """T48: nor does a document, a count, a hint, or the end of a secret."""
    eve = hidden.acting(await person(hidden, "eve", "editor"))
    await hidden.credentials.change("payroll", expires_at="2020-01-01")
    await hidden.variables.set("HOST", "127.0.0.1")
    await hidden.connections.set("payroll-mail", {"incoming": {"host": "${HOST}"}}, rebind=True)
    await hidden.runs.begin("payroll-job")
    item = await hidden.email.store("payroll-out", _draft())
    await hidden.desk.db.write(
        lambda tx: tx.execute("UPDATE outbox SET state = 'failed', finished_at = 1")
    )
    assert "payroll" in repr(await hidden.notify.needs())
    for asked in (
        eve.credentials.list(),
        eve.credentials.list(expiring=86400.0 * 9999),
        eve.credentials.list(unused=0.0),
        eve.connections.list(),
        eve.converting.census(),
        eve.signins.list(),
        eve.sources.list(),
        eve.services.list(),
        eve.jobs.list(),
        eve.runs.list(),
        eve.ledger.list(),
        eve.outbox.list(),
        eve.variables.usage("HOST"),
        eve.roomfile.export(),
        eve.outbox.unattended(),
        eve.notify.notices(),
        eve.notify.needs(),
        eve.health.ready(),
    ):
        found = await asked
        text = repr(list(found) if isinstance(found, list) else found)
        assert "payroll" not in text, text
    for attempt in (eve.outbox.show, eve.outbox.content, eve.outbox.cancel, eve.outbox.attempts):
        with pytest.raises(NotThere):
            await attempt(item)
    run = (await hidden.runs.list())[0].id
    for look in (eve.runs.show, eve.runs.log, eve.runs.cancel):
        with pytest.raises(NotThere):
            await look(run)
    near = pytest.raises(NotThere, match="no credential called 'payrol'")
    with near as told:
        await eve.credentials.show("payrol")
    assert "payroll" not in str(told.value)
    assert "orders" in repr(await eve.credentials.list())


def _draft() -> Any:
    from postroom.mail import Draft

    return Draft(from_="payroll@example.com", to="a@example.com", subject="Hello", text="Hello")


async def test_nothing_that_is_made_can_name_what_is_hidden(hidden: Room) -> None:
    """T27: not a connection, one that extends another, a source, a service, a job, a command."""
    eve = hidden.acting(await person(hidden, "eve", "editor"))
    sink = {"type": "job", "job": "orders-job"}
    for attempt in (
        lambda: eve.connections.add({"name": "x", "incoming": side("payroll")}),
        lambda: eve.connections.add({"name": "x", "extends": "payroll-mail"}),
        lambda: eve.connections.set("orders-mail", {"incoming": side("payroll")}),
        lambda: eve.sources.add(
            {"name": "x", "connection": "payroll-mail", "start": "all", "sink": sink}
        ),
        lambda: eve.sources.set("orders-in", {"connection": "payroll-mail"}),
        lambda: eve.services.add({"name": "x", "connection": "payroll-mail"}),
        lambda: eve.services.set("orders-out", {"connection": "payroll-mail"}),
        lambda: eve.jobs.add(
            {"name": "x", "steps": [{"read-email": {"via": "payroll-mail", "id": "1"}}]}
        ),
        lambda: eve.jobs.add(
            {"name": "x", "steps": [{"send-email": {"via": "payroll-out", "to": "a@b.c"}}]}
        ),
        lambda: eve.commands.run("list-email", {"via": "payroll-mail"}),
        lambda: eve.commands.run("list-email", {"via": "connection:payroll-below"}),
        lambda: eve.commands.run("send-email", {"via": "payroll-out", "to": ["a@example.com"]}),
        lambda: eve.commands.run("send-email", {"via": "payroll-mail", "to": ["a@example.com"]}),
        lambda: eve.commands.run("test-connection", {"via": "payroll-mail"}),
        lambda: eve.commands.run("test-connection", {"via": "payroll-out"}),
        lambda: eve.commands.run("run-job", {"job": "payroll-job"}),
    ):
        with pytest.raises(PostroomError) as refused:
            await attempt()
        assert refused.value.code in ("not_found", "invalid_value"), refused.value
        assert "is not there" in str(refused.value) or "here is no" in str(refused.value)
    with pytest.raises(Refused, match="already"):  # a name is a name, whoever has it
        await eve.credentials.create("payroll", "password")


async def test_nothing_is_taken_away_from_under_what_is_hidden(hidden: Room) -> None:
    """Who does not see that something is used does not remove it, and is not told by what."""
    await hidden.connections.add(
        {
            "name": "base",
            "incoming": {**side("orders"), "auth": {"type": "none"}, "protocol": "imap"},
        }
    )
    child = {"auth": {"type": "secret", "credential": "payroll"}}
    await hidden.connections.add({"name": "payroll-child", "extends": "base", "incoming": child})
    await hidden.variables.set("HOST", "127.0.0.1")
    await hidden.connections.set("payroll-mail", {"incoming": {"host": "${HOST}"}}, rebind=True)
    eve = hidden.acting(await person(hidden, "eve", "editor"))
    for attempt in (
        lambda: eve.connections.delete("base", force=True),
        lambda: eve.variables.delete("HOST"),
    ):
        with pytest.raises(Refused, match="not there for you") as refused:
            await attempt()
        assert "payroll" not in json.dumps(refused.value.as_json())


async def test_whoever_has_a_grant_has_it_all(hidden: Room) -> None:
    bob = hidden.acting(await person(hidden, "bob", "editor"))
    await hidden.grants.give("payroll", "user:bob")
    assert (await bob.credentials.show("payroll"))["fields"]["password"].startswith("****")
    assert (await bob.connections.show("payroll-below"))["extends"] == "payroll-mail"
    assert (await bob.jobs.show("payroll-job"))["name"] == "payroll-job"
    await bob.services.set("payroll-out", {"description": "mine"})
    await hidden.grants.take("payroll", "user:bob")
    with pytest.raises(NotThere):
        await bob.connections.show("payroll-below")
    await hidden.grants.open("payroll")
    assert (await bob.connections.show("payroll-below"))["extends"] == "payroll-mail"


async def test_a_service_or_job_with_a_grant_is_used_and_not_changed(hidden: Room) -> None:
    """Who may send uses it; nobody makes it do something else with what is not theirs."""
    eve = hidden.acting(await person(hidden, "eve", "editor"))
    await hidden.grants.give("payroll", "service:payroll-out")
    await hidden.grants.give("payroll", "job:payroll-job")
    sent = await eve.commands.run("send-email", {"via": "payroll-out", "to": ["a@example.com"]})
    assert sent["state"] == "stored"
    assert [item.id for item in await eve.outbox.list()] == [sent["id"]]
    assert (await eve.outbox.show(sent["id"])).sender == "payroll@example.com"
    assert await eve.runs.begin("payroll-job")
    for attempt in (
        lambda: eve.services.set("payroll-out", {"connection": "orders-mail"}),
        lambda: eve.jobs.set("payroll-job", {"description": "x"}),
    ):
        with pytest.raises(Refused, match="you may use it, and not change it"):
            await attempt()
    with pytest.raises(NotThere):
        await eve.commands.run("list-email", {"via": "payroll-below"})
    await hidden.jobs.delete("payroll-job", force=True)
    await hidden.jobs.add({"name": "payroll-job", "steps": [{"run-job": {"job": "orders-job"}}]})
    assert [one["grantee"] for one in await hidden.grants.list()] == ["service:payroll-out"]


async def test_a_job_uses_what_is_restricted_only_with_a_grant_of_its_own(hidden: Room) -> None:
    """T27: also where its step says what it uses only when it runs, by a variable."""
    eve = hidden.acting(await person(hidden, "eve", "editor"))
    await eve.variables.set("VIA", "orders-mail")
    await eve.jobs.add({"name": "sly", "steps": [{"list-email": {"via": "${var:VIA}"}}]})
    await eve.variables.set("VIA", "payroll-mail")

    async def outcome(name: str) -> str:
        run = await hidden.runs.here(await hidden.runs.begin(name))
        return json.dumps(run.as_json(), default=str)

    assert "no connection" in (await outcome("sly"))
    with pytest.raises(NotThere):  # and now that it would, it is not there for who made it
        await eve.runs.begin("sly")
    assert "no connection" in (await outcome("payroll-job"))
    await hidden.grants.give("payroll", "job:payroll-job")
    assert "no connection" not in (await outcome("payroll-job"))


async def test_a_change_above_does_not_tell_what_rests_on_it(hidden: Room) -> None:
    """T26: a variable that moves the host of what is hidden is refused, and names nothing of it."""
    await hidden.variables.set("HOST", "127.0.0.1")
    await hidden.connections.set("payroll-mail", {"incoming": {"host": "${HOST}"}}, rebind=True)
    await hidden.desk.db.write(
        lambda tx: tx.execute("UPDATE credential_versions SET presented_at = 1")
    )
    eve = hidden.acting(await person(hidden, "eve", "editor"))
    with pytest.raises(Refused) as refused:
        await eve.variables.set("HOST", "127.0.0.2")
    assert "payroll" not in json.dumps(refused.value.as_json())
    assert await hidden.variables.get("HOST") == "127.0.0.1"
    lines = (await hidden.credentials.show("payroll"))["destinations"]
    await eve.connections.set("orders-mail", {"description": "x"})
    await eve.variables.set("OTHER", "x")
    assert (await hidden.credentials.show("payroll"))["destinations"] == lines


@pytest.mark.parametrize("role", ROLES)
async def test_a_command_wants_its_own_right_and_files_are_the_operators(
    room: Room, role: str
) -> None:
    """T25, T74: read, use or send; and nobody else's words become paths on the server."""
    acting = room.acting(await person(room, "bob", role))
    for command, parameters, right in (
        ("list-email", {"via": "acme"}, "read"),
        ("delete-email", {"via": "acme", "ids": ["1"]}, "use"),
        ("send-email", {"via": "acme", "to": ["a@example.com"]}, "send"),
        ("test-connection", {"via": "acme"}, "use"),
        ("reply-email", {"via": "acme", "id": "1", "text": "x"}, "send"),
    ):
        with pytest.raises(PostroomError) as refused:
            await acting.commands.run(command, parameters)
        permitted = right in ROLES[role] and ("read" in ROLES[role] or command != "reply-email")
        code = "not_found" if permitted else "not_permitted"
        assert refused.value.code == code, (command, refused.value)
    for command, parameters in (
        ("send-email", {"via": "acme", "to": ["a@example.com"], "attachments": ["/etc/passwd"]}),
        ("save-email", {"via": "acme", "ids": ["1"]}),
        ("save-attachments", {"via": "acme", "ids": ["1"], "to": "/tmp"}),
    ):
        with pytest.raises(PostroomError) as refused:
            await acting.commands.run(command, parameters)
        right = "send" if command == "send-email" else "read"
        code = "not_supported" if right in ROLES[role] else "not_permitted"
        assert refused.value.code == code, refused.value  # from afar nobody


async def test_only_administrators_define_what_reads_or_writes_files(hidden: Room) -> None:
    """Definitions that write files anywhere are saved locally, or by an administrator."""
    eve = hidden.acting(await person(hidden, "eve", "editor"))
    ann = hidden.acting(await person(hidden, "ann", "admin"))
    sink = {"type": "maildir", "path": "/tmp/anywhere"}
    save = [{"save-email": {"via": "orders-mail", "ids": ["1"], "to": "/tmp"}}]
    attach = [
        {"send-email": {"via": "orders-out", "to": "a@example.com", "attachments": ["/etc/passwd"]}}
    ]
    for attempt in (
        lambda: eve.sources.add({"name": "x", "connection": "orders-mail", "sink": sink}),
        lambda: eve.sources.set("orders-in", {"sink": {"path": "/tmp/elsewhere"}}),
        lambda: eve.sources.copy("orders-in", "x"),
        lambda: eve.jobs.add({"name": "x", "steps": save}),
        lambda: eve.jobs.add({"name": "x", "steps": attach}),
        lambda: eve.jobs.set("orders-job", {"steps": [{"for_each": ["1"], "steps": save}]}),
    ):
        with pytest.raises(Refused, match="files") as refused:
            await attempt()
        assert refused.value.code == "not_permitted"
    await eve.sources.set("orders-in", {"description": "where it is, it stays"})
    await ann.sources.set("orders-in", {"sink": {"path": str(hidden.settings.room.parent / "x")}})
    await ann.jobs.add({"name": "x", "steps": attach})
