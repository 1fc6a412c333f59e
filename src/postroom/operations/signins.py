"""Operations on sign-ins by OAuth: a person signs in for a connection, or out; what there is."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, NamedTuple

from postroom.clock import rfc3339, timestamp
from postroom.connections import store
from postroom.connections.dialling import dial_store, dial_transport
from postroom.connections.effective import EffectiveSide
from postroom.connections.signins import SignInUse, sign_ins
from postroom.credentials.tokens import BEARER, Grant, Use, rows
from postroom.db import Tx
from postroom.errors import PostroomError, Refused, WireError
from postroom.operations import usage
from postroom.operations.desk import Desk
from postroom.operations.personal import How, Paste, Tell, Way, sign_in_once
from postroom.operations.untold import told
from postroom.operations.waking import wake

if TYPE_CHECKING:  # a worker that signs nobody in does not load it
    from postroom.credentials.tokens.signing_in import Given, Prove
    from postroom.operations import models

__all__ = ["SignIns", "SignedInAs", "Tell", "forget_sign_ins", "hidden_uses", "sign_out_alone"]


class SignedInAs(NamedTuple):
    """What a sign-in came to: who it is for and who it was, what it serves, and what was granted."""

    account: str
    identity: str
    connections: tuple[str, ...]
    granted: tuple[str, ...]
    extra: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """As doors show it."""
        return {key: list(v) if isinstance(v, tuple) else v for key, v in self._asdict().items()}


class SignIns:
    """What a person may do with sign-ins."""

    def __init__(self, desk: Desk, *, device_flow: bool = True) -> None:
        self._desk = desk
        self._device_flow = device_flow

    async def sign_in(
        self, name: str, tell: Tell, *, how: How | None = None, paste: Paste | None = None
    ) -> builtins.list[SignedInAs]:
        """Sign in for a connection, once for each account it needs.  One sign-in serves every
        connection with the same client, authority and account.

        ``tell`` shows the person what to do; ``how`` overrides the flow that the connection names:
        ``link`` makes an address for the owner of the mailbox, on any machine, once, for 30 minutes,
        and ``paste`` gives where their browser ended.  Raises Refused (``not_supported``) where no
        person signs in, SignInError, WireError.
        """
        return await self.sign_in_by(name, Way(tell, how, paste))

    async def sign_in_by(self, name: str, way: Way) -> builtins.list[SignedInAs]:
        """As :meth:`sign_in`, from a page that the person looks at, and comes back to."""
        done = []
        for use in await self._desk.db.read(lambda tx: self._wanted(tx, name)):
            found = await sign_in_once(
                self._desk, use, way, self._proving(use), device_flow=self._device_flow
            )
            served = tuple(use.connections)
            await self._desk.write(lambda tx: _wake(tx, served))  # noqa: B023
            account = use.grant.account
            done.append(SignedInAs(account, found.identity, served, found.granted, found.extra))
        return done

    async def sign_out(self, name: str) -> bool:
        """Revoke the sign-ins of a connection at the server, and forget them; True when all were
        revoked there too.  Raises InvalidValue when nobody is signed in.

        Where there is no such connection, ``name`` is an account whose sign-in none uses any more.
        """
        if await self._desk.write(lambda tx: self._forget_left(tx, name)):
            return False
        wanted = await self._desk.db.read(lambda tx: self._wanted(tx, name))
        return all([await _sign_out(self._desk, use) for use in wanted])

    async def list(self) -> builtins.list[models.SignIn]:
        """Every sign-in: for whom, who it was, its state, when a token came last, and whom it serves."""

        def body(tx: Tx) -> builtins.list[models.SignIn]:
            uses = sign_ins(self._desk.resolver(tx).all_sides())
            hidden = hidden_uses(self._desk, tx, uses)
            found = [row for row in rows.find_all(tx) if row["id"] not in hidden]
            return [_shown(self._desk, row, uses.get(row["id"])) for row in found]

        return await self._desk.db.read(body)

    async def keep_alive(self) -> builtins.list[tuple[str, PostroomError]]:
        """Refresh the sign-ins that nobody used for a day: servers end those that lie unused.

        Gives what failed; the others are tried all the same.
        """
        failed = []
        for use, version in await self._desk.db.read(self._idle):
            line = next(line for line in sorted(use.lines) if line.startswith(BEARER))
            wanted = Use(line, "postroom", "keep the sign-in alive")
            try:
                await self._desk.tokens.renew(use.grant, wanted, refused=version)
            except PostroomError as error:
                failed.append((use.grant.label, error))
        return failed

    # ------------------------------------------------------------------ inside

    def _idle(self, tx: Tx) -> builtins.list[tuple[SignInUse, int]]:
        """The sign-ins that are due, each with the version of its access token (0: it has none)."""
        found = []
        for key, use in sign_ins(self._desk.resolver(tx).all_sides()).items():
            row = rows.find(tx, key)
            if row is None or row["state"] != rows.SIGNED_IN or row["due_at"] > timestamp():
                continue
            if use.grant.personal:
                known = rows.known_access(tx, use.grant)
                found.append((use, known["version"] if known else 0))
        return found

    def _forget_left(self, tx: Tx, account: str) -> bool:
        """Destroy the sign-ins of an account that serve nothing; whether there was one."""
        if store.exists(tx, account):
            return False
        used, kept = _of_everybody(self._desk, tx), self._desk.tokens.kept
        left = [
            row
            for row in rows.find_all(tx)
            if (row["account"] or row["client_id"]).casefold() == account.casefold()
            and row["id"] not in used
        ]
        for row in left:
            rows.destroy(tx, kept.keyring, row["id"])
            label = f"{row['account'] or row['client_id']} at {row['authority']}"
            self._desk.record(tx, "sign out", "sign-in", label, revoked=False)
        return bool(left)

    def _wanted(self, tx: Tx, name: str) -> builtins.list[SignInUse]:
        """The sign-ins by a person that a connection needs: by its own flow, its own scopes first."""
        connection = store.get(tx, name).name
        effective = self._desk.resolver(tx).effective(connection)
        grants: dict[str, Grant] = {}
        for side in effective.sides:
            if side.grant is not None and side.grant.personal:
                grants.setdefault(side.grant.sign_in, side.grant)
        if not grants:
            raise Refused(
                f"Nobody signs in for connection {connection}: it has no side with a device flow or "
                "an authorization code.",
                code="not_supported",
                hint=f"See how it signs in: postroom connection show {connection}",
            )
        found = _of_everybody(self._desk, tx)
        return [found[key].asked_by(grant) for key, grant in grants.items()]

    def _proving(self, use: SignInUse) -> Prove:
        """Opens one side with a new token: only then is the sign-in of before given up."""
        name, places = next(iter(use.connections.items()))

        def side_of(tx: Tx) -> EffectiveSide:
            sides = self._desk.resolver(tx).effective(name).sides
            return next(side for side in sides if side.place == places[0])

        async def prove(given: Given) -> None:
            side = await self._desk.db.read(side_of)
            access = given(side.grant or use.grant)
            prepared = self._desk.opener.prepared_with(name, side, access)
            dial = dial_store if side.place == "incoming" else dial_transport
            try:
                opened = await dial(prepared)
            except WireError as error:
                error.hint = f"Nothing of this sign-in was stored. {error.hint}".strip()
                raise
            opened.abandon()

        return prove


async def sign_out_alone(desk: Desk, connection: str) -> None:
    """Sign out where nothing but this connection, which is about to be removed, is signed in."""

    def alone(tx: Tx) -> builtins.list[SignInUse]:
        name = store.spelled(tx, connection)
        return [
            use
            for key, use in _of_everybody(desk, tx).items()
            if use.grant.personal
            and [*use.connections] == [name]
            and (row := rows.find(tx, key)) is not None
            and row["version"]
        ]

    for use in await desk.db.read(alone):
        await _sign_out(desk, use)


def _wake(tx: Tx, connections: tuple[str, ...]) -> None:
    """What waited for a person to sign in goes on."""
    for name in connections:
        wake(tx, usage.of_connection(tx, name).uses, failing=True)


def forget_sign_ins(desk: Desk, tx: Tx, wanted: Callable[[SignInUse], bool]) -> None:
    """Destroy the tokens of these sign-ins: what they were for is removed in this transaction.

    The authorization server is not told; whoever can wait for it signs out before.
    """
    kept = desk.tokens.kept
    for key, use in _of_everybody(desk, tx).items():
        if wanted(use) and rows.find(tx, key) is not None:
            rows.destroy(tx, kept.keyring, key)
            kept.record(tx, desk.actor, "sign out", use.grant, revoked=False)


async def _sign_out(desk: Desk, use: SignInUse) -> bool:
    from postroom.credentials.tokens.signing_out import sign_out

    tokens = desk.tokens
    return await sign_out(desk.db, tokens.kept, tokens.renewal, use.grant, actor=desk.actor)


def _shown(desk: Desk, row: Any, use: SignInUse | None) -> dict[str, Any]:
    def at(value: float | None) -> str | None:
        return None if value is None else rfc3339(value)

    return {
        "account": row["account"], "identity": row["identity"], "authority": row["authority"],
        "client_id": row["client_id"], "flow": row["flow"], "state": row["state"],
        "note": told(desk, row["note"]), "signed_in_at": at(row["signed_in_at"]),
        "signed_in_by": row["signed_in_by"], "refreshed_at": at(row["refreshed_at"]),
        "connections": sorted(use.connections) if use else [],
    }  # fmt: skip


def hidden_uses(desk: Desk, tx: Tx, seen: Collection[str]) -> frozenset[str]:
    """The sign-ins that serve what is not there for whoever asks, and nothing of what they ``seen``."""
    if tx.sight is None:
        return frozenset()
    return frozenset(_of_everybody(desk, tx).keys() - set(seen))


def _of_everybody(desk: Desk, tx: Tx) -> dict[str, SignInUse]:
    """Every sign-in with all that it serves: also what is not there for whoever asks."""
    with tx.seen_by(None):
        return sign_ins(desk.resolver(tx).all_sides())
