"""Collectors whose messages begin runs, killed between any two steps: each has one run, and its bytes."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from tests.faults.children import Victim, until_dead
from tests.faults.collecting import mailbox
from tests.faults.dose import dose
from tests.faults.spots import patch
from tests.faults.stage import Stage
from tests.ground.maildir import read
from tests.journeys.incoming import Incoming, letter

__all__ = ["apart_from_the_ledger", "killed_at_random", "killed_beginners", "killed_workers"]

COUNT: Final = 24
SPOTS: Final = (
    ("postroom.sources.ledger:acquire after 2", "oldest"),
    ("postroom.sinks.job:JobSink.take after", "oldest"),
    ("postroom.jobs.runs:add before 3", "oldest"),
    ("postroom.jobs.runs:add after 12", "oldest"),
    ("postroom.jobs.messages:keep after 9", "oldest"),
    ("postroom.sources.ledger:delivered before", "oldest"),
    ("postroom.sources.ledger:delivered after", "oldest"),
    ("postroom.sources.handing:Hands._delivered after", "oldest"),
    ("postroom.sources.ledger:to_settle before", "oldest"),
    ("postroom.sources.settling:_act after", "oldest"),
    ("postroom.sources.arriving:Arriving._take before", "server"),
    ("postroom.jobs.messages:keep after 5", "server"),
    ("postroom.sources.ledger:delivered after 2", "server"),
    ("postroom.sources.ledger:settle_after after", "server"),
)
"""Where one dies, and in which order its source reads: sorted ones are listed first."""
_COLLECT: Final = "tests.faults.collecting:collect"
_AT_ONCE: Final = "tests.faults.collecting:collect_at_once"


async def _source(box: Incoming, name: str, sent: Sequence[bytes], order: str) -> None:
    box.fill(*sent, folder=name)
    await box.source(
        name,
        folders={"input": name, "done": f"Done {name}"},
        sink={"type": "job", "job": "answer"},
        start="all",
        order=order,
    )


async def _job(box: Incoming) -> None:
    await box.room.jobs.add({"name": "answer", "command": ["/bin/true"]})


async def killed_beginners(stage: Stage, mutant: str = "") -> list[str]:
    """A collector dies at each spot, another one finishes: one run each, and the ledger names it."""
    wrong: list[str] = []
    async with mailbox(stage) as box:
        await _job(box)
        for number, (spot, order) in enumerate([*SPOTS] * dose(1, 3, 20)):
            if wrong and mutant:
                break
            name = f"spot-{number}"
            sent = [letter(f"m{n}", size=n * 8_000) for n in range(COUNT)]
            await _source(box, name, sent, order)
            with Victim(_COLLECT, *stage.where, name, spot=spot, mutant=mutant) as victim:
                if not await until_dead(victim):
                    wrong.append(f"{spot}: it was not reached")
            with Victim(_COLLECT, *stage.where, name, mutant=mutant) as victim:
                await until_dead(victim)
            wrong += [f"{spot}: {sentence}" for sentence in _unsound(stage, box, name, sent)]
    return wrong


async def killed_at_random(stage: Stage, mutant: str = "") -> list[str]:
    """Collectors die at any moment of a pass, again and again; the last one finishes."""
    wrong: list[str] = []
    async with mailbox(stage) as box:
        await _job(box)
        for number in range(dose(1, 10, 100)):
            name = f"random-{number}"
            sent = [letter(f"m{n}", size=2_000) for n in range(300)]
            await _source(box, name, sent, "server")
            for _ in range(6):
                with Victim(_AT_ONCE, *stage.where, name, mutant=mutant) as victim:
                    assert await asyncio.to_thread(victim.line) == "ready"
                    await asyncio.sleep(stage.chance.uniform(0.01, 0.25))
            with Victim(_AT_ONCE, *stage.where, name, mutant=mutant) as victim:
                await until_dead(victim)
            wrong += _unsound(stage, box, name, sent)
    return wrong


async def killed_workers(stage: Stage, mutant: str = "") -> list[str]:
    """Workers that collect, run and send die at any moment: each letter is passed on exactly once.

    Only what a kill found in the middle may be in doubt, and says so (F8): messages whose answer from
    the server nobody had read and stored, a run that took three workers with it.
    """
    letters = [letter("m0")]
    async with mailbox(stage) as box:
        other = box.ground.user()
        step = {"send-email": {"via": "acme", "to": other.address, "subject": "${message:subject}",
                               "text": "Passed on."}}  # fmt: skip
        await box.room.jobs.add({"name": "answer", "overlap": "beside", "steps": [step]})
        await _source(box, "letters", letters, "server")
        for _ in range(dose(6, 40, 400)):
            some = [letter(f"m{len(letters) + n}") for n in range(8)]
            letters += some
            with _worker(stage, mutant):
                await asyncio.sleep(stage.chance.uniform(0.3, 0.6))
                box.fill(*some, folder="letters")
                await asyncio.sleep(stage.chance.uniform(0.05, 1.0))
        with _worker(stage, mutant):
            async with asyncio.timeout(90):
                while not _all_done(stage, len(letters)):
                    await asyncio.sleep(0.1)
        await asyncio.to_thread(box.ground.postfix.idle)
        arrived = Counter(re.findall(rb"(?m)^Subject: (m\d+)", b"".join(read(other.maildir))))
        wrong = [f"{one.decode()} was passed on {n} times" for one, n in arrived.items() if n > 1]
        doubtful = _in_doubt(stage)
        wrong += [f"m{n} was never passed on" for n in range(len(letters))
                  if f"m{n}" not in doubtful and f"m{n}".encode() not in arrived]  # fmt: skip
        return wrong + _unsound(stage, box, "letters", letters)


def _worker(stage: Stage, mutant: str) -> Victim:
    room, kek = stage.where
    return Victim("postroom", "worker", "--room", room, "--kek", kek, mutant=mutant)


def _rows(stage: Stage, text: str, *values: object) -> list[tuple[Any, ...]]:
    sql = stage.sql()
    try:
        return [tuple(row) for row in sql.execute(text, values)]
    finally:
        sql.close()


def _all_done(stage: Stage, count: int) -> bool:
    """Whether there are so many runs, and nothing is left to be done or sent."""
    [(runs, left)] = _rows(stage, "SELECT count(*), count(*) - count(finished_at) FROM runs")
    [(waiting,)] = _rows(stage, "SELECT count(*) FROM outbox WHERE finished_at IS NULL")
    [(after,)] = _rows(stage, "SELECT count(*) FROM ledger WHERE state <> 'done'")
    return (runs, left, waiting, after) == (count, 0, 0, 0)


def _in_doubt(stage: Stage) -> set[str]:
    """The subjects of which nobody can say that they arrived: messages in doubt, runs that were lost."""
    return {
        subject
        for (subject,) in _rows(
            stage,
            "SELECT subject FROM outbox WHERE state = 'ambiguous' UNION "
            "SELECT json_extract(facts, '$.subject') FROM run_messages JOIN runs ON runs.id = run "
            "WHERE runs.state = 'failed' AND error = 'lost'",
        )
    }


def _unsound(stage: Stage, box: Incoming, name: str, sent: Sequence[bytes]) -> list[str]:
    """What is wrong: every message has one run with its exact bytes, which the ledger names."""
    sql = stage.sql()
    try:
        kept = sql.execute(
            "SELECT run_messages.run, ledger, content FROM run_messages JOIN runs ON runs.id = run "
            "WHERE created_by = ?",
            (f"source:{name}",),
        ).fetchall()
        runs = sql.execute(
            "SELECT count(*) FROM runs WHERE created_by = ?", (f"source:{name}",)
        ).fetchone()[0]
        entries = sql.execute(
            "SELECT l.id, l.delivered_to FROM ledger l JOIN sources s ON s.id = l.source "
            "WHERE s.name = ?",
            (name,),
        ).fetchall()
    finally:
        sql.close()
    found, wanted = Counter(row["content"] for row in kept), Counter(sent)
    wrong = [f"{count} messages have no run" for count in [(wanted - found).total()] if count]
    wrong += [f"{count} runs are too many" for count in [(found - wanted).total()] if count]
    if runs != len(kept):
        wrong.append(f"{runs} runs, and {len(kept)} messages of them")
    if {(row["id"], row["delivered_to"]) for row in entries} != {
        (row["ledger"], f"run:{row['run']}") for row in kept
    }:
        wrong.append("the ledger names other runs")
    if box.counts(name) != {"done": len(sent)}:
        wrong.append(f"the ledger says {box.counts(name)}")
    if len(box.there(f"Done {name}")) != len(sent):
        wrong.append("they are not in the folder for what is done, each once")
    return wrong


def apart_from_the_ledger() -> None:
    """A seeded bug: runs are begun in a transaction of their own, before the ledger's."""

    def new(old: Any) -> Any:
        async def delivered(self: Any, reads: Any, ids: Any) -> None:
            begun = await self._write(
                lambda tx: [one._replace(delivery=one.delivery.written(tx)) for one in reads]
            )
            await old(self, begun, ids)

        return delivered

    patch("postroom.sources.handing:Hands._delivered", new)
