"""Nobody finds open ports with the test button: what is no mail server is told alike."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from postroom.app import Room
from postroom.connections import events
from postroom.db import Tx
from postroom.errors import PostroomError
from postroom.mail import Draft
from postroom.net import veil
from postroom.secret import Secret
from tests.ground.handed import hand_out
from tests.journeys.conftest import Account
from tests.journeys.ports import HOLD, closed, filtered, somebody, speaking


def side_of(port: int, security: str) -> dict[str, Any]:
    return {
        "protocol": "imap", "host": "127.0.0.1", "port": port, "security": security,
        "auth": {"type": "none"},
    }  # fmt: skip


async def seen(room: Room, port: int, security: str) -> tuple[str, float]:
    """All that a test tells of a port, without the port itself, and how long it took."""
    steps: list[Any] = []
    begun = asyncio.get_running_loop().time()
    report = await room.connections.test(
        "scan", on_step=lambda place, step: steps.append((place, step.as_json()))
    )
    spent = asyncio.get_running_loop().time() - begun
    [logged] = await room.connections.log("scan", limit=1)
    del logged["since"], logged["at"]
    told = json.dumps([report.as_json(), steps, logged], default=str)
    return re.sub(rf"\b{port}\b", "PORT", told), spent


@pytest.mark.parametrize("security", ["none", "tls", "starttls"])
async def test_closed_filtered_and_open_are_told_alike(
    room: Room, monkeypatch: pytest.MonkeyPatch, security: str
) -> None:
    """T59: to whoever may test and edit; an administrator hears what it is."""
    monkeypatch.setattr(veil, "HOLD_SECONDS", HOLD)
    editor, admin = await somebody(room, "editor"), await somebody(room, "admin")
    await room.connections.add({"name": "scan", "incoming": side_of(closed(), security)})
    found, spent, codes = {}, {}, set()
    async with speaking(b"SSH-2.0-OpenSSH_9.2\r\n") as shell, speaking(b"") as silent:
        with filtered() as unanswered:
            ports = {"closed": closed(), "ssh": shell, "silent": silent, "filtered": unanswered}
            for kind, port in ports.items():
                await editor.connections.set("scan", {"incoming": {"port": port}})
                found[kind], spent[kind] = await seen(editor, port, security)
            for kind in ("closed", "ssh"):
                await admin.connections.set("scan", {"incoming": {"port": ports[kind]}})
                error = (await admin.connections.test("scan")).error
                assert error is not None
                codes.add(error.code)
    assert "No mail server answers at 127.0.0.1:PORT." in found["closed"]
    assert len(set(found.values())) == 1, found
    assert all(HOLD <= each < HOLD + 1 for each in spent.values()), spent
    assert len(codes) == 2
    assert "connect_refused" in codes


async def test_connecting_an_account_tells_no_more_of_a_port_than_a_test_does(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T59: where a source begins is looked up at its server, and what came of that is not said."""
    monkeypatch.setattr(veil, "HOLD_SECONDS", HOLD)
    editor = await somebody(room, "editor")
    await room.jobs.add({"name": "handle", "command": ["true"]})
    spent: dict[str, float] = {}
    with filtered() as unanswered:
        for kind, port in (("closed", closed()), ("filtered", unanswered)):
            data = {
                "name": kind, "address": "a@example.com", "job": "handle",
                "password": hand_out("the password of nobody"),
                "incoming": {"host": "127.0.0.1", "port": str(port), "security": "tls"},
                "outgoing": {"protocol": "none"}, "send": False,
            }  # fmt: skip
            begun = asyncio.get_running_loop().time()
            await editor.accounts.connect(data)
            spent[kind] = asyncio.get_running_loop().time() - begun
    assert all(HOLD <= each < HOLD + 1 for each in spent.values()), spent


async def test_an_editor_sees_all_of_a_server_that_is_one(account: Account) -> None:
    """T59: the veil is lifted by a greeting."""
    editor = await somebody(account.room, "editor")
    name = (await account.room.connections.list())[0]["name"]
    report = await editor.connections.test(name)
    assert report.ok
    assert {"greeting", "sign-in"} <= {step.name for step in report.steps}


async def lay(room: Room, editor: Room, kind: str, mail: Path, port: int) -> None:
    """A connection to that port, and all that is built on it."""
    outgoing = {**side_of(port, "none"), "protocol": "smtp"}
    scan = {"name": kind, "incoming": side_of(port, "none"), "outgoing": outgoing}
    await editor.connections.add(scan)
    sink = {"type": "directory", "path": str(mail)}
    await room.sources.add({"name": f"{kind}-in", "connection": kind, "sink": sink})
    await room.services.add({"name": f"{kind}-out", "connection": kind})
    steps = [
        {"test-connection": {"via": kind}, "on_error": "continue"},
        {"list-email": {"via": kind}},
    ]
    await editor.jobs.add({"name": f"{kind}-job", "steps": steps})


async def fail(editor: Room, worker: Room, kind: str) -> tuple[str, str]:
    """What a worker leaves behind that does not reach the server: a message, and a run."""
    with contextlib.suppress(PostroomError):
        await worker.collecting.run(f"{kind}-in")
    draft = {"via": f"{kind}-out", "from": "a@example.com", "to": "b@example.com", "text": "x"}
    item = (await editor.commands.run("send-email", draft))["id"]
    await worker.email.dispatch()
    return item, (await worker.runs.here(await editor.runs.begin(f"{kind}-job"))).id


async def now(room: Room, kind: str) -> list[Any]:
    """How the source and the connection stand."""
    status = (await room.sources.show(f"{kind}-in"))["status"]
    [one] = [each for each in await room.sources.list() if each.name == f"{kind}-in"]
    [line] = [each for each in await room.connections.list() if each["name"] == kind]
    tried = (await room.connections.show(kind))["tried"]
    return [
        status["state"], status["note"], one.note,
        *(each["said"] for each in (*line["tried"].values(), *tried.values())),
    ]  # fmt: skip


async def stored(room: Room, kind: str, item: str, run: str) -> list[Any]:
    """All that is told of a message and of a run that failed, and of the connection."""
    listed = [each for each in await room.outbox.list() if each.id == item]
    shown = [await room.outbox.show(item), *listed]
    keys = ("side", "event", "step", "code", "detail", "times")
    return [
        [(each.state, each.reason, each.as_json()["recipients"]) for each in shown],
        [(each["outcome"], each["said"]) for each in await room.outbox.attempts(item)],
        [(each["level"], each["said"]) for each in await room.runs.log(run)],
        (await room.runs.show(run)).reason,
        [
            [row[key] for key in keys]
            for row in await room.connections.log(kind)
            if row["event"] == "failed"
        ],
    ]


async def held(room: Room, item: str) -> list[Any]:
    """What is told by holding a message back, and by letting it go."""
    both = [await room.outbox.hold(item), await room.outbox.release(item)]
    return [(each.state, each.reason, each.as_json()["recipients"]) for each in both]


def spoke(tx: Tx, kind: str) -> None:
    """A server there has let somebody in."""
    for side in ("incoming", "outgoing"):
        events.record(tx, kind, "signed in", actor="local:test", side=side)


async def test_what_is_stored_of_a_failure_tells_of_no_port(
    room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T59: nor do states, logs, and messages in the outbox, whatever answers there afterwards."""
    monkeypatch.setattr(veil, "HOLD_SECONDS", HOLD)
    editor, seen, full = await somebody(room, "editor"), set(), {}
    async with speaking(b"SSH-2.0-OpenSSH_9.2\r\n") as shell, speaking(b"\0\r\n") as junk:
        for kind, port in {"closed": closed(), "shell": shell, "junk": junk}.items():
            await lay(room, editor, kind, tmp_path / kind, port)
            left = await fail(editor, room, kind)
            before = [await now(editor, kind), await stored(editor, kind, *left)]
            full[kind] = repr([await now(room, kind), await stored(room, kind, *left)])
            other = {"port": closed()}
            await editor.connections.set(kind, {"incoming": other, "outgoing": other})
            await room.desk.db.write(lambda tx: spoke(tx, kind))  # noqa: B023
            assert await stored(editor, kind, *left) == before[1]
            text = repr([before, await held(editor, left[0])])
            text = re.sub(rf"\b{port}\b", "PORT", text).replace(left[1], "RUN")
            seen.add(re.sub(r"\d\.\d s\b", "N s", text.replace(kind, "KIND")))
    assert len(seen) == 1, "\n".join(seen)
    assert "No mail server answers at 127.0.0.1:PORT." in seen.pop()
    assert "refused the connection" in full["closed"]  # whoever has the room's key is told
    assert "no SMTP reply" in full["shell"]


@pytest.mark.parametrize("ask", ["run", "preview", "command", "connect", "hook"])
async def test_what_dials_for_somebody_is_one_answer_after_one_time(
    room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ask: str
) -> None:
    """T59: a pass, a preview, a command, an account that is connected, the test of a webhook."""
    monkeypatch.setattr(veil, "HOLD_SECONDS", HOLD)
    editor, admin = await somebody(room, "editor"), await somebody(room, "admin")
    await room.connections.add({"name": "scan", "incoming": side_of(1, "none")})
    sink = {"type": "directory", "path": str(tmp_path / "mail")}
    await room.sources.add({"name": "scan-in", "connection": "scan", "sink": sink})
    await room.jobs.add({"name": "into", "steps": [{"list-email": {"via": "scan"}}]})
    made = iter(range(9))

    async def once(who: Room, port: int) -> tuple[str, float]:
        if ask == "hook":
            name = f"hook-{next(made)}"
            await who.notify.add({"name": name, "url": f"https://127.0.0.1:{port}/"})
        else:
            await who.connections.set("scan", {"incoming": {"port": port}})
        begun = asyncio.get_running_loop().time()
        try:
            if ask == "run":
                said: Any = await who.collecting.run("scan-in")
            elif ask == "preview":
                said = await who.collecting.preview("scan-in")
            elif ask == "command":
                said = await who.commands.run("list-email", {"via": "scan"})
            elif ask == "hook":
                tried = await who.notify.test(name)
                said = (
                    [(each["ok"], each["said"]) for each in tried],
                    (await who.notify.show(name))["outcome"],
                )
            else:
                said = (await who.accounts.connect(account(f"new-{next(made)}", port)))["text"]
                said = re.sub(r"new-[0-9]", "NEW", said)
        except PostroomError as error:
            said = [error.code, str(error)]
        spent = asyncio.get_running_loop().time() - begun
        return re.sub(rf"\b{port}\b", "PORT", repr(said)), spent

    async with speaking(b"SSH-2.0-OpenSSH_9.2\r\n") as shell:
        found = [await once(editor, port) for port in (closed(), shell)]
        seen = {(await once(admin, port))[0] for port in (closed(), shell)}
    assert len({said for said, _ in found}) == 1, found
    assert all(HOLD <= spent < HOLD + 5 for _, spent in found), found  # the machine may be busy
    assert ask == "connect" or len(seen) == 2, seen


def account(name: str, port: int) -> dict[str, Any]:
    server = {"host": "127.0.0.1", "port": port, "security": "none"}
    return {
        "name": name, "address": f"{name}@example.com", "sign_in": "secret",
        "password": Secret("a word for a port"),
        "incoming": server, "outgoing": server, "collect": True, "start": "new", "job": "into",
    }  # fmt: skip


async def test_who_asks_for_ports_by_a_command_waits_like_by_a_test(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T59: ten that nobody answers in a minute, and then 429."""
    monkeypatch.setattr(veil, "HOLD_SECONDS", 0.01)
    editor = await somebody(room, "editor")
    await room.connections.add({"name": "scan", "incoming": side_of(closed(), "none")})
    codes = []
    for _ in range(12):
        with pytest.raises(PostroomError) as refused:
            await editor.commands.run("list-email", {"via": "scan"})
        codes.append(refused.value.code)
    assert codes[:10] == ["connect_failed"] * 10
    assert codes[10:] == ["too_many"] * 2


async def test_a_server_that_has_spoken_is_told_of_in_full(account: Account) -> None:
    """T59: whoever may edit hears why a mail server that they know does not let them in."""
    room, editor = account.room, await somebody(account.room, "editor")
    name = (await room.connections.list())[0]["name"]
    assert (await editor.connections.test(name)).ok
    await editor.credentials.set(
        (await room.connections.show(name))["incoming"]["auth"]["credential"],
        {"password": Secret("another word than it is")},
    )
    assert not (await editor.connections.test(name)).ok
    last = (await editor.connections.log(name))[0]
    assert last["step"] == "sign-in"
    assert "No mail server" not in last["detail"]


async def test_the_copy_for_sent_tells_of_no_port(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T59: what goes out by a server of one's own leaves a copy at any host and port."""
    monkeypatch.setattr(veil, "HOLD_SECONDS", HOLD)
    room, editor = account.room, await somebody(account.room, "editor")
    acme = await room.connections.show("acme")
    seen = set()
    async with speaking(b"SSH-2.0-OpenSSH_9.2\r\n") as shell:
        for kind, port in {"closed": closed(), "shell": shell}.items():
            sides = {"incoming": side_of(port, "none"), "outgoing": acme["outgoing"]}
            await room.connections.add({"name": kind, **sides}, rebind=True)
            await room.services.add(
                {"name": f"{kind}-out", "connection": kind, "sent_copy": "append"}
            )
            draft = Draft(account.user.address, to=[account.user.address], text="x")
            item = (await room.email.send(f"service:{kind}-out", draft)).id
            await room.email.copy()
            copy = (await editor.outbox.show(item)).sent_copy
            whole = (await room.outbox.show(item)).sent_copy
            assert copy is not None
            assert whole is not None
            assert whole.said != copy.said
            seen.add(copy.said.replace(str(port), "PORT"))
    assert len(seen) == 1, seen
    assert seen.pop().startswith("No mail server answers at 127.0.0.1:PORT.")


async def test_the_outcome_of_a_webhook_stays_untold_behind_another_way(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T59: a worker has told over it; then it is an email, and its outcome is the one of before."""
    monkeypatch.setattr(veil, "HOLD_SECONDS", 0.01)
    editor, seen = await somebody(room, "editor"), set()
    await room.connections.add(
        {"name": "scan", "outgoing": {**side_of(1, "none"), "protocol": "smtp"}}
    )
    await room.services.add({"name": "post", "connection": "scan", "from": "room@example.com"})
    async with speaking(b"SSH-2.0-OpenSSH_9.2\r\n") as shell:
        for kind, port in {"closed": closed(), "shell": shell}.items():
            await editor.notify.add({"name": kind, "url": f"https://127.0.0.1:{port}/"})
            await room.notify.test(kind)
            whole = (await room.notify.show(kind))["outcome"]
            for changes in ({}, {"service": "post", "to": ["ann@example.com"]}):
                await room.notify.set(kind, changes)
                told = (await editor.notify.show(kind))["outcome"]
                seen.add(told.replace(str(port), "PORT"))
                assert told != whole
    assert len(seen) == 1, seen
    assert seen.pop().startswith("No server answers at https://127.0.0.1:PORT.")


@pytest.mark.parametrize("why", ["host", "certificate", "nobody signed in", "incomplete"])
async def test_what_says_nothing_of_a_port_is_told_before_anything_has_spoken(
    account: Account, tmp_path: Path, why: str
) -> None:
    """T59: whoever sets an account up reads what is wrong with it."""
    room, editor = account.room, await somebody(account.room, "editor")
    await room.credentials.create(
        "app", "oauth_client", details={"authority": "https://login.example.com", "client_id": "x"}
    )
    incoming: dict[str, Any] = {
        "protocol": "imap", "host": "127.0.0.1", "port": str(account.ground.dovecot.imaps),
        "security": "tls", "auth": {"type": "none"},
    }  # fmt: skip
    signed = {"type": "oauth_device_flow", "credential": "app", "scopes": ["mail"]}
    cases: dict[str, tuple[dict[str, Any], str]] = {
        "host": ({"host": "imap.invalid"}, "imap.invalid"),
        "certificate": ({}, "certificate"),
        "nobody signed in": ({"auth": signed, "user": "a@example.com"}, "signin new"),
        "incomplete": (
            {"auth": {"type": "secret", "credential": "empty"}}, "empty is incomplete",
        ),
    }  # fmt: skip
    changes, told = cases[why]
    await room.credentials.create("empty", "password", details={"user_name": "a"})
    await room.connections.add({"name": "new", "incoming": {**incoming, **changes}}, rebind=True)
    sink = {"type": "directory", "path": str(tmp_path / "mail")}
    await room.sources.add({"name": "new-in", "connection": "new", "sink": sink})
    with pytest.raises(PostroomError):
        await room.collecting.run("new-in")
    note = (await editor.sources.show("new-in"))["status"]["note"]
    assert told in note, note
    assert "No mail server" not in note
    assert note == (await room.sources.show("new-in"))["status"]["note"]


async def test_a_test_by_a_command_is_counted_among_the_tests(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T59: ten a minute, and nothing is dialled by a command while there is none left."""
    monkeypatch.setattr(veil, "HOLD_SECONDS", 0.01)
    editor = await somebody(room, "editor")
    await room.connections.add({"name": "scan", "incoming": side_of(closed(), "none")})
    for _ in range(10):
        await editor.commands.run(name="test-connection", parameters={"via": "scan"})
    before = await room.connections.log("scan")
    for name in ("test-connection", "list-email"):
        with pytest.raises(PostroomError) as refused:
            await editor.commands.run(name=name, parameters={"via": "scan"})
        assert refused.value.code == "too_many"
    assert await room.connections.log("scan") == before
