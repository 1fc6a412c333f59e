"""Sign-in by a provider of OpenID Connect: the authorization code with PKCE and a nonce (Core 3.1)."""

from __future__ import annotations

import contextlib
import hmac
import secrets
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from postroom.access import invitations, sessions, throttle, users
from postroom.access.codes import hash_of, new_code
from postroom.access.throttle import peer_key
from postroom.clock import timestamp
from postroom.db import Row, Tx
from postroom.errors import PostroomError, Refused
from postroom.operations.desk import Desk
from postroom.operations.entering import (
    NOBODY,
    SignedIn,
    enter,
    invited_by,
    note,
    secret_of,
    signed_in,
    take_tries,
)
from postroom.secret import Secret

if TYPE_CHECKING:
    from postroom.credentials.tokens import Grant
    from postroom.credentials.tokens.pump import Pump
    from postroom.oauth.client import Client
    from postroom.oauth.code import Pending
    from postroom.oauth.discovery import Endpoints
    from postroom.settings import Oidc

__all__ = ["Begun", "OpenId"]

_MOST: Final = 500
"""Sign-ins that are open at a time; the oldest gives way."""
_SCOPES: Final = ("openid", "profile", "email")


class Begun(NamedTuple):
    """A sign-in that was begun: the address to send the browser to, and the cookie that it must have
    when it comes back."""

    url: str
    cookie: Secret


class _Open(NamedTuple):
    pending: Pending
    endpoints: Endpoints
    nonce: str
    cookie: bytes
    invitation: Secret | None
    back: str
    begun: float
    proves: str  # the id of the user who proves who they are; empty: somebody comes in


class _NotLetIn(Exception):
    """Somebody whom the provider knows, and who does not come in here."""

    def __init__(self, name: str, unknown: bool) -> None:
        super().__init__(name)
        self.name = name
        self.unknown = unknown


class OpenId:
    """Sign-ins at one provider.  They live in this process, ten minutes at most."""

    def __init__(self, desk: Desk, settings: Oidc, *, public_only: bool = False) -> None:
        self._desk = desk
        self._settings = settings
        self._public_only = public_only
        self._open: dict[str, _Open] = {}

    async def begin(
        self, redirect_uri: str, *, code: str | Secret = "", back: str = "", proves: str = "",
        peer: str = "",
    ) -> Begun:  # fmt: skip
        """Begin one; ``code`` is an invitation, which is bound to whoever signs in.  With ``proves`` the
        user of that id, who is signed in, proves anew who they are; ``back`` is the page they come from.

        It takes a try of the address that asks, which comes back when somebody came in: each asks the
        provider, and 500 would push out everybody's.  Raises Refused (``too_many``; ``not_signed_in``
        for an invitation that is not good), InvalidValue for settings or a redirect that cannot be,
        and what asking the provider raises.
        """
        from postroom.oauth.code import begin
        from postroom.oauth.discovery import discover

        await take_tries(self._desk, ((throttle.PEER, peer_key(peer)),), "", peer)
        invitation = secret_of(code) if code else None
        if invitation is not None:
            await self._desk.db.read(lambda tx: _invited(tx, invitation))
        grant = await self._grant()
        flow = discover(grant.authority, entra=grant.entra, named=dict(grant.named))
        async with self._pump(grant) as pump:
            endpoints = await pump.run(flow)
        nonce, cookie = secrets.token_urlsafe(32), Secret(new_code())
        # somebody signs in now, not whoever left a session at the provider: it is a proof of them,
        # where the provider says when it was, as it does by max_age (Core 3.1.2.1)
        extra = (("nonce", nonce), ("prompt", "login"), ("max_age", "0"))
        pending = begin(
            self._client_id(grant), endpoints, grant.scopes, redirect_uri=redirect_uri,
            at=timestamp(), extra=extra,
        )  # fmt: skip
        while len(self._open) >= _MOST:
            del self._open[next(iter(self._open))]
        self._open[pending.key] = _Open(
            pending, endpoints, nonce, hash_of(cookie), invitation, back, timestamp(), proves
        )
        return Begun(pending.url, cookie)

    async def end(
        self, cookie: str | Secret, query: str, *, session: Secret, peer: str = "", agent: str = ""
    ) -> SignedIn:
        """End the one that ``query`` is the answer to, in the browser that has its ``cookie``; where
        somebody proves who they are, it is their ``session`` that is proved.

        Raises Refused (``not_signed_in``, ``too_many``), SignInError, ProtocolError, WireError.
        """
        keys = ((throttle.PEER, peer_key(peer)),)
        await take_tries(self._desk, keys, "", peer)
        opened = self._taken(cookie, query)
        from postroom.operations.idtoken import is_fresh

        try:
            claims = await self._claims(opened, query)
            if opened.proves:
                return await self._prove(opened, claims, session, peer)
        except PostroomError as error:
            why = error.sentence[:200]
            await self._desk.write(
                lambda tx: note(self._desk, tx, NOBODY, "refuse", "", why=why, peer=peer)
            )
            raise

        def body(tx: Tx) -> tuple[Secret, Row]:
            row = self._user(tx, opened, claims)
            if row is None or row["disabled"]:
                raise _NotLetIn("" if row is None else row["name"], row is None)
            _give_back(tx, peer)
            proved = is_fresh(claims, since=opened.begun)
            return enter(
                self._desk, tx, row, "sign-in", agent, proved=proved, by="openid", peer=peer
            )

        try:
            return signed_in(*await self._desk.write(body))._replace(back=opened.back)
        except _NotLetIn as refused:  # with all it would have done: an invitation is still good
            name, why = refused.name, "unknown" if refused.unknown else "disabled"
        await self._desk.write(
            lambda tx: note(
                self._desk, tx, NOBODY, "refuse", name, peer=peer, why=why, issuer=claims["iss"],
                subject=claims["sub"],
            )
        )  # fmt: skip
        raise Refused(
            "Nobody here signs in with that account.",
            code="not_signed_in",
            hint="An administrator invites you, and the invitation is opened with it.",
        )

    # ------------------------------------------------------------------ inside

    def _taken(self, cookie: str | Secret, query: str) -> _Open:
        """The sign-in that this is the answer to: once, and in the browser that began it."""
        from postroom.oauth.code import key_of_state, state_of

        opened = self._open.pop(key_of_state(state_of(query)), None)
        if opened is None or not hmac.compare_digest(hash_of(secret_of(cookie)), opened.cookie):
            raise Refused(
                "This sign-in was not begun in this browser, or it is over.",
                code="not_signed_in",
                hint="Begin again. If you did not begin one, somebody sent you this address.",
            )
        return opened

    async def _claims(self, opened: _Open, query: str) -> dict[str, Any]:
        """What the id token says, once everything about it was checked."""
        from postroom.oauth.code import callback
        from postroom.oauth.openid import id_token_of, signing_keys

        now = timestamp()
        code = callback(opened.pending, query, at=now)
        grant = await self._grant()
        client = await self._client(grant)
        flow = id_token_of(client, opened.endpoints, opened.pending, code, at=now)
        async with self._pump(grant) as pump:
            token = await pump.run(flow)
            keys = await pump.run(signing_keys(grant.authority, entra=grant.entra))
        from postroom.operations.idtoken import claims_of  # of the extra, and of this alone

        return claims_of(
            token,
            keys,
            issuer=opened.endpoints.issuer,
            client_id=grant.client_id,
            nonce=opened.nonce,
        )

    async def _prove(
        self, opened: _Open, claims: Mapping[str, Any], session: Secret, peer: str
    ) -> SignedIn:
        """The session of whoever began it is proved: by the same user, who has signed in just now."""
        from postroom.operations.idtoken import check_fresh

        check_fresh(claims, since=opened.begun)

        def body(tx: Tx) -> Row:
            row = sessions.find(tx, session)
            found = users.by_subject(tx, claims["iss"], claims["sub"])
            if row is None or found is None or {row["id"], found["id"]} != {opened.proves}:
                raise Refused(
                    "That is another account than the one that you are signed in with here.",
                    code="not_signed_in",
                    hint="Sign in there with your own.",
                )
            sessions.proved(tx, row["hash"])
            _give_back(tx, peer)
            note(self._desk, tx, users.person_of(row), "prove", row["name"], by="openid")
            again = sessions.find(tx, session)
            return row if again is None else again

        row = await self._desk.write(body)
        return signed_in(session, row)._replace(back=opened.back)

    @contextlib.asynccontextmanager
    async def _pump(self, grant: Grant) -> AsyncIterator[Pump]:
        from postroom.credentials.tokens.pump import Pump
        from postroom.net.dial import Policy
        from postroom.net.http import HttpClients

        clients = HttpClients()
        try:
            yield Pump(clients, grant, policy=Policy(public_only=self._public_only))
        finally:
            await clients.close()

    async def _grant(self) -> Grant:
        from postroom.connections.connection import Auth
        from postroom.connections.granting import Asked, Clients, grant_of
        from postroom.credentials.trust import trusted_in
        from postroom.net.tls import Tls

        said = self._settings
        auth = Auth(
            type="oauth_authorization_code", authority=said.issuer, client_id=said.client_id,
            credential=said.credential, scopes=list(_SCOPES),
        )  # fmt: skip
        asked = Asked("OpenID Connect", auth, frozenset(), "", "", Tls(), None)
        return await self._desk.db.read(lambda tx: grant_of(Clients(tx, trusted_in(tx)), asked))

    def _client_id(self, grant: Grant) -> Client:
        from postroom.oauth.client import Client

        return Client(grant.client_id)

    async def _client(self, grant: Grant) -> Client:
        """The client with its secrets, opened for the token endpoint and written down."""
        from postroom.credentials.tokens.clients import opened

        kept, purpose = self._desk.tokens.kept, "sign people in"
        client, _ = await self._desk.write(
            lambda tx: opened(tx, kept, grant, actor="postroom", purpose=purpose)
        )
        return client

    def _user(self, tx: Tx, opened: _Open, claims: Mapping[str, Any]) -> Row | None:
        """Whose account that is; an invitation binds it first, and groups decide the role."""
        issuer, subject = claims["iss"], claims["sub"]
        if opened.invitation is not None:
            row = _invited(tx, opened.invitation)
            users.update(tx, row, issuer=issuer, subject=subject)
            invitations.spend(tx, row["id"])
            note(self._desk, tx, users.person_of(row), "bind", row["name"], issuer=issuer)
        found = users.by_subject(tx, issuer, subject)
        if found is None or not self._settings.roles:
            return found
        given = claims.get(self._settings.groups_claim)
        groups = (
            {each for each in given if isinstance(each, str)} if isinstance(given, list) else set()
        )
        role = next((role for group, role in self._settings.roles if group in groups), None)
        if role is None:
            return None
        if role != found["role"]:
            users.check_administrator(tx, found)
            users.update(tx, found, role=role)
            note(
                self._desk, tx, users.person_of(found), "set", found["name"], role=role, by="groups"
            )
        return users.by_subject(tx, issuer, subject)


def _invited(tx: Tx, invitation: Secret) -> Row:
    row = invited_by(tx, invitation)
    if row is None:
        raise Refused(
            "The first administrator chooses a password.",
            code="not_signed_in",
            hint="Sign-in by the provider is bound to users who are there already.",
        )
    return row


def _give_back(tx: Tx, peer: str) -> None:
    """The tries of whoever came in or proved who they are: of the beginning, and of the end."""
    for _ in range(2):
        throttle.give_back(tx, throttle.PEER, peer_key(peer))
