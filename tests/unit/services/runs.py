"""Runs in the words of these tests: rows as the room of jobs writes them."""

from __future__ import annotations

from postroom.db import Database, Tx

__all__ = ["begin_run", "end_run"]


async def begin_run(db: Database, run: str, *, job: str, epoch: int = 1) -> None:
    """A run at work, in its attempt of that epoch."""

    def body(tx: Tx) -> None:
        tx.execute("DELETE FROM runs WHERE id = :id", id=run)
        tx.execute(
            "INSERT INTO runs (id, job, job_key, state, reason, cause, parameters, depth, attempts, "
            "killed, created_by, created_at, result, error, cancelled_by, due_at, epoch) "
            "VALUES (:id, :job, :job, 'running', '', 'manual', '{}', 0, 1, 0, 'test', 0, '', '', "
            "'', 0, :epoch)",
            id=run,
            job=job,
            epoch=epoch,
        )

    await db.write(body)


async def end_run(db: Database, run: str, state: str | None) -> None:
    """End a run, and nothing beside it; None: its row is gone."""

    def body(tx: Tx) -> None:
        if state is None:
            tx.execute("DELETE FROM runs WHERE id = :id", id=run)
        else:
            tx.execute(
                "UPDATE runs SET state = :state, finished_at = 1 WHERE id = :id",
                state=state,
                id=run,
            )

    await db.write(body)
