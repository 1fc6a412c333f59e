"""A room with many sources and three workers, and what can be seen of who does what."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from postroom.app import Room, open_room
from postroom.clock import timestamp
from tests.faults.children import Victim
from tests.faults.stage import Stage
from tests.ground import Ground, User
from tests.journeys.conftest import connect
from tests.journeys.incoming import letter, soon

__all__ = ["Shop", "shop"]

PATIENCE = 60.0


@dataclasses.dataclass
class Shop:
    """A user with as many folders as there are sources, each with a sink of its own."""

    stage: Stage
    room: Room
    ground: Ground
    user: User
    names: Sequence[str]

    def deliver(self, subject: str) -> None:
        """Put one message into every folder."""
        for name in self.names:
            self.ground.dovecot.fill(self.user, [letter(f"{subject} {name}")], folder=name)

    def due(self) -> None:
        """Make every source due, at once."""
        with contextlib.closing(self.stage.sql()) as sql, sql:
            sql.execute("UPDATE sources SET due_at = ?", (timestamp(),))

    def owners(self) -> Counter[int]:
        """How many sources each worker has, by process id; 0: nobody."""
        rows = self.rows("SELECT w.pid FROM sources s LEFT JOIN workers w ON w.owner = s.owner")
        return Counter(row["pid"] or 0 for row in rows)

    def states(self) -> set[str]:
        """What the sources are doing."""
        return {row["state"] for row in self.rows("SELECT state FROM sources")}

    def seated(self) -> set[int]:
        """The process ids of those that have a seat."""
        return {row["pid"] for row in self.rows("SELECT pid FROM workers")}

    def rows(self, sql: str) -> list[Any]:
        """Rows of the room."""
        return self.room.desk.db.read_now(lambda tx: tx.all(sql))

    def collected(self) -> Counter[str]:
        """The subjects that lie in the sinks, each with how often."""
        files = self.sink.glob("*/*/*.eml")
        return Counter(
            line.removeprefix("Subject: ")
            for path in files
            for line in path.read_text().splitlines()
            if line.startswith("Subject: ")
        )

    @property
    def sink(self) -> Path:
        """The directory of all sinks."""
        return self.stage.path / "sinks"

    def everywhere(self, *subjects: str) -> Counter[str]:
        """What the sinks hold when each of these was collected once from every folder."""
        return Counter(f"{subject} {name}" for subject in subjects for name in self.names)

    def worker(self, **suffering: Any) -> Victim:
        """``postroom worker``."""
        where = ("--room", self.stage.where[0], "--kek", self.stage.where[1])
        return Victim("postroom", "worker", *where, **suffering)

    async def all_owned(self, *victims: Victim, seconds: float = PATIENCE) -> None:
        """Wait until these workers, and nobody else, have every source."""
        pids = {victim.pid for victim in victims}
        await soon(lambda: set(self.owners()) <= pids, seconds=seconds)


@contextlib.asynccontextmanager
async def shop(stage: Stage, count: int) -> AsyncIterator[Shop]:
    """Make the room: ``count`` sources, none of them due."""
    ground = stage.ground()
    user = ground.user()
    room = await open_room(stage.settings, make=True)
    try:
        await connect(room, ground, user)
        names = [f"Q{number}" for number in range(count)]
        made = Shop(stage, room, ground, user, names)
        made.deliver("first")
        for name in names:
            await room.sources.add(
                {
                    "name": name.lower(),
                    "connection": "acme",
                    "folders": {"input": name},
                    "sink": {"type": "directory", "path": str(made.sink / name)},
                }
            )
        with contextlib.closing(stage.sql()) as sql, sql:
            sql.execute("UPDATE sources SET due_at = 1e12")
        yield made
    finally:
        await room.close()


def multiply(stage: Stage, table: str, count: int, *, due: bool = False, **fields: str) -> None:
    """Let the one row of a table be ``count`` rows that differ by name alone: s0, s1, ...

    ``due``: each is due, one after the other; ``fields`` are settings in which ``{}`` is the number.
    """
    with contextlib.closing(stage.sql()) as sql, sql:
        [row] = sql.execute(f"SELECT * FROM {table}").fetchall()
        names = list(row.keys())
        sql.execute(f"DELETE FROM {table}")
        text = f"INSERT INTO {table} VALUES ({','.join('?' * len(names))})"
        for number in range(count):
            name = f"s{number}"
            said = {field: each.format(number) for field, each in fields.items()}
            body = json.dumps(json.loads(row["body"]) | {"name": name} | said)
            own: dict[str, Any] = {"id": name, "name": name, "name_key": name, "body": body}
            if due:
                own["due_at"] = number
            sql.execute(text, tuple((dict(row) | own).values()))
