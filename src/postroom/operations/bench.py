"""The bench: what a command works with, made for a run or for one command on its own."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from postroom.connections import store as connections
from postroom.connections.boxed import in_mailbox
from postroom.connections.direct import DIRECT
from postroom.errors import InvalidValue, PostroomError
from postroom.operations.email import Email
from postroom.operations.outgoing import route_of
from postroom.operations.reads import reads_from
from postroom.services import service as services

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from postroom.connections.mailbox import Mailbox
    from postroom.db import Tx
    from postroom.mail import Draft
    from postroom.operations.desk import Desk
    from postroom.services.outbox import Item

__all__ = ["Workbench"]

IDLE_SECONDS: Final = 20.0
"""After so long without use a mailbox is asked whether it is still there: servers and whatever stands
in between end what is quiet."""


class Workbench:
    """The bench of an opened room (see :class:`postroom.jobs.commands.Bench`).

    ``async with Workbench(desk) as bench``: mailboxes are opened once and closed at the end.
    ``stored`` has the ids of what it left in the outbox, also when a command ended in an error.
    """

    def __init__(
        self, desk: Desk, *, base: Path | None = None, message: bytes | None = None,
        patient: bool = False, run: str = "", run_epoch: int | None = None,
    ) -> None:  # fmt: skip
        """``base`` is where relative paths begin (the working directory); ``patient``: nobody sits
        and waits for it, so it stands in line where a server takes only so many.  What is stored is
        held under ``run``, by the attempt whose claim has ``run_epoch``.
        """
        self.base = base or Path()
        self.message = message
        self.stored: list[str] = []
        self._later: list[Callable[[], Awaitable[None]]] = []
        self.following: list[tuple[str, dict[str, Any]]] = []
        self._desk = desk
        self._email = Email(desk)
        self._patient = patient
        self._run = run
        self._run_epoch = run_epoch
        self._boxes: dict[str, Mailbox] = {}
        self._opening = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *reason: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every mailbox; on POP3 deletions happen now.  Raises the first error of it."""
        failed: list[PostroomError] = []
        boxes, self._boxes = self._boxes, {}
        for box in boxes.values():
            try:
                await box.close()
            except PostroomError as error:
                failed.append(error)
        if failed:
            raise failed[0]

    # ------------------------------------------------------------------ reading

    async def box(self, via: str, mailbox: str = "") -> Mailbox:
        """The mailbox of a connection or ``msgraph`` credential, open; opened anew after it was lost."""
        name = in_mailbox(await self.reads(via), mailbox)
        async with self._opening:
            kept = self._boxes.get(name)
            if kept is not None and not await kept.alive(IDLE_SECONDS):
                del self._boxes[name]
                await kept.close()
                kept = None
            if kept is None:
                kept = self._boxes[name] = await self._opened(name)
            return kept

    async def _opened(self, name: str) -> Mailbox:
        from postroom.connections.turns import patiently
        from postroom.operations.mailboxes import open_mailbox

        return await open_mailbox(self._desk, name, patient=patiently if self._patient else None)

    async def reads(self, via: str) -> str:
        """What ``via`` names to read from, with its noun.  Raises NotThere, InvalidValue, Refused."""
        if not via:
            raise InvalidValue("via", "is needed: the name of a connection")
        return await self._desk.db.read(lambda tx: reads_from(self._desk, tx, via))

    # ------------------------------------------------------------------ sending

    async def sender(self, via: str, mailbox: str = "") -> str | None:
        """Whom a message through ``via`` is from when nobody says."""
        name = in_mailbox(via, mailbox)
        route = await self._desk.db.read(lambda tx: route_of(self._desk, tx, name))
        return route.default_from or route.own or None

    async def store(
        self, via: str, draft: Draft, *, key: str = "", mailbox: str = "", once_in: float = 0.0
    ) -> str:
        """Store a message in the outbox; gives the item's id.  In a run it is held under the run."""
        return await self._store(via, draft, key, mailbox, once_in, self._run)

    async def send(
        self, via: str, draft: Draft, *, wait: float, key: str = "", mailbox: str = "",
        once_in: float = 0.0,
    ) -> Item:  # fmt: skip
        """Store a message and send it now; gives the item as it is after at most ``wait`` seconds."""
        item = await self._store(via, draft, key, mailbox, once_in, run="")
        return await self._email.follow(item, wait=wait)

    async def _store(
        self, via: str, draft: Draft, key: str, mailbox: str, once_in: float, run: str
    ) -> str:
        item = await self._email.store(
            via,
            draft,
            idempotency_key=key or None,
            mailbox=mailbox,
            run=run,
            run_epoch=self._run_epoch if run else None,
            once_in=once_in,
        )
        self.stored.append(item)
        return item

    async def afterwards(self, act: Callable[[], Awaitable[None]]) -> None:
        """Do something now, or in a run when :meth:`finish` is called."""
        if self._run:
            self._later.append(act)
        else:
            await act()

    async def finish(self, tell: Callable[[str, str], None]) -> None:
        """Do what was to be done once all of a run was; what fails of it is told, and no more."""
        later, self._later = self._later, []
        for act in later:
            try:
                await act()
            except PostroomError as error:
                tell("warning", f"Not done in the end: {error.reason}")

    # ------------------------------------------------------------------ jobs

    async def begin(self, job: str, parameters: Mapping[str, Any]) -> str:
        """Begin another job; gives the id of its run, or in a run an empty text: then it is among
        ``following``, and begins if the run succeeds.
        """
        from postroom.jobs import runs  # few commands begin a job
        from postroom.operations.beginning import begin

        if not self._run:
            return await begin(self._desk, job, parameters)
        values = await self._desk.db.read(
            lambda tx: runs.may_follow_on(tx, job, parameters, self._run)
        )
        self.following.append((job, values))
        return ""

    # ------------------------------------------------------------------ testing

    async def test(self, name: str) -> dict[str, Any]:
        """Walk a connection, a service's connection, or a credential that is used directly."""
        found = await self._desk.db.read(lambda tx: _walked(self._desk, tx, name))
        if found.startswith(DIRECT):
            from postroom.operations.credentials import Credentials

            report = await Credentials(self._desk).test(found.removeprefix(DIRECT))
        else:
            from postroom.operations.connections import Connections

            report = await Connections(self._desk).test(found)
        sides = [side.as_json() for side in report.sides]
        return {"tested": f"{report.noun}:{report.name}", "ok": report.ok, "sides": sides}


def _walked(desk: Desk, tx: Tx, via: str) -> str:
    """The connection (its name), or the credential with ``credential:`` in front."""
    noun, _, name = via.rpartition(":")
    if noun in ("", "connection") and connections.exists(tx, name):
        return connections.get(tx, name).name
    if noun in ("", "service") and (service := services.find(tx, name)) is not None:
        return service.connection
    if noun in ("", "credential") and desk.credentials.exists(tx, name):
        return DIRECT + desk.credentials.get(tx, name).name
    return connections.get(tx, name).name
