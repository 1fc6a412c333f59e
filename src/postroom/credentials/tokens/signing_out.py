"""A person signs out: the tokens are revoked at the server, and destroyed here whatever it says."""

from __future__ import annotations

import asyncio
import contextlib
import json

from postroom.clock import monotonic, timestamp
from postroom.credentials.tokens import rows
from postroom.credentials.tokens.clients import opened
from postroom.credentials.tokens.grant import Grant
from postroom.credentials.tokens.kept import Kept
from postroom.credentials.tokens.renewal import LOOK, SIGN_INS, WAIT, Renewal
from postroom.db import Claim, Database, Tx, write_or_owe
from postroom.errors import InvalidValue, Locked, PostroomError, Unreadable
from postroom.oauth.client import Client
from postroom.oauth.tokens import revoke
from postroom.secret import Secret

__all__ = ["sign_out"]


async def sign_out(db: Database, kept: Kept, renewal: Renewal, grant: Grant, *, actor: str) -> bool:
    """Revoke a sign-in at the server (RFC 7009) and destroy its tokens; True when it was revoked.

    It is claimed first: a refresh that runs ends before, so that no token comes behind our back.
    A server that has no such endpoint or does not answer, a client whose secret is gone, and tokens
    that do not open keep nobody from signing out here.  Raises InvalidValue when nobody is signed
    in, Locked.
    """
    seat, deadline = await renewal.seat(), monotonic() + WAIT
    while (claim := await db.write(lambda tx: _claimed(tx, grant, seat.owner))) is None:
        if monotonic() > deadline:
            break  # whoever has it stores nothing any more once the row is gone
        await asyncio.sleep(LOOK)

    def gone(tx: Tx) -> None:
        rows.destroy(tx, kept.keyring, grant.sign_in)
        kept.record(tx, actor, "sign out", grant, revoked=revoked)

    try:
        tokens = await db.write(lambda tx: _tokens(tx, kept, grant, actor))
        revoked = await _revoked(db, kept, renewal, grant, tokens, actor)
        await db.write(gone)
    except BaseException:
        if claim is not None:
            held = claim
            await write_or_owe(
                db,
                lambda tx: SIGN_INS.release(tx, held, owner=seat.owner, due_at=timestamp()),
                seat.owe,
            )
        raise
    return revoked


def _claimed(tx: Tx, grant: Grant, owner: str) -> Claim | None:
    row = rows.find(tx, grant.sign_in)
    if row is None or not row["version"]:
        raise InvalidValue("", f"nobody is signed in for {grant.label}")
    now = timestamp()
    rows.make_due(tx, row["id"], now=now)
    claims = SIGN_INS.claim(tx, owner=owner, now=now, limit=1, names=[row["id"]])
    return claims[0] if claims else None


def _tokens(tx: Tx, kept: Kept, grant: Grant, actor: str) -> list[Secret]:
    """The refresh tokens that open, newest first; none where they may not go to that server."""
    row = rows.find(tx, grant.sign_in)
    found: list[Secret] = []
    if row is None or grant.revocation_line not in json.loads(row["destinations"]):
        return found
    for version in rows.refresh_versions(tx, row["id"]):
        with contextlib.suppress(Unreadable):
            found.append(rows.open_refresh(tx, kept.keyring, row, version))
    kept.record(tx, actor, "open", grant, line=grant.revocation_line, purpose="sign out")
    return found


async def _revoked(
    db: Database, kept: Kept, renewal: Renewal, grant: Grant, tokens: list[Secret], actor: str
) -> bool:
    def body(tx: Tx) -> tuple[Client, bool]:
        row = rows.find(tx, grant.sign_in)
        proven = row is not None and bool(
            row["proof"]
        )  # else a secret is shown when it is asked for
        line = grant.revocation_line
        client, _ = opened(tx, kept, grant, actor=actor, purpose="sign out", line=line)
        return client, proven

    try:
        client, proven = await db.write(body)
        endpoints = await renewal.discovered(grant)
        told = [
            await renewal.pump(grant).run(
                revoke(client, endpoints, token, at=timestamp(), prove=proven)
            )
            for token in tokens
        ]
    except Locked:
        raise
    except PostroomError:
        return False
    return bool(told) and all(told)
