"""Nobody finds open ports with the test button: what is no mail server is told alike."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from postroom.app import Room
from postroom.connections import veil
from postroom.errors import PostroomError
from postroom.secret import Secret
from tests.ground.handed import hand_out
from tests.journeys.conftest import Account

HOLD = 1.5


async def somebody(room: Room, role: str) -> Room:
    """The room as somebody with that role sees it."""
    await room.users.add(role, role)
    made = await room.tokens.add("test", user=role)
    return room.acting(await room.people.by_token(Secret(made["token"])))


@contextlib.asynccontextmanager
async def speaking(greeting: bytes) -> AsyncIterator[int]:
    """A port where something listens that is no mail server; without a greeting it is silent."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            writer.write(greeting)
            await reader.read()
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@contextlib.contextmanager
def filtered() -> Iterator[int]:
    """A port that answers nothing: the queue of those who want to connect is full."""
    with contextlib.ExitStack() as held:
        listening = held.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(8):
            one = held.enter_context(socket.socket())
            one.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                one.connect(listening.getsockname())
        yield listening.getsockname()[1]


_HELD: Final[list[socket.socket]] = []


@pytest.fixture(autouse=True)
def _let_go() -> Iterator[None]:
    yield
    while _HELD:
        _HELD.pop().close()


def closed() -> int:
    """A port where nobody listens; ours until the end of the test, so that nobody else gets it."""
    held = socket.socket()
    _HELD.append(held)
    held.bind(("127.0.0.1", 0))
    return int(held.getsockname()[1])


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


async def told(room: Room, admin: Room, port: int) -> str:
    """All that whoever may edit reads of a source, a message and a run that did not reach that port."""
    await room.connections.set("scan", {"incoming": {"port": port}, "outgoing": {"port": port}})
    with contextlib.suppress(PostroomError):
        await admin.collecting.run("scan-in")
    draft = {"via": "scan", "from": "a@example.com", "to": "b@example.com", "text": "x"}
    item = (await room.commands.run("send-email", draft))["id"]
    await admin.email.dispatch()
    run = (await admin.runs.here(await room.runs.begin("scan-job"))).id
    found: list[Any] = [
        (await room.sources.show("scan-in"))["status"]["note"],
        [one.note for one in await room.sources.list()],
        {json.dumps([one["side"], one["step"], one["code"], one["detail"]])
         for one in await room.connections.log("scan")},
        [(one.state, one.reason) for one in await room.outbox.list(limit=1)],
        (await room.outbox.show(item)).as_json()["recipients"],
        [one["said"] for one in await room.outbox.attempts(item)],
        [(one["level"], one["said"]) for one in await room.runs.log(run)],
        (await room.runs.show(run)).reason,
        [one["said"] for one in await room.notify.needs()],
        [each["said"] for one in await room.connections.list() for each in one["tried"].values()],
        [each["said"] for each in (await room.connections.show("scan"))["tried"].values()],
    ]  # fmt: skip
    text = repr([sorted(each) if isinstance(each, set) else each for each in found])
    text = re.sub(rf"\b{port}\b", "PORT", text.replace(run, "RUN"))
    return re.sub(r"\d\.\d s\b", "N s", text)


async def test_what_is_stored_of_a_failure_tells_of_no_port(
    room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T59: nor do states, ledgers and logs; of a server that has spoken they say everything."""
    monkeypatch.setattr(veil, "HOLD_SECONDS", HOLD)
    editor = await somebody(room, "editor")
    outgoing = {**side_of(1, "none"), "protocol": "smtp"}
    scan = {"name": "scan", "incoming": side_of(1, "none"), "outgoing": outgoing}
    await editor.connections.add(scan)
    sink = {"type": "directory", "path": str(tmp_path / "mail")}
    await room.sources.add({"name": "scan-in", "connection": "scan", "sink": sink})
    steps = [
        {"test-connection": {"via": "scan"}, "on_error": "continue"},
        {"list-email": {"via": "scan"}},
    ]
    await editor.jobs.add({"name": "scan-job", "steps": steps})
    async with speaking(b"SSH-2.0-OpenSSH_9.2\r\n") as shell:
        found = {await told(editor, room, port) for port in (closed(), shell, closed(), shell)}
    assert len(found) == 1, "\n".join(found)
    assert "No mail server answers at 127.0.0.1:PORT." in found.pop()
    notes = (await room.sources.show("scan-in"))["status"]["note"]
    assert "No mail server" not in notes  # whoever has the room's key is told


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
