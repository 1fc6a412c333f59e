"""Scenarios of claims: who claims is killed, and every row is settled exactly once."""

from __future__ import annotations

import contextlib
import os

from postroom.app import open_room
from tests.faults.children import Victim, until_dead
from tests.faults.clients import CLAIMED
from tests.faults.stage import Stage
from tests.faults.storing import made

__all__ = ["killed_at"]

ROWS = 40


async def killed_at(stage: Stage, spot: str) -> list[str]:
    """A client that claims and settles is killed; another one does the rest, and nothing twice."""
    await made(stage)
    with contextlib.closing(stage.sql()) as sql, sql:
        for number in range(ROWS):
            sql.execute(
                "INSERT INTO sources (id, name, name_key, body, created_at, updated_at, store, "
                "mailbox, state, state_since, note, failures, successes, due_at, epoch) VALUES "
                "(?, ?, ?, '{}', 0, 0, 's', '', 'idle', 0, '', 0, 0, 0, 0)",
                (f"r{number}",) * 3,
            )
    client = "tests.faults.clients:claimer"
    with Victim(client, *stage.where, spot=spot) as victim:
        if not await until_dead(victim):
            return [f"{spot} was never reached: {victim.complaints()}"]
    for file in (stage.settings.room / "seats").iterdir():
        os.utime(file, (0, 0))  # what is left of somebody is removed when it is old
    with Victim(client, *stage.where) as victim:
        if await until_dead(victim) or victim.status:
            return [f"The next one ended badly: {victim.complaints()}"]
    room = await open_room(stage.settings)
    rows = room.desk.db.read_now(lambda tx: tx.all("SELECT * FROM sources"))
    seats = room.desk.db.read_now(lambda tx: tx.all("SELECT * FROM workers"))
    await room.close()
    wrong = [f"{row['id']} was settled {row['successes']} times" for row in rows
             if (row["successes"], row["owner"], row["due_at"]) != (1, None, CLAIMED)]  # fmt: skip
    files = list((stage.settings.room / "seats").iterdir())
    if seats or files:
        wrong.append(f"Seats are left: {[row['owner'] for row in seats]}, {files}")
    return wrong
