"""How people come in: the first address, sign-in, sessions, tokens.  Asked before anybody is known."""

from __future__ import annotations

import functools
from typing import Final

from postroom.access import Person, invitations, sessions, throttle, tokens, users
from postroom.access.passwords import (
    check_password,
    hash_password,
    is_old,
    verify_password,
)
from postroom.access.throttle import peer_key
from postroom.db import Row, Tx
from postroom.errors import InvalidValue, Refused
from postroom.operations.desk import Desk
from postroom.operations.entering import (
    NOBODY,
    Own,
    Session,
    SignedIn,
    enter,
    entered,
    find_session,
    invited_by,
    note,
    note_refused,
    own_of,
    secret_of,
    take_tries,
    wrong,
)
from postroom.operations.openid import Begun, OpenId
from postroom.secret import Secret
from postroom.settings import Oidc

__all__ = ["PROVED_FOR", "Begun", "Own", "People", "Session", "SignedIn"]

PROVED_FOR: Final = 15 * 60.0
"""Seconds for which a proof is enough for what cannot be undone: ``Session.proved_at`` and this."""


class People:
    """What whoever stands before the door may ask.  Every refusal is recorded, and says little."""

    def __init__(self, desk: Desk, oidc: Oidc | None = None, *, public_only: bool = False) -> None:
        """``oidc`` is the provider at which people may sign in as well."""
        self._desk = desk
        self._openid = None if oidc is None else OpenId(desk, oidc, public_only=public_only)
        self.has_provider = oidc is not None
        """Whether people may sign in at a provider as well: whether the page offers it."""

    async def first_address(self) -> str | None:
        """A one-time code for the first administrator while there is no user; else None.

        A code that was given before is void.  Raises Locked.
        """
        if await self._desk.db.read(users.any_user):
            return None

        def body(tx: Tx) -> str | None:
            return None if users.any_user(tx) else invitations.make(tx, None)[0]

        return await self._desk.write(body)

    async def invited(self, code: str | Secret) -> str | None:
        """Whose one-time code that is; empty: whoever becomes the first administrator.

        Raises Refused (``not_signed_in``).
        """

        def body(tx: Tx) -> str:
            user = invited_by(tx, secret_of(code))
            return "" if user is None else str(user["name"])

        return await self._desk.db.read(body)

    async def accept(
        self, code: str | Secret, name: str = "", password: Secret | None = None, *, agent: str = ""
    ) -> SignedIn:
        """Come in by a one-time code, and choose a password; ``name`` is the first administrator's.

        Every session that there was is over.  Raises Refused (``not_signed_in``), InvalidValue.
        """
        secret = secret_of(code)
        invited = await self._desk.db.read(lambda tx: invited_by(tx, secret))
        whose = name if invited is None else invited["name"]
        if invited is None and not name.strip():
            raise InvalidValue("name", "choose how you are called here, such as ann")
        if password is None:
            raise InvalidValue("password", "choose one")
        check_password(password, whose)
        kept = await hash_password(password)

        def body(tx: Tx) -> tuple[Secret, Row]:
            row = invited_by(tx, secret)
            if row is None:
                row = users.add(tx, name, "admin", by="first address", password=kept)
                note(self._desk, tx, users.person_of(row), "add", row["name"], role="admin")
            else:
                users.update(tx, row, password=kept)
            invitations.spend(tx, None if invited is None else row["id"])
            sessions.end_all(tx, row["id"])
            return enter(self._desk, tx, row, "accept", agent)

        return await entered(self._desk, body)

    async def sign_in(
        self, name: str, password: Secret, *, peer: str = "", agent: str = ""
    ) -> SignedIn:
        """Come in by name and password.

        Raises Refused: ``not_signed_in``, in one sentence for every reason there is, or ``too_many``.
        """
        place, whose = peer_key(peer), name.casefold()
        keys = (
            (throttle.PEER, place), (throttle.PAIR, f"{place} {whose}"), (throttle.USER, whose)
        )  # fmt: skip
        await take_tries(self._desk, keys, name, peer)
        row = await self._desk.db.read(lambda tx: users.look_up(tx, name))
        usable = row is not None and not row["disabled"]
        fits = await verify_password(password, row["password"] if row is not None else "")
        if row is None or not (fits and usable):
            await self._desk.write(lambda tx: note_refused(self._desk, tx, row, "password", peer))
            raise wrong()
        renewed = await hash_password(password) if is_old(row["password"]) else ""

        def body(tx: Tx) -> tuple[Secret, Row]:
            now = users.look_up(tx, name)  # what was compared must still be so
            if now is None or now["disabled"] or now["password"] != row["password"]:
                raise wrong()
            if renewed:
                users.update(tx, now, password=renewed)
            for limit, key in keys:
                throttle.give_back(tx, limit, key)
            return enter(self._desk, tx, now, "sign-in", agent, by="password", peer=peer)

        return await entered(self._desk, body)

    async def oidc_begin(
        self, redirect_uri: str, *, code: str | Secret = "", back: str = "",
        session: str | Secret = "", peer: str = "",
    ) -> Begun:  # fmt: skip
        """Begin to sign in at the provider: the address for the browser, and the cookie that it keeps
        until it comes back to ``redirect_uri``.  ``code`` is an invitation that is opened so.  Whoever
        has the cookie ``session`` is signed in, and proves again who they are, by signing in there
        anew.  ``back`` is the page on which it was asked for.

        Raises Refused (``not_supported`` where there is no provider, ``not_signed_in``, ``too_many``),
        and what asking the provider raises.
        """
        at_provider, proves = self._at_provider(), ""
        if session:
            found = await self._desk.db.read(functools.partial(find_session, secret_of(session)))
            proves = found[1].person.user
        return await at_provider.begin(redirect_uri, code=code, back=back, proves=proves, peer=peer)

    async def oidc_end(
        self, cookie: str | Secret, query: str, *, session: str | Secret = "", peer: str = "",
        agent: str = "",
    ) -> SignedIn:  # fmt: skip
        """Come in by what the provider answered: the ``query`` of the address that it sent the browser
        to, as it came.  Whoever proves who they are stays in their ``session``.

        Raises Refused (``not_signed_in``, ``too_many``, ``not_supported``), and what asking the
        provider raises: SignInError, ProtocolError, WireError.
        """
        return await self._at_provider().end(
            cookie, query, session=secret_of(session), peer=peer, agent=agent
        )

    async def session(self, cookie: str | Secret, *, used: bool = True) -> Session:
        """Who has that cookie; ``used``: somebody does something with it, and it lasts on for that.

        Raises Refused (``not_signed_in``).
        """
        row, session = await self._desk.db.read(functools.partial(find_session, secret_of(cookie)))
        if used and not sessions.is_noted(row):
            await self._desk.db.write(lambda tx: sessions.note_seen(tx, row["hash"]))
        return session

    async def prove(self, cookie: str | Secret, password: Secret, *, peer: str = "") -> None:
        """Prove again who has that cookie, before what cannot be undone.

        Raises Refused: ``not_signed_in`` or ``too_many``.
        """
        row = await self._proved(cookie, password, peer)

        def body(tx: Tx) -> None:
            now = _unchanged(tx, cookie, row)
            sessions.proved(tx, now["hash"])
            note(self._desk, tx, users.person_of(now), "prove", now["name"])

        await self._desk.write(body)

    async def change_password(
        self, cookie: str | Secret, old: Secret, new: Secret, *, peer: str = "", agent: str = ""
    ) -> SignedIn:
        """Choose another password; every session is over, and this is the new one.

        Raises Refused: ``not_signed_in`` or ``too_many``; InvalidValue for one that is too simple.
        """
        row = await self._proved(cookie, old, peer)
        check_password(new, row["name"], row["address"])
        kept = await hash_password(new)

        def body(tx: Tx) -> tuple[Secret, Row]:
            now = _unchanged(tx, cookie, row)
            users.update(tx, now, password=kept)
            invitations.spend(tx, now["id"])
            sessions.end_all(tx, now["id"])
            return enter(self._desk, tx, now, "password", agent, peer=peer)

        return await entered(self._desk, body)

    async def own(self, cookie: str | Secret) -> Own:
        """What whoever has that cookie may know of themselves.  Raises Refused (``not_signed_in``)."""
        return await self._desk.db.read(functools.partial(own_of, secret_of(cookie)))

    async def sign_out(self, cookie: str | Secret, mark: str | None = None) -> int:
        """End the session of that cookie; one that is over already is no mistake.

        ``mark``: instead, another session of the same person, by its mark; empty: every one but this.
        Gives how many are over by that.
        """
        secret = secret_of(cookie)
        row = await self._desk.db.read(lambda tx: sessions.find(tx, secret))
        if row is None:
            return 0

        def body(tx: Tx) -> int:
            if mark is None:
                sessions.end(tx, row["hash"])
                note(self._desk, tx, users.person_of(row), "sign-out", row["name"])
                return 1
            count = sessions.end_some(tx, row["id"], row["hash"], mark)
            if count:
                who = users.person_of(row)
                note(self._desk, tx, who, "end-sessions", row["name"], count=count)
            return count

        return await self._desk.write(body)

    async def by_token(self, token: str | Secret, *, peer: str = "") -> Person:
        """Who has that API token.  Raises Refused: ``not_signed_in`` or ``too_many``."""
        secret = secret_of(token)
        row = await self._desk.db.read(lambda tx: tokens.find(tx, secret))
        if row is not None and tokens.state_of(row) == "good":
            if not tokens.is_noted(row):
                await self._desk.db.write(lambda tx: tokens.note_used(tx, row["id"]))
            return tokens.person_of(row)
        await take_tries(self._desk, ((throttle.TOKENS, peer_key(peer)),), "", peer)
        why = "unknown" if row is None else tokens.state_of(row)
        await self._desk.write(
            lambda tx: note(
                self._desk, tx, NOBODY, "refuse", "" if row is None else row["name"],
                noun="token", why=why, peer=peer,
            )
        )  # fmt: skip
        raise Refused(
            "This token is not accepted.",
            code="not_signed_in",
            hint="It may have expired or been revoked: make another one.",
        )

    def _at_provider(self) -> OpenId:
        if self._openid is None:
            raise Refused(
                "Nobody signs in at a provider here.",
                code="not_supported",
                hint="Whoever runs the room names one with POSTROOM_OIDC_CREDENTIAL.",
            )
        return self._openid

    async def _proved(self, cookie: str | Secret, password: Secret, peer: str) -> Row:
        secret = secret_of(cookie)
        row, session = await self._desk.db.read(functools.partial(find_session, secret))
        keys = ((throttle.PROVE, session.person.user),)
        await take_tries(self._desk, keys, session.name, peer)
        if not await verify_password(password, row["password"]):
            await self._desk.write(lambda tx: note_refused(self._desk, tx, row, "proof", peer))
            raise Refused("The password is wrong.", code="not_signed_in", hint="Type it again.")
        await self._desk.db.write(lambda tx: throttle.give_back(tx, *keys[0]))
        return row


def _unchanged(tx: Tx, cookie: str | Secret, proved: Row) -> Row:
    """The session of a cookie and its user as they are now.

    A hash takes its time, and meanwhile an administrator may have ended the session or given the user
    another password: what was proved against the old one counts no more.  Raises Refused.
    """
    now, _ = find_session(secret_of(cookie), tx)
    if now["password"] != proved["password"]:
        raise Refused(
            "Your password was changed meanwhile.", code="not_signed_in", hint="Sign in again."
        )
    return now
