"""The desk: what every operation works with, and the one way a change is made and written down."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from postroom.access import Person
from postroom.access.grants import any_restricted
from postroom.access.users import any_restrained
from postroom.audit import Checkpoints, Recorder
from postroom.clock import parse_instant
from postroom.credentials.store import CredentialStore, Rebind
from postroom.db import Database, Seat, Tx
from postroom.errors import InvalidValue, Locked, WrongUse
from postroom.operations.sight import grantee_of, not_told, seen_by

if TYPE_CHECKING:
    from postroom.connections.open import Opener
    from postroom.connections.resolver import Resolver
    from postroom.credentials.tokens import Keeper
    from postroom.macros import Template
    from postroom.net.veil import Veiled
    from postroom.operations.moved import Moved, Used

__all__ = ["Desk", "Rebind", "Wires", "acting", "check_states", "for_job", "instant"]

# What dials, and what finds where secrets go, is loaded when it is first asked for: commands that only
# look, and `postroom exec`, want neither.

T = TypeVar("T")


class _Undone(Exception):
    """Ends a dry run: everything was done, nothing is kept."""


class Wires(NamedTuple):
    """What dials: the opener of connections, and the keeper of their tokens."""

    opener: Opener
    tokens: Keeper


def _wires_of(desk: Desk) -> Wires:
    if desk.wired is None:
        desk.wired = desk.wire(desk)
    return desk.wired


def _opener_of(desk: Desk) -> Opener:
    """Opens connections."""
    return _wires_of(desk).opener


def _tokens_of(desk: Desk) -> Keeper:
    """Keeps the tokens of sign-ins."""
    return _wires_of(desk).tokens


def _actor_of(desk: Desk) -> str:
    """Who asks, as the audit record calls them."""
    return desk.person.actor


@dataclasses.dataclass(slots=True)
class Desk:
    """An opened room as operations see it.

    ``locked`` says why the room's key could not be used; then ``recorder`` and ``checkpoints`` are
    None, reading works, and whatever writes or opens a secret raises it.  ``kek`` is the id of the
    key that opened it; ``wire`` makes what dials.  ``person`` is who asks; ``root`` is the desk of
    the process where this one is of somebody whom it serves; ``veiled``: they are not told why no
    server answers (net/veil.py).  ``before`` is asked in the transaction
    of each change until one was made, and what it raises undoes that (see ``unchanged.py``).
    """

    db: Database
    data_dir: Path
    credentials: CredentialStore
    recorder: Recorder | None
    person: Person
    wire: Callable[[Desk], Wires]
    locked: Locked | None = None
    kek: str = ""
    checkpoints: Checkpoints | None = None
    environ: Mapping[str, str] = dataclasses.field(default_factory=lambda: os.environ)
    background: set[asyncio.Task[Any]] = dataclasses.field(default_factory=set)
    wired: Wires | None = None
    root: Desk | None = None
    veiled: Veiled = ""
    before: Callable[[Tx], None] | None = None
    _seat: Seat | None = None
    _seating: asyncio.Lock = dataclasses.field(default_factory=asyncio.Lock)

    opener = property(_opener_of)
    tokens = property(_tokens_of)
    actor = property(_actor_of)

    def record(self, tx: Tx, action: str, noun: str, name: str, **detail: Any) -> None:
        """Write an audit row in this transaction.  Raises Locked: what cannot be recorded is not done."""
        if self.recorder is None:
            raise self.locked or Locked("The room is locked.")
        self.recorder.record(
            tx, actor=self.actor, action=action, noun=noun, name=name, detail=detail
        )

    async def seat(self) -> Seat:
        """This process's seat among those that claim work; taken when it is first wanted."""
        if self.root is not None:
            return await self.root.seat()
        async with self._seating:
            if self._seat is None:
                self._seat = await Seat(self.db, kek=self.kek).__aenter__()
        return self._seat

    @property
    def seat_owner(self) -> str | None:
        """The owner of this process's seat, if it took one."""
        if self.root is not None:
            return self.root.seat_owner
        return self._seat.owner if self._seat is not None else None

    async def leave(self) -> None:
        """Finish what still runs, give the seat back, say in the audit that this process is done."""
        if self.background:
            await asyncio.wait(self.background)
        if self.wired is not None:
            await self.wired.tokens.close()
        if self._seat is not None:
            await self._seat.__aexit__()
            self._seat = None
        checkpoints, self.checkpoints, self.recorder = self.checkpoints, None, None
        if checkpoints is not None:
            await checkpoints.close()

    def expander(self, tx: Tx) -> Callable[[str, str], str]:
        """Expands the macros of one setting, given where it stands; raises ``unknown_variable``."""
        from postroom.connections.scope import expander

        return expander(tx, self.environ)

    def templates(self, tx: Tx) -> Callable[[str, str], Template]:
        """As :meth:`expander`, for what says something of each message too."""
        from postroom.connections.scope import templates

        return templates(tx, self.environ)

    def resolver(self, tx: Tx) -> Resolver:
        """Resolves connections as this transaction sees them."""
        from postroom.connections.resolver import Resolver
        from postroom.credentials.trust import trusted_in

        return Resolver(tx, expand=self.expander(tx), trusted=trusted_in(tx))

    def mailbox_of(self, tx: Tx, connection: str) -> str:
        """Whose mail a connection reads: the host and the user, as a source remembers them."""
        side = self.resolver(tx).effective(connection).incoming
        if side is None:
            from postroom.connections.open import no_side

            raise no_side(connection, "incoming")
        user = side.user
        if not user and side.auth.credential:
            record = self.credentials.get(tx, side.auth.credential)
            user = str(record.plain.get("user_name", ""))
        return f"{user} at {side.host}".casefold()

    def roles_of(self, tx: Tx, connection: str) -> tuple[str, ...]:
        """The worker roles that a connection asks for; none when it is broken, or no connection."""
        try:
            return self.resolver(tx).effective(connection).worker_roles
        except WrongUse:
            return ()

    def unresolved(self, tx: Tx) -> set[str]:
        """The connections, sources and services whose settings cannot be expanded right now."""
        # every operation loads the desk, and only a change of variables asks this
        from postroom.services import service as services
        from postroom.sources import store as sources

        found = {f"connection {name}" for name in self.resolver(tx).problems()}
        expand = self.expander(tx)
        for source in sources.load_all(tx):
            folders = source.folders.model_dump().values()
            named = [source.sink.place, source.name_template]
            if not _expands(expand, folders) or not _expands(self.templates(tx), named):
                found.add(f"source {source.name}")
        for service in services.load_all(tx):
            if not _expands(expand, [service.from_]):
                found.add(f"service {service.name}")
        return found

    async def write(self, body: Callable[[Tx], T], *, dry_run: bool = False) -> T:
        """Make a change.  Raises why the room is locked, if it is.

        ``dry_run`` undoes it at once: whatever would be refused is, before anybody is asked.
        """
        if self.locked is not None:
            raise self.locked
        body = _guarded(body, self.before)
        if not dry_run:
            result = await self.db.write(body)
            self.before = None
            return result
        done: list[T] = []

        def undone(tx: Tx) -> None:
            done.append(body(tx))
            raise _Undone

        with contextlib.suppress(_Undone):
            await self.db.write(undone)
        return done[0]

    async def change(
        self, body: Callable[[Tx], T], *, rebind: Rebind = False, dry_run: bool = False
    ) -> T:
        """Make a change that may move destinations: all of it or nothing; ``dry_run`` as above.

        After ``body`` the lines of every credential are computed anew; where they differ, the
        credential is sealed under the new list, or ``secret_reentry_required`` undoes everything.
        ``rebind`` permits every new line, or the pairs (credential, line) that somebody agreed to.
        """
        result, _ = await self.moving(body, rebind=rebind, dry_run=dry_run)
        return result

    async def moving(
        self, body: Callable[[Tx], T], *, rebind: Rebind = False, dry_run: bool = False
    ) -> tuple[T, tuple[Moved, ...]]:
        """As :meth:`change`; gives besides which secrets it moved."""

        def whole(tx: Tx) -> tuple[T, tuple[Moved, ...]]:
            from postroom.operations.moved import used_in
            from postroom.operations.untouched import untouched

            sight = tx.sight
            with tx.seen_by(None):  # secrets go where they are used, whoever asks
                before = used_in(tx, self.resolver(tx), self.expander(tx))
                with tx.seen_by(sight), untouched(self, tx):
                    result = body(tx)
                with not_told(tx, sight):
                    return result, self.rebind(tx, before, rebind=rebind)

        return await self.write(whole, dry_run=dry_run)

    def rebind(
        self, tx: Tx, before: Used, *, rebind: Rebind, typed: Collection[str] = ()
    ) -> tuple[Moved, ...]:
        """Bind the secrets and tokens that go elsewhere than ``before`` to where they are used now.

        ``typed`` are the credentials (in lower case) whose every secret was given in this same
        request.  Gives those that were used before and go elsewhere now.
        """
        from postroom.connections.resolver import destinations_of
        from postroom.connections.signins import sign_ins
        from postroom.operations.moved import Moved, lines_used

        moved = []
        sides = self.resolver(tx).all_sides()
        after = lines_used(tx, destinations_of(sides), self.expander(tx))
        for key in sorted(before.credentials.keys() | after.keys()):
            old, new = before.credentials.get(key, set()), after.get(key, set())
            if new != old and self.credentials.exists(tx, key):
                allowed = True if key in typed else rebind
                self.credentials.bind(tx, key, new, actor=self.actor, rebind=allowed)
                if old and new:
                    name = self.credentials.get(tx, key).name
                    moved.append(Moved(name, tuple(sorted(new - old)), tuple(sorted(old - new))))
        for key, use in sign_ins(sides).items():
            old, kept = before.sign_ins.get(key, set()), self.tokens.kept
            if added := kept.rebind(tx, use.grant, old, use.lines, actor=self.actor, rebind=rebind):
                moved.append(Moved(use.grant.label, added, ()))
        return tuple(moved)

    def lines_of(self, tx: Tx, credential: str) -> set[str]:
        """Where connections present this credential's secrets, and which programs are handed them."""
        from postroom.operations.moved import lines_used

        with tx.seen_by(None):  # also those that are not there for whoever asks
            lines = self.resolver(tx).destinations(credential).lines
            found = lines_used(tx, {credential.casefold(): lines}, self.expander(tx))
        return found[credential.casefold()]


def _guarded(body: Callable[[Tx], T], before: Callable[[Tx], None] | None) -> Callable[[Tx], T]:
    if before is None:
        return body

    def guarded(tx: Tx) -> T:
        before(tx)
        return body(tx)

    return guarded


def acting(desk: Desk, person: Person) -> Desk:
    """The desk of somebody whom this process serves: the same room, their name, their sight."""
    root = desk.root or desk
    db = root.db
    if grantee := grantee_of(person):
        db = seen_by(db, grantee, root.environ)
    return dataclasses.replace(
        root, db=db, person=person, wired=None, root=root, before=None,
        veiled="" if person.unrestricted else "time",
    )  # fmt: skip


def for_job(desk: Desk, job: str) -> Desk:
    """The desk that a run works at: of credentials that are restricted it has those of its job, and
    where others than administrators read its log it hears no more than they are told.

    The same one where neither is so.
    """
    restricted, read = desk.db.read_now(lambda tx: (any_restricted(tx), any_restrained(tx)))
    if not (restricted or read):
        return desk
    root = desk.root or desk
    db = seen_by(root.db, f"job:{job}", root.environ) if restricted else root.db
    veiled: Veiled = "words" if read else ""
    return dataclasses.replace(root, db=db, wired=None, root=root, veiled=veiled)


def check_states(given: Iterable[str], known: Collection[str]) -> None:
    """Raise InvalidValue for a state that there is not, with those there are."""
    for state in given:
        if state not in known:
            raise InvalidValue(
                "state", f"there is no state {state!r}; choose of {', '.join(known)}"
            )


def instant(field: str, text: str | None) -> float | None:
    """Seconds since 1970 of ``1h`` (back from now), a date or an instant; None where none is given.

    Raises InvalidValue, which names the field.
    """
    try:
        return parse_instant(text) if text else None
    except ValueError as error:
        raise InvalidValue(field, str(error)) from None


def _expands(expand: Callable[[str, str], object], texts: Iterable[str]) -> bool:
    try:
        return all(expand(text, "") is not None for text in texts)
    except WrongUse:
        return False
