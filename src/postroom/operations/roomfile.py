"""The room file: apply what it says in one transaction, plan first; export without secrets."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from postroom.connections import store as connections
from postroom.db import Tx
from postroom.errors import InvalidValue
from postroom.fields import shown
from postroom.jobs import store as jobs
from postroom.notices import store as notifications
from postroom.operations.desk import Desk, Rebind
from postroom.operations.gate import check_may
from postroom.operations.moved import used_in
from postroom.operations.roomapply import Application
from postroom.operations.roomplan import NOUNS, Plan, Prompt, Step, Wanted
from postroom.operations.sight import not_told
from postroom.operations.untouched import untouched
from postroom.operations.yamlfile import parsed, read_document
from postroom.secret import Secret
from postroom.services import service as services
from postroom.sources import store as sources
from postroom.variables import store as variables

__all__ = ["Plan", "RoomFile", "Step", "read_files", "rights_of", "text_of", "written"]


def read_files(paths: Sequence[Path], *, prompt: Prompt | None = None) -> Wanted:
    """What files here say.  Raises what is wrong with file and line."""
    wanted = Wanted()
    for path in paths:
        wanted.read(read_document(path), prompt)
    return wanted


def rights_of(step: Step) -> set[str]:
    """What somebody has to have the right to, for a step of a plan (pure)."""
    if step.verb == "same":
        return set()
    if step.noun != "credential":
        return {"edit"}
    if step.verb == "add":
        return {"create"}
    if step.verb == "remove":
        return {"destroy"}
    said = {"description", "programs", "expires_at", "rotate_after"}
    rights = {"edit"} if said & set(step.fields) else set()
    rights |= {"replace"} if {"fields", "secret"} & set(step.fields) else set()
    return rights | ({"edit", "destroy"} if "type" in step.fields else set())


class RoomFile:
    """Apply and export."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def read(self, paths: Sequence[Path], *, prompt: Prompt | None = None) -> Wanted:
        """What the files say, read once: what is planned and what is applied are then the same.

        Raises what is wrong with file and line.
        """
        return read_files(paths, prompt=prompt)

    async def apply(
        self,
        files: Sequence[Path] | Wanted,
        *,
        dry_run: bool = False,
        rebind: Rebind = False,
        prune: Sequence[str] = (),
        prompt: Prompt | None = None,
    ) -> Plan:
        """Make the room what the files say; later files win field by field.

        All of it or nothing.  ``prune`` names nouns whose records that no file names are removed.
        Raises what is wrong with file and line, or ``secret_reentry_required``.
        """
        wanted = files if isinstance(files, Wanted) else self.read(files, prompt=prompt)
        return await self._apply(wanted, dry_run=dry_run, rebind=rebind, prune=prune)

    async def apply_text(
        self,
        files: Mapping[str, str],
        secrets: Mapping[str, str] | None = None,
        *,
        dry_run: bool = False,
        rebind: Rebind = False,
        prune: Sequence[str] = (),
    ) -> Plan:
        """As :meth:`apply`, of texts of room files by the names that errors call them.

        ``secrets`` is what each reference in them stands for, by ``FILE: RECORD FIELD``: no file and no
        variable of this machine is read for a text that came from afar.  Each step wants the right of
        its own operation: to create, replace, edit or destroy.
        """
        wanted = Wanted()
        wanted.secrets = {name: Secret(value) for name, value in (secrets or {}).items()}
        for name, text in files.items():
            wanted.read(parsed(Path(name), text, here=False), None)
        return await self._apply(wanted, dry_run=dry_run, rebind=rebind, prune=prune)

    async def _apply(
        self, wanted: Wanted, *, dry_run: bool, rebind: Rebind, prune: Sequence[str]
    ) -> Plan:
        wrong = [noun for noun in prune if noun not in NOUNS]
        if wrong:
            raise InvalidValue(
                "prune", f"there is no noun {wrong[0]!r}; choose of {', '.join(NOUNS)}"
            )

        def body(tx: Tx) -> Plan:
            job = Application(self._desk, wanted, rebind=rebind)
            sight = tx.sight
            with tx.seen_by(None):  # secrets go where they are used, whoever asks
                before = used_in(tx, self._desk.resolver(tx), self._desk.expander(tx))
            with untouched(self._desk, tx):
                plan = job.run(tx, prune)
            for right in {right for step in plan.steps for right in rights_of(step)}:
                check_may(self._desk.person, right)
            with tx.seen_by(None), not_told(tx, sight):
                moved = self._desk.rebind(tx, before, rebind=rebind, typed=job.typed)
            plan = dataclasses.replace(plan, moved=moved)
            if plan.changes:
                self._desk.record(
                    tx,
                    "apply",
                    "room",
                    "room",
                    files=[str(path) for path in wanted.paths],
                    changes=[str(step) for step in plan.steps if step.verb != "same"],
                )
            return plan

        return await self._desk.write(body, dry_run=dry_run)

    async def export(self) -> str:
        """The room as a room file, without secrets; applying it to this room changes nothing."""

        def body(tx: Tx) -> str:
            whole: dict[str, Any] = {"postroom": 1}
            for noun, records in _exported(self._desk, tx).items():
                if records:
                    whole[noun] = records
            return written(whole)

        # of a large room it takes seconds, and the loop goes on
        return await asyncio.to_thread(self._desk.db.read_now, body)


def text_of(desk: Desk, tx: Tx, names: Mapping[str, Collection[str]]) -> str:
    """The part of the room file that some records are: names by their noun (``credentials``, ...)."""
    whole: dict[str, Any] = {"postroom": 1}
    for noun, records in _exported(desk, tx).items():
        wanted = {name.casefold() for name in names.get(noun, ())}
        chosen = [one for one in records if str(one["name"]).casefold() in wanted] if wanted else []
        if chosen:
            whole[noun] = chosen
    return written(whole)


def written(whole: Mapping[str, Any]) -> str:
    """A room file as text."""
    return yaml.dump(
        dict(whole),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=None,
        width=100,
    )


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines (certificates) as blocks that a person can read and paste."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def _exported(desk: Desk, tx: Tx) -> dict[str, Any]:
    credentials = []
    for one in desk.credentials.all(tx):
        record: dict[str, Any] = {"name": one.name, "type": one.type}
        if one.description:
            record["description"] = one.description
        for date in ("expires_at", "rotate_after"):
            if getattr(one, date):
                record[date] = getattr(one, date).isoformat()
        if one.programs:
            record["programs"] = True
        if one.plain:
            record["fields"] = one.plain
        credentials.append(record)
    for store in (connections, sources, services, jobs, notifications):
        for error in store.unreadable(tx).values():
            raise error  # a file that lacks it would be applied one day
    return {
        "variables": variables.all_variables(tx),
        "credentials": credentials,
        "connections": [shown(one) for one in connections.load_all(tx)],
        "sources": [shown(one) for one in sources.load_all(tx)],
        "services": [shown(one) for one in services.load_all(tx)],
        "jobs": [shown(one) for one in jobs.load_all(tx)],
        "notify": [shown(one) for one in notifications.load_all(tx)],
    }
