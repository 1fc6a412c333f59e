"""Nobody finds open ports by authorization servers either: one that does not answer is told alike."""

from __future__ import annotations

import asyncio
import contextlib
import re
from pathlib import Path
from typing import Any

import pytest

from postroom.app import Room
from postroom.errors import PostroomError
from postroom.net import veil
from postroom.operations.converting import Conversion
from postroom.secret import Secret
from tests.ground import Ground, User
from tests.ground.handed import hand_out
from tests.journeys.conftest import Account
from tests.journeys.oauth import CA, connect, register
from tests.journeys.ports import HOLD, closed, somebody, speaking

CLIENT = "oauth_client_credentials"
SCOPES = ["https://mail.example.com/.default"]


async def lay(account: Account, kind: str, authority: str, flow: str = CLIENT) -> None:
    """An app at that authority, and a connection to a real mail server that signs in by it."""
    room = account.room
    secrets = {"one": {"value": hand_out("a secret of nobody")}}
    await room.credentials.create(
        f"{kind}-app",
        "oauth_client",
        details={"authority": authority, "client_id": "x", "client_secrets": secrets},
    )
    acme = await room.connections.show("acme")
    auth = {"type": flow, "credential": f"{kind}-app", "scopes": SCOPES}
    signed = {"auth": auth, "user": account.user.address}
    sides = {side: {**acme[side], **signed} for side in ("incoming", "outgoing")}
    await room.connections.add({"name": kind, **sides}, rebind=True)


async def ask(who: Room, what: str, kind: str, account: Account, authority: str) -> Any:
    """What somebody is told who asks for it."""
    if what == "prove":
        return (await who.client_secrets.prove(f"{kind}-app", "one")).told
    if what == "add":
        label = "two" if who.desk.person.user else "three"
        added = await who.client_secrets.add(f"{kind}-app", Secret("another of nobody"), label)
        return added.told
    if what == "test":
        report = (await who.connections.test(kind)).as_json()
        return [(each["name"], each["ok"], each["detail"]) for each in report["sides"][0]["steps"]]
    if what == "convert":
        asked = Conversion(CLIENT, f"{kind}-app", scopes=tuple(SCOPES))
        return await who.converting.convert("acme", asked)
    if what == "sign in":
        return await who.signins.sign_in(kind, print, how="device")
    if what == "preview":
        return await who.collecting.preview(f"{kind}-in")
    data = {
        "name": f"{kind}-new", "address": account.user.address, "sign_in": CLIENT, "client_id": "x",
        "client_secret": Secret("a third of nobody"), "authority": authority, "scopes": SCOPES,
        "trust": "ground-ca", "outgoing": {"protocol": "none"}, "send": False,
        "incoming": {"host": "127.0.0.1", "port": str(account.ground.dovecot.imaps), "security": "tls"},
    }  # fmt: skip
    return (await who.accounts.test(data)).as_json()


@pytest.mark.parametrize(
    "what", ["prove", "add", "test", "convert", "sign in", "preview", "account"]
)
async def test_an_authorization_server_that_does_not_answer_is_told_alike(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """T59: by whatever asks one for somebody who is no administrator, after one time."""
    monkeypatch.setattr(veil, "HOLD_SECONDS", HOLD)
    editor, room = await somebody(account.room, "editor"), account.room
    found: set[str] = set()
    whole: set[str] = set()
    spent: list[float] = []
    flow = "oauth_device_flow" if what == "sign in" else CLIENT
    async with speaking(b"SSH-2.0-OpenSSH_9.2\r\n") as shell, speaking(b"") as silent:
        for kind, port in {"closed": closed(), "shell": shell, "silent": silent}.items():
            authority = f"https://127.0.0.1:{port}"
            await lay(account, kind, authority, flow)
            sink = {"type": "directory", "path": str(tmp_path / kind)}
            await room.sources.add({"name": f"{kind}-in", "connection": kind, "sink": sink})
            # what is loaded first takes its time; what is silent takes too much of it
            for who in (room, editor) if kind != "silent" else (editor,):
                begun = asyncio.get_running_loop().time()
                try:
                    told = await ask(who, what, kind, account, authority)
                except PostroomError as error:
                    told = [error.code, str(error)]
                if who is editor:
                    spent.append(asyncio.get_running_loop().time() - begun)
                text = repr(told).replace(str(port), "PORT").replace(kind, "KIND")
                (found if who is editor else whole).add(
                    re.sub(r"(?<![\d.])\d+\.\d+(?![\d.])", "N", text)
                )
    assert len(found) == 1, found
    assert "No server answers at https://127.0.0.1:PORT." in found.pop()
    assert all(each >= HOLD for each in spent), spent
    assert max(spent) - min(spent) < 1, spent
    assert len(whole) == 2, whole


async def test_what_is_stored_of_a_token_tells_of_no_port(account: Account, tmp_path: Path) -> None:
    """T59: the state of a sign-in, and of the source that wanted it."""
    editor, room = await somebody(account.room, "editor"), account.room
    seen: set[str] = set()
    whole: set[str] = set()
    async with speaking(b"SSH-2.0-OpenSSH_9.2\r\n") as shell:
        for kind, port in {"closed": closed(), "shell": shell}.items():
            await lay(account, kind, f"https://127.0.0.1:{port}")
            sink = {"type": "directory", "path": str(tmp_path / kind)}
            await room.sources.add({"name": f"{kind}-in", "connection": kind, "sink": sink})
            for _ in range(2):  # the second is told that it failed a moment ago
                with contextlib.suppress(PostroomError):
                    await room.collecting.run(f"{kind}-in")
                for who in (editor, room):
                    signed = [
                        (one["state"], one["note"])
                        for one in await who.signins.list()
                        if kind in one["connections"]
                    ]
                    log = await who.connections.log(kind)
                    status = (await who.sources.show(f"{kind}-in"))["status"]
                    told = [
                        signed,
                        log[0]["step"],
                        log[0]["code"],
                        log[0]["detail"],
                        status["note"],
                    ]
                    text = repr(told).replace(str(port), "PORT").replace(kind, "KIND")
                    (seen if who is editor else whole).add(re.sub(r"in \d s", "in N s", text))
    assert len(seen) == 1, seen
    assert seen.pop().count("No server answers at https://127.0.0.1:PORT.") == 3
    assert len(whole) == 4, whole


async def test_an_authorization_server_that_answers_is_told_in_full(account: Account) -> None:
    """T59: an answer that is none of an authorization server's, and a secret that is refused."""
    editor, room = await somebody(account.room, "editor"), account.room
    client = account.ground.oauth.client(mailbox=account.user.address)
    await room.credentials.delete("acme-login", force=True)
    await room.connections.delete("acme")
    await room.credentials.delete("ground-ca", force=True)
    wrong = {"one": {"value": hand_out("a secret that is not the client's")}}
    await register(room, account.ground, client, client_secrets=wrong)
    await connect(room, account.ground, account.user, CLIENT)
    begun = asyncio.get_running_loop().time()
    with pytest.raises(PostroomError) as refused:
        await editor.commands.run("list-email", {"via": "acme"})
    assert asyncio.get_running_loop().time() - begun < veil.HOLD_SECONDS / 2
    assert "No server" not in str(refused.value)
    assert "secret" in str(refused.value), refused.value


async def test_a_graph_of_ones_own_tells_of_no_port(
    room: Room, ground: Ground, fresh_user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T59: a real token, and then any host and port by graph_url."""
    monkeypatch.setattr(veil, "HOLD_SECONDS", HOLD)
    editor = await somebody(room, "editor")
    client = ground.oauth.client(mailbox=fresh_user.address, roles=["Mail.ReadWrite"])
    await room.credentials.create(
        CA, "trusted_certificate", details={"certificate": ground.pki.ca.read_text()}
    )
    seen: set[str] = set()
    async with speaking(b"SSH-2.0-OpenSSH_9.2\r\n") as shell, speaking(b"") as silent:
        for kind, port in {"closed": closed(), "shell": shell, "silent": silent}.items():
            await room.credentials.create(f"{kind}-app", "msgraph", details={
                "authority": ground.oauth.issuer, "client_id": client.id,
                "client_secrets": {"one": {"value": client.secret}},
                "mailbox": fresh_user.address, "graph_url": f"https://127.0.0.1:{port}",
            })  # fmt: skip
            scopes = ["https://graph.microsoft.com/.default"]
            auth = {"type": CLIENT, "credential": f"{kind}-app", "scopes": scopes}
            await room.connections.add(
                {"name": kind, "type": "microsoft365", "trust": CA, "auth": auth}
            )
            report = await editor.connections.test(kind)
            sides = [
                [side.where, *((one.name, one.ok, one.detail) for one in side.steps[1:])]
                for side in report.sides
            ]
            logged = [
                [row[key] for key in ("side", "event", "step", "code", "detail")]
                for row in await editor.connections.log(kind)
                if row["event"] == "failed"
            ]
            assert report.sides[0].steps[0].name == "token"
            seen.add(repr([sides, logged]).replace(str(port), "PORT").replace(kind, "KIND"))
    assert len(seen) == 1, "\n".join(seen)
