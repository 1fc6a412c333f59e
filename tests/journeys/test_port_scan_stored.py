"""What is stored of a server that did not answer tells of no port, and of everything else in full."""

from __future__ import annotations

import contextlib
import json
import re
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest

from postroom.app import Room
from postroom.connections import events
from postroom.db import Tx
from postroom.errors import PostroomError
from postroom.mail import Draft
from postroom.net import veil
from tests.journeys.conftest import Account
from tests.journeys.ports import HOLD, closed, side_of, somebody, speaking


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
    for security in ("none", "tls"):  # which fails alike where nothing listens
        await editor.connections.set(kind, {"incoming": {"security": security}})
        with contextlib.suppress(PostroomError):
            await worker.collecting.run(f"{kind}-in")
    await editor.connections.set(kind, {"incoming": {"security": "none"}})
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


@pytest.mark.parametrize("restrained", [True, False])
async def test_a_notice_that_goes_out_tells_of_no_port(
    room: Room, tmp_path: Path, restrained: bool
) -> None:
    """T59: an email lies in the outbox, where others read it; what an administrator has had told by a
    program of theirs says why."""
    if restrained:
        await somebody(room, "editor")
    port, out = closed(), tmp_path / "notice"
    await room.connections.add({"name": "scan", "incoming": side_of(port, "none")})
    sink = {"type": "directory", "path": str(tmp_path / "mail")}
    await room.sources.add({"name": "scan-in", "connection": "scan", "sink": sink})
    await room.notify.add({"name": "program", "command": ["sh", "-c", f"cat > {out}"]})
    outgoing = {**side_of(closed(), "none"), "protocol": "smtp", "user": "post@example.com"}
    await room.connections.add({"name": "post", "outgoing": outgoing})
    sender = {"from": "post@example.com", "allowed_senders": ["*@example.com"]}
    await room.services.add({"name": "out", "connection": "post", **sender})
    await room.notify.add({"name": "email", "service": "out", "to": ["ops@example.com"]})
    with contextlib.suppress(PostroomError):
        await room.collecting.run("scan-in")
    await room.desk.db.write(
        lambda tx: tx.execute("UPDATE sources SET state_since = state_since - 1200")
    )
    (await room.desk.seat()).work(())
    assert await room.telling.round()
    told = json.loads(out.read_text())
    (item,) = await room.outbox.list()
    sent = message_from_bytes(await room.outbox.content(item.id), policy=default)
    body = sent.get_body(("plain",))
    assert body is not None
    email = body.get_content()
    for said, hidden in ((told["said"], False), (email, restrained)):
        assert f"No mail server answers at 127.0.0.1:{port}." in " ".join(said.split()), said
        assert ("refused the connection" in " ".join(said.split())) != hidden
