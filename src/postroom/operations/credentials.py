"""Operations on credentials: create, give details, change, copy, delete, list, show, usage."""

from __future__ import annotations

import builtins
from collections.abc import Collection, Mapping
from typing import Any

from postroom.clock import rfc3339
from postroom.connections import store as connections
from postroom.connections.doctor import Report, Tell, test_credential
from postroom.credentials.store import Credential, Saved
from postroom.credentials.trust import trusting
from postroom.db import Tx
from postroom.errors import Refused
from postroom.operations.desk import Desk, Rebind, Use
from postroom.operations.trust import certificate_with, save_certificate
from postroom.services import service as services
from postroom.sources import store as sources

__all__ = ["Credentials"]


class Credentials:
    """What a person may do with credentials.  None of it shows a saved secret."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def create(
        self,
        name: str,
        type: str,
        *,
        description: str = "",  # the word of the design
        expires_at: str | None = None,
        rotate_after: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> Saved:
        """Make a record: name, type and description first; the details may come at once or later."""
        store = self._desk.credentials

        def body(tx: Tx) -> Saved:
            made = store.create(
                tx,
                actor=self._desk.actor,
                name=name,
                type=type,
                description=description,
                expires_at=expires_at,
                rotate_after=rotate_after,
            )
            if not details:
                return Saved(made, [])
            return store.set_details(
                tx,
                name,
                details,
                actor=self._desk.actor,
                used_lines=self._desk.lines_of(tx, name),
                rebind=False,
            )

        return await self._desk.change(body)

    async def set(
        self,
        name: str,
        details: Mapping[str, Any],
        *,
        clear: Collection[str] = (),
        rebind: Rebind = False,
    ) -> Saved:
        """Give or change details.  A sealed field that is left out or empty keeps its value."""

        def body(tx: Tx) -> Saved:
            lines = self._desk.lines_of(tx, name)
            saved = self._desk.credentials.set_details(
                tx,
                name,
                details,
                actor=self._desk.actor,
                clear=clear,
                used_lines=lines,
                rebind=rebind,
            )
            self.wake(tx, name)
            return saved

        return await self._desk.change(body, rebind=rebind)

    def wake(self, tx: Tx, name: str) -> None:
        """Sources that wait after a refused sign-in try again when the secret has changed."""
        direct = {ref.name for ref in connections.referring_to_credential(tx, name)}
        resolver = self._desk.resolver(tx)
        users = {one.casefold() for each in direct for one in resolver.family(each)}
        for source in sources.load_all(tx):
            if source.connection.casefold() in users:
                sources.touch(tx, source.name)

    async def change(self, name: str, **changes: Any) -> Credential:
        """Change description, dates, or - while nothing uses the record - its type."""

        def body(tx: Tx) -> Credential:
            uses = self.usage_of(tx, name)
            if changes.get("type") and uses:
                raise _in_use(name, "Its type cannot change.", uses)
            return self._desk.credentials.change(
                tx, name, actor=self._desk.actor, in_use=bool(uses), **changes
            )

        return await self._desk.change(body)

    async def copy(self, name: str, new_name: str) -> Saved:
        """Make another record with the same type, description and plain fields.

        No secret is carried over, and no date, since the dates belong to the secret: a copy that
        held it could present it at places of its own, and a rotation would miss it.
        """

        def body(tx: Tx) -> Saved:
            old = self._desk.credentials.get(tx, name)
            made = self._desk.credentials.create(
                tx,
                actor=self._desk.actor,
                name=new_name,
                type=old.type,
                description=old.description,
            )
            if not old.plain:
                return Saved(made, [])
            return self._desk.credentials.set_details(
                tx, new_name, old.plain, actor=self._desk.actor, used_lines=set(), rebind=False
            )

        return await self._desk.change(body)

    async def delete(self, name: str, *, force: bool = False) -> None:
        """Remove a record and destroy its secrets; refused with the list while used, unless forced."""
        await self._desk.change(lambda tx: self.remove(tx, name, force=force))

    def remove(self, tx: Tx, name: str, *, force: bool = False) -> None:
        """As :meth:`delete`, inside a transaction."""
        self._desk.credentials.get(tx, name)
        uses = self.usage_of(tx, name)
        if uses and not force:
            raise _in_use(name, "It cannot be deleted.", uses)
        self._desk.credentials.delete(tx, name, actor=self._desk.actor)

    async def list(self) -> builtins.list[dict[str, Any]]:
        """Every record with masks, state and how often it is used."""

        def body(tx: Tx) -> builtins.list[dict[str, Any]]:
            return [
                {**_line(one), "used_by": len(self.usage_of(tx, one.name))}
                for one in self._desk.credentials.all(tx)
            ]

        return await self._desk.db.read(body)

    async def show(self, name: str) -> dict[str, Any]:
        """One record with masks, destinations, dates and usage."""

        def body(tx: Tx) -> dict[str, Any]:
            one = self._desk.credentials.get(tx, name)
            return {
                **_line(one),
                "fields": one.fields,
                "destinations": list(one.destinations),
                "version": one.version,
                "created_at": rfc3339(one.created_at),
                "updated_at": rfc3339(one.updated_at),
                "presented_at": rfc3339(one.presented_at) if one.presented_at else None,
                "usage": [use._asdict() for use in self.usage_of(tx, one.name)],
            }

        return await self._desk.db.read(body)

    async def get(self, name: str) -> Credential:
        """One record as the store shows it.  Raises NotThere."""
        return await self._desk.db.read(lambda tx: self._desk.credentials.get(tx, name))

    async def test(self, name: str, *, on_step: Tell | None = None) -> Report:
        """Walk the sign-in of an smtp credential step by step, sending nothing."""
        record = await self.get(name)
        if record.type != "smtp":
            raise Refused(
                f"Credential {record.name} is of type {record.type}; only smtp names a "
                "server of its own.",
                code="not_supported",
                hint="Test the connection that uses it: postroom connection test NAME",
            )
        return await test_credential(self._desk.opener, record.name, on_step=on_step)

    async def trust(self, name: str, fingerprint: str, *, rebind: Rebind = False) -> Saved:
        """Trust the certificate with this SHA-256 fingerprint that an smtp credential's server shows."""
        saved = certificate_with(await self.test(name), "outgoing", fingerprint)

        def body(tx: Tx) -> Saved:
            credential = save_certificate(self._desk, tx, name, saved)
            return self._desk.credentials.set_details(
                tx,
                name,
                {"trust": credential},
                actor=self._desk.actor,
                used_lines=self._desk.lines_of(tx, name),
                rebind=rebind,
            )

        return await self._desk.change(body, rebind=rebind)

    async def usage(self, name: str) -> builtins.list[Use]:
        """Every place that refers to a credential.  Raises NotThere."""

        def body(tx: Tx) -> builtins.list[Use]:
            return self.usage_of(tx, self._desk.credentials.get(tx, name).name)

        return await self._desk.db.read(body)

    def usage_of(self, tx: Tx, name: str) -> builtins.list[Use]:
        """As :meth:`usage`, inside a transaction."""
        direct = f"credential:{name}".casefold()
        found = [Use(*reference) for reference in connections.referring_to_credential(tx, name)]
        found += [
            Use("service", one.name, "connection")
            for one in services.load_all(tx)
            if one.connection.casefold() == direct
        ]
        return found + [Use("credential", one, "trust") for one in trusting(tx, name)]


def _line(one: Credential) -> dict[str, Any]:
    return {
        "name": one.name,
        "type": one.type,
        "description": one.description,
        "state": one.state,
        "missing": list(one.missing),
        "warnings": one.warnings,
        "expires_at": one.expires_at and str(one.expires_at),
        "rotate_after": one.rotate_after and str(one.rotate_after),
    }


def _in_use(name: str, what: str, uses: builtins.list[Use]) -> Refused:
    return Refused(
        f"Credential {name} is used by {', '.join(map(str, uses))}. {what}",
        code="in_use",
        uses=[use._asdict() for use in uses],
        hint="Change those first, or use --force to delete it.",
    )
