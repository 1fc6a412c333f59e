"""Erasing a person: what the room keeps of an address, shown first, then removed (operation ``erase``)."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from postroom import audit
from postroom.clock import rfc3339, timestamp
from postroom.connections import events
from postroom.connections import store as connections
from postroom.db import Tx, seated
from postroom.db.rewriting import rewrite
from postroom.errors import Refused
from postroom.fields import shown
from postroom.jobs import erasing as jobs_erasing
from postroom.jobs import store as jobs
from postroom.jobs.erasing import KnownRun
from postroom.mail.addresses import parse_address
from postroom.mail.mention import Mention
from postroom.notices import erasing as notices
from postroom.notices import store as notifications
from postroom.operations import answers
from postroom.operations.desk import Desk
from postroom.operations.sight import check_sees_all
from postroom.services import answered
from postroom.services import erasing as outbox
from postroom.services import service as services
from postroom.services.erasing import Stored
from postroom.sources import erasing as ledger
from postroom.sources import store as sources
from postroom.sources.erasing import Known
from postroom.variables import store as variables

__all__ = ["Backup", "Erased", "Erasing", "Kept"]

_AT_ONCE: Final = 200
"""Rows of one transaction: nobody else waits for long."""
_BACKUPS: Final = 10_000
RUN: Final = "run:"
"""How the ledger begins where a message was handed to a job: no file lies there."""


@dataclasses.dataclass(frozen=True, slots=True)
class Backup:
    """A copy of the room that was made when the room knew the address; ``there``: it still is."""

    path: str
    made_at: str
    there: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Kept:
    """What the room keeps of an address, and where else it is.

    ``outbox`` are messages that are finished, ``unfinished`` those that are not; ``ledger`` the
    entries of the ledger, by source, ``collecting`` how many of them are still being collected;
    ``runs`` those of jobs, ``at_work`` those that are not finished; ``sentences`` what servers said
    of them.  ``traces``: of something that was erased earlier,
    whosever it was, there may still be some in the database's file.

    Nothing else is touched: ``files`` lie in sinks, ``settings`` are records of the room that name
    the address, ``backups`` hold what the room held.
    """

    address: str
    outbox: tuple[Stored, ...]
    unfinished: tuple[Stored, ...]
    ledger: dict[str, int]
    collecting: int
    runs: tuple[KnownRun, ...]
    at_work: tuple[KnownRun, ...]
    sentences: int
    traces: bool
    files: tuple[str, ...]
    settings: tuple[str, ...]
    backups: tuple[Backup, ...]

    @property
    def anything(self) -> bool:
        """Whether there is something to remove."""
        kept = (self.outbox, self.unfinished, self.ledger, self.runs, self.at_work, self.sentences)
        return any(kept)

    def as_json(self) -> dict[str, Any]:
        """As ``--json`` shows it."""
        return {
            **dataclasses.asdict(self),
            "outbox": [one.as_json() for one in self.outbox],
            "unfinished": [one.as_json() for one in self.unfinished],
            "runs": [one.as_json() for one in self.runs],
            "at_work": [one.as_json() for one in self.at_work],
        }


@dataclasses.dataclass(frozen=True, slots=True)
class Erased:
    """How many messages of the outbox, entries of the ledger, runs and sentences were erased.

    ``left`` says why traces can still be found in the database's file; empty: there are none.
    """

    outbox: int
    ledger: int
    runs: int
    sentences: int
    left: str


class Erasing:
    """Showing and removing what the room keeps of a person."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def plan(self, address: str) -> Kept:
        """What the room keeps of an address.  Raises InvalidValue for what is no address."""
        mention = _mention(address)
        found, known, begun = await self._look(mention)
        instants = [one.since for some in (found, known, begun) for one in some]
        return Kept(
            address=address,
            outbox=tuple(one for one in found if one.finished),
            unfinished=tuple(one for one in found if not one.finished),
            ledger=dict(Counter(one.source for one in known)),
            collecting=sum(one.open for one in known),
            runs=tuple(one for one in begun if one.finished),
            at_work=tuple(one for one in begun if not one.finished),
            sentences=await self._desk.db.read(lambda tx: _sentences(tx, mention.named_in)),
            traces=await self._desk.db.read(_unclean),
            files=tuple(
                dict.fromkeys(
                    one.file for one in known if one.file and not one.file.startswith(RUN)
                )
            ),
            settings=await asyncio.to_thread(
                self._desk.db.read_now, lambda tx: tuple(_settings(tx, self._desk, mention))
            ),
            backups=await self._desk.db.read(
                lambda tx: _backups(tx, self._desk.data_dir, min(instants, default=timestamp()))
            ),
        )

    async def erase(self, address: str) -> Erased:
        """Remove what the room keeps of an address, write the database's file anew, and the record.

        The record says that it was done and how much there was, not whose; it does so before anything
        is removed.  Raises Refused while messages that name the address are still to be sent, or
        runs that do are not finished, with the list; then nothing is removed.
        """
        mention = _mention(address)
        found, known, begun = await self._look(mention)
        unfinished = [one for one in found if not one.finished]
        if unfinished:
            raise _unfinished(unfinished)
        if at_work := [one for one in begun if not one.finished]:
            raise _at_work(at_work)

        def begin(tx: Tx) -> bool:
            there = (len(found), len(known), len(begun), _sentences(tx, mention.named_in))
            answered.erase(tx, mention.address)
            if answers.erase(tx, mention.named_in) or any(there):
                _mark(tx)
            if any(there):
                told = dict(zip(("outbox", "ledger", "runs", "sentences"), there, strict=True))
                self._desk.record(tx, "erase", "room", "a person", **told)
            return any(there)

        if not await self._desk.write(begin):
            return Erased(0, 0, 0, 0, await self._clean())
        items = [one.id for one in found]
        sent = await self._each(items, lambda tx, some: _erase_stored(tx, some, mention))
        ids = [one.id for one in known]
        entries = await self._each(
            ids, lambda tx, some: ledger.erase(tx, some, mention.named_in, now=timestamp())
        )

        runs = await self._each(
            [one.id for one in begun],
            lambda tx, some: sum(jobs_erasing.erase(tx, one, mention.named_in) for one in some),
        )

        def rest(tx: Tx) -> int:
            named = mention.named_in
            told = events.erase(tx, named) + ledger.erase_notes(tx, named)
            return told + notices.erase(tx, named)

        sentences = await self._desk.write(rest)
        return Erased(sent, entries, runs, sentences, await self._clean())

    async def _clean(self) -> str:
        """Write the file anew where something was erased since that was done last; gives why not."""
        if not await self._desk.db.read(_unclean):
            return ""
        path = self._desk.db.path
        mine = self._desk.seat_owner
        alone = all(owner == mine for owner in seated(path.parent))
        left = await asyncio.to_thread(rewrite, path, alone=alone)
        if not left:
            await self._desk.write(_unmark)
        return left

    async def _look(self, mention: Mention) -> tuple[list[Stored], list[Known], list[KnownRun]]:
        """Some at a time, so that no read lasts long, and others come between."""
        await self._desk.db.read(check_sees_all)
        found: list[Stored] = []
        after = ""
        while True:
            await asyncio.sleep(0)
            some, after = await self._desk.db.read(
                lambda tx: outbox.stored(tx, after, mention.named_in)  # noqa: B023
            )
            found += some
            if not after:
                break
        known: list[Known] = []
        first, last = await self._desk.db.read(ledger.ends)
        for low in range(first, last + 1, ledger.AT_ONCE):
            await asyncio.sleep(0)
            known += await self._desk.db.read(
                lambda tx: ledger.known(tx, low, mention.named_in)  # noqa: B023
            )
        begun: list[KnownRun] = []
        while True:
            runs, after = await self._desk.db.read(
                lambda tx: jobs_erasing.known(tx, after, mention.named_in)  # noqa: B023
            )
            begun += runs
            if not after:
                return found, known, begun

    async def _each(self, ids: list[Any], erase: Callable[[Tx, list[Any]], int]) -> int:
        done = 0
        for at in range(0, len(ids), _AT_ONCE):
            some = ids[at : at + _AT_ONCE]
            done += await self._desk.write(lambda tx: erase(tx, some))  # noqa: B023
        return done


_UNCLEAN: Final = "traces"


def _mark(tx: Tx) -> None:
    """Note, before anything is erased, that the file is to be written anew: whoever is killed is not
    to leave traces that nobody knows of."""
    tx.execute(
        "INSERT INTO room (key, value) VALUES (:key, :now) ON CONFLICT (key) DO NOTHING",
        key=_UNCLEAN,
        now=rfc3339(timestamp()),
    )


def _unmark(tx: Tx) -> None:
    tx.execute("DELETE FROM room WHERE key = :key", key=_UNCLEAN)


def _unclean(tx: Tx) -> bool:
    return tx.value("SELECT value FROM room WHERE key = :key", key=_UNCLEAN) is not None


def _mention(address: str) -> Mention:
    return Mention(parse_address(address, "address"))


def _erase_stored(tx: Tx, items: list[str], mention: Mention) -> int:
    return sum(outbox.erase(tx, one, mention.named_in) for one in items)


def _unfinished(items: list[Stored]) -> Refused:
    told = ", ".join(f"{one.id} ({one.state})" for one in items[:8])
    more = f" and {len(items) - 8} more" if len(items) > 8 else ""
    many = "1 message is" if len(items) == 1 else f"{len(items)} messages are"
    return Refused(
        f"{many} still to be sent: {told}{more}. Nothing was erased.",
        items=[one.as_json() for one in items],
        hint=f"Cancel each first, or wait until it is sent: postroom outbox cancel {items[0].id}",
    )


def _at_work(runs: list[KnownRun]) -> Refused:
    told = ", ".join(f"{one.id} of job {one.job} ({one.state})" for one in runs[:8])
    more = f" and {len(runs) - 8} more" if len(runs) > 8 else ""
    many = "1 run is" if len(runs) == 1 else f"{len(runs)} runs are"
    return Refused(
        f"{many} not finished: {told}{more}. Nothing was erased.",
        items=[one.as_json() for one in runs],
        hint=f"Cancel each first, or wait until it is over: postroom job cancel {runs[0].id}",
    )


def _sentences(tx: Tx, named: Callable[[str], bool]) -> int:
    return events.naming(tx, named) + ledger.notes_naming(tx, named) + notices.naming(tx, named)


def _settings(tx: Tx, desk: Desk, mention: Mention) -> Iterator[str]:
    """The records that somebody saved with the address in them: ``credential acme-login``."""
    for one in desk.credentials.all(tx):
        if mention.named_in(json.dumps([one.description, one.plain], default=str)):
            yield f"credential {one.name}"
    for noun, records in (
        ("connection", connections.load_all(tx)),
        ("source", sources.load_all(tx)),
        ("service", services.load_all(tx)),
        ("job", jobs.load_all(tx)),
        ("notification", notifications.load_all(tx)),
    ):
        for record in records:
            if mention.named_in(json.dumps(shown(record), ensure_ascii=False, default=str)):
                yield f"{noun} {record.name}"
    for noun, unreadable in (
        ("connection", connections.unreadable(tx)),
        ("source", sources.unreadable(tx)),
        ("service", services.unreadable(tx)),
        ("job", jobs.unreadable(tx)),
        ("notification", notifications.unreadable(tx)),
    ):  # nobody can say that they do not have it
        yield from (f"{noun} {name}" for name in unreadable)
    for job in jobs.load_all(tx):
        if mention.named_in(json.dumps(jobs.kept(tx, job.name), ensure_ascii=False)):
            yield f"what job {job.name} keeps between its runs"
    for name, value in variables.all_variables(tx).items():
        if mention.named_in(value):
            yield f"variable {name}"


def _backups(tx: Tx, room: Path, since: float) -> tuple[Backup, ...]:
    """Backups that the record tells of since then, and the copies that upgrades left."""
    made = [
        Backup(str(row["detail"]["path"]), rfc3339(row["at"]), Path(row["detail"]["path"]).exists())
        for row in audit.rows(
            tx, noun="backup", action="create", since=since, limit=_BACKUPS, checkpoints=False
        )
        if row["detail"].get("path")
    ]
    made += [
        Backup(str(path), rfc3339(path.stat().st_mtime), there=True)
        for path in sorted(room.glob("room-schema-*.db"))
        if path.stat().st_mtime >= since
    ]
    return tuple(made)
