"""From a password to OAuth: who should change, and a connection changed in place once it works.

in one transaction   the change is made, checked, and undone: whatever is refused is refused now
no transaction open  a real token, and with it a real sign-in to each mail server
in one transaction   the change is made
"""

from __future__ import annotations

import builtins
import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from postroom.connections import store
from postroom.connections.connection import Connection
from postroom.connections.dialling import dial_store, dial_transport
from postroom.connections.effective import EffectiveSide
from postroom.connections.presets import Preset, of_server
from postroom.connections.signins import SignInUse, sign_ins
from postroom.credentials.tokens import Access, Grant
from postroom.db import Tx
from postroom.errors import InvalidValue, PostroomError, Refused
from postroom.fields import parse, shown
from postroom.net.names import host_and_port
from postroom.operations import usage
from postroom.operations.census import SOON_DAYS, Census, census
from postroom.operations.connections import Connections, merge
from postroom.operations.desk import Desk, Rebind
from postroom.operations.fits import check_users
from postroom.operations.personal import Way, sign_in_once

if TYPE_CHECKING:
    from postroom.credentials.tokens.signing_in import Given

__all__ = ["Conversion", "Converted", "Converting"]


class Conversion(NamedTuple):
    """How a connection is to sign in: as ``auth`` of a side has it, and whose account it is (empty:
    the user).  ``tenant`` is the Directory ID, for an app at Microsoft without a credential.
    """

    auth: str
    credential: str = ""
    authority: str = ""
    client_id: str = ""
    tenant: str = ""
    scopes: tuple[str, ...] = ()
    account: str = ""


class Converted(NamedTuple):
    """What was done: the sides that were tried and changed, who signed in (empty for an
    application), and the credentials that nothing uses any more.
    """

    name: str
    auth: str
    tried: tuple[str, ...]
    identity: str
    unused: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """As doors show it."""
        return {key: list(v) if isinstance(v, tuple) else v for key, v in self._asdict().items()}


@dataclasses.dataclass(frozen=True, slots=True)
class _Plan:
    """A change that passed every check: the record before and after, the sides, the sign-ins."""

    name: str
    before: dict[str, Any]
    after: dict[str, Any]
    sides: tuple[EffectiveSide, ...]
    uses: dict[str, SignInUse]
    passwords: tuple[str, ...]


class Converting:
    """What a person may do about passwords that end."""

    def __init__(self, desk: Desk, *, device_flow: bool = True) -> None:
        self._desk = desk
        self._device_flow = device_flow

    async def census(self, *, within: int = SOON_DAYS) -> Census:
        """Every connection that signs in with a password at a provider that is ending them.

        ``within``: how many days ahead something counts as due.
        """
        return await census(self._desk, within=within)

    async def convert(
        self, name: str, asked: Conversion, way: Way | None = None, *, rebind: Rebind = False
    ) -> Converted:
        """Change the sides that sign in with a password to OAuth; name and references stay.

        It is changed only after the new sign-in has opened every such side; whatever fails before
        leaves the connection as it is.  ``way`` reaches the person who signs in, for a flow that wants
        one.  Raises InvalidValue, Refused, SignInError, WireError, ``secret_reentry_required``.
        """
        plan = await self._desk.change(
            lambda tx: self._plan(tx, name, asked), rebind=rebind, dry_run=True
        )
        try:
            identity = await self._prove(plan, way)
        except PostroomError as error:
            error.hint = f"{error.hint} The connection was not changed.".strip()
            raise
        unused = await self._desk.change(lambda tx: self._change(tx, plan), rebind=rebind)
        tried = tuple(f"{side.place} {host_and_port(side.host, side.port)}" for side in plan.sides)
        return Converted(plan.name, asked.auth, tried, identity, unused)

    # ------------------------------------------------------------------ the change

    def _plan(self, tx: Tx, name: str, asked: Conversion) -> _Plan:
        """Make the change and look at what it comes to; the transaction is undone."""
        connection = store.get(tx, name)
        effective = self._desk.resolver(tx).of(connection)
        passwords = [side for side in effective.sides if side.auth.type == "secret"]
        if not passwords:
            raise Refused(
                f"Connection {connection.name} has no side that signs in with a password.",
                code="not_supported",
                hint=f"See how it signs in: postroom connection show {connection.name}",
            )
        for side in passwords:
            parent = effective.inherited.get(f"{side.place}.auth")
            if parent:
                raise Refused(
                    f"Connection {connection.name} has its sign-in from {parent}.",
                    code="not_supported",
                    hint=f"Convert that one: postroom connection convert {parent}",
                )
        before = shown(connection)
        after = merge(before, self._changes(tx, passwords, asked))
        self._save(tx, after)
        now = self._desk.resolver(tx).effective(connection.name)
        places = {side.place for side in passwords}
        return _Plan(
            connection.name, before, after,
            tuple(side for side in now.sides if side.place in places),
            sign_ins(self._desk.resolver(tx).all_sides()),
            tuple(dict.fromkeys(side.auth.credential for side in passwords)),
        )  # fmt: skip

    def _changes(
        self, tx: Tx, passwords: builtins.list[EffectiveSide], asked: Conversion
    ) -> dict[str, Any]:
        auth: dict[str, Any] = {"type": asked.auth}
        first = passwords[0]
        known = of_server(first.protocol, first.host, self._user(tx, first))
        authority = asked.authority or (_authority(known, asked) if asked.client_id else "")
        scopes = asked.scopes
        if known is not None:
            scopes = scopes or known.scopes_of(side.protocol for side in passwords)
        given = {
            "credential": asked.credential, "client_id": asked.client_id, "authority": authority,
            "scopes": list(scopes),
        }  # fmt: skip
        auth |= {key: value for key, value in given.items() if value}
        changes: dict[str, Any] = {}
        for side in passwords:
            changes[side.place] = {"auth": auth}
            if not side.user and (user := self._user(tx, side)):
                changes[side.place]["user"] = user
            if asked.account:
                changes[side.place]["account"] = asked.account
        return changes

    def _user(self, tx: Tx, side: EffectiveSide) -> str:
        """Who signs in today: the password's own user name, where the side names none."""
        record = self._desk.credentials.get(tx, side.auth.credential)
        return side.user or str(record.plain.get("user_name", ""))

    def _save(self, tx: Tx, after: Mapping[str, Any]) -> None:
        connection = parse(Connection, after, where=f"connection {after['name']}")
        Connections(self._desk).save(tx, connection, new=False)
        check_users(self._desk, tx, connection.name)

    def _change(self, tx: Tx, plan: _Plan) -> tuple[str, ...]:
        if shown(store.get(tx, plan.name)) != plan.before:
            raise Refused(
                f"Connection {plan.name} was changed by somebody else in the meantime.",
                hint="Look at it and begin again.",
            )
        self._save(tx, plan.after)
        auth = plan.sides[0].auth.type
        self._desk.record(tx, "convert", "connection", plan.name, auth=auth)
        left = [name for name in plan.passwords if not usage.of_credential(tx, name).uses]
        return tuple(left)

    # ------------------------------------------------------------------ the proof

    async def _prove(self, plan: _Plan, way: Way | None) -> str:
        """Sign in anew and open every side with it; gives who signed in."""
        identity = ""
        grants = {side.grant.sign_in: side.grant for side in plan.sides if side.grant is not None}
        for key, grant in grants.items():
            sides = [
                side for side in plan.sides if side.grant is not None and side.grant.sign_in == key
            ]
            if grant.personal:
                use = plan.uses[key].asked_by(grant)
                identity = await self._by_person(plan, use, sides, way)
                continue
            for side in sides:
                await self._open(plan, side, await self._client_token(plan, side.grant or grant))
        return identity

    async def _by_person(
        self, plan: _Plan, use: SignInUse, sides: builtins.list[EffectiveSide], way: Way | None
    ) -> str:
        if way is None:
            raise InvalidValue(
                "auth", "a person has to sign in for this flow, and nobody was asked"
            )

        async def prove(given: Given) -> None:
            for side in sides:
                await self._open(plan, side, given(side.grant or use.grant))

        done = await sign_in_once(
            self._desk, use, way, prove, device_flow=self._device_flow, always=True
        )
        return done.identity

    async def _client_token(self, plan: _Plan, grant: Grant) -> Access:
        from postroom.credentials.tokens.trying import try_client

        tokens, desk = self._desk.tokens, self._desk
        return await try_client(
            desk.db, tokens.kept, tokens.renewal, grant, actor=desk.actor,
            purpose=f"convert connection {plan.name}",
        )  # fmt: skip

    async def _open(self, plan: _Plan, side: EffectiveSide, access: Access) -> None:
        prepared = self._desk.opener.prepared_with(plan.name, side, access)
        dial = dial_store if side.place == "incoming" else dial_transport
        opened = await dial(prepared)
        opened.abandon()


def _authority(preset: Preset | None, asked: Conversion) -> str:
    if preset is None or not preset.authority:
        raise InvalidValue("authority", "is needed: this server is none that is known here")
    return preset.authority_of(asked.tenant)
