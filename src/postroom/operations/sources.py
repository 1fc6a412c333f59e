"""Operations on sources: define, run, watch, and what operators do with the ledger."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from postroom.clock import timestamp
from postroom.connections import store as connections
from postroom.connections.spool import Spools
from postroom.db import Claim, Tx
from postroom.errors import InvalidValue, Refused
from postroom.fields import parse, shown
from postroom.operations.connections import merge
from postroom.operations.desk import Desk
from postroom.sinks import Sink
from postroom.sources import ledger, store
from postroom.sources.collector import SOURCES, Progress, Tally
from postroom.sources.ledger import Entry
from postroom.sources.source import Folders, Source
from postroom.sources.store import Status
from postroom.sources.watcher import Watcher

__all__ = ["Sources"]


class Sources:
    """What a person may do with sources."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def add(self, data: Mapping[str, Any], *, base: Path | None = None) -> dict[str, Any]:
        """Make a source; relative sink paths are taken from ``base`` (default: here)."""
        source = self.declared(data, base or Path.cwd())
        await self._desk.change(lambda tx: self.save(tx, source, new=True))
        return await self.show(source.name)

    async def set(
        self, name: str, changes: Mapping[str, Any], *, base: Path | None = None
    ) -> dict[str, Any]:
        """Change fields of a source; groups merge field by field, lists and ``sink`` are replaced."""

        def body(tx: Tx) -> None:
            old = shown(store.get(tx, name))
            merged = merge(old, {key: value for key, value in changes.items() if key != "sink"})
            if "sink" in changes:
                merged["sink"] = merge(old["sink"], changes["sink"])
            self.save(tx, self.declared(merged, base or Path.cwd()), new=False)

        await self._desk.change(body)
        return await self.show(name)

    def declared(self, data: Mapping[str, Any], base: Path) -> Source:
        """The definition in input, with absolute sink paths.  Raises what is wrong with it."""
        source = parse(Source, data, where=f"source {data.get('name', '')}".strip())
        return source.model_copy(update={"sink": source.sink.resolved(base)})

    def save(self, tx: Tx, source: Source, *, new: bool) -> None:
        """Store it, check what it refers to, and write it down."""
        effective = self._desk.resolver(tx).effective(connections.get(tx, source.connection).name)
        if effective.incoming is None:
            raise Refused(
                f"Connection {source.connection} has no incoming side.",
                hint="Give it one: postroom connection set "
                f"{source.connection} --set incoming.protocol=imap ...",
            )
        if effective.incoming.read_only and any(
            source.action(outcome) not in ("keep", "copy")
            for outcome in ("done", "error", "ignored")
        ):
            raise Refused(
                f"Connection {source.connection} is read-only, so source {source.name} "
                "can change nothing on it.",
                code="read_only",
                hint="Use after: keep for done, error and ignored.",
            )
        self._only_one_changes(tx, source)
        self._expanded(tx, source)
        if new:
            store.add(tx, source)
        else:
            store.replace(tx, source)
        self._desk.record(tx, "add" if new else "set", "source", source.name)

    def _only_one_changes(self, tx: Tx, source: Source) -> None:
        """Two sources may watch one folder; only one may move or delete what is in it."""
        if source.action("done") == "keep":
            return
        for other in store.load_all(tx):
            if (
                other.name.casefold() != source.name.casefold()
                and other.connection.casefold() == source.connection.casefold()
                and other.folders.input == source.folders.input
                and other.action("done") != "keep"
            ):
                raise InvalidValue(
                    f"source {source.name}: after.done",
                    f"source {other.name} already changes the messages of that folder; "
                    "only one source may",
                )

    def _expanded(self, tx: Tx, source: Source) -> Source:
        """The source with the macros of its folders and its sink expanded."""
        expand = self._desk.expander(tx)
        where = f"source {source.name}"
        folders = Folders(
            **{name: expand(value, f"{where}: folders.{name}") for name, value in source.folders}
        )
        path = expand(source.sink.path, f"{where}: sink.path")
        return source.model_copy(
            update={"folders": folders, "sink": source.sink.model_copy(update={"path": path})}
        )

    async def copy(self, name: str, new_name: str) -> dict[str, Any]:
        """Make another source with the same settings under a new name."""
        data = shown(await self._desk.db.read(lambda tx: store.get(tx, name)))
        return await self.add({**data, "name": new_name})

    async def delete(self, name: str) -> None:
        """Remove a source and what it remembers; what it delivered stays where it is."""

        def body(tx: Tx) -> None:
            row = store.row_of(tx, name)
            if row["owner"] is not None and self._alive(tx, row["owner"]):
                raise Refused(
                    f"A worker is collecting for source {row['name']} right now.",
                    code="in_use",
                    hint="Stop the worker, then delete the source.",
                )
            store.delete(tx, name)
            self._desk.record(tx, "delete", "source", row["name"])

        await self._desk.change(body)

    def _alive(self, tx: Tx, owner: str) -> bool:
        return tx.one("SELECT 1 FROM workers WHERE owner = :owner", owner=owner) is not None

    async def list(self) -> builtins.list[Status]:
        """Every source and what it is doing."""
        return await self._desk.db.read(
            lambda tx: [store.status(tx, one.name) for one in store.load_all(tx)]
        )

    async def show(self, name: str) -> dict[str, Any]:
        """The settings of one source, what it is doing, and its counts."""

        def body(tx: Tx) -> dict[str, Any]:
            one = store.get(tx, name)
            return {**shown(one, defaults=True), "status": store.status(tx, name).as_json()}

        return await self._desk.db.read(body)

    # ------------------------------------------------------------------ run

    async def run(self, name: str, *, progress: Progress | None = None) -> Tally | None:
        """Collect once, here and now.

        None when a living worker owns the source: then that one is asked to look at once.  Raises
        WireError and Refused for what stopped it.
        """
        watcher = await self._watcher(name, progress)
        return None if watcher is None else await watcher.once()

    async def watch(self, name: str, *, progress: Progress | None = None) -> bool:
        """Collect for a source until cancelled; False when a living worker owns it already."""
        watcher = await self._watcher(name, progress)
        if watcher is None:
            return False
        await watcher.watch()
        return True

    async def names(self, roles: Sequence[str]) -> builtins.list[str]:
        """The sources that a worker with these roles may collect for."""

        def body(tx: Tx) -> builtins.list[str]:
            resolver = self._desk.resolver(tx)
            problems = resolver.problems()
            return [
                one.name
                for one in store.load_all(tx)
                if one.connection not in problems
                and _may(one.worker_roles, roles)
                and _may(resolver.effective(one.connection).worker_roles, roles)
            ]

        return await self._desk.db.read(body)

    async def claim(self, names: Sequence[str], limit: int) -> builtins.list[Claim]:
        """Take sources of these names that are due and that nobody living owns."""
        seat = await self._desk.seat()
        wanted = f",{','.join(name.casefold() for name in names)},"
        return await self._desk.db.write(
            lambda tx: SOURCES.claim(
                tx, owner=seat.owner, now=timestamp(), limit=limit, names=wanted
            )
        )

    async def watcher(self, claim: Claim, progress: Progress | None = None) -> Watcher:
        """The watcher of a claimed source."""
        seat = await self._desk.seat()
        source = await self._desk.db.read(lambda tx: self._expanded(tx, store.source_of(claim.row)))
        sink: Sink = source.sink
        return Watcher(
            self._desk.db,
            claim,
            source,
            sink,
            owner=seat.owner,
            open_store=self._desk.opener.open_store,
            open_spool=Spools(self._desk.data_dir / "spool"),
            progress=progress,
        )

    async def _watcher(self, name: str, progress: Progress | None) -> Watcher | None:
        seat = await self._desk.seat()
        await seat.remove_dead()
        await self._desk.write(lambda tx: store.wake(tx, store.row_of(tx, name)["name"]))
        claims = await self.claim([name], 1)
        return await self.watcher(claims[0], progress) if claims else None

    # ------------------------------------------------------------------ ledger

    async def ledger(
        self, name: str, *, states: Sequence[str] = (), limit: int = 50
    ) -> builtins.list[Entry]:
        """What the source remembers, newest first."""
        return await self._desk.db.read(
            lambda tx: ledger.find(tx, store.row_of(tx, name)["id"], states=states, limit=limit)
        )

    async def counts(self, name: str) -> dict[str, int]:
        """How many messages are in each state."""
        return await self._desk.db.read(lambda tx: ledger.counts(tx, store.row_of(tx, name)["id"]))

    async def release(self, name: str, ids: Sequence[int] | None = None) -> int:
        """Let held messages be processed (None: all of them)."""
        return await self._open_again("release", name, ids)

    async def reset(self, name: str, ids: Sequence[int] | None = None) -> int:
        """Process messages again (None: all of them)."""
        return await self._open_again("reset", name, ids)

    async def _open_again(self, verb: str, name: str, ids: Sequence[int] | None) -> int:
        change = ledger.release if verb == "release" else ledger.reset

        def body(tx: Tx) -> int:
            row = store.row_of(tx, name)
            count = change(tx, row["id"], ids, now=timestamp())
            store.wake(tx, name)
            self._desk.record(tx, verb, "source", row["name"], messages=count)
            return count

        return await self._desk.change(body)


def _may(wanted: Sequence[str], roles: Sequence[str]) -> bool:
    """Whether a worker with ``roles`` may do what asks for one of ``wanted`` (empty: anybody)."""
    return not wanted or bool(set(wanted) & set(roles))
