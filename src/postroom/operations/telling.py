"""Telling people: look what has to be known, tell it once, tell when it is over; one process at a time."""

from __future__ import annotations

import asyncio
import builtins
import dataclasses
import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from typing import Any, Final, NamedTuple

from postroom.audit import Mac
from postroom.clock import monotonic, timestamp
from postroom.db import Claim, Row, Tx, workers
from postroom.errors import PostroomError
from postroom.log import about, logger
from postroom.net.dial import Policy
from postroom.notices import CAUSES, causes, lasting, plan, rows, store
from postroom.notices.causes import Found
from postroom.notices.notification import Cause, Notify
from postroom.notices.plan import Due
from postroom.notices.rows import DUTIES, Kept, Told
from postroom.notices.saying import Event, Notice
from postroom.notices.things import Things, of_notification
from postroom.operations import ears
from postroom.operations.audit import Audit
from postroom.operations.desk import Desk
from postroom.operations.ways import Ways

__all__ = ["Telling"]

ROUND_SECONDS: Final = 30.0
SELDOM: Final[Mapping[Cause, float]] = {"expiry": 600.0, "audit": 6 * 3600.0}
"""How often what is long is looked through: ten thousand credentials, whose days are counted, and the
record.  What others have found and told since then is theirs: an old look begins nothing, and ends
nothing."""
PING_SECONDS: Final = 60.0
"""How soon a ping that failed is tried again at first."""
EMAIL_SECONDS: Final = 15 * 60.0
"""An email of a notice that is not sent by then has told nobody."""
TELL_SECONDS: Final = 60.0
"""So long one notification is told of one thing after another in a round; the rest is for the next."""
HERE_SECONDS: Final = 45.0
"""How long this process sends an email itself, where no worker does."""
_log: Final = logger("notify")
_LOST: Final = ("failed", "ambiguous", "cancelled", "held")


Heard = Mapping[str, Mapping[str, Kept]]
"""The causes that each notification may tell, by its name and their key."""


class _Seen(NamedTuple):
    """The room as one look found it.

    ``found`` is what lasts of ``kinds``, which were looked through now; ``lasting`` are all causes that
    this process knows of, by their key, also those of an earlier look.
    """

    room: str
    found: builtins.list[Found]
    kinds: frozenset[str]
    lasting: Mapping[str, Found]
    notifications: builtins.list[Notify]
    savers: Mapping[str, str]
    things: Mapping[str, Things]


@dataclasses.dataclass(frozen=True, slots=True)
class _Round:
    """What one round tells by.  ``silent`` are ways that failed in it: of the next cause they are not
    asked again, which would take as long."""

    seen: _Seen
    heard: Heard
    here: bool
    silent: set[str] = dataclasses.field(default_factory=set)

    def ways(self, due: Due, before: Told) -> builtins.list[tuple[Notify, Kept]]:
        """The ways of what is due, and in which words each may tell it."""
        seen, key = self.seen, due.kept.key
        cause = seen.lasting.get(key)
        found = plan.ways(
            due.name,
            seen.notifications,
            seen.things,
            Things() if cause is None else cause.things,
            [one.things for one in seen.lasting.values() if one.broken],
            failed=before.failed,
        )
        # one that stands in may be of somebody for whom that is not there
        return [(one, kept) for one in found if (kept := self.heard[one.name].get(key))]


class Telling:
    """Tells people what they have to know."""

    def __init__(self, desk: Desk, mac: Mac | None, *, public_only: bool = False) -> None:
        self._desk = desk
        self._audit = Audit(desk, mac)
        self._ways = Ways(desk, policy=Policy(public_only=public_only))
        self._seldom: dict[Cause, builtins.list[Found]] = {}
        self._look_at: dict[Cause, float] = dict.fromkeys(SELDOM, 0.0)
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

        def noted(tx: Tx) -> builtins.list[Kept]:
            now = timestamp()
            DUTIES.guard(tx, claim, owner=self._desk.seat_owner or "")
            rows.merge(tx, seen.found, seen.kinds, gone=lasting.gone, now=now)
            rows.forget(tx, now=now)
            for kept in rows.listed(tx):
                for name, told in kept.told.items():
                    if told.item and (later := _followed(tx, told, now)) is not None:
                        rows.settle(tx, kept.key, name, later)
            return rows.listed(tx)

        kept = await self._desk.write(noted)
        for kind in SELDOM.keys() & seen.kinds:  # noted: until then the look counts for nothing
            self._look_at[kind] = monotonic() + SELDOM[kind]
        heard = await asyncio.to_thread(
            self._desk.db.read_now, lambda tx: self._heard(tx, seen, kept)
        )
        at = _Round(seen, heard, here)
        by_name: dict[str, builtins.list[Due]] = defaultdict(list)
        for each in plan.due(kept, seen.notifications, now=timestamp()):
            if each.kept.key in heard[each.name]:
                by_name[each.name].append(each)
        told = [self._tell_in_order(claim, at, each) for each in by_name.values()]
        for outcome in await asyncio.gather(*told, self._ping(seen), return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    # ------------------------------------------------------------------ look

    async def _look(self) -> _Seen:
        """In a thread: what is looked through may be long, and the other loops go on."""
        fresh = {kind for kind, at in self._look_at.items() if monotonic() >= at}
        if "audit" in fresh:
            problems = await asyncio.to_thread(self._audit.problems_now)
            self._seldom["audit"] = causes.audit_failure(problems)
        if "expiry" in fresh:
            everything = await asyncio.to_thread(
                self._desk.db.read_now, lambda tx: self._desk.credentials.all(tx, ending=True)
            )
            self._seldom["expiry"] = causes.ending(everything)
        return await asyncio.to_thread(self._desk.db.read_now, lambda tx: self._seen(tx, fresh))

    def _seen(self, tx: Tx, fresh: Set[Cause]) -> _Seen:
        resolver, now = self._desk.resolver(tx), timestamp()
        found = causes.at_work(tx, resolver, now=now)
        found += lasting.still(tx, resolver, rows.listed(tx), found, now=now)
        known = [each for every in self._seldom.values() for each in every]
        notifications = store.load_all(tx)
        return _Seen(
            room=rows.room_id(tx),
            found=[*found, *(each for each in known if each.kind in fresh)],
            kinds=frozenset(CAUSES) - SELDOM.keys() | fresh,
            lasting={each.key: each for each in (*known, *found)},
            notifications=notifications,
            savers={row["name"]: row["saved_by"] for row in store.rows(tx)},
            things={one.name: of_notification(tx, resolver, one) for one in notifications},
        )

    def _heard(self, tx: Tx, seen: _Seen, kept: Sequence[Kept]) -> Heard:
        return {
            one.name: ears.heard(self._desk, tx, one.name, seen.savers[one.name], kept)
            for one in seen.notifications
        }

    # ------------------------------------------------------------------ tell

    async def _tell_in_order(self, claim: Claim, at: _Round, wanted: Sequence[Due]) -> None:
        until = monotonic() + TELL_SECONDS
        for each in wanted:
            after = await self._tell(at, each) if monotonic() < until else None
            if after is None:
                continue

            def settled(tx: Tx, each: Due = each, after: Told = after) -> None:
                DUTIES.guard(tx, claim, owner=self._desk.seat_owner or "")
                rows.settle(tx, each.kept.key, each.name, after)

            await self._desk.write(settled)

    async def _tell(self, at: _Round, due: Due) -> Told | None:
        """Over the first way that takes it; gives how far that came.  None: the next round sees."""
        # what did not deliver this may deliver what comes after it
        same = (due.before.event, due.before.stage) == (due.event, due.kept.stage)
        before = due.before if same else Told(heard=due.before.heard, saver=due.before.saver)
        found = at.ways(due, before)
        now = timestamp()
        why = "every way to tell it shares something with what is broken, or did not deliver it"
        if found and all(one.name in at.silent for one, _ in found):
            return None
        for one, kept in found:
            if one.name in at.silent:
                continue
            notice = _notice(at.seen.room, due, kept)
            outcome = await self._ways.tell(one, notice, wait=HERE_SECONDS if at.here else 0.0)
            if outcome.ok:
                return Told(due.event, due.kept.stage, now, ok=True, heard=True, via=one.name,
                            why=outcome.said, item=outcome.item, failed=before.failed,
                            saver=at.seen.savers[due.name])  # fmt: skip
            at.silent.add(one.name)
            why = outcome.said
        _log.error(
            "nobody could be told over %s: %s (%s)", due.name, _said(due.kept, due.event), why,
            extra=about(notification=due.name, cause=due.kept.text("kind")),
        )  # fmt: skip
        return dataclasses.replace(
            before,
            event=due.event,
            stage=due.kept.stage,
            at=now,
            ok=False,
            via="",
            why=why,
            tries=before.tries + 1,
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


def _notice(room: str, due: Due, kept: Kept) -> Notice:
    """``kept`` says it in the words for those who hear it."""
    event = due.event
    whole = f"{room} {kept.key} {kept.since} {event} {kept.stage} {due.name}"
    return Notice(
        id=hashlib.sha256(whole.encode()).hexdigest()[:32],
        event=event,
        cause=kept.text("kind"),
        noun=kept.text("noun"),
        name=kept.text("name"),
        said=_said(kept, event),
        do=kept.text("do"),
        since=kept.since,
        room=room,
    )


def _said(kept: Kept, event: Event) -> str:
    return kept.text("over" if event == "over" else "said")


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
