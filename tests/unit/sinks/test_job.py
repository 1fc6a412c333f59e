"""The job sink: a run and its message in the ledger's transaction, or none of it."""

from __future__ import annotations

import io
import json
import tracemalloc
from typing import IO, Any

import pytest

from postroom.db import Database, Tx
from postroom.errors import InvalidValue, NotThere, Refused, UnknownField, WrongUse
from postroom.fields import parse, shown
from postroom.jobs import messages, runs, store
from postroom.jobs.values import MESSAGE
from postroom.sinks import Delivery, Item, JobSink
from postroom.sinks import job as job_sink
from postroom.sources.source import Source
from tests.unit.jobs.desk import job_of
from tests.unit.sinks.test_directory import item

FACTS = {
    "folder": "INBOX",
    "from": "Ada <ada@x.example>",
    "subject": "Order 7",
    "message_id": "<7@x>",
}


@pytest.fixture(autouse=True)
async def _answer(db: Database) -> None:
    """The job ``answer``."""
    job = job_of("answer", parameters={"tone": {}, "copies": {"type": "number", "default": 1}})
    await db.write(lambda tx: store.add(tx, job))


def sink(**parameters: Any) -> JobSink:
    return JobSink(type="job", job="Answer", parameters={"tone": "kind", **parameters})


def told(ledger: int, content: bytes) -> Item:
    return item(ledger, content)._replace(
        source="orders-in", id="1-7", received=0.0, summary=lambda: dict(FACTS)
    )


async def deliver(db: Database, *items: Item) -> list[Delivery]:
    taken = sink().take(items)
    return await db.write(lambda tx: [one.written(tx) for one in taken])


async def test_each_message_begins_a_run(db: Database) -> None:
    """With its exact bytes and where it came from; the ledger will say which run."""
    content = b"From: x\r\nSubject: \xff8-bit\r\n\r\nbody\0\r\n"
    one, two = await deliver(db, told(7, content), told(8, b"x"))
    assert one.where.startswith("run:")
    assert one.where != two.where

    def body(tx: Tx) -> Any:
        run = runs.show(tx, one.where.removeprefix("run:"))
        return run, messages.facts_of(tx, run.id), messages.content_of(tx, run.id)

    run, facts, kept = await db.read(body)
    assert (run.job, run.cause, run.created_by) == ("answer", "message", "source:orders-in")
    assert run.parameters == {"tone": "kind", "copies": 1}
    assert kept == content
    assert facts == {
        **FACTS,
        "source": "orders-in",
        "id": "1-7",
        "received": "1970-01-01T00:00:00Z",
        "size": len(content),
    }
    assert facts.keys() == messages.FACTS.keys() == set(MESSAGE), "steps may use each of them"


async def test_what_is_not_committed_has_no_run(db: Database) -> None:
    """Run and ledger entry are there together or not at all."""
    taken = sink().take([told(7, b"x")])

    def body(tx: Tx) -> None:
        taken[0].written(tx)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await db.write(body)
    assert await db.read(lambda tx: tx.value("SELECT count(*) FROM runs")) == 0
    await db.write(lambda tx: taken[0].written(tx))
    assert await db.read(lambda tx: tx.value("SELECT count(*) FROM runs")) == 1


class Disk:
    """A message of 40 MB in a file, so to speak."""

    size = 40_000_000

    def open(self) -> IO[bytes]:
        return _Zeros(self.size)  # type: ignore[return-value]

    def discard(self) -> None: ...

    def bytes(self) -> bytes:
        raise AssertionError("it was read as a whole")


class _Zeros(io.RawIOBase):
    def __init__(self, size: int) -> None:
        self._left = size

    def read(self, size: int = -1, /) -> bytes:
        piece = b"z" * min(size, self._left)
        self._left -= len(piece)
        return piece


async def test_a_large_message_is_never_in_memory_as_a_whole(db: Database) -> None:
    """Its room is made and filled, piece by piece."""
    large = told(7, b"")._replace(content=Disk())
    tracemalloc.start()
    [one] = await deliver(db, large)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8_000_000
    run = one.where.removeprefix("run:")
    size = "SELECT length(content) FROM run_messages WHERE run = :run"
    assert await db.read(lambda tx: tx.value(size, run=run)) == Disk.size
    facts = await db.read(lambda tx: messages.facts_of(tx, run))
    assert facts is not None
    assert facts["size"] == Disk.size


async def test_a_full_backlog_takes_nothing_more(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Temporary, and it says which job and what to do; runs that are over make room."""
    monkeypatch.setattr(job_sink, "MOST_WAITING", 2)
    await deliver(db, told(7, b"x"))
    await db.read(sink().check_room)
    await deliver(db, told(8, b"x"))
    with pytest.raises(
        Refused, match=r"2 runs of job Answer are not finished; the source waits"
    ) as full:
        await db.read(sink().check_room)
    assert (full.value.code, full.value.temporary) == ("queue_full", True)
    await db.write(lambda tx: tx.execute("UPDATE runs SET finished_at = 1, state = 'succeeded'"))
    await db.read(sink().check_room)


async def test_what_is_said_has_to_fit_the_job(db: Database) -> None:
    """When the source is saved: no such job, a parameter it has not, one it needs, one of another kind."""

    def check(**fields: Any) -> None:
        db.read_now(
            JobSink(type="job", **{"job": "answer", "parameters": {"tone": "x"}} | fields).check
        )

    check()
    with pytest.raises(NotThere, match="no job called 'answr'"):
        check(job="answr")
    with pytest.raises(UnknownField, match=r"no parameter 'ton'.* Did you mean tone"):
        check(parameters={"ton": "x"})
    with pytest.raises(InvalidValue, match=r"sink\.parameters\.tone: is needed"):
        check(parameters={})
    with pytest.raises(InvalidValue, match=r"sink\.parameters\.copies: give a number"):
        check(parameters={"tone": "x", "copies": "many"})


def test_a_source_says_which_messages_may_be_answered() -> None:
    """DESIGN 4.3: a mailbox of ten years is not answered because nobody thought of it."""
    whole = {"name": "in", "connection": "acme", "sink": {"type": "job", "job": "answer"}}
    with pytest.raises(WrongUse, match="start: say which of the messages already there are meant"):
        parse(Source, whole)
    for start in ("all", "new", {"since": "2027-01-31"}):
        made = parse(Source, {**whole, "start": start})
        assert shown(made)["start"] == start
        assert parse(Source, shown(made)) == made
    other = parse(Source, {**whole, "sink": {"type": "directory", "path": "/x"}})
    assert other.begins == "all"
    assert "start" not in shown(other)


async def test_the_bytes_go_a_week_after_the_run(db: Database) -> None:
    """As those of a message that was sent; what the run was about stays as long as the run."""
    [old, new, at_work] = await deliver(db, told(1, b"old"), told(2, b"new"), told(3, b"open"))
    ids = [one.where.removeprefix("run:") for one in (old, new, at_work)]
    now = 20 * 86400.0

    def body(tx: Tx) -> list[bytes | None]:
        for run, days in zip(ids[:2], (8, 6), strict=True):
            tx.execute(
                "UPDATE runs SET finished_at = :at, state = 'failed' WHERE id = :id",
                at=now - days * 86400, id=run,
            )  # fmt: skip
        assert messages.purge(tx, now=now) == 1
        assert messages.purge(tx, now=now) == 0
        return [messages.content_of(tx, run) for run in ids]

    assert await db.write(body) == [None, b"new", b"open"]
    facts = await db.read(lambda tx: messages.facts_of(tx, ids[0]))
    assert json.dumps(facts)
    assert facts is not None
    assert facts["subject"] == "Order 7"
