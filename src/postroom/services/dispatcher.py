"""The dispatcher: claims outbox rows of one connection, submits them, settles each as it is known."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Awaitable, Callable, Sequence

from postroom.clock import timestamp
from postroom.db import Claim, Database, Tx, take_tokens
from postroom.errors import PostroomError, Refused
from postroom.protocols.base import Envelope, Outcome, Submission, Transport
from postroom.services import service as services
from postroom.services import settle as rows
from postroom.services.outbox import StoredContent
from postroom.services.service import Service

__all__ = ["Dispatcher", "Drained"]

BATCH = 100
"""Rows claimed at a time: enough to keep a pipeline full, few enough to leave work to others."""

OpenTransport = Callable[[str], Awaitable[Transport]]
"""Opens the outgoing side of a connection by name (or ``credential:NAME``); raises WireError."""


@dataclasses.dataclass(slots=True)
class Drained:
    """What one pass did, and when the next row is due (seconds since 1970, None: nothing waits)."""

    sent: int = 0
    deferred: int = 0
    failed: int = 0
    ambiguous: int = 0
    next_due: float | None = None
    error: PostroomError | None = None

    @property
    def settled(self) -> int:
        """How many rows were tried."""
        return self.sent + self.deferred + self.failed + self.ambiguous


class Dispatcher:
    """Sends what is due.  ``owner`` is the seat of this process; several may run beside each other."""

    def __init__(self, db: Database, *, owner: str, open_transport: OpenTransport) -> None:
        self._db = db
        self._owner = owner
        self._open = open_transport

    async def drain(
        self,
        names: Sequence[str] | None = None,
        *,
        item: str = "",
        roles: Sequence[str] = (),
    ) -> Drained:
        """Send everything that is due now, of these services (None: all), or one ``item``.

        Never raises for what a server does: that is in the rows, and the first error in the result.
        """
        done = Drained()
        lanes = await self._lanes(names, roles)
        for connection, group in lanes.items():
            try:
                await self._lane(connection, group, item, done)
            except PostroomError as error:
                done.error = done.error or error
        served = ",".join(name for group in lanes.values() for name in group)
        done.next_due = await self._db.read(
            lambda tx: rows.OUTBOX.next_due(tx, now=timestamp(), services=f",{served},", item=item)
        )
        return done

    async def _lanes(
        self, names: Sequence[str] | None, roles: Sequence[str]
    ) -> dict[str, dict[str, Service]]:
        """The services to serve, by the connection they share, so that it is opened once."""
        wanted = None if names is None else {name.casefold() for name in names}
        lanes: dict[str, dict[str, Service]] = {}
        for name, one in (await self._db.read(_services)).items():
            if wanted is not None and name.casefold() not in wanted:
                continue
            if one.worker_roles and not set(one.worker_roles) & set(roles):
                continue
            lanes.setdefault(one.connection, {})[name] = one
        return lanes

    async def _lane(
        self, connection: str, by_name: dict[str, Service], item: str, done: Drained
    ) -> None:
        transport: Transport | None = None
        try:
            while claims := await self._claim(by_name, item):
                try:
                    transport = transport or await self._open(connection)
                except PostroomError as error:
                    await self._unreachable(claims, by_name, error, done)
                    raise
                if not await self._submit(transport, claims, by_name, done):
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
    ) -> bool:
        """Submit a batch; gives whether the transport can be used for another one."""
        by_id = {one.id: one for one in claims}
        submissions, waiting = await self._submissions(claims)
        alive = True
        # not awaited one by one: the settling of one row and the marking of the next share a commit
        settling: list[asyncio.Task[None]] = []
        try:
            async for outcome in transport.submit(submissions):
                one = by_id[outcome.id]
                alive = alive and outcome.error is None
                settling.append(
                    asyncio.create_task(
                        self._settle(
                            one, outcome, waiting[one.id], by_name[one.row["service"]], done
                        )
                    )
                )
        except BaseException:
            transport.abandon()
            raise
        finally:
            await asyncio.gather(*settling)
        return alive

    async def _submissions(
        self, claims: list[Claim]
    ) -> tuple[list[Submission], dict[str, dict[str, int]]]:
        def body(tx: Tx) -> tuple[list[Submission], dict[str, dict[str, int]]]:
            found, waiting = [], {}
            for one in claims:
                to = {row["address"]: row["position"] for row in rows.open_recipients(tx, one.id)}
                waiting[one.id] = to
                found.append(
                    Submission(
                        id=one.id,
                        envelope=Envelope(one.row["sender"], tuple(to)),
                        content=StoredContent(self._db, one.id, one.row["size"]),
                        before_data=self._marker(one),
                        utf8=bool(one.row["utf8"]),
                    )
                )
            return found, waiting

        return await self._db.read(body)

    def _marker(self, one: Claim) -> Callable[[], Awaitable[None]]:
        async def mark() -> None:
            await self._db.write(
                lambda tx: rows.mark_submitting(tx, one, owner=self._owner, now=timestamp())
            )

        return mark

    async def _settle(
        self,
        one: Claim,
        outcome: Outcome,
        waiting: dict[str, int],
        service: Service,
        done: Drained,
    ) -> None:
        decisions = rows.decide(outcome, waiting)
        wait = rows.backoff(service.retry, one.row["attempts"] + 1)

        def body(tx: Tx) -> str:
            now = timestamp()
            return rows.settle(
                tx, one, decisions, owner=self._owner, now=now, due_at=now + wait, service=service
            )

        try:
            state = await self._db.write(body)
        except Refused as error:
            if error.code != "claim_lost":
                raise
            return  # this process was taken for dead; whoever took over has already settled it
        setattr(done, state, getattr(done, state) + 1)
        if outcome.error is not None and isinstance(outcome.error, PostroomError):
            done.error = done.error or outcome.error


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
