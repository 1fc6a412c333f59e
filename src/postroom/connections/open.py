"""Where wire and credential meet: resolve a side, open its secret for that line, then dial.

    in one transaction   connection -> effective side -> destination line -> secret, audited
    if a token is stale  the authorization server is asked (credentials/tokens)
    no transaction open  dial, TLS, sign in
    in one transaction   the secret was accepted; the connection was used

The line handed to the vault is made from the very values that are dialled, so a secret is never
opened for one host and sent to another.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TypeVar

from postroom.clock import timestamp
from postroom.connections import boxed, events, store
from postroom.connections.alerts import alerts_of, note_alerts
from postroom.connections.dialling import (
    OnStep,
    Place,
    Prepared,
    dial_store,
    dial_transport,
)
from postroom.connections.direct import DIRECT
from postroom.connections.effective import EffectiveSide
from postroom.connections.gates import Gates
from postroom.connections.presenting import by_secret, by_token, use_of, with_certificate
from postroom.connections.readonly import read_only_store
from postroom.connections.resolver import Resolver
from postroom.connections.scope import expander
from postroom.connections.turns import Turns, Waiting, patiently
from postroom.credentials.record import Opened
from postroom.credentials.store import CredentialStore
from postroom.credentials.tokens import Access, Keeper
from postroom.credentials.trust import trusted_in
from postroom.db import Database, Tx
from postroom.errors import (
    NoServer,
    PostroomError,
    Refused,
    RoomError,
    SignInError,
    Unreadable,
    WireError,
)
from postroom.net import veil
from postroom.net.dial import Policy, Step
from postroom.protocols.base import Limits, MessageStore, SignIn, Transport

__all__ = ["Opener", "Signing", "no_side"]

Signing = Callable[[], None]
"""Hears that the sign-in begins: a token is asked for, or the server is about to be told who we are."""
T = TypeVar("T")
Open = TypeVar("Open", bound=MessageStore | Transport)


class Opener:
    """Opens connections for one actor.  ``environ`` is what ``${env:...}`` may read from."""

    def __init__(
        self,
        db: Database,
        credentials: CredentialStore,
        tokens: Keeper,
        *,
        actor: str,
        environ: Mapping[str, str] | None = None,
        limits: Limits | None = None,
        policy: Policy | None = None,
        veiled: veil.Veiled = "",
        turns: Turns | None = None,
    ) -> None:
        """``veiled``: as :class:`Prepared` has it; ``turns``: of the process, where others dial too."""
        self._db = db
        self._veiled = veiled
        self._credentials = credentials
        self._tokens = tokens
        self._actor = actor
        self._environ = os.environ if environ is None else environ
        self._limits = limits
        self._policy = policy
        self._gates = Gates(db, tokens.seat)
        self.turns = turns or Turns()

    async def open_store(
        self, name: str, *, patient: Waiting | None = None, signing: Signing | None = None
    ) -> MessageStore:
        """The incoming side of a connection, open and signed in; ``signing`` hears when that begins.

        ``patient``: nobody sits and waits for it, so it stands in line, in what that gives.
        Raises NotThere, WrongUse, Refused (``destination_not_bound``, ``incomplete``, ``not_supported``
        when it has no such side), Locked, WireError.
        """
        prepared, opened = await self._open(name, "incoming", dial_store, patient, signing)
        return read_only_store(opened) if prepared.side.read_only else opened

    async def open_transport(self, name: str, *, patient: Waiting | None = None) -> Transport:
        """The outgoing side of a connection, or of a credential (``credential:NAME``).

        Takes and raises as :meth:`open_store`.
        """
        return (await self._open(name, "outgoing", dial_transport, patient))[1]

    async def prepare(
        self, name: str, place: Place, *, anew: bool = False, signing: Signing | None = None
    ) -> Prepared:
        """Resolve a side and open its secrets, each with an audit row that is durable first.

        ``anew``: a token is fetched whatever is stored.  A locked room dials nobody, also where no
        secret is wanted: it could not write that down.
        """
        if self._credentials.locked is not None:
            raise self._credentials.locked

        def body(tx: Tx) -> Prepared:
            found = self.prepare_in(tx, name, place)
            if anew and found.side.grant is not None:  # somebody waits, also after a failure
                self._tokens.hurry(tx, found.side.grant)
            return found

        prepared = await self._db.write(body)
        if prepared.side.grant is None or (prepared.access is not None and not anew):
            return prepared
        if signing is not None:
            signing()
        return await self._with_token(prepared)

    def prepared_with(self, name: str, side: EffectiveSide, access: Access | None) -> Prepared:
        """A side with a token that is not stored yet: to see whether it works; with None nobody signs
        in: to see whether it is there.
        """
        target = side.target(self._limits, self._policy, gate=self._gates.of(side))
        door, sign_in = self.turns.at(side), by_token(side, access) if access else SignIn()
        return Prepared(
            "connection", name, side, target, sign_in, door, access=access, veiled=self._veiled
        )

    async def dialled(
        self, prepared: Prepared, dial: Callable[[Prepared, OnStep | None], Awaitable[T]],
        on_step: OnStep | None = None,
    ) -> tuple[Prepared, T]:  # fmt: skip
        """Dial a prepared side; a kept token that is refused is replaced, and tried once more.

        Gives what was presented in the end, and what is open.  Raises WireError.
        """
        try:
            return prepared, await dial(prepared, on_step)
        except SignInError as error:
            if not prepared.kept or error.temporary:
                raise
        anew = await self._with_token(prepared)
        return anew, await dial(anew, on_step)

    async def _with_token(self, prepared: Prepared) -> Prepared:
        """The same with a token fetched now."""
        grant, refused = prepared.side.grant, prepared.access
        if grant is None:
            return prepared
        use = use_of(prepared.noun, prepared.name, prepared.side, self._actor)
        access = await self._tokens.renew(grant, use, refused=refused.version if refused else 0)
        if access.note and prepared.noun == "connection":
            await _told(self._db, prepared, access.note, self._actor)
        sign_in = by_token(prepared.side, access)
        return dataclasses.replace(prepared, sign_in=sign_in, access=access, kept=False)

    async def places(self, name: str) -> list[Place]:
        """The sides there are: ``incoming``, ``outgoing``.  Raises NotThere, WrongUse."""
        effective = await self._db.read(lambda tx: _resolver(tx, self._environ).effective(name))
        sides: list[Place] = []
        if effective.incoming is not None:
            sides.append("incoming")
        if effective.outgoing is not None:
            sides.append("outgoing")
        return sides

    async def worked(self, prepared: Prepared, opened: object) -> None:
        """Note that the other side accepted what was presented, who used the connection, and what
        the server wants a person to read.
        """

        def body(tx: Tx) -> None:
            now = timestamp()
            for credential, version in prepared.opened:
                self._credentials.presented(tx, credential, version, now)
            if prepared.noun == "connection":
                store.record_use(tx, prepared.name, by=self._actor)
                event = "signed in" if prepared.sign_in.secret else "opened"
                side = prepared.side.place
                events.record(tx, prepared.name, event, actor=self._actor, side=side)

        await self._db.write(body)
        if prepared.noun == "connection":
            side, actor = prepared.side.place, self._actor
            await note_alerts(self._db, prepared.name, alerts_of(opened), side=side, actor=actor)

    async def failed(self, name: str, place: Place, error: PostroomError) -> None:
        """Note in the connection's log what went wrong; that it cannot be noted stops nobody."""
        bare = boxed.bare(name).removeprefix("connection:")
        if isinstance(error, NoServer) and isinstance(error.__cause__, PostroomError):
            error = error.__cause__  # administrators read it
        wire = error if isinstance(error, WireError) else None
        told = f"{error.sentence} They said: {wire.said}" if wire and wire.said else error.sentence

        def body(tx: Tx) -> None:
            if isinstance(error, Unreadable) and "purpose" in error.facts:
                self._credentials.unreadable(
                    tx, error.facts["credential"], actor=self._actor,
                    purpose=error.facts["purpose"], why=error.sentence,
                )  # fmt: skip
            if not name.startswith(DIRECT) and store.exists(tx, bare):
                step = wire.step if wire else "secret"
                events.record(
                    tx, bare, "failed", actor=self._actor, side=place, step=step, code=error.code,
                    detail=error.kept(told),
                )  # fmt: skip

        if self._credentials.locked is None:
            with contextlib.suppress(RoomError):
                await self._db.write(body)

    async def _open(
        self, name: str, place: Place, dial: Callable[[Prepared, OnStep | None], Awaitable[Open]],
        patient: Waiting | None, signing: Signing | None = None,
    ) -> tuple[Prepared, Open]:  # fmt: skip
        """Open a side; how it went is noted in the connection's log."""
        try:
            async with self._in_line(name, place, patient):
                prepared = await self.prepare(name, place, signing=signing)
                prepared = dataclasses.replace(prepared, waiting=patient or patiently)
                told = None if signing is None else _before_sign_in(prepared, signing)
                prepared, opened = await self.dialled(prepared, dial, told)
        except PostroomError as error:
            if not name.startswith(DIRECT):
                known = boxed.bare(name).removeprefix("connection:")
                error.hint = error.hint.replace("signin NAME", f"signin {known}")
            await self.failed(name, place, error)
            raise
        try:
            await self.worked(prepared, opened)
        except BaseException:
            opened.abandon()
            raise
        return prepared, opened

    @contextlib.asynccontextmanager
    async def _in_line(
        self, name: str, place: Place, patient: Waiting | None
    ) -> AsyncIterator[None]:
        if patient is None:
            yield
            return
        _, side = await self._db.read(lambda tx: self._side(tx, name, place))
        async with self.turns.at(side).in_line(patient):
            yield

    # ------------------------------------------------------------------ inside one transaction

    def prepare_in(self, tx: Tx, name: str, place: Place) -> Prepared:
        """Resolve a side and open its secrets, without a token that is not there yet."""
        noun, side = self._side(tx, name, place)
        bare = boxed.bare(name).rpartition(":")[2]
        purpose = f"open the {place} side of {noun} {bare}"
        opened: list[Opened] = []

        def unseal(credential: str) -> Opened:
            try:
                found = self._credentials.open(
                    tx, credential, line=side.line, actor=self._actor, purpose=purpose
                )
            except Unreadable as error:  # for the record: failed() writes it
                error.facts |= {"credential": credential, "purpose": purpose}
                raise
            opened.append(found)
            return found

        sign_in, access = SignIn(), None
        if side.auth.type == "secret":
            sign_in = by_secret(side, unseal(side.auth.credential))
        elif side.grant is not None:
            access = self._tokens.fresh(tx, side.grant, use_of(noun, bare, side, self._actor))
            sign_in = SignIn() if access is None else by_token(side, access)
        tls = side.tls
        if side.client_certificate and side.security != "none":
            tls = with_certificate(tls, unseal(side.client_certificate))
        return Prepared(
            noun=noun, name=bare, side=side,
            target=side.target(self._limits, self._policy, tls=tls, gate=self._gates.of(side)),
            sign_in=sign_in, door=self.turns.at(side),
            opened=tuple((each.credential.name, each.version) for each in opened),
            last_worked=opened[0].credential.presented_at if opened and sign_in.secret else None,
            access=access, kept=access is not None, veiled=self._veiled,
        )  # fmt: skip

    def _side(self, tx: Tx, name: str, place: Place) -> tuple[str, EffectiveSide]:
        effective = _resolver(tx, self._environ).effective(name)
        side = effective.incoming if place == "incoming" else effective.outgoing
        if side is None:
            raise no_side(effective.name, place)
        return "credential" if name.startswith(DIRECT) else "connection", side


def _before_sign_in(prepared: Prepared, signing: Signing) -> OnStep:
    """Tells ``signing`` of the last step before a server is told who we are."""
    last = "tls" if prepared.side.protocol == "graph" else "capabilities"

    def told(step: Step) -> None:
        if step.name == last:
            signing()

    return told


def _resolver(tx: Tx, environ: Mapping[str, str]) -> Resolver:
    return Resolver(tx, expand=expander(tx, environ), trusted=trusted_in(tx))


def no_side(name: str, place: str) -> Refused:
    """What to say of a connection without the side that is wanted."""
    verb = "read" if place == "incoming" else "send"
    return Refused(
        f"{name} has no {place} side, so it cannot {verb} mail.",
        code="not_supported",
        hint=f"Give it one: postroom connection set {name} --set {place}.protocol=...",
    )


async def _told(db: Database, prepared: Prepared, note: str, actor: str) -> None:
    """Put a note into the connection's log; that it cannot be noted stops nobody."""

    def body(tx: Tx) -> None:
        events.record(
            tx, prepared.name, "secret refused", actor=actor, side=prepared.side.place,
            step="sign-in", code="sign_in_failed", detail=note,
        )  # fmt: skip

    with contextlib.suppress(RoomError):
        await db.write(body)
