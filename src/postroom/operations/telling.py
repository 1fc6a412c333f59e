"""Telling people: look what has to be known, tell it once, tell when it is over; one process at a time."""

from __future__ import annotations

import asyncio
import builtins
import dataclasses
import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from postroom.audit import Mac
from postroom.clock import monotonic, timestamp
from postroom.db import Claim, Row, Tx, workers
from postroom.errors import PostroomError
from postroom.log import about, logger
from postroom.net.dial import Policy
from postroom.notices import causes, plan, rows, store
from postroom.notices.causes import Found
from postroom.notices.notification import Notify
from postroom.notices.plan import Due
from postroom.notices.rows import DUTIES, Kept, Told
from postroom.notices.saying import Notice
from postroom.notices.things import Things, of_notification
from postroom.operations.audit import Audit
from postroom.operations.desk import Desk
from postroom.operations.ways import Ways

__all__ = ["Telling"]

ROUND_SECONDS: Final = 30.0
ENDS_SECONDS: Final = 600.0
"""How often credentials are looked through: there may be ten thousand, and days are counted."""
AUDIT_SECONDS: Final = 6 * 3600.0
PING_SECONDS: Final = 60.0
"""How soon a ping that failed is tried again at first."""
EMAIL_SECONDS: Final = 15 * 60.0
"""An email of a notice that is not sent by then has told nobody."""
HERE_SECONDS: Final = 45.0
"""How long this process sends an email itself, where no worker does."""
_log: Final = logger("notify")
_LOST: Final = ("failed", "ambiguous", "cancelled", "held")


class _Seen(NamedTuple):
    """The room as one look found it."""

    room: str
    found: builtins.list[Found]
    notifications: builtins.list[Notify]
    things: Mapping[str, Things]


class Telling:
    """Tells people what they have to know."""

    def __init__(self, desk: Desk, mac: Mac | None, *, public_only: bool = False) -> None:
        self._desk = desk
        self._audit = Audit(desk, mac)
        self._ways = Ways(desk, policy=Policy(public_only=public_only))
        self._ends: tuple[float, builtins.list[Found]] | None = None
        self._problems: tuple[float, builtins.list[str]] | None = None
        self._pings: dict[str, tuple[float, int]] = {}

    async def keep(self, *, here: bool = False) -> None:
        """Tell until this is cancelled.  ``here``: by a process that is no worker, which sends the
        emails of notices itself while no worker lives.
        """
        while True:
            try:
                await self.round(here=here and not await self._workers())
            except PostroomError as error:  # a full disk, a busy room, a lost claim: the next round
                _log.warning("notices: %s", error)
            except Exception:  # noqa: BLE001  # whoever collects and sends beside it goes on
                _log.exception("notices: a round ended")
            await asyncio.sleep(ROUND_SECONDS)

    async def check(self) -> dict[str, Any]:
        """Look now; where no worker lives, tell from this process what a dead worker cannot.

        Gives ``workers``, how many live, and the ``notices`` as :meth:`Notify.notices` does.
        """
        if self._desk.locked is not None:
            raise self._desk.locked
        seat = await self._desk.seat()
        await seat.remove_dead()
        count = await self._workers()
        if not count:
            await self._desk.write(
                lambda tx: tx.execute("UPDATE duties SET due_at = 0 WHERE owner IS NULL")
            )
            await self.round(here=True)
        kept = await self._desk.db.read(rows.listed)
        return {"workers": count, "notices": [one.as_json() for one in kept]}

    async def _workers(self) -> int:
        return await self._desk.db.read(lambda tx: len(workers(tx, now=timestamp())))

    async def round(self, *, here: bool = False) -> bool:
        """Look and tell once; False where another process does it, or did a moment ago."""
        seat = await self._desk.seat()
        now = timestamp()
        claimed = await self._desk.write(
            lambda tx: DUTIES.claim(tx, owner=seat.owner, now=now, limit=1)
        )
        if not claimed:
            return False
        try:
            await self._round(claimed[0], here)
        finally:
            await self._desk.write(
                lambda tx: DUTIES.release(
                    tx, claimed[0], owner=seat.owner, due_at=timestamp() + ROUND_SECONDS / 2
                )
            )
        return True

    async def _round(self, claim: Claim, here: bool) -> None:
        seen = await self._look()
        kinds = {"expiry", "sign-in", "source", "ledger", "outbox", "worker"}
        kinds |= {"audit"} if self._problems is not None else builtins.set()

        def noted(tx: Tx) -> builtins.list[Kept]:
            now = timestamp()
            DUTIES.guard(tx, claim, owner=self._desk.seat_owner or "")
            rows.merge(tx, seen.found, kinds, now=now)
            rows.forget(tx, now=now)
            for kept in rows.listed(tx):
                for name, told in kept.told.items():
                    if told.item and (later := _followed(tx, told, now)) is not None:
                        rows.settle(tx, kept.key, name, later)
            return rows.listed(tx)

        wanted = plan.due(await self._desk.write(noted), seen.notifications, now=timestamp())
        by_name: dict[str, builtins.list[Due]] = defaultdict(list)
        for each in wanted:
            by_name[each.name].append(each)
        told = [self._tell_in_order(claim, seen, each, here) for each in by_name.values()]
        for outcome in await asyncio.gather(*told, self._ping(seen), return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    # ------------------------------------------------------------------ look

    async def _look(self) -> _Seen:
        """In a thread: what is looked through may be long, and the other loops go on."""
        if self._problems is None or monotonic() > self._problems[0] + AUDIT_SECONDS:
            self._problems = (monotonic(), await asyncio.to_thread(self._audit.problems_now))
        if self._ends is None or monotonic() > self._ends[0] + ENDS_SECONDS:
            everything = await asyncio.to_thread(
                self._desk.db.read_now, lambda tx: self._desk.credentials.all(tx, ending=True)
            )
            self._ends = (monotonic(), causes.ending(everything))
        beside = [*self._ends[1], *causes.audit_failure(self._problems[1])]
        return await asyncio.to_thread(self._desk.db.read_now, lambda tx: self._seen(tx, beside))

    def _seen(self, tx: Tx, beside: Sequence[Found]) -> _Seen:
        resolver = self._desk.resolver(tx)
        notifications = store.load_all(tx)
        return _Seen(
            room=rows.room_id(tx),
            found=[*beside, *causes.at_work(tx, resolver, now=timestamp())],
            notifications=notifications,
            things={one.name: of_notification(tx, resolver, one) for one in notifications},
        )

    # ------------------------------------------------------------------ tell

    async def _tell_in_order(
        self, claim: Claim, seen: _Seen, wanted: Sequence[Due], here: bool
    ) -> None:
        for each in wanted:
            after = await self._tell(seen, each, here)

            def settled(tx: Tx, each: Due = each, after: Told = after) -> None:
                DUTIES.guard(tx, claim, owner=self._desk.seat_owner or "")
                rows.settle(tx, each.kept.key, each.name, after)

            await self._desk.write(settled)

    async def _tell(self, seen: _Seen, due: Due, here: bool) -> Told:
        """Over the first way that takes it; gives how far that came."""
        lasting = {one.key: one for one in seen.found}
        cause = lasting.get(due.kept.key)
        found = plan.ways(
            due.name,
            seen.notifications,
            seen.things,
            Things() if cause is None else cause.things,
            [one.things for one in seen.found if one.broken],
            failed=due.before.failed,
        )
        notice, now = _notice(seen.room, due), timestamp()
        why = "every way to tell it shares something with what is broken, or did not deliver it"
        for one in found:
            outcome = await self._ways.tell(one, notice, wait=HERE_SECONDS if here else 0.0)
            if outcome.ok:
                return Told(due.event, due.kept.stage, now, ok=True, heard=True, via=one.name,
                            why=outcome.said, item=outcome.item, failed=due.before.failed)  # fmt: skip
            why = outcome.said
        _log.error(
            "nobody could be told over %s: %s (%s)", due.name, notice.said, why,
            extra=about(notification=due.name, cause=notice.cause),
        )  # fmt: skip
        return dataclasses.replace(
            due.before,
            event=due.event,
            at=now,
            ok=False,
            via="",
            why=why,
            tries=due.before.tries + 1,
        )

    async def _ping(self, seen: _Seen) -> None:
        used = {row["name"]: row["used_at"] for row in await self._desk.db.read(store.rows)}
        for one in seen.notifications:
            again_at, tries = self._pings.get(one.name, (0.0, 0))
            if one.every is None or timestamp() < max(
                (used.get(one.name) or 0.0) + one.every, again_at
            ):
                continue
            now = timestamp()
            notice = Notice(f"ping-{int(now)}", "ping", "ping", "notification", one.name,
                            "The room is alive.", "", now, seen.room)  # fmt: skip
            outcome = await self._ways.tell(one, notice)
            wait = min(PING_SECONDS * 2 ** min(tries, 12), one.every)
            self._pings[one.name] = (0.0, 0) if outcome.ok else (now + wait, tries + 1)


def _notice(room: str, due: Due) -> Notice:
    kept, event = due.kept, due.event
    whole = f"{room} {kept.key} {kept.since} {event} {kept.stage} {due.name}"
    return Notice(
        id=hashlib.sha256(whole.encode()).hexdigest()[:32],
        event=event,
        cause=kept.text("kind"),
        noun=kept.text("noun"),
        name=kept.text("name"),
        said=kept.text("over" if event == "over" else "said"),
        do=kept.text("do"),
        since=kept.since,
        room=room,
    )


def _followed(tx: Tx, told: Told, now: float) -> Told | None:
    """What is known of its email now; None: nothing new."""
    row: Row | None = tx.one("SELECT state, reason FROM outbox WHERE id = :id", id=told.item)
    if row is None or row["state"] == "sent":
        return dataclasses.replace(told, item="", ok=True, heard=True)
    lost = row["state"] in _LOST
    if told.via in told.failed or not (lost or now - told.at > EMAIL_SECONDS):
        return None
    why = f"its email is {row['state']} in the outbox, as {told.item}"
    return dataclasses.replace(
        told, ok=False, heard=told.event != "began", at=0.0, why=why,
        failed=(*told.failed, told.via), item="" if lost else told.item,
    )  # fmt: skip
