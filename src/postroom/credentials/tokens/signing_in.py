"""A person signs in: by a code on another device, or in a browser; stored once it is the right one.

Nothing of an earlier sign-in is touched before the new one is complete: it is the expected account,
it was granted what was asked for, and it can be renewed without the person.  The tokens of somebody
else are given back to the server: they were never meant for us.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Awaitable, Callable, Collection
from typing import NamedTuple

from postroom.clock import timestamp
from postroom.credentials.tokens import rows
from postroom.credentials.tokens.accepting import accepted
from postroom.credentials.tokens.clients import Shown, opened, shown
from postroom.credentials.tokens.endpoints import remember
from postroom.credentials.tokens.grant import Grant
from postroom.credentials.tokens.kept import Kept
from postroom.credentials.tokens.renewal import KEEP_ALIVE, Renewal
from postroom.credentials.tokens.rows import SIGNED_IN, Access
from postroom.db import Database, Tx
from postroom.errors import PostroomError, Refused, SignInError
from postroom.oauth.client import Client
from postroom.oauth.code import LIFETIME, Pending, begin, callback
from postroom.oauth.device import DeviceCode, device_authorization, poll
from postroom.oauth.discovery import Endpoints, is_entra, tenant_of
from postroom.oauth.identity import SignedIn, check_account, same_address, signed_in
from postroom.oauth.scopes import by_resource, compare, with_identity
from postroom.oauth.tokens import TokenGrant, exchange_code, refresh, revoke

__all__ = ["Asked", "Done", "Given", "Prove", "SigningIn"]

Given = Callable[[Grant], Access]
"""The new token for a grant of this sign-in: a server may give one for each service."""
Prove = Callable[[Given], Awaitable[None]]
"""Uses a new token where it is meant for, before an earlier sign-in is given up; raises WireError."""


class Asked(NamedTuple):
    """A sign-in that is wanted: ``lines`` are all destinations its tokens may go to (the
    authorization server's own, and ``bearer+...``), ``scopes`` all that any connection needs: of
    several services of Entra the person is asked for the first, whose refresh token gives the others.
    ``openid``: the server is known to say who signed in, should it not list its scopes.
    """

    grant: Grant
    lines: tuple[str, ...]
    scopes: tuple[str, ...]
    actor: str
    openid: bool = False


class Done(NamedTuple):
    """A sign-in that was stored: who it was (empty: the server did not say), what was granted, and
    what was granted without having been asked for.
    """

    identity: str
    granted: tuple[str, ...]
    extra: tuple[str, ...]


class _New(NamedTuple):
    """A sign-in that is complete: the server's endpoints, its tokens, and those as they are used."""

    endpoints: Endpoints
    tokens: list[TokenGrant]
    given: list[Access]


class SigningIn:
    """One sign-in of one person."""

    def __init__(
        self, db: Database, kept: Kept, renewal: Renewal, asked: Asked, prove: Prove | None = None,
        *, always: bool = False, client: Client | None = None,
    ) -> None:  # fmt: skip
        """``prove`` is asked before an earlier sign-in is given up; ``always``: before any is stored.

        ``client``: one that stands in no room yet.  Then nothing is stored before :meth:`keep`.
        """
        self._client = client
        self._new: _New | None = None
        self._db = db
        self._always = always
        self._kept = kept
        self._renewal = renewal
        self._asked = asked
        self._prove = prove
        grant = asked.grant
        self._entra = is_entra(grant.authority) if grant.entra is None else grant.entra
        self._groups = by_resource(asked.scopes, entra=self._entra)
        self._grant = dataclasses.replace(grant, scopes=self._groups[0])
        self._shown: Shown | None = None

    async def by_device(self, tell: Callable[[DeviceCode], None]) -> Done:
        """The device flow (RFC 8628): ``tell`` is given the code, then we wait for the person.

        Raises SignInError when they deny it, are too late, or are somebody else; WireError.
        """
        client, endpoints = await self._begin()
        pump = self._renewal.pump(self._grant)
        device = await pump.run(
            device_authorization(client, endpoints, self._grant.scopes, at=timestamp())
        )
        tell(dataclasses.replace(device, account=self._grant.account))
        new = await pump.run(poll(client, endpoints, device))
        return await self._finish(client, endpoints, new)

    async def by_code(
        self, redirect_uri: str, answer: Callable[[Pending], Awaitable[str]],
        *, extra: tuple[tuple[str, str], ...] = (), lifetime: float = LIFETIME,
    ) -> Done:  # fmt: skip
        """The authorization code with PKCE: ``answer`` shows the address and gives the query that
        came back to ``redirect_uri``, within ``lifetime`` seconds.  Raises as :meth:`by_device`.
        """
        client, endpoints = await self._begin()
        pending = begin(
            client, endpoints, self._grant.scopes, redirect_uri=redirect_uri, at=timestamp(),
            account=self._grant.account, extra=extra, lifetime=lifetime,
        )  # fmt: skip
        code = callback(pending, await answer(pending), at=timestamp())
        said = self._grant.scopes if self._entra else ()
        flow = exchange_code(client, endpoints, pending, code, said, at=timestamp())
        new = await self._renewal.pump(self._grant).run(flow)
        return await self._finish(client, endpoints, new)

    def access(self, grant: Grant) -> Access:
        """The new token for one of the sides that it is for."""
        assert self._new is not None  # noqa: S101  # somebody has signed in
        return self._new.given[self._group_of(grant)]

    def keep(self, tx: Tx, grant: Grant, lines: Collection[str]) -> None:
        """Store what was signed in for a client that was in no room then, and is now: ``grant`` with
        its record, ``lines`` where its tokens go.  Raises Refused for others than somebody agreed to.
        """
        assert self._new is not None  # noqa: S101  # somebody has signed in
        if grant.sign_in != self._grant.sign_in or {*lines} != {*self._asked.lines}:
            raise Refused(
                "What would be connected is not what was signed in for; nothing was stored.",
                hint="Sign in again.",
            )
        self._asked = self._asked._replace(grant=grant)
        self._shown = shown(tx, self._kept, grant)
        self._keep(tx, self._new)

    # ------------------------------------------------------------------ inside

    async def _begin(self) -> tuple[Client, Endpoints]:
        """The client, opened and written down, and the server as it is today."""
        client, self._shown = await self._opened(self._grant.token_line)
        endpoints = await self._renewal.looked_up(self._grant)
        scopes = self._scopes(self._groups[0], endpoints)
        self._grant = dataclasses.replace(self._grant, scopes=scopes)
        return client, endpoints

    async def _opened(self, line: str) -> tuple[Client, Shown | None]:
        if self._client is not None:
            return self._client, None
        return await self._db.write(lambda tx: self._open_client(tx, line))

    def _scopes(self, group: tuple[str, ...], endpoints: Endpoints) -> tuple[str, ...]:
        return with_identity(group, endpoints, openid=self._asked.openid)

    def _open_client(self, tx: Tx, line: str) -> tuple[Client, Shown | None]:
        grant, actor = self._grant, self._asked.actor
        _ = self._kept.keyring  # a locked room signs nobody in
        purpose = f"sign in {grant.label}"
        return opened(tx, self._kept, grant, actor=actor, purpose=purpose, line=line)

    async def _finish(self, client: Client, endpoints: Endpoints, new: TokenGrant) -> Done:
        who = signed_in(new)
        try:
            tenant = tenant_of(self._grant.authority) if self._entra else ""
            outcome = check_account(who, self._grant.account, tenant=tenant)
        except SignInError:
            await self._give_back(client, endpoints, new, who)
            raise
        self._check_granted(self._groups[0], new)
        tokens = [new]
        for group in self._groups[1:]:
            tokens.append(await self._also(client, endpoints, tokens[-1], group))
        given = [
            Access(each.access_token, who.name, each.expires_at, 0, each.scope) for each in tokens
        ]
        known = await self._db.read(lambda tx: rows.find(tx, self._grant.sign_in))
        before = known is not None and bool(known["version"])
        nameless = outcome == "unknown" and bool(self._grant.account)  # the mail server will know
        found = self._new = _New(endpoints, tokens, given)
        if self._prove is not None and (before or nameless or self._always):
            await self._prove(self.access)
        if self._client is None:
            await self._db.write(lambda tx: self._keep(tx, found))
        granted = tuple(dict.fromkeys(scope for each in tokens for scope in each.scope))
        extra = compare(self._asked.scopes, granted, renewable=True).extra
        return Done(who.name, granted, extra)

    def _check_granted(self, group: tuple[str, ...], new: TokenGrant) -> None:
        """Raise SignInError unless the group was granted, and can be renewed."""
        missing = compare(group, new.scope, renewable=new.refresh_token is not None).missing
        if missing:
            raise SignInError(
                f"The sign-in was not granted {', '.join(missing)}; nothing was stored.",
                hint="Grant the app these permissions (an administrator may have to consent), and "
                "sign in again.",
                missing=list(missing),
            )
        if new.refresh_token is None:
            raise SignInError(
                "The authorization server gave no refresh token, so the sign-in would end within "
                "hours; nothing was stored.",
                hint="Ask for the scope offline_access, and allow it to the app.",
            )

    async def _also(
        self, client: Client, endpoints: Endpoints, before: TokenGrant, group: tuple[str, ...]
    ) -> TokenGrant:
        """A token for a further service, with the refresh token of the one before."""
        assert before.refresh_token is not None  # noqa: S101  # it was checked
        flow = refresh(
            client, endpoints, before.refresh_token, self._scopes(group, endpoints), at=timestamp(),
            prove=bool(before.proof),
        )  # fmt: skip
        try:
            new = await self._renewal.pump(self._grant).run(flow)
        except SignInError as error:
            if error.code == "sign_in_required":  # that is what somebody is doing
                error.code = "sign_in_failed"
            error.hint = (
                f"Nothing was stored: {', '.join(group)} is wanted too. {error.hint} Who may consent "
                "by themselves does so by signing in for a connection that uses it, then again for this."
            )
            raise
        self._check_granted(group, new)
        return new

    def _group_of(self, grant: Grant) -> int:
        wanted = {*grant.scopes}
        return max(range(len(self._groups)), key=lambda one: len(wanted & {*self._groups[one]}))

    async def _give_back(
        self, client: Client, endpoints: Endpoints, new: TokenGrant, who: SignedIn
    ) -> None:
        """Revoke the tokens of somebody else, as far as the server does that (RFC 7009).

        Not of one who is signed in here by right: servers end all sign-ins of one client with one.
        """
        revoked = False
        if not await self._db.read(lambda tx: _belongs_here(tx, self._grant, who)):
            token, hint = new.refresh_token or new.access_token, "refresh_token"
            if new.refresh_token is None:
                hint = "access_token"
            with contextlib.suppress(PostroomError):
                line = self._grant.revocation_line
                if line != self._grant.token_line:
                    client, _ = await self._opened(line)
                flow = revoke(
                    client, endpoints, token, hint=hint, at=timestamp(), prove=bool(new.proof)
                )
                revoked = await self._renewal.pump(self._grant).run(flow)
        await self._db.write(
            lambda tx: self._kept.record(
                tx, self._asked.actor, "refuse", self._grant, identity=who.name, revoked=revoked
            )
        )

    def _keep(self, tx: Tx, found: _New) -> None:
        endpoints, tokens, given = found
        keyring, grant, now = self._kept.keyring, self._asked.grant, timestamp()
        new, refresh_token = tokens[0], tokens[-1].refresh_token
        row = rows.ensure(tx, grant, now=now)
        remember(tx, grant, endpoints, now=now, anew=True)
        # whoever refreshes the sign-in before this one loses his claim with the epoch
        tx.execute(
            "UPDATE sign_ins SET flow = :flow, identity = :identity, state = :state, note = '', "
            "proof = :proof, signed_in_at = :now, signed_in_by = :actor, refreshed_at = :now, "
            "failures = 0, owner = NULL, epoch = epoch + 1, due_at = :due WHERE id = :id",
            flow=grant.flow, identity=given[0].identity, state=SIGNED_IN, proof=new.proof, now=now,
            actor=self._asked.actor, due=now + KEEP_ALIVE, id=row["id"],
        )  # fmt: skip
        if new.proof and self._shown is not None:
            accepted(tx, self._kept, self._shown, new, actor=self._asked.actor, anew=True)
        rows.drop_access(tx, keyring, row["id"])
        rows.forget_others(tx, keyring, row["id"], 0)
        whole = rows.ensure(tx, grant, now=now)
        assert refresh_token is not None  # noqa: S101  # asked above
        rows.keep_refresh(tx, keyring, whole, refresh_token, self._asked.lines)
        for group, access in zip(self._groups, given, strict=True):
            if {*grant.scopes} == {*group}:
                rows.keep_access(tx, keyring, whole, grant, access, self._asked.lines, now=now)
        self._kept.record(
            tx, self._asked.actor, "sign in", grant, identity=given[0].identity, flow=grant.flow,
            granted=[scope for each in given for scope in each.granted],
            lines=list(self._asked.lines),
        )  # fmt: skip


def _belongs_here(tx: Tx, grant: Grant, who: SignedIn) -> bool:
    """Whether somebody is signed in here with the same client, by right."""
    ours = (grant.authority, grant.client_id)
    return any(
        (row["authority"], row["client_id"]) == ours
        and any(same_address(row["identity"], name) for name in who.names)
        for row in rows.find_all(tx)
    )
