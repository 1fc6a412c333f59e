"""Collectors that are killed between any two steps, and messages that kill them (promise 2, F18)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final

from postroom.app import open_room
from postroom.settings import Settings
from postroom.sources import arriving, collector, listing
from tests.faults.children import Victim, until_dead
from tests.faults.dose import dose
from tests.faults.history import Pen
from tests.faults.spots import patch
from tests.faults.stage import Stage
from tests.journeys.conftest import connect
from tests.journeys.incoming import Incoming, letter

__all__ = [
    "collect",
    "collect_at_once",
    "collect_poisoned",
    "collect_watched",
    "durable_before_recorded",
    "killed_at_random",
    "killed_collectors",
    "killed_while_arriving",
    "mailbox",
    "poisoned",
]

KINDS: Final = ("directory", "maildir")
"""The sinks that are collected into."""
COUNT: Final = 24
_SMALL: Final = 8
"""Messages in a page and in a batch: so that there are several of each."""
SPOTS: Final = (
    "postroom.sources.ledger:record before 2",
    "postroom.sources.ledger:recover after",
    "postroom.sources.ledger:record before",
    "postroom.sources.ledger:record after",
    "postroom.sources.ledger:acquire before",
    "postroom.sources.ledger:acquire after 2",
    "postroom.sources.collector:Collector._fetch before",
    "postroom.sources.collector:Collector._fetch after 2",
    "postroom.sources.reading:open_message before 3",
    "postroom.sources.reading:open_message after 8",
    "postroom.sinks.files:Batch.add after 5",
    "postroom.sinks.files:Batch.commit before 2",
    "postroom.sinks.files:_sync after",
    "postroom.sinks.files:Batch.commit after",
    "postroom.sources.ledger:delivered before",
    "postroom.sources.ledger:delivered after 2",
    "postroom.sources.ledger:to_settle before",
    "postroom.sources.settling:_act before",
    "postroom.sources.settling:_act after",
    "postroom.sources.ledger:settle_after before",
    "postroom.sources.ledger:settle_after after",
)
"""Where messages are listed first, as a source that sorts them wants it."""
ARRIVING: Final = (
    "postroom.sources.ledger:record before",
    "postroom.sources.ledger:record after",
    "postroom.protocols.imap.arrivals:_page before",
    "postroom.sources.arriving:Arriving._take before",
    "postroom.sources.ledger:record before 2",
    "postroom.sources.ledger:record after 2",
    "postroom.sources.ledger:record before 3",
    "postroom.sources.arriving:Arriving._take after",
    "postroom.sources.reading:open_message after 8",
    "postroom.sinks.files:Batch.commit before",
    "postroom.sinks.files:Batch.commit after",
    "postroom.sources.ledger:delivered before",
    "postroom.sources.ledger:delivered after",
)
"""Where they come with their listing."""


@contextlib.asynccontextmanager
async def mailbox(stage: Stage) -> AsyncIterator[Incoming]:
    """A new room on the stage, and somebody's mailbox on Dovecot."""
    room = await open_room(stage.settings, make=True)
    try:
        ground = stage.ground()
        user = ground.user()
        await connect(room, ground, user)
        yield Incoming(room, ground, user, stage.path / "orders")
    finally:
        await room.close()


# ------------------------------------------------------------------ clients


async def collect(pen: Pen, room: str, kek: str, name: str) -> None:
    """Collect once, in small batches, and end."""
    collector.BATCH = listing.PAGE = arriving.MOST = _SMALL
    await collect_at_once(pen, room, kek, name)


async def collect_at_once(pen: Pen, room: str, kek: str, name: str) -> None:
    """Collect once and end."""
    opened = await open_room(Settings(Path(room), kek))
    print("ready", flush=True)
    await opened.collecting.run(name)
    await opened.close()


async def collect_poisoned(pen: Pen, room: str, kek: str, name: str) -> None:
    """The same, by a process that a message with ``poison`` in its subject kills."""

    def new(old: Any) -> Any:
        def open_message(source: Any, row: Any, content: Any, *rest: Any) -> Any:
            if b"Subject: poison" in content.bytes()[:200]:
                time.sleep(0.05)  # as one that runs out of memory takes its time
                os.kill(os.getpid(), signal.SIGKILL)
            return old(source, row, content, *rest)

        return open_message

    patch("postroom.sources.reading:open_message", new)
    await collect_at_once(pen, room, kek, name)


# ------------------------------------------------------------------ killed between two steps


async def killed_collectors(stage: Stage, mutant: str = "") -> list[str]:
    """A collector dies at each spot, another one finishes: all is there once, everywhere."""
    return await _killed_at(SPOTS, "oldest", stage, mutant)


async def killed_while_arriving(stage: Stage, mutant: str = "") -> list[str]:
    """The same where messages come with their listing."""
    return await _killed_at(ARRIVING, "server", stage, mutant, size=8000)  # not all in one read


async def _killed_at(
    spots: Sequence[str], order: str, stage: Stage, mutant: str = "", *, size: int = 40
) -> list[str]:
    wrong: list[str] = []
    async with mailbox(stage) as box:
        for number, spot in enumerate([*spots] * dose(1, 3, 20)):
            if wrong and mutant:
                break
            kind = KINDS[number % len(KINDS)]
            name, sink = f"spot-{number}", stage.path / f"spot-{number}"
            sent = [letter(f"m{n}", size=n * size) for n in range(COUNT)]
            box.fill(*sent, folder=name)
            await box.source(
                name,
                folders={"input": name, "done": f"Done {number}"},
                sink={"type": kind, "path": str(sink)},
                order=order,
            )
            with Victim(_COLLECT, *stage.where, name, spot=spot, mutant=mutant) as victim:
                if not await until_dead(victim):
                    wrong.append(f"{spot}: it was not reached")
            with Victim(_COLLECT, *stage.where, name, mutant=mutant) as victim:
                await until_dead(victim)
            wrong += [
                f"{spot}, {kind}: {sentence}"
                for sentence in (
                    *_unsound_files(sink, sent),
                    *_unsound_folders(box, name, f"Done {number}", COUNT),
                )
            ]
    return wrong


async def killed_at_random(stage: Stage, mutant: str = "") -> list[str]:
    """Collectors die at any moment of a pass, again and again; the last one finishes."""
    count = 300
    async with mailbox(stage) as box:
        wrong: list[str] = []
        for number in range(dose(1, 10, 100)):
            kind = KINDS[number % len(KINDS)]
            name, sink = f"random-{number}", stage.path / f"random-{number}"
            sent = [letter(f"m{n}", size=2_000) for n in range(count)]
            box.fill(*sent, folder=name)
            folders = {"input": name, "done": f"Done {number}"}
            await box.source(name, folders=folders, sink={"type": kind, "path": str(sink)})
            for _ in range(6):
                with Victim(_AT_ONCE, *stage.where, name, mutant=mutant) as victim:
                    assert await asyncio.to_thread(victim.line) == "ready"
                    await asyncio.sleep(stage.chance.uniform(0.01, 0.25))
            with Victim(_AT_ONCE, *stage.where, name, mutant=mutant) as victim:
                await until_dead(victim)
            wrong += _unsound_files(sink, sent)
            wrong += _unsound_folders(box, name, f"Done {number}", count)
    return wrong


_COLLECT: Final = "tests.faults.collecting:collect"
_AT_ONCE: Final = "tests.faults.collecting:collect_at_once"


def _unsound_files(sink: Path, sent: Sequence[bytes]) -> list[str]:
    """What is wrong with the messages in a sink: each is there once, with its exact bytes."""
    files = [path for path in sink.rglob("*") if path.is_file() and not path.name.endswith(".part")]
    found = Counter(path.read_bytes() for path in files if path.parent.name != "tmp")
    wanted = Counter(sent)
    wrong = [f"{_subject(one)} is not in the sink" for one in wanted - found]
    return wrong + [f"{_subject(one)} is there too often, or torn" for one in found - wanted]


def _unsound_folders(box: Incoming, name: str, done: str, count: int) -> list[str]:
    """What is wrong with the ledger and the server: all is done, moved, and nothing is left."""
    wrong = []
    if box.counts(name) != {"done": count}:
        wrong.append(f"the ledger says {box.counts(name)}")
    if left := box.there(name):
        wrong.append(f"{len(left)} messages are not moved")
    if sorted(box.there(done)) != sorted(f"m{n}" for n in range(count)):
        wrong.append("they are not in the folder for what is done, each once")
    return wrong


def _subject(message: bytes) -> str:
    found = re.search(rb"^Subject: (.*?)\r?$", message, re.M)
    return found[1].decode() if found else repr(message[:40])


# ------------------------------------------------------------------ durable before it is recorded


async def collect_watched(pen: Pen, room: str, kek: str, name: str) -> None:
    """Collect once, and print in their order what is synced, what gets its name, what is recorded."""

    def say(kind: str, *what: str) -> None:
        # one call, since files are synced in several threads
        os.write(sys.stdout.fileno(), json.dumps([kind, *what]).encode() + b"\n")

    def path(file: int) -> str:
        return str(Path(f"/proc/self/fd/{file}").readlink())

    def synced(old: Any) -> Any:
        def sync(file: int) -> None:
            old(file)
            say("sync", path(file))

        return sync

    def named(old: Any) -> Any:
        def name_(source: str, target: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
            old(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
            say("name", f"{path(src_dir_fd)}/{source}", f"{path(dst_dir_fd)}/{target}")

        return name_

    def recorded(old: Any) -> Any:
        def delivered(tx: Any, reads: Any, *rest: Any, **more: Any) -> Any:
            say("record", *(one.delivery.where for one in reads))
            return old(tx, reads, *rest, **more)

        return delivered

    os.rename, os.link = named(os.rename), named(os.link)
    os.fsync, os.fdatasync = synced(os.fsync), synced(os.fdatasync)
    patch("postroom.sources.ledger:delivered", recorded)
    await collect(pen, room, kek, name)


async def durable_before_recorded(stage: Stage, mutant: str = "") -> list[str]:
    """Power may fail: what the ledger calls delivered was synced, and its directory, before that.

    A kill does not show it, since the kernel still writes what it has; so the order is watched.
    """
    wrong: list[str] = []
    async with mailbox(stage) as box:
        box.fill(*(letter(f"m{n}") for n in range(COUNT)))
        for kind in KINDS:
            sink = stage.path / kind
            await box.source(kind, sink={"type": kind, "path": str(sink)})
            with Victim(_WATCHED, *stage.where, kind, mutant=mutant) as victim:
                assert await asyncio.to_thread(victim.line) == "ready"
                events = [json.loads(line) for line in await asyncio.to_thread(victim.lines)]
            wrong += [f"{kind}: {sentence}" for sentence in _undurable(events, str(sink))]
            if sum(len(one) - 1 for one in events if one[0] == "record") != COUNT:
                wrong.append(f"{kind}: not every message was recorded")
    return wrong


_WATCHED: Final = "tests.faults.collecting:collect_watched"


def _undurable(events: Sequence[Sequence[str]], sink: str) -> list[str]:
    wrong: list[str] = []
    synced: set[str] = set()
    named: set[str] = set()  # in directories that are synced since
    fresh: set[str] = set()
    for kind, *what in events:
        if kind == "sync":
            synced.add(what[0])
            done = {one for one in fresh if one.rpartition("/")[0] == what[0]}
            named, fresh = named | done, fresh - done
        elif kind == "name" and what[1].startswith(sink):
            fresh.add(what[1])
            if what[0] not in synced:
                wrong.append(f"{what[1]} got its name before its bytes were durable")
        elif kind == "record":
            wrong += [f"{one} was recorded before its name was durable" for one in what
                      if one not in named]  # fmt: skip
    return wrong


# ------------------------------------------------------------------ poison


async def poisoned(stage: Stage, mutant: str = "") -> list[str]:
    """Every tenth message kills whoever reads it: those are held, and all others arrive."""
    count = dose(40, 1_000, 3_000)
    bad = {f"poison{n}" for n in range(0, count, 10)}
    good = {f"m{n}" for n in range(count) if n % 10}
    starts = 0
    async with mailbox(stage) as box:
        box.fill(*(letter(f"m{n}" if n % 10 else f"poison{n}") for n in range(count)))
        await box.source()
        while True:
            starts += 1
            if starts > 4 * len(bad):
                return [f"after {starts} starts {box.counts()}"]
            with Victim(_POISONED, *stage.where, "orders-in", mutant=mutant) as victim:
                if not await until_dead(victim):
                    break
        found = Counter(box.subjects())
        held = {
            one.subject: one for one in await box.room.ledger.list("orders-in", states=["held"])
        }
        counts = box.counts()
    wrong = [f"{one} did not arrive" for one in good if not found[one]]
    wrong += [f"{one} arrived {times} times" for one, times in found.items() if times > 1]
    wrong += [f"{one} arrived, and kills who reads it" for one in bad if found[one]]
    if counts != {"done": len(good), "held": len(bad)}:
        wrong.append(f"the ledger says {counts}")
    wrong += [
        f"{one.subject}: {one.reason}" for one in held.values() if one.reason != "third failure"
    ]
    return wrong


_POISONED: Final = "tests.faults.collecting:collect_poisoned"
