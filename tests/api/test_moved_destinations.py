"""The attack that matters most, over REST: a stored secret stays, where it is sent is changed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from postroom.app import Room
from postroom.credentials.types.pem import generate_pair
from tests.api.asking import Client

pytestmark = pytest.mark.bares(
    "file", "log", "error", why="tokens of the tests; what was typed is searched for in answers"
)
SECRET = "canary-5Lq8rVw2Jt6Hs0Xd"


class Evil:
    """A server that counts who comes."""

    def __init__(self) -> None:
        self.connections = 0
        self.port = 0

    async def came(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Greet like a mail server, and hear what is said then."""
        self.connections += 1
        writer.write(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] come in\r\n")
        with contextlib.suppress(OSError):
            await reader.read(1000)
        writer.close()


@pytest.fixture
async def evil() -> AsyncIterator[Evil]:
    found = Evil()
    server = await asyncio.start_server(found.came, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    yield found
    server.close()


def side(protocol: str, credential: str) -> dict[str, Any]:
    auth = {"type": "secret", "credential": credential}
    return {
        "protocol": protocol, "host": "127.0.0.1", "port": "1", "security": "tls", "trust": "ca",
        "auth": auth,
    }  # fmt: skip


async def furnish(room: Room, tmp: Any) -> None:
    """One of everything that carries a secret somewhere, and every secret was sent there once."""
    create = room.credentials.create
    await create("ca", "trusted_certificate", details={"certificate": generate_pair("good")[1]})
    await create("ca-too", "trusted_certificate", details={"certificate": generate_pair("evil")[1]})
    for name in ("login", "other"):
        await create(name, "password", details={"user_name": "u", "password": SECRET})
    place = {"host": "127.0.0.1", "port": "1", "tls": True, "trust": "ca"}
    await create(
        "mailer", "smtp", details={**place, "user_name": "u", "password": SECRET}, description="x"
    )
    secret: dict[str, Any] = {"one": {"value": SECRET}}
    login = "https://127.0.0.1:1"
    await create(
        "app", "oauth_client",
        details={"authority": login, "client_id": "x", "client_secrets": secret},
    )  # fmt: skip
    tenant = "00000000-0000-0000-0000-000000000001"
    await create(
        "graph", "msgraph",
        details={"tenant_id": tenant, "client_id": "x", "client_secrets": secret,
                 "authority": f"{login}/{tenant}", "graph_url": login},
    )  # fmt: skip
    await create("key", "secret", details={"value": SECRET})
    await room.variables.add("HOST", "127.0.0.1")
    both = {"incoming": side("imap", "login"), "outgoing": side("smtp", "other")}
    await room.connections.add({"name": "acme", **both})
    named = {"incoming": {**side("imap", "login"), "host": "${HOST}"}}
    await room.connections.add({"name": "named", **named})
    auth = {"type": "oauth_client_credentials", "credential": "app", "scopes": ["mail"]}
    await room.connections.add(
        {"name": "by-app", "incoming": {**side("imap", ""), "auth": auth, "user": "u@example.com"}}
    )
    hook = {"name": "hook", "url": "https://127.0.0.1:1/{secret}", "credential": "key"}
    await room.notify.add(hook)
    signed = {"name": "signed", "url": "https://127.0.0.1:1/x", "signing": "key"}
    await room.notify.add(signed)
    await room.jobs.add(
        {"name": "job", "command": {"words": ["/bin/true"]}, "credentials": ["key"]}
    )
    await room.desk.write(
        lambda tx: tx.execute("UPDATE credential_versions SET presented_at = typed_at")
    )


def attempts(port: int) -> list[tuple[str, str, dict[str, Any]]]:
    """Method, address, body: each names the evil server, and types no secret."""
    evil, url = {"host": "127.0.0.1", "port": str(port)}, f"https://127.0.0.1:{port}"
    found: list[tuple[str, str, dict[str, Any]]] = []
    places: list[dict[str, Any]] = [
        evil, {"port": str(port)}, {"host": "127.0.0.2"}, {"host": "localhost"},
        {**evil, "security": "none"}, {"security": "starttls"}, {"security": "none"},
        {"check_server_identity": False}, {"trust": "ca-too"}, {"trust": None},
        {"proxy": f"127.0.0.1:{port}"},
    ]  # fmt: skip
    for part in ("incoming", "outgoing"):
        for place in places:
            found.append(("PATCH", "/connections/acme", {part: place}))
            if place != {"trust": None}:  # which of a child says: as above
                child = {"name": "child", "extends": "acme", part: place}
                found.append(("POST", "/connections", child))
    found += [("PATCH", "/connections/acme", {"incoming": {"protocol": "pop3"}})]
    for credential in ("login", "mailer"):
        auth = {"auth": {"type": "secret", "credential": credential}}
        found.append(
            (
                "POST",
                "/connections",
                {"name": "new", "incoming": {"protocol": "imap", **evil, **auth}},
            )
        )
        account = {
            "name": "box", "address": "u@example.com", "credential": credential, "collect": False,
            "send": False, "outgoing": {"protocol": "none"}, "incoming": {**evil, "security": "none"},
        }  # fmt: skip
        found += [("POST", "/accounts/test", account), ("POST", "/accounts", account)]
    found += [("PUT", "/variables/HOST", {"value": "127.0.0.2"})]
    found += [
        ("PATCH", "/connections/by-app", {"incoming": each})
        for each in (
            evil, {"port": str(port)}, {"proxy": f"127.0.0.1:{port}"}, {"check_server_identity": False},
        )
    ]  # fmt: skip
    by_name: dict[str, list[dict[str, Any]]] = {
        "mailer": [
            evil, {"port": str(port)}, {"tls": False}, {"check_server_identity": False},
            {"trust": ""}, {"trust": "ca-too"}, {"proxy": f"127.0.0.1:{port}"},
        ],
        "app": [
            {"authority": url}, {"token_endpoint": f"{url}/token"}, {"proxy": f"127.0.0.1:{port}"},
            {"revocation_endpoint": f"{url}/r"}, {"trust": "ca-too"},
        ],
        "graph": [{"authority": f"{url}/x"}, {"graph_url": url}],
        "ca": [{"certificate": generate_pair("evil")[1]}],
    }  # fmt: skip
    for name, changes in by_name.items():
        found += [("PATCH", f"/credentials/{name}/fields", {"details": each}) for each in changes]
    for name in ("hook", "signed"):
        found.append(
            ("PATCH", f"/notify/{name}", {"url": f"{url}/" + "{secret}" * (name == "hook")})
        )
    found += [
        ("POST", "/notify", {"name": "new", "url": f"{url}/x", "signing": "key"}),
        ("POST", "/notify", {"name": "new", "url": f"{url}/{{secret}}", "credential": "key"}),
        ("PATCH", "/jobs/job", {"command": {"words": ["/bin/cat"]}}),
        (
            "POST",
            "/jobs",
            {"name": "new", "command": {"words": ["/bin/cat"]}, "credentials": ["key"]},
        ),
    ]
    files = (
        f"connections: [{{name: acme, incoming: {{port: '{port}'}}}}]",
        f"credentials: [{{name: mailer, fields: {{port: '{port}'}}}}]",
        f"credentials: [{{name: app, fields: {{token_endpoint: '{url}/t'}}}}]",
        f"notify: [{{name: hook, url: '{url}/{{secret}}'}}]",
        "variables: {HOST: 127.0.0.2}",
    )
    found += [
        ("POST", "/room-file", {"files": {"room.yaml": f"postroom: 1\n{one}\n"}}) for one in files
    ]
    return found


@pytest.mark.timeout(300)
async def test_no_destination_is_changed_while_the_secret_stays(
    client: Client, room: Room, evil: Evil, tmp_path: Any
) -> None:
    """T26: every part of a destination, of every kind of definition, by whoever may do everything; then
    all that uses the secrets is used.  The server that was named hears nobody."""
    await furnish(room, tmp_path)

    async def bound() -> dict[str, Any]:
        names = ("login", "other", "mailer", "app", "graph", "key")
        return {one: (await room.credentials.show(one))["destinations"] for one in names}

    before, file = await bound(), await room.roomfile.export()
    wrong = []
    for method, path, body in attempts(evil.port):
        for role in ("admin", "editor"):
            answer = await client.ask(method, path, json=body, as_=role)
            code = answer.json().get("code") if answer.content else ""
            refused = (answer.status_code, code) == (422, "secret_reentry_required")
            if role == "editor" and path.startswith("/jobs"):
                refused = answer.status_code == 403  # a program is defined by administrators
            if not refused:
                wrong.append((role, method, path, body, answer.status_code, answer.text[:300]))
            assert SECRET not in answer.text
    assert wrong == [], "\n".join(str(each) for each in wrong)
    assert await bound() == before
    assert await room.roomfile.export() == file
    for path in ("/connections/acme/test", "/connections/by-app/test", "/credentials/mailer/test",
                 "/credentials/app/test", "/credentials/graph/test", "/notify/hook/test"):  # fmt: skip
        assert (await client.post(path)).status_code != 500
    assert evil.connections == 0
    # and that it would have heard them: with the secret typed again it is another destination
    typed = {
        "details": {"host": "127.0.0.1", "port": str(evil.port), "password": SECRET, "tls": False}
    }
    done = await client.patch("/credentials/mailer/fields", typed)
    assert done.status_code == 200, done.text
    await client.post("/credentials/mailer/test")
    assert evil.connections > 0
