"""Operations on the outbox: what an operator may see of stored messages and do with them."""

from __future__ import annotations

import builtins
import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from postroom.db import Tx
from postroom.errors import NotThere, Refused, RoomError
from postroom.operations.attendance import Attendance, known_service
from postroom.operations.desk import Desk, check_states, instant
from postroom.operations.page import Page, check_page
from postroom.operations.sight import hidden_services, sees
from postroom.operations.untold import item_told, told
from postroom.services import finding, ofrun, outbox, parking
from postroom.services.contents import content_of
from postroom.services.finding import Found, Wanted, lines
from postroom.services.held import AT_ONCE, shift_held
from postroom.services.outbox import Item
from postroom.services.states import ASKING, FOLLOWS

if TYPE_CHECKING:
    from postroom.operations import models

__all__ = ["Outbox", "OutboxPage"]


class OutboxPage(Page[Item]):
    """A page of the outbox.

    ``total`` is how many items there are on all pages; ``unsettled`` is how many of the service (of
    all, where none was asked for) failed or are in doubt, and nobody has settled them.
    """

    next: str | None
    total: int
    unsettled: int

    def __init__(self, found: Found) -> None:
        super().__init__(found.items, next=found.next)
        self.total = found.total
        self.unsettled = found.unsettled


class Outbox:
    """What an operator may do with stored messages."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def list(
        self,
        *,
        service: str | None = None,
        states: Sequence[str] = (),
        to: str = "",
        from_: str = "",
        message_id: str = "",
        since: str | None = None,
        before: str | None = None,
        unsettled: bool = False,
        run: str = "",
        after: str | None = None,
        oldest: bool = False,
        limit: int = 50,
    ) -> OutboxPage:
        """The items that meet all that is given: a page of them, newest first.

        ``to`` and ``from_`` (the envelope's sender) are an address or a part of one, ``since`` and
        ``before`` when a message was stored: a duration back from now (``1h``, ``5d``), a date or an
        instant.  ``unsettled``: only what failed or is in doubt and nobody has settled.  ``run``:
        what that run has sent, by its id or the beginning of it.  The page's ``next`` is what to give
        as ``after`` for the next one, its ``total`` counts all pages.

        Raises InvalidValue, and NotThere for a service that there is not.
        """
        check_states(states, FOLLOWS)
        check_page(limit, after)
        wanted = Wanted(
            states=states,
            to=to.strip(),
            sender=from_.strip(),
            message_id=f"<{message_id.strip().strip('<>')}>" if message_id else "",
            since=instant("since", since),
            before=instant("before", before),
            unsettled=unsettled,
            run=run.strip(),
        )

        def body(tx: Tx) -> Found:
            exact = known_service(tx, service) if service else None
            meant = dataclasses.replace(wanted, service=exact, hidden=hidden_services(tx))
            page = finding.find(tx, meant, after=after or "", oldest=oldest, limit=limit)
            return page._replace(items=[item_told(self._desk, one) for one in page.items])

        return OutboxPage(await self._desk.db.read(body))

    async def waiting(self, service: str | None = None, *, under_runs: bool = False) -> int:
        """How many messages are sent as soon as they are due; held ones do not count.

        ``under_runs``: instead, how many go when the runs that hold them are over.  Raises NotThere for
        a service that there is not.
        """

        def body(tx: Tx) -> int:
            exact = known_service(tx, service) if service else None
            if exact and not sees(tx, exact):
                return 0
            hidden = [] if exact else hidden_services(tx)
            if under_runs:
                return ofrun.waiting(tx, exact) - sum(ofrun.waiting(tx, one) for one in hidden)
            states = outbox.waiting(tx, exact)
            due = finding.due_by_service(tx) if hidden else {}
            those = sum(due.get(one, 0) for one in hidden)
            return sum(states.get(state, 0) for state in ("queued", "deferred")) - those

        return await self._desk.db.read(body)

    async def unattended(
        self, service: str | None = None, *, roles: Sequence[str] | None = None
    ) -> builtins.list[models.Unattended]:
        """Each service (None: of all) with mail to send and no worker that is at it: ``service``, how
        many are ``waiting``, and a ``note`` that says what to do.

        ``roles``: where, instead, a process of these roles may not send it.
        """

        def body(tx: Tx) -> builtins.list[dict[str, Any]]:
            exact = known_service(tx, service) if service else None
            return Attendance(self._desk, tx).unattended(exact, roles=roles)

        return await self._desk.db.read(body)

    async def show(self, item: str) -> Item:
        """One item by its id or the beginning of it.  Raises NotThere."""
        return await self._desk.db.read(lambda tx: item_told(self._desk, _shown(tx, item)))

    async def attempts(self, item: str) -> builtins.list[models.Attempt]:
        """Every attempt that was made for an item."""

        def body(tx: Tx) -> builtins.list[dict[str, Any]]:
            found = outbox.attempts(tx, _shown(tx, item).id)
            return [{**one, "said": told(self._desk, one["said"])} for one in found]

        return await self._desk.db.read(body)

    async def content(self, item: str) -> bytes:
        """The exact bytes of an item.  Raises NotThere once they were removed."""

        def body(tx: Tx) -> bytes | None:
            return content_of(tx, _shown(tx, item).id)

        found = await self._desk.db.read(body)
        if found is None:
            raise NotThere(
                f"The content of outbox item {item} has been removed.",
                hint="It is kept for 7 days after a message is finished.",
            )
        return found

    async def hold(self, item: str) -> Item:
        """Keep a waiting message back."""
        return await _shift(self._desk, item, "hold", "held", "held by an operator")

    async def release(self, item: str) -> Item:
        """Let a held message go.  Raises Refused while a run holds it that is not over."""
        return await _shift(self._desk, item, "release", "queued", "", only=("held",))

    async def retry(self, item: str) -> Item:
        """Try a failed, deferred or ambiguous message again, for those who have not got it.

        After a refused sign-in too: whoever asks for that wants it tried now.
        """
        only = ("failed", "deferred", "ambiguous")
        return await _shift(self._desk, item, "retry", "queued", "", only=only)

    async def cancel(self, item: str) -> Item:
        """Take a message out of the queue for good."""
        return await _shift(self._desk, item, "cancel", "cancelled", "cancelled by an operator")

    async def settle(self, items: Sequence[str]) -> builtins.list[Item]:
        """Say that somebody has dealt with messages that failed or are in doubt: all or none of them.

        They stay as they are, with who said so and when, and are no longer counted as unsettled;
        a message that is tried again is open again.  Raises NotThere and Refused.
        """

        def body(tx: Tx) -> builtins.list[Item]:
            return [_settle(self._desk, tx, _shown(tx, item)) for item in items]

        return await self._desk.write(body)

    async def settle_all(self, *, service: str | None = None, before: str | None = None) -> int:
        """As :meth:`settle`, all of a service (None: of every one) that were stored ``before`` then.

        Gives how many there were.
        """
        until = instant("before", before)

        def body(tx: Tx) -> int:
            exact = known_service(tx, service) if service else None
            hidden = hidden_services(tx)
            wanted = Wanted(service=exact, before=until, unsettled=True, hidden=hidden)
            found = finding.find(tx, wanted, oldest=True, limit=AT_ONCE)
            return len([_settle(self._desk, tx, item) for item in found.items])

        return await _in_turns(self._desk, body, "settled")

    async def release_held(self, *, service: str | None = None, restored: bool = False) -> int:
        """Let every held message of a service (None: of all) go; gives how many.

        ``restored``: only those that a restore holds, not what somebody held before.  What runs hold
        that are not over stays: see :meth:`waiting`.
        """
        return await _shift_held(self._desk, "release", "queued", "", service, restored=restored)

    async def cancel_held(self, *, service: str | None = None, restored: bool = False) -> int:
        """Take every held message of a service out of the queue for good, as :meth:`release_held`.

        Of a service that is held itself, also what waits: a mass of mail that is not to be sent.
        """
        why = "cancelled by an operator"
        return await _shift_held(self._desk, "cancel", "cancelled", why, service, restored=restored)


async def _shift_held(
    desk: Desk, verb: str, state: str, reason: str, service: str | None, *, restored: bool
) -> int:
    def body(tx: Tx) -> int:
        ids = shift_held(
            tx, state, reason=reason, service=known_service(tx, service) if service else None,
            restored=restored, waiting=verb == "cancel", hidden=hidden_services(tx),
        )  # fmt: skip
        if ids:
            desk.record(tx, verb, "outbox", service or "every service", items=ids)
        return len(ids)

    return await _in_turns(desk, body, "let go" if verb == "release" else "cancelled")


async def _in_turns(desk: Desk, body: Callable[[Tx], int], done_is: str) -> int:
    """Do some at a time until none is left, so that nobody waits for long; gives how many.

    What stops it half-way says how far it came: each turn that was done is done for good.
    """
    done = 0
    try:
        while found := await desk.write(body):
            done += found
    except RoomError as error:
        if not done:
            raise
        many = "1 message was" if done == 1 else f"{done:,} messages were"
        raise RoomError(
            f"{many} {done_is}, and the others were not. {error.sentence}",
            code=error.code,
            temporary=error.temporary,
            hint=f"{error.hint} The same command goes on where it stopped.".strip(),
            done=done,
        ) from error
    return done


async def _shift(
    desk: Desk, item: str, verb: str, state: str, reason: str, *, only: Sequence[str] = ()
) -> Item:
    def body(tx: Tx) -> Item:
        before = _shown(tx, item)
        if state == "queued":
            ofrun.check_over(tx, before.id)
        if only and before.state not in only:
            raise Refused(
                f"Outbox item {before.id} is {before.state}; {verb} is for what is "
                f"{' or '.join(only)}."
            )
        found = outbox.shift(tx, item, state, reason=reason)
        if verb == "retry":
            parking.leave(tx, found.service)
        desk.record(tx, verb, "outbox", found.id, service=found.service)
        return item_told(desk, found)

    return await desk.write(body)


def _shown(tx: Tx, item: str) -> Item:
    """One item, if what it is sent through is there for whoever asks; else as one that is not."""
    found = outbox.show(tx, item, hidden=lambda tx: lines(hidden_services(tx)))
    if not sees(tx, found.service):
        raise NotThere(f"There is no outbox item {item!r}.", hint="List them: postroom outbox list")
    return found


def _settle(desk: Desk, tx: Tx, item: Item) -> Item:
    """Once: who has settled it stays who did."""
    if item.state not in ASKING or not item.finished:
        busy = "; it is still looked for" if item.state in ASKING else ""
        raise Refused(
            f"Outbox item {item.id} is {item.state}{busy}: settle is for what failed, or is in doubt "
            "for good."
        )
    if item.settled is None:
        desk.record(tx, "settle", "outbox", item.id, service=item.service, state=item.state)
    return item_told(desk, outbox.show(tx, item.id))
