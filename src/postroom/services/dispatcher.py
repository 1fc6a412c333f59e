"""The dispatcher: claims outbox rows of one connection, submits them, settles each as it is known."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence

from postroom.clock import timestamp
from postroom.db import Claim, Database, Tx, take_tokens
from postroom.errors import PostroomError, Refused, WireError
from postroom.protocols.base import Envelope, Submission, Transport
from postroom.services import outbox
from postroom.services import service as services
from postroom.services import settle as rows
from postroom.services.marking import Marks
from postroom.services.service import Service
from postroom.services.settling import Drained, Settler

__all__ = ["Dispatcher", "Drained"]

BATCH = 100
"""Rows claimed at a time: enough to keep a pipeline full, few enough to leave work to others."""
HELD = 1 << 20
"""Bytes of contents that are read together with the claims of a batch."""

RolesOf = Callable[[Tx, str], Sequence[str]]
"""The worker roles that the connection of a service asks for (empty: none)."""

OnLost = Callable[[str, WireError], Awaitable[None]]
"""Hears of what went wrong on a connection after it was opened."""

OpenTransport = Callable[[str], Awaitable[Transport]]
"""Opens the outgoing side of a connection by name (or ``credential:NAME``); raises WireError."""


class Dispatcher:
    """Sends what is due.  ``owner`` is the seat of this process; several may run beside each other."""

    def __init__(
        self,
        db: Database,
        *,
        owner: str,
        open_transport: OpenTransport,
        roles_of: RolesOf = lambda tx, connection: (),
        on_lost: OnLost | None = None,
    ) -> None:
        self._db = db
        self._owner = owner
        self._open = open_transport
        self._roles_of = roles_of
        self._on_lost = on_lost
        self._stopping = False

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
            self._stopping = True
            await asyncio.wait([draining])
            raise

    async def _drain(self, names: Sequence[str] | None, item: str, roles: Sequence[str]) -> Drained:
        done = Drained()
        lanes = await self._lanes(names, roles)

        async def lane(connection: str, group: dict[str, Service]) -> None:
            try:
                await self._lane(connection, group, item, done)
            except PostroomError as error:
                done.error = done.error or error

        # beside each other: a server that does not answer holds up nobody else's messages
        await asyncio.gather(*(lane(*each) for each in lanes.items()))
        served = ",".join(name for group in lanes.values() for name in group)
        done.next_due = await self._db.read(
            lambda tx: rows.OUTBOX.next_due(tx, now=timestamp(), services=f",{served},", item=item)
        )
        return done

    def _services(self, tx: Tx) -> dict[str, tuple[Service, Sequence[str]]]:
        return {
            name: (one, self._roles_of(tx, one.connection)) for name, one in _services(tx).items()
        }

    async def _lanes(
        self, names: Sequence[str] | None, roles: Sequence[str]
    ) -> dict[str, dict[str, Service]]:
        """The services to serve, by the connection they share, so that it is opened once."""
        wanted = None if names is None else {name.casefold() for name in names}
        lanes: dict[str, dict[str, Service]] = {}
        for name, (one, connection_roles) in (await self._db.read(self._services)).items():
            if wanted is not None and name.casefold() not in wanted:
                continue
            if any(
                needed and not set(needed) & set(roles)
                for needed in (one.worker_roles, connection_roles)
            ):
                continue
            lanes.setdefault(one.connection, {})[name] = one
        return lanes

    async def _lane(
        self, connection: str, by_name: dict[str, Service], item: str, done: Drained
    ) -> None:
        transport: Transport | None = None
        try:
            while not self._stopping and (claims := await self._claim(by_name, item)):
                try:
                    transport = transport or await self._open(connection)
                except PostroomError as error:
                    await self._unreachable(claims, by_name, error, done)
                    raise
                lost = await self._submit(transport, claims, by_name, done)
                if lost is not None:
                    if self._on_lost is not None and isinstance(lost, WireError):
                        await self._on_lost(connection, lost)
                    await _close(transport)
                    transport = None
        finally:
            if transport is not None:
                await _close(transport)

    async def _claim(self, by_name: dict[str, Service], item: str) -> list[Claim]:
        def body(tx: Tx) -> list[Claim]:
            now = timestamp()
            taken = rows.claim(
                tx,
                owner=self._owner,
                now=now,
                limit=BATCH,
                item=item,
                services=f",{','.join(by_name)},",
            )
            return [
                one
                for name, service in by_name.items()
                for one in self._throttled(
                    tx, name, service, now, [c for c in taken if c.row["service"] == name]
                )
            ]

        return await self._db.write(body)

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
        by_name: dict[str, Service],
        error: PostroomError,
        done: Drained,
    ) -> None:
        """No connection: that is nobody's fault among the messages, so they wait and are tried again."""

        def body(tx: Tx) -> None:
            now = timestamp()
            for one in claims:
                service = by_name[one.row["service"]]
                wait = rows.backoff(service.retry, one.row["attempts"] + 1)
                rows.put_back(
                    tx,
                    one,
                    owner=self._owner,
                    due_at=now + wait,
                    now=now,
                    said=error.sentence,
                    service=service,
                )

        await self._db.write(body)
        done.deferred += len(claims)

    async def _submit(
        self,
        transport: Transport,
        claims: list[Claim],
        by_name: dict[str, Service],
        done: Drained,
    ) -> Exception | None:
        """Submit a batch; gives why the transport cannot be used for another one, or None."""
        by_id = {one.id: one for one in claims}
        marks = Marks(self._db, claims, owner=self._owner)
        submissions, waiting = await self._submissions(claims, marks)
        lost: Exception | None = None
        settler = Settler(self._db, done, owner=self._owner)
        try:
            async for outcome in transport.submit(submissions):
                lost = lost or outcome.error
                if self._stopping and outcome.state == "untouched":
                    continue
                one = by_id.pop(outcome.id)
                settler.add(one, outcome, waiting[one.id], by_name[one.row["service"]])
        except BaseException:
            transport.abandon()
            raise
        finally:
            try:
                await asyncio.gather(marks.finish(), settler.finish())
            finally:
                await self._give_back(list(by_id.values()))
        return lost

    async def _give_back(self, claims: Sequence[Claim]) -> None:
        """Claims of which nothing is known: free again, or in doubt if DATA may have begun."""

        def body(tx: Tx) -> None:
            for one in claims:
                rows.give_back(tx, one, owner=self._owner, now=timestamp())

        if claims:
            await self._db.write(body)

    def _unless_stopping(
        self, mark: Callable[[], Awaitable[None]]
    ) -> Callable[[], Awaitable[None]]:
        async def marked() -> None:
            if self._stopping:
                raise Refused("This process is about to end.", temporary=True)
            await mark()

        return marked

    async def _submissions(
        self, claims: list[Claim], marks: Marks
    ) -> tuple[list[Submission], dict[str, dict[str, int]]]:
        def body(tx: Tx) -> tuple[list[Submission], dict[str, dict[str, int]]]:
            found, waiting = [], {}
            room = HELD
            for one in claims:
                size = one.row["size"]
                room -= size
                held = outbox.content_of(tx, one.id) if room >= 0 else None
                to = {row["address"]: row["position"] for row in rows.open_recipients(tx, one.id)}
                waiting[one.id] = to
                found.append(
                    Submission(
                        id=one.id,
                        envelope=Envelope(one.row["sender"], tuple(to)),
                        content=outbox.StoredContent(self._db, one.id, size, held),
                        before_data=self._unless_stopping(marks.marker(one)),
                        utf8=bool(one.row["utf8"]),
                    )
                )
            return found, waiting

        return await self._db.read(body)


def _services(tx: Tx) -> dict[str, Service]:
    """Every service that is not held, by name, and the implicit ones that have messages waiting."""
    held = {row["name"] for row in tx.all("SELECT name FROM services WHERE held = 1")}
    found = {one.name: one for one in services.load_all(tx) if one.name not in held}
    for row in tx.all(
        "SELECT DISTINCT service FROM outbox WHERE finished_at IS NULL AND service LIKE '%:%'"
    ):
        found[row["service"]] = services.implicit(row["service"])
    return found


async def _close(transport: Transport) -> None:
    with contextlib.suppress(PostroomError):
        await transport.close()
