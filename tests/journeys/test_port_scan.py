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
from postroom.connections.turns import OPENING
from postroom.errors import PostroomError
from postroom.net import veil
from postroom.secret import Secret
from tests.ground.handed import hand_out
from tests.journeys.conftest import Account
from tests.journeys.ports import HOLD, closed, filtered, side_of, somebody, speaking


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
    # as long as is held, whatever is there; how much longer, the machine says
    assert all(HOLD <= each < HOLD + 5 for each in spent.values()), spent
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
    # as long as is held, whatever is there; how much longer, the machine says
    assert all(HOLD <= each < HOLD + 5 for each in spent.values()), spent


async def test_an_editor_sees_all_of_a_server_that_is_one(account: Account) -> None:
    """T59: the veil is lifted by a greeting."""
    editor = await somebody(account.room, "editor")
    name = (await account.room.connections.list())[0]["name"]
    report = await editor.connections.test(name)
    assert report.ok
    assert {"greeting", "sign-in"} <= {step.name for step in report.steps}


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


async def test_who_stands_in_line_is_not_told_that_nobody_answers(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T59: the time of those who have their turn before is no silence of the server."""
    monkeypatch.setattr(veil, "HOLD_SECONDS", 2.0)
    await account.source(tmp_path)
    editor = await somebody(account.room, "editor")
    door = (await editor.desk.opener.prepare("acme", "incoming")).door
    async with contextlib.AsyncExitStack() as others:
        for _ in range(OPENING):
            await others.enter_async_context(door.opening())
        preview = asyncio.create_task(editor.collecting.preview("orders-in"))
        await asyncio.sleep(2.5)
        assert not preview.done()
    await preview
