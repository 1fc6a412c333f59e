"""Operations on variables: set, delete, list, and which environment variables macros may read."""

from __future__ import annotations

import builtins
from typing import NamedTuple

from postroom.db import Tx
from postroom.errors import InvalidValue, Refused
from postroom.operations import usage
from postroom.operations.desk import Desk, Rebind
from postroom.operations.moved import Moved
from postroom.operations.permitting import check_fed
from postroom.operations.usage import Usage
from postroom.operations.waking import wake
from postroom.variables import store

__all__ = ["Variables", "WasSet"]


class WasSet(NamedTuple):
    """Whether setting a variable changed anything, and which secrets that presents elsewhere."""

    changed: bool
    moved: tuple[Moved, ...]


class Variables:
    """What a person may do with the room's variables."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def list(self) -> dict[str, str]:
        """Every variable by name."""
        return await self._desk.db.read(store.all_variables)

    async def allowed(self) -> builtins.list[str]:
        """The environment variables that macros may read."""
        return sorted(await self._desk.db.read(store.allowed_environment))

    async def get(self, name: str) -> str:
        """One value.  Raises NotThere."""
        return await self._desk.db.read(lambda tx: store.get_variable(tx, name))

    async def set(self, name: str, value: str, *, rebind: Rebind = False) -> WasSet:
        """Make or change a variable; gives whether anything changed, and what it moved.

        When it moves a host, that is a change of destination for the secrets presented there.
        """
        return WasSet(
            *await self._desk.moving(lambda tx: self._set(tx, name, value), rebind=rebind)
        )

    async def add(self, name: str, value: str) -> None:
        """Make a variable.  Raises Refused(``name_taken``) for one that is there."""

        def body(tx: Tx) -> None:
            if name in store.all_variables(tx):
                raise Refused(
                    f"There is a variable called {name} already.",
                    code="name_taken",
                    hint=f"Change it with: postroom variable set {name} VALUE",
                )
            self._set(tx, name, value)

        await self._desk.change(body)

    def _set(self, tx: Tx, name: str, value: str) -> bool:
        if store.all_variables(tx).get(name) != value:
            check_fed(self._desk.person, tx, name)
        with tx.seen_by(None):  # it changes them all, whoever sees them
            before = self._desk.unresolved(tx)
            changed = store.set_variable(tx, name, value)
            broken = self._desk.unresolved(tx) - before
        if broken:
            raise InvalidValue(
                name, f"with this value {', '.join(sorted(broken))} would not work any more"
            )
        if changed:
            wake(tx, usage.of_variable(tx, name).uses)
            self._desk.record(tx, "set", "variable", name)
        return changed

    async def delete(self, name: str, *, dry_run: bool = False) -> None:
        """Remove a variable; refused with the list while something uses it."""
        await self._desk.change(lambda tx: self.remove(tx, name), dry_run=dry_run)

    def remove(self, tx: Tx, name: str) -> None:
        """As :meth:`delete`, inside a transaction."""
        store.get_variable(tx, name)
        if uses := usage.standing(tx, usage.of_variable, name):
            raise usage.in_use(f"Variable {name}", uses, "Change those first.")
        store.delete_variable(tx, name)
        self._desk.record(tx, "delete", "variable", name)

    async def usage(self, name: str) -> Usage:
        """Every setting with a macro of that name, and what works over those connections."""

        def body(tx: Tx) -> Usage:
            store.get_variable(tx, name)
            return usage.of_variable(tx, name)

        return await self._desk.db.read(body)

    async def used(self) -> dict[str, Usage]:
        """What :meth:`usage` says, of every variable at once: the settings are read once."""

        def body(tx: Tx) -> dict[str, Usage]:
            found = usage.of_variables(tx)
            return {name: found.get(name, Usage(())) for name in store.all_variables(tx)}

        return await self._desk.db.read(body)

    async def allow_environment(self, name: str, *, allow: bool = True) -> None:
        """Let macros read an environment variable of the process, or no longer."""

        def body(tx: Tx) -> None:
            if allow:
                store.allow_environment(tx, name)
            else:
                store.forbid_environment(tx, name)
            self._desk.record(tx, "allow" if allow else "forbid", "environment", name)

        await self._desk.change(body)
