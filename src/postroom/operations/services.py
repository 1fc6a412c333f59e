"""Operations on services: their definitions, and what waits under each."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from postroom.access import grants
from postroom.db import Tx
from postroom.fields import parse, shown
from postroom.mail import parse_address
from postroom.operations import usage
from postroom.operations.attendance import Attendance
from postroom.operations.connections import merge
from postroom.operations.desk import Desk
from postroom.operations.fits import check_outgoing
from postroom.operations.sentfolder import check_copy
from postroom.operations.sight import check_may_change
from postroom.operations.usage import Usage
from postroom.services import finding, outbox
from postroom.services import service as store
from postroom.services.held import hurry
from postroom.services.service import Service

if TYPE_CHECKING:
    from postroom.operations import models

__all__ = ["Services"]


class Services:
    """What a person may do with services."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def add(self, data: Mapping[str, Any]) -> models.Service:
        """Make a service."""
        service = parse(Service, data, where=f"service {data.get('name', '')}".strip())
        await self._desk.write(lambda tx: self.save(tx, service, new=True))
        return await self.show(service.name)

    async def set(self, name: str, changes: Mapping[str, Any]) -> models.Service:
        """Change fields of a service."""

        def body(tx: Tx) -> None:
            check_may_change(tx, "service", store.row_of(tx, name))
            merged = merge(shown(store.get(tx, name)), changes)
            self.save(tx, parse(Service, merged, where=f"service {name}"), new=False)

        await self._desk.write(body)
        return await self.show(name)

    def save(self, tx: Tx, service: Service, *, new: bool) -> None:
        """Store it, check what it refers to, and write it down."""
        check_outgoing(self._desk, tx, service.connection, f"service {service.name}")
        where = f"service {service.name}: from"
        if sender := self._desk.expander(tx)(service.from_, where):
            parse_address(sender, where)
        check_copy(self._desk, tx, service)
        if new:
            store.add(tx, service)
        else:
            store.replace(tx, service)
            hurry(tx, service.name)
        self._desk.record(tx, "add" if new else "set", "service", service.name)

    async def copy(self, name: str, new_name: str) -> models.Service:
        """Make another service with the same settings under a new name."""
        data = shown(await self._desk.db.read(lambda tx: store.get(tx, name)))
        return await self.add({**data, "name": new_name})

    async def delete(self, name: str, *, force: bool = False, dry_run: bool = False) -> None:
        """Remove a service; refused while messages wait in its queue, unless forced."""
        await self._desk.write(lambda tx: self.remove(tx, name, force=force), dry_run=dry_run)

    def remove(self, tx: Tx, name: str, *, force: bool = False) -> None:
        """As :meth:`delete`, inside a transaction."""
        found = store.spelled(tx, name)
        uses = usage.standing(tx, usage.of_service, found)
        if uses and (not force or usage.OUT_OF_SIGHT in uses):
            hint = "Let them be sent, cancel them, or use --force."
            raise usage.in_use(f"Service {found}", uses, hint)
        store.delete(tx, found)
        grants.forget(tx, grantee=f"service:{found}")
        self._desk.record(tx, "delete", "service", found)

    async def hold(self, name: str) -> models.Service:
        """Send nothing through a service until it is released; it goes on storing messages."""
        return await self._switch(name, held=True)

    async def release(self, name: str) -> models.Service:
        """Send again through a service that was held."""
        return await self._switch(name, held=False)

    async def held(self, name: str) -> bool:
        """Whether an operator holds what is sent through it; ``name`` may be an implicit one."""
        return name in await self._desk.db.read(store.held_names)

    async def _switch(self, name: str, *, held: bool) -> dict[str, Any]:
        def body(tx: Tx) -> None:
            found = store.spelled(tx, name)
            if store.hold(tx, found, held=held):
                self._desk.record(tx, "hold" if held else "release", "service", found)

        await self._desk.write(body)
        return await self.show(name)

    async def usage(self, name: str) -> Usage:
        """The messages that wait under a service, when one was stored last, and by whom."""
        return await self._desk.db.read(lambda tx: usage.of_service(tx, store.get(tx, name).name))

    async def test_command(self, name: str) -> str:
        """The command that tests what a service sends over; ``name`` may be an implicit one."""
        over = name
        if ":" not in name:
            over = (await self._desk.db.read(lambda tx: store.get(tx, name))).connection
        noun, _, bare = over.rpartition(":")
        return f"postroom {noun or 'connection'} test {bare.partition('/')[0]}"

    async def list(self) -> builtins.list[models.ServiceLine]:
        """Every service and what it is doing: ``waiting`` messages, ``held`` by an operator or not,
        ``unsettled`` ones, ``workers`` that are at it, and a ``note`` where mail waits for none.
        Of one whose settings cannot be read, ``error`` says why.
        """

        def body(tx: Tx) -> builtins.list[dict[str, Any]]:
            status = _status(self._desk, tx)
            found = [{**shown(one), **status(one.name)} for one in store.load_all(tx)]
            for name, error in store.unreadable(tx).items():
                found.append({"name": name, "error": str(error), **status(name)})
            return sorted(found, key=lambda one: one["name"].casefold())

        return await self._desk.db.read(body)

    async def show(self, name: str) -> models.Service:
        """One service with every setting, and what it is doing, as in :meth:`list`."""

        def body(tx: Tx) -> dict[str, Any]:
            one = store.get(tx, name)
            return {**shown(one, defaults=True), **_status(self._desk, tx)(one.name)}

        return await self._desk.db.read(body)


def _status(desk: Desk, tx: Tx) -> Callable[[str], dict[str, Any]]:
    """What a service is doing: what waits, whether it is held, what asks for a person, who is at it."""
    attendance = Attendance(desk, tx)
    held, unsettled = store.held_names(tx), finding.unsettled(tx)
    due = finding.due_by_service(tx)

    def of(name: str) -> dict[str, Any]:
        return {
            "waiting": outbox.waiting_count(tx, name),
            "held": name in held,
            "unsettled": unsettled.get(name, 0),
            **attendance.of(name, waits=name in due),
        }

    return of
