"""Operations on sources: define, run, watch, and what operators do with the ledger."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from postroom.db import Tx
from postroom.fields import parse, shown
from postroom.operations import usage
from postroom.operations.connections import merge
from postroom.operations.desk import Desk
from postroom.operations.expanding import check_beside_others, expanded, naming
from postroom.operations.fits import check_incoming, check_sink
from postroom.operations.permitting import check_source
from postroom.operations.untold import told
from postroom.operations.usage import Usage
from postroom.sources import store
from postroom.sources.source import Source, Start
from postroom.sources.standing import Status

if TYPE_CHECKING:
    from postroom.operations import models

__all__ = ["Sources"]


class Sources:
    """What a person may do with sources."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def add(self, data: Mapping[str, Any], *, base: Path | None = None) -> models.Source:
        """Make a source; relative sink paths are taken from ``base`` (default: here)."""
        source = self.declared(data, base or Path.cwd())
        await self._desk.write(lambda tx: self.save(tx, source, new=True))
        return await self.show(source.name)

    async def set(
        self, name: str, changes: Mapping[str, Any], *, base: Path | None = None
    ) -> models.Source:
        """Change fields of a source; groups merge field by field, lists and ``sink`` are replaced."""

        def body(tx: Tx) -> None:
            old = shown(store.get(tx, name))
            merged = merge(old, {key: value for key, value in changes.items() if key != "sink"})
            if "sink" in changes:
                merged["sink"] = merge(old["sink"], changes["sink"])
            source = self.declared(merged, base or Path.cwd())
            self.save(tx, source, new=False, same_files=shown(source)["sink"] == old["sink"])

        await self._desk.write(body)
        return await self.show(name)

    def declared(self, data: Mapping[str, Any], base: Path) -> Source:
        """The definition in input, with absolute sink paths.  Raises what is wrong with it."""
        source = parse(Source, data, where=f"source {data.get('name', '')}".strip())
        return source.model_copy(update={"sink": source.sink.resolved(base)})

    def save(self, tx: Tx, source: Source, *, new: bool, same_files: bool = False) -> None:
        """Store it, check what it refers to, and write it down.

        ``same_files``: its sink writes where it did already, which somebody was permitted.
        """
        check_source(self._desk.person, source, same_files=same_files)
        check_incoming(self._desk, tx, source)
        check_sink(tx, source)
        check_beside_others(self._desk, tx, source)
        expanded(self._desk, tx, source)
        naming(self._desk, tx, source)
        if new:
            store.add(tx, source)
        else:
            store.replace(tx, source)
        self._desk.record(tx, "add" if new else "set", "source", source.name)

    async def copy(self, name: str, new_name: str) -> models.Source:
        """Make another source with the same settings under a new name."""
        data = shown(await self._desk.db.read(lambda tx: store.get(tx, name)))
        return await self.add({**data, "name": new_name})

    async def delete(self, name: str, *, dry_run: bool = False) -> None:
        """Remove a source and what it remembers; what it delivered stays where it is."""
        await self._desk.write(lambda tx: self.remove(tx, name), dry_run=dry_run)

    def remove(self, tx: Tx, name: str) -> None:
        """As :meth:`delete`, inside a transaction."""
        row = store.row_of(tx, name)
        workers = [use for use in usage.of_source(tx, name).uses if use.noun == "worker"]
        if workers:
            hint = (
                f"Take it from that worker: postroom source set {row['name']} --worker-roles nobody. It "
                "lets go within seconds; then delete it. Or stop the worker first."
            )
            raise usage.in_use(f"Source {row['name']}", workers, hint)
        store.delete(tx, name)
        self._desk.record(tx, "delete", "source", row["name"])

    async def usage(self, name: str) -> Usage:
        """The worker that collects for a source, and its messages that are not finished."""
        return await self._desk.db.read(lambda tx: usage.of_source(tx, name))

    async def list(self, *, counted: bool = True) -> builtins.list[Status]:
        """Every source and what it is doing; its messages are ``counted``, or not, which is sooner."""

        def body(tx: Tx) -> builtins.list[Status]:
            return store.statuses(tx, counted=counted, told=self._told)

        return await self._desk.db.read(body)

    async def show(self, name: str) -> models.Source:
        """The settings of one source, what it is doing, and its counts."""

        def body(tx: Tx) -> dict[str, Any]:
            one = store.get(tx, name)
            begins = shown(one.begins) if isinstance(one.begins, Start) else one.begins
            status = store.status(tx, name, told=self._told).as_json()
            return {**shown(one, defaults=True), "start": begins, "status": status}

        return await self._desk.db.read(body)

    def _told(self, note: str) -> str:
        return told(self._desk, note)
