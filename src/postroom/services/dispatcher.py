"""The dispatcher: claims outbox rows of one connection, submits them, settles each as it is known."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence

from postroom.clock import timestamp
from postroom.db import Claim, Database, Owe, Tx, take_tokens
from postroom.errors import PostroomError, SignInError, WireError
from postroom.log import logger, within
from postroom.protocols.base import Transport
from postroom.services import parking
from postroom.services import service as services
from postroom.services import settle as rows
from postroom.services.copies import COPIES, OpenSent, make_copies
from postroom.services.doubts import DOUBTS, Evidence, Look, resolve
from postroom.services.lanes import CopyWanted, Lane, RolesOf, due, lanes
from postroom.services.service import Service
from postroom.services.settling import Drained, all_of
from postroom.services.submitting import Line, give_back
from postroom.tracing import span

__all__ = ["Dispatcher", "Drained"]

_log = logger("services")

BATCH = 100
"""Rows claimed at a time: enough to keep a pipeline full, few enough to leave work to others."""

_LINES = 2
"""Connections that a backlog goes over beside each other: while one server process takes a message
in, the other is given the next.  Providers permit at least three for one account."""

OnLost = Callable[[str, WireError], Awaitable[None]]
"""Hears of what went wrong on a connection after it was opened."""

OpenTransport = Callable[[str], Awaitable[Transport]]
"""Opens the outgoing side of a connection by name (or ``credential:NAME``); raises WireError."""


async def _nowhere(connection: str, message_ids: Sequence[str]) -> Mapping[str, Evidence]:
    return {}


class Dispatcher:
    """Sends what is due.  ``owner`` is the seat of this process; several may run beside each other."""

    def __init__(
        self,
        db: Database,
        *,
        owner: str,
        open_transport: OpenTransport,
        roles_of: RolesOf = lambda tx, connection: (),
        look: Look = _nowhere,
        copies: CopyWanted = lambda tx, service: False,
        open_sent: OpenSent | None = None,
        on_lost: OnLost | None = None,
        owe: Owe | None = None,
    ) -> None:
        """``look`` finds messages in doubt in the Sent folder of their connection; ``copies`` says
        whether copies of a service's messages are put there, which ``open_sent`` opens for that;
        ``owe`` is the seat's.
        """
        self._db = db
        self._owner = owner
        self._open = open_transport
        self._roles_of = roles_of
        self._look = look
        self._copies = copies
        self._open_sent = open_sent
        self._on_lost = on_lost
        self._owe = owe
        self._stop = asyncio.Event()
        self._held: frozenset[str] = frozenset()
        self._held_at: int | None = None  # the version of the database that this was read from

    async def drain(
        self,
        names: Sequence[str] | None = None,
        *,
        item: str = "",
        roles: Sequence[str] = (),
    ) -> Drained:
        """Send everything that is due now, of these services (None: all), or one ``item``.

        Never raises for what a server does: that is in the rows, and the first error in the result.
        When it is cancelled, the message that is on the wire is finished, and the rest given back.
        """
        draining = asyncio.create_task(self._drain(names, item, roles))
        try:
            return await asyncio.shield(draining)
        except asyncio.CancelledError:
            self._stop.set()
            await asyncio.wait([draining])
            error = None if draining.cancelled() else draining.exception()
            if error is not None and not isinstance(error, PostroomError):
                _log.error(
                    "sending ended", exc_info=error
                )  # a mistake of ours, which nobody awaits
            raise

    async def _drain(self, names: Sequence[str] | None, item: str, roles: Sequence[str]) -> Drained:
        done = Drained()

        def look(tx: Tx) -> tuple[dict[str, Lane], set[str], set[str]]:
            now = timestamp()
            to_send, in_doubt = (
                queue.names_due(tx, now=now, item=item) for queue in (rows.OUTBOX, DOUBTS)
            )
            return self._lanes(tx, names, roles), to_send, in_doubt

        found, to_send, in_doubt = await self._db.read(look)
        # one line a connection: killed, a process leaves one message of it on the wire, not two
        turns = {connection: asyncio.Lock() for connection in found}

        async def lane(connection: str, group: Lane) -> None:
            try:
                async with turns[connection]:
                    with within(connection=connection), span("send", connection=connection):
                        await self._lane(connection, group, item, done)
            except PostroomError as error:
                done.error = done.error or error

        async def doubts(connection: str, group: Lane) -> None:
            try:
                again = await resolve(
                    self._db, connection, group,
                    owner=self._owner, item=item, look=self._look, done=done, owe=self._owe,
                )  # fmt: skip
            except PostroomError as error:
                done.error = done.error or error
                return
            if again:
                await lane(connection, group)

        # beside each other: a server that does not answer holds up nobody else's messages
        await all_of(
            *(lane(*each) for each in due(found, to_send).items()),
            *(doubts(*each) for each in due(found, in_doubt).items()),
        )
        served = [name for group in found.values() for name in group]
        done.next_due = await self._db.read(lambda tx: _next_due(tx, served, item))
        return done

    async def copy(
        self, names: Sequence[str] | None = None, *, item: str = "", roles: Sequence[str] = ()
    ) -> PostroomError | None:
        """Make the copies for Sent folders that are due, as :meth:`drain` takes what to do.

        Gives the first error; what failed is in the rows, and no outcome of a send is changed.
        """
        if self._open_sent is None:
            return None

        def look(tx: Tx) -> dict[str, Lane]:
            return due(
                self._lanes(tx, names, roles), COPIES.names_due(tx, now=timestamp(), item=item)
            )

        errors = await all_of(
            *(
                make_copies(
                    self._db, connection, group,
                    owner=self._owner, item=item, open_sent=self._open_sent, owe=self._owe,
                )
                for connection, group in (await self._db.read(look)).items()
            )
        )  # fmt: skip
        return next((error for error in errors if error is not None), None)

    def _lanes(self, tx: Tx, names: Sequence[str] | None, roles: Sequence[str]) -> dict[str, Lane]:
        return lanes(tx, names, roles, roles_of=self._roles_of, copies=self._copies)

    async def _lane(self, connection: str, by_name: Lane, item: str, done: Drained) -> None:
        """Send what is due over one connection, opened as often as need be; a backlog over two.

        Never over two where doubts are sent again: killed, each line may send one message twice.
        """
        spares: list[asyncio.Task[None]] = []
        full = 0
        alone = any(one.on_ambiguous == "resend" for one in by_name.values())

        def lines(batch: int) -> int:
            """How many are open for this batch; opens the spare one behind a second full batch."""
            nonlocal full
            full = full + 1 if batch == BATCH else 0
            if full > 1 and not spares and not alone:
                spare = self._work_off(
                    connection, by_name, item, done, lambda _: _LINES, spare=True
                )
                spares.append(asyncio.create_task(spare))
            return _LINES if spares and not spares[0].done() else 1

        try:
            await self._work_off(connection, by_name, item, done, lines)
        finally:
            await asyncio.gather(*spares)

    async def _work_off(
        self,
        connection: str,
        by_name: Lane,
        item: str,
        done: Drained,
        lines: Callable[[int], int],
        *,
        spare: bool = False,
    ) -> None:
        """One line, until nothing is due.  Where the server has no room for a ``spare`` one, that
        is no failure: what it had claimed is left to the other.
        """
        line: Line | None = None
        rest: list[Claim] = []
        mine: list[Claim] = []  # of the last batch, until all of it is known to be settled
        try:
            while not self._stop.is_set():
                # one is enough to wait for a turn with: others may take the rest meanwhile
                most = BATCH if line is not None else 1
                claims, rest = rest or await self._claim(by_name, item, done, most), []
                mine = claims
                if not claims:
                    break
                if line is None:
                    try:
                        line = await self._line(connection)
                    except PostroomError as error:
                        if spare:
                            break
                        error.facts.setdefault("connection", connection)
                        claims += await self._claim(by_name, item, done, BATCH - len(claims))
                        await self._unreachable(claims, by_name, error, done)
                        mine = []
                        raise
                    if line is None:
                        break
                    claims += await self._claim(by_name, item, done, BATCH - len(claims))
                rest = await line.submit(claims, by_name, done, lines(len(claims)))
                if not line.alive:
                    if self._on_lost is not None and isinstance(line.lost, WireError):
                        await self._on_lost(connection, line.lost)
                    await _close(line.transport)
                    line = None
                    if spare:
                        break
        finally:
            try:
                mine = [one for one in mine if line is None or one.id not in line.owed]
                await give_back(self._db, mine, by_name, owner=self._owner, owe=self._owe)
            finally:
                if line is not None:
                    await _close(line.transport)

    async def _line(self, connection: str) -> Line | None:
        """The open connection; None when this process is to stop: nobody waits for a slow server."""
        opening = asyncio.ensure_future(self._open(connection))
        stop = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait([opening, stop], return_when=asyncio.FIRST_COMPLETED)
            if not opening.done():
                opening.add_done_callback(_abandon)
                return None
        except asyncio.CancelledError:
            opening.add_done_callback(_abandon)
            raise
        finally:
            stop.cancel()
            opening.cancel()  # of no effect once it is open
        transport = opening.result()
        return Line(self._db, transport, owner=self._owner, stopping=self._stops, owe=self._owe)

    def _stops(self, service: str) -> bool:
        """Whether no further message of a service is to be begun: an operator holds it, or the end."""
        version = self._db.data_version()  # asked first: what is read then is at least as new
        if version != self._held_at:
            self._held, self._held_at = self._db.read_now(services.held_names), version
        return self._stop.is_set() or service in self._held

    async def _claim(self, by_name: Lane, item: str, done: Drained, most: int) -> list[Claim]:
        """Rows to send now; none: nothing more is due.  What is found in doubt is counted."""
        while most > 0:
            taken, parked = await self._db.write(lambda tx: self._take(tx, by_name, item, most))
            done.ambiguous += taken.doubted
            if parked:
                done.error = done.error or _not_tried(by_name)
            if taken.claims or not taken.doubted:
                return taken.claims
        return []

    def _take(self, tx: Tx, by_name: Lane, item: str, most: int) -> tuple[rows.Taken, bool]:
        """Rows of what may be sent over this connection now: it may have been held meanwhile; and
        whether something is parked instead."""
        now, known = timestamp(), services.sending(tx, by_name)
        by_name = {
            name: known[name]
            for name, service in by_name.items()
            if name in known and known[name].connection == service.connection
        }
        there = len(by_name)
        by_name = parking.may_go(tx, "outbox", by_name, now=now)
        parked = len(by_name) < there
        if not by_name:
            return rows.Taken([]), parked
        taken = rows.claim(
            tx,
            owner=self._owner,
            now=now,
            limit=most,
            item=item,
            services=by_name,
        )
        let = [
            one
            for name, service in by_name.items()
            for one in self._throttled(
                tx, name, service, now, [c for c in taken.claims if c.row["service"] == name]
            )
        ]
        return taken._replace(claims=let), parked

    def _throttled(
        self, tx: Tx, name: str, service: Service, now: float, taken: list[Claim]
    ) -> list[Claim]:
        """Those the throttle lets through now; the rest goes back with the time it will be let."""
        if service.throttle is None or not taken:
            return taken
        allowed, wait = take_tokens(
            tx,
            f"service:{name}",
            wanted=len(taken),
            most=service.throttle.max,
            per=service.throttle.seconds,
            now=now,
        )
        for one in taken[allowed:]:
            rows.put_back(tx, one, owner=self._owner, due_at=now + wait, now=now)
        return taken[:allowed]

    async def _unreachable(
        self,
        claims: list[Claim],
        by_name: Lane,
        error: PostroomError,
        done: Drained,
    ) -> None:
        """No connection: that is nobody's fault among the messages, so they wait and are tried again;
        after a refused sign-in so does what nobody has claimed."""

        def body(tx: Tx) -> None:
            now = timestamp()
            # a process that was taken for dead has lost some of them, and gives back the others
            for one in [each for each in claims if rows.OUTBOX.holds(tx, each, owner=self._owner)]:
                service = by_name[one.row["service"]]
                wait = rows.backoff(service.retry, one.row["attempts"] + 1)
                rows.put_back(
                    tx,
                    one,
                    owner=self._owner,
                    due_at=now + parking.wait_after(error, wait),
                    now=now,
                    said=error.kept(error.reason),
                    service=service,
                )
            parking.park(tx, "outbox", by_name, error, now=now)

        await self._db.write(body)
        done.deferred += len(claims)


def _not_tried(lane: Lane) -> PostroomError:
    """What is told of a lane for which no connection was opened."""
    connection = next(iter(lane.values())).connection
    hint = "Mend what it signs in with: an edit is tried at once."
    return SignInError(parking.PARKED, hint=hint, connection=connection)


def _next_due(tx: Tx, served: Sequence[str], item: str) -> float | None:
    now = timestamp()
    found = [
        queue.next_due(tx, now=now, names=served, item=item) for queue in (rows.OUTBOX, DOUBTS)
    ]
    return min((due for due in found if due is not None), default=None)


def _abandon(opening: asyncio.Future[Transport]) -> None:
    """Whatever was opened at the instant at which nobody wanted it any more."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().abandon()


async def _close(transport: Transport) -> None:
    with contextlib.suppress(PostroomError):
        await transport.close()
