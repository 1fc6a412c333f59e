"""One task in a fresh process: ``python -m tests.bench.work TASK --room R --kek K --values JSON``.

It prints what it measured as JSON.  ``BENCH_PROFILE`` watches it: :mod:`tests.bench.profiling`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from postroom.app import Room, open_room
from postroom.credentials.record import LISTED
from postroom.credentials.store import Opened
from postroom.credentials.tokens import BEARER, Use
from postroom.mail import Draft
from postroom.protocols import imap, pop3, smtp
from postroom.settings import settings_of
from tests.bench.profiling import profiled

__all__ = ["TASKS", "main"]

Found = dict[str, float]
_LOADED = (imap, pop3, smtp)  # before the clock starts: a wire is loaded when it is dialled


async def collect(room: Room, count: int) -> Found:
    """Collect once for the source ``bench``: from dialling to the last commit."""
    collecting = room.collecting  # loaded when it is asked for, which is no part of collecting
    began, cpu = time.perf_counter(), time.process_time()
    tally = await collecting.run("bench")
    seconds, used = time.perf_counter() - began, time.process_time() - cpu
    assert tally is not None
    assert tally.delivered == count, tally
    assert await room.ledger.counts("bench") == {"done": count}
    return {"seconds": seconds, "cpu": used, "peak_mb": _peak()}


async def poll(room: Room, passes: int) -> Found:
    """Passes over the source ``bench`` with nothing new: milliseconds of CPU for each."""
    await room.collecting.run("bench")
    began = time.process_time()
    for _ in range(passes):
        tally = await room.collecting.run("bench")
        assert tally is not None
        assert tally.listed == 0
    return {"cpu_ms": (time.process_time() - began) * 1000 / passes}


async def listing(room: Room, lists: int, looks: int) -> Found:
    """List every credential, show some: 95th percentiles, a bare query beside; and what was opened."""
    names = [one["name"] for one in await room.credentials.list()]
    listed, shown, bare = [], [], []
    for _ in range(lists):
        began = time.perf_counter()
        await room.credentials.list()
        listed.append(time.perf_counter() - began)
        began = time.perf_counter()
        room.desk.db.read_now(lambda tx: tx.all(LISTED))
        bare.append(time.perf_counter() - began)
    for name in names[:: max(1, len(names) // looks)]:
        began = time.perf_counter()
        await room.credentials.show(name)
        shown.append(time.perf_counter() - began)
    opened = len(await room.audit.list(action="open", limit=10))
    return {
        "list_ms": _percentile(listed),
        "bare_ms": _percentile(bare),
        "show_ms": _percentile(shown),
        "opened": opened,
    }


def _percentile(seconds: list[float]) -> float:
    """The 95th, in milliseconds."""
    return sorted(seconds)[int(len(seconds) * 0.95)] * 1000


async def send(room: Room, count: int, size: int, writers: int) -> Found:
    """Store messages one after the other and by several tasks, then drain the outbox."""
    drafts = [_draft(number, size) for number in range(count)]
    alone = max(1, count // 4)
    began = time.perf_counter()
    for draft in drafts[:alone]:
        await room.email.store("bench-out", draft)
    first = time.perf_counter() - began

    waiting = iter(drafts[alone:])

    async def writer() -> None:
        for draft in waiting:
            await room.email.store("bench-out", draft)

    began = time.perf_counter()
    await asyncio.gather(*(writer() for _ in range(writers)))
    together = time.perf_counter() - began

    began, cpu = time.perf_counter(), time.process_time()
    drained = await room.email.dispatch()
    seconds, used = time.perf_counter() - began, time.process_time() - cpu
    assert drained.sent == count, drained
    return {
        "store_one": alone / first,
        "store_many": (count - alone) / together,
        "seconds": seconds,
        "cpu": used,
        "peak_mb": _peak(),
    }


def _draft(number: int, size: int) -> Draft:
    line = "A line of an ordinary letter, as long as most of them are in real mail.\n"
    text = line * max(1, (size - 400) // len(line))
    return Draft(
        from_="bench@example.com",
        to=f"reader{number}@example.com",
        subject=f"Order {number}",
        text=text,
    )


async def resolve(room: Room, one: int, many: int, tasks: int) -> Found:
    """Open a credential, its audit row durable before the answer: one task, then several."""
    store, db = room.desk.credentials, room.desk.db

    async def opened() -> Opened:
        return await db.write(
            lambda tx: store.open(tx, "login", line=None, actor="bench", purpose="measure")
        )

    await opened()
    began = time.perf_counter()
    for _ in range(one):
        await opened()
    alone = one / (time.perf_counter() - began)

    async def task() -> None:
        for _ in range(many // tasks):
            await opened()

    began = time.perf_counter()
    await asyncio.gather(*(task() for _ in range(tasks)))
    return {"one": alone, "many": (many // tasks) * tasks / (time.perf_counter() - began)}


async def tokens(room: Room, connections: int, looks: int) -> Found:
    """Every connection wants its token at once; then one wants the kept one again and again."""
    opener = room.desk.opener
    began = time.perf_counter()
    await asyncio.gather(
        *(opener.prepare(f"c{number:05}", "incoming") for number in range(connections))
    )
    together = time.perf_counter() - began
    side = (await opener.prepare("c00000", "incoming")).side
    assert side.grant is not None
    grant, use = side.grant, Use(BEARER + side.line, "bench", "measure")
    seconds = []
    for _ in range(looks):
        began = time.perf_counter()
        await room.desk.tokens.access(grant, use)
        seconds.append(time.perf_counter() - began)
    return {"all_ms": together * 1000, "kept_ms": statistics.median(seconds) * 1000}


def _peak() -> float:
    """Megabytes; ``getrusage`` would count what the process that started this one had in memory."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


async def schedule(room: Room, times: int) -> Found:
    """A worker, and the job ``often`` so many times: how late each began, milliseconds."""
    from postroom.worker import Worker

    working = asyncio.create_task(Worker(room).run())
    try:
        await asyncio.sleep(1.5)  # what was missed before it was there is past
        await room.jobs.release("often")
        await asyncio.sleep(1.5 + times)
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
    rows = await room.desk.db.read(
        lambda tx: tx.all(
            "SELECT due_at, started_at FROM runs WHERE job = 'often' AND attempts > 0"
        )
    )
    late = [1000 * (row["started_at"] - row["due_at"]) for row in rows]
    assert len(late) >= times, late
    await room.jobs.hold("often")
    return {"worst_ms": max(late), "median_ms": statistics.median(late)}


async def due(room: Room, count: int) -> Found:
    """A worker with eight places, and so many runs of the job ``due``: seconds, megabytes more."""
    from postroom.worker import Worker

    await room.jobs.release("due")
    before = _peak()
    began = time.perf_counter()
    working = asyncio.create_task(Worker(room).run())
    try:
        while (await room.jobs.show("due"))["runs"].get("succeeded", 0) < count:
            await asyncio.sleep(0.2)
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
    return {"seconds": time.perf_counter() - began, "grown_mb": _peak() - before}


TASKS: dict[str, Callable[..., Awaitable[Found]]] = {
    "collect": collect,
    "due": due,
    "listing": listing,
    "poll": poll,
    "send": send,
    "resolve": resolve,
    "schedule": schedule,
    "tokens": tokens,
}
"""What may be asked for, by name; each takes the opened room and its values."""


async def _run(task: str, room: str, kek: str, values: dict[str, Any]) -> Found:
    opened = await open_room(settings_of(room=room, kek=kek))
    try:
        return await TASKS[task](opened, **values)
    finally:
        await opened.close()


def main() -> None:
    """Read the command line, run the task, print what it found."""
    parser = argparse.ArgumentParser(description="one task of the bench")
    parser.add_argument("task", choices=sorted(TASKS))
    parser.add_argument("--room", required=True)
    parser.add_argument("--kek", required=True)
    parser.add_argument("--values", type=json.loads, default={})
    given = parser.parse_args()
    with profiled(given.task):
        found = asyncio.run(_run(given.task, given.room, given.kek, given.values))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
