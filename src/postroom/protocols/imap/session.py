"""A core on a pump: commands in flight, and each event to the command it belongs to.

A server may mix the answers to pipelined commands: Dovecot sends the data of several and then all
their tagged replies.  So an event is offered to the commands in flight, oldest first, until one
says that it is its own.  A command nobody waits for any more stays in flight; what comes for it is
dropped.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable
from typing import Final

from postroom.errors import WireError
from postroom.protocols.imap.commands import Command
from postroom.protocols.imap.extensions import Extensions
from postroom.protocols.imap.machine import Machine
from postroom.protocols.imap.responses import (
    Capability,
    Continue,
    Done,
    Enabled,
    Event,
    Exists,
    Expunge,
    Status,
    Vanished,
)
from postroom.protocols.imap.sets import count
from postroom.protocols.pump import Pump

__all__ = ["Pending", "Session", "Take"]

Take = Callable[[Event], bool]
"""Says whether the event belonged to it, or at least that nobody else needs it."""

_SLICE: Final = 64 * 1024  # bytes of a long literal written at once
_ALERTS: Final = 8


@dataclasses.dataclass(slots=True)
class Pending:
    """A command in flight; ``done`` is its tagged reply, ``take`` is offered what comes before."""

    name: str
    take: Take | None
    talks: bool = False
    done: Done | None = None
    challenge: bytes | None = None  # what a command that talks was asked last

    def drop(self) -> None:
        """Nobody waits for it any more."""
        self.take = None


class Session:
    """One connection from greeting to goodbye; ``capabilities`` are those of this moment."""

    def __init__(self, pump: Pump, core: Machine) -> None:
        self.pump = pump
        self.core = core
        self.capabilities: frozenset[str] = frozenset()
        self.greeting: Status | None = None
        self.bye: Status | None = None  # the server's last word, when we did not ask for it
        self.exists = 0
        self.counts = 0  # how often the server told how many messages there are
        self.news = False  # a message may have come since somebody last looked
        self.trusted = True  # whether an alert may be shown to a person: not before STARTTLS
        self.leaving = False  # BYE is what we asked for
        self.hidden: bytes | None = None  # what the transcript holds in place of what we say
        self.alerts: deque[str] = deque(maxlen=_ALERTS)
        self._flight: dict[str, Pending] = {}
        self.extensions = Extensions()

    # ---------------------------------------------------------------- what the server can do

    def can(self, capability: str) -> bool:
        """Whether the server announced it."""
        return capability in self.capabilities

    def learn(self, names: frozenset[str]) -> None:
        """What the server can do from now on."""
        self.capabilities = names
        self.core.literals = next((n for n in ("LITERAL+", "LITERAL-") if n in names), "")

    def said(self, status: Status) -> str:
        """What the server said, for a person: without this session's secrets, in one line.

        An alert before TLS is nobody's word.
        """
        if status.code == "ALERT" and not self.trusted:
            return ""
        scrubbed = self.pump.scrubber.text(status.text)
        return "".join(c if c.isprintable() else " " for c in scrubbed)[:500].strip()

    # ---------------------------------------------------------------- commands

    def send(self, command: Command, take: Take | None = None) -> Pending:
        """Put a command in flight without waiting; its bytes leave with the next write."""
        pending = Pending(command.name, take, command.talks)
        self._flight[self.core.send(command)] = pending
        return pending

    async def run(self, command: Command, take: Take | None = None) -> Done:
        """A command and its tagged reply.  Raises WireError."""
        return await self.finish(self.send(command, take))

    async def finish(self, pending: Pending) -> Done:
        """Wait for the tagged reply of a command in flight.  Raises WireError."""
        while pending.done is None:
            await self.step()
        return pending.done

    async def challenge(self, pending: Pending) -> bytes | None:
        """The next challenge of a command that talks; None once it is over."""
        while pending.done is None and pending.challenge is None:
            await self.step()
        asked, pending.challenge = pending.challenge, None
        return asked

    def answer(self, line: bytes) -> None:
        """Answer a challenge with a line; it leaves at once."""
        self.core.reply(line)
        for piece in self.core.outgoing():
            self.pump.write(piece, shown=self.hidden)

    async def flush(self) -> None:
        """Write what may leave, waiting where the other side takes it slowly."""
        for piece in self.core.outgoing():
            if len(piece) <= _SLICE:
                self.pump.write(piece, shown=self.hidden)
                continue
            view = memoryview(piece)
            for start in range(0, len(view), _SLICE):
                self.pump.write(view[start : start + _SLICE])
                await self.pump.drain()

    async def step(self) -> None:
        """Write what may leave, then deal with the next events.  Raises WireError."""
        await self.flush()
        self.deal(await self.pump.next())

    def deal(self, events: list[Event]) -> None:
        """Hand events to their commands.  Raises WireError when the server said BYE.

        After an error, also one of who takes the events (a full disk), the connection is over: the
        rest of the events would be missing.
        """
        try:
            self._deal(events)
        except BaseException:
            self.pump.abandon()
            raise

    def _deal(self, events: list[Event]) -> None:
        takers = _takers(self._flight)
        for event in events:
            if isinstance(event, Done):
                done = self._flight.pop(event.tag)
                if event.code == "CAPABILITY" and event.state == "OK":
                    self.learn(frozenset(event.argument.upper().split()))
                done.done = event
                if done.name == "ENABLE":
                    self.extensions.answered = True
                takers = _takers(self._flight)
                continue
            if isinstance(event, _NOTICED):
                self._notice(event)
            for take in takers:
                if take(event):
                    break

    def _notice(self, event: Event) -> None:
        """What changes the session, whoever asked."""
        if isinstance(event, Exists):
            self.news = self.news or event.count >= self.exists
            self.exists = event.count
            self.counts += 1
        elif isinstance(event, Expunge):
            self.exists = max(0, self.exists - 1)
        elif isinstance(event, Vanished):
            if not event.earlier:
                self.exists = max(0, self.exists - count(event.ranges))
        elif isinstance(event, Enabled):
            self.extensions.names |= event.names
        elif isinstance(event, Capability):
            self.learn(event.names)
        elif isinstance(event, Continue):
            talking = next((p for p in self._flight.values() if p.talks), None)
            if talking is not None and not event.for_literal:
                talking.challenge = event.text
        elif isinstance(event, Status):
            self._status(event)

    def _status(self, status: Status) -> None:
        if self.greeting is None:
            self.greeting = status
        if status.code == "CAPABILITY":
            self.learn(frozenset(status.argument.upper().split()))
        elif status.code == "ALERT" and self.trusted:
            self.alerts.append(self.said(status))
        if status.state == "BYE" and not self.leaving:
            self.bye = status
            said = self.said(status)
            raise WireError(
                f"The server ended the connection{f': {said}' if said else ''}.",
                code="connection_lost",
                hint="Try again later; the server says when it is busy or going down.",
                temporary=True,
                step=self.pump.step,
                said=said,
            )


_NOTICED: Final = (Exists, Expunge, Vanished, Enabled, Status, Capability, Continue)


def _takers(flight: dict[str, Pending]) -> list[Take]:
    return [pending.take for pending in flight.values() if pending.take is not None]
