"""A token for the client itself, fetched to see whether it is given; nothing of it is stored."""

from __future__ import annotations

from postroom.clock import timestamp
from postroom.credentials.tokens.clients import opened
from postroom.credentials.tokens.grant import Grant
from postroom.credentials.tokens.kept import Kept
from postroom.credentials.tokens.renewal import Renewal
from postroom.credentials.tokens.rows import Access
from postroom.db import Database
from postroom.oauth.client import Client
from postroom.oauth.discovery import Endpoints
from postroom.oauth.tokens import client_credentials

__all__ = ["try_client", "try_unsaved"]


async def try_client(
    db: Database, kept: Kept, renewal: Renewal, grant: Grant, *, actor: str, purpose: str
) -> Access:
    """Ask the authorization server with the client's own secret or certificate, written down first.

    Raises SignInError, WireError, Refused (``destination_not_bound``, ``incomplete``), Locked.
    """
    client, _ = await db.write(lambda tx: opened(tx, kept, grant, actor=actor, purpose=purpose))
    return await _given(renewal, grant, client, await renewal.discovered(grant))


async def try_unsaved(renewal: Renewal, grant: Grant, client: Client) -> Access:
    """The same for a client that stands in no room yet: nothing of its server is kept either."""
    return await _given(renewal, grant, client, await renewal.looked_up(grant))


async def _given(renewal: Renewal, grant: Grant, client: Client, endpoints: Endpoints) -> Access:
    flow = client_credentials(client, endpoints, grant.scopes, at=timestamp())
    given = await renewal.pump(grant).run(flow)
    return Access(given.access_token, "", given.expires_at, 0, given.scope)
