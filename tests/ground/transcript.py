"""What both sides really sent, decrypted, in order."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Direction", "Event", "Transcript"]

Direction = Literal["to_server", "to_client"]


@dataclass(frozen=True, slots=True)
class Event:
    """Bytes as one side sent them. `time` is monotonic seconds, `connection` counts from 1."""

    time: float
    connection: int
    direction: Direction
    data: bytes


@dataclass(slots=True)
class Transcript:
    """All events of all connections; with `keep` off it stays empty (benchmarks)."""

    keep: bool = True
    events: list[Event] = field(default_factory=list)

    def add(self, connection: int, direction: Direction, data: bytes) -> None:
        """Write one event down."""
        if self.keep:
            self.events.append(Event(time.monotonic(), connection, direction, data))

    @property
    def to_server(self) -> bytes:
        """All that clients sent."""
        return b"".join(e.data for e in self.events if e.direction == "to_server")

    @property
    def to_client(self) -> bytes:
        """All that the server sent."""
        return b"".join(e.data for e in self.events if e.direction == "to_client")

    def of(self, connection: int) -> Transcript:
        """The part of one connection, counted from 1."""
        return Transcript(events=[e for e in self.events if e.connection == connection])

    @property
    def round_trips(self) -> int:
        """How often a client spoke and then heard an answer (of one connection at a time)."""
        asked, count = set[int](), 0
        for event in self.events:
            if event.direction == "to_server":
                asked.add(event.connection)
            elif event.connection in asked:
                asked.discard(event.connection)
                count += 1
        return count

    def __str__(self) -> str:
        """Lines as a person reads them: `1 C: ...` and `1 S: ...`."""
        lines = []
        for event in self.events:
            side = "C" if event.direction == "to_server" else "S"
            for line in event.data.splitlines():
                lines.append(f"{event.connection} {side}: {line.decode('utf-8', 'replace')}")
        return "\n".join(lines)
