"""A room with an app of the authorization server, and a connection that signs in with its tokens."""

from __future__ import annotations

import asyncio
import urllib.request
from typing import Any

from postroom.app import Room
from tests.ground import AuthorizationServer, Client, Ground, User
from tests.ground.oauth import OUTLOOK

__all__ = ["CA", "approving", "asking", "browsing", "connect", "expire", "register"]

CA = "ground-ca"


async def register(room: Room, ground: Ground, client: Client, **fields: Any) -> None:
    """The record ``app`` of a client, and the ground's CA."""
    await room.credentials.create(
        CA, "trusted_certificate", details={"certificate": ground.pki.ca.read_text()}
    )
    details: dict[str, Any] = {
        "authority": ground.oauth.issuer, "client_id": client.id, "trust": CA,
        "client_secrets": {"one": {"value": client.secret}}, **fields,
    }  # fmt: skip
    given = {key: value for key, value in details.items() if value is not None}
    await room.credentials.create("app", "oauth_client", details=given)


async def connect(
    room: Room, ground: Ground, user: User, type: str, *, name: str = "acme", **auth: Any
) -> None:
    """A connection to the ground's Dovecot and Postfix that signs in by OAuth of this type."""
    how = {"type": type, "credential": "app", "scopes": _scopes(type), **auth}
    common = {
        "host": "localhost",
        "security": "tls",
        "trust": CA,
        "user": user.address,
        "auth": how,
    }
    await room.connections.add({
        "name": name,
        "incoming": {"protocol": "imap", "port": str(ground.oauth_dovecot.imaps), **common},
        "outgoing": {"protocol": "smtp", "port": str(ground.oauth_postfix.tokens_tls), **common},
    })  # fmt: skip


def _scopes(type: str) -> list[str]:
    if type == "oauth_client_credentials":
        return [f"{OUTLOOK}/.default"]
    wires = [f"{OUTLOOK}/{name}" for name in ("IMAP.AccessAsUser.All", "SMTP.Send")]
    return ["offline_access", *wires]


async def expire(room: Room) -> None:
    """Every access token that is kept is over, as far as the room knows; nobody has to wait for it."""
    await room.desk.db.write(
        lambda tx: tx.execute("UPDATE access_tokens SET obtained_at = 1, expires_at = 2")
    )


async def asking(room: Room, task: asyncio.Task[Any]) -> None:
    """Wait until this task has claimed a sign-in, and asks for its token."""
    owner = "SELECT owner FROM sign_ins WHERE owner IS NOT NULL"
    while await room.desk.db.read(lambda tx: tx.value(owner)) is None:
        assert not task.done(), task
        await asyncio.sleep(0.02)


def approving(server: AuthorizationServer, user: str) -> Any:
    """Shown a code, types it on another device and signs in as that address; denies for nobody."""

    def tell(step: Any) -> None:
        if user == "nobody":
            server.deny(step.user_code)
        else:
            server.approve(step.user_code, user)

    return tell


def browsing(server: AuthorizationServer, user: str, visits: list[asyncio.Task[Any]]) -> Any:
    """Shown an address, opens it in a browser that signs in as that address and follows back."""

    def visit(address: str) -> None:
        back = server.visit(address, user)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(back, timeout=10) as page:
            assert b"close this window" in page.read()

    def tell(step: Any) -> None:
        visits.append(asyncio.create_task(asyncio.to_thread(visit, step.url)))

    return tell
