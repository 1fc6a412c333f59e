"""Operations on connections: add, set, copy, delete, show, usage, preview, test."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from postroom.connections import events, store
from postroom.connections.connection import Connection
from postroom.connections.doctor import test_connection
from postroom.connections.effective import Effective
from postroom.connections.references import check_references
from postroom.connections.report import Report, Tell
from postroom.db import Tx
from postroom.errors import PostroomError
from postroom.fields import parse, shown
from postroom.operations import usage
from postroom.operations.desk import Desk, Rebind
from postroom.operations.fits import check_users
from postroom.operations.gate import check_may
from postroom.operations.presetting import FromPreset, filled
from postroom.operations.reads import check_tested
from postroom.operations.sight import making
from postroom.operations.signins import forget_sign_ins, sign_out_alone
from postroom.operations.trust import certificate_with, save_certificate
from postroom.operations.trying import trial_of
from postroom.operations.untold import log_told, told
from postroom.operations.usage import Usage
from postroom.operations.waking import wake
from postroom.sources import store as sources

if TYPE_CHECKING:
    from postroom.connections.resolver import Resolver
    from postroom.operations import models

__all__ = ["Connections", "merge"]


class Connections:
    """What a person may do with connections."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def add(
        self,
        data: Mapping[str, Any],
        *,
        preset: FromPreset | None = None,
        rebind: Rebind = False,
    ) -> models.Connection:
        """Make a connection; a preset fills what ``data`` does not say.

        Raises what is wrong with it, or ``secret_reentry_required``.
        """
        if preset is not None:
            start = preset
            data = await self._desk.db.read(
                lambda tx: filled(tx, self._desk.credentials, start, data)
            )
        connection = parse(Connection, data, where=f"connection {data.get('name', '')}".strip())
        await self._desk.change(lambda tx: self.save(tx, connection, new=True), rebind=rebind)
        return await self.show(connection.name)

    async def set(
        self,
        name: str,
        changes: Mapping[str, Any],
        *,
        rebind: Rebind = False,
        same_mailbox: bool = False,
    ) -> models.Connection:
        """Change fields of a connection; groups merge field by field, lists and ``auth`` are replaced.

        A source whose connection leads to another host or user collects anew from its start, unless
        ``same_mailbox`` says that it is the mailbox it knows, by another name.  Gives what ``show``
        does, and in ``moved`` which stored secrets go elsewhere now.
        """

        def body(tx: Tx) -> None:
            merged = merge(shown(store.get(tx, name)), changes)
            connection = parse(Connection, merged, where=f"connection {name}")
            self.save(tx, connection, new=False)
            check_users(self._desk, tx, connection.name)
            if same_mailbox:
                _keep_mailboxes(self._desk, tx, connection.name)

        _, moved = await self._desk.moving(body, rebind=rebind)
        return {**await self.show(name), "moved": [each._asdict() for each in moved]}

    def save(self, tx: Tx, connection: Connection, *, new: bool) -> None:
        """Store it, check it and whatever inherits from it, and write it down.

        Who uses it is checked by ``check_users``, once what they say has been stored too.
        """
        if new:
            store.create(tx, connection)
        else:
            store.replace(tx, connection)
        with making(tx, "connection", connection.name):
            for effective in self._desk.resolver(tx).check(connection.name):
                check_references(tx, self._desk.credentials, effective)
        self._desk.record(tx, "add" if new else "set", "connection", connection.name)
        wake(tx, usage.of_connection(tx, connection.name).uses)

    async def copy(self, name: str, new_name: str, *, rebind: Rebind = False) -> models.Connection:
        """Make another connection with the same settings under a new name."""
        data = shown(await self._desk.db.read(lambda tx: store.get(tx, name)))
        return await self.add({**data, "name": new_name}, rebind=rebind)

    async def delete(self, name: str, *, force: bool = False, dry_run: bool = False) -> None:
        """Remove a connection; refused with the list while something uses it, unless forced.

        Sign-ins that serve no other connection are revoked at their servers, as far as those do that.
        """
        await self._desk.change(lambda tx: self.remove(tx, name, force=force), dry_run=True)
        if not dry_run:
            await sign_out_alone(self._desk, name)
            await self._desk.change(lambda tx: self.remove(tx, name, force=force))

    def remove(self, tx: Tx, name: str, *, force: bool = False) -> None:
        """As :meth:`delete`, inside a transaction."""
        found = store.spelled(tx, name)
        uses = usage.standing(tx, usage.of_connection, found)
        children = [use for use in uses if use.noun == "connection"]
        if children or (uses and not force):
            hint = "Change those first" + ("." if children else ", or use --force.")
            raise usage.in_use(f"Connection {found}", uses, hint)
        forget_sign_ins(self._desk, tx, lambda use: [*use.connections] == [found])
        store.delete(tx, found)
        self._desk.record(tx, "delete", "connection", found)

    async def list(self) -> builtins.list[models.ConnectionLine]:
        """Every connection, in short; ``tried`` tells how each side was opened last."""

        def body(tx: Tx) -> builtins.list[models.ConnectionLine]:
            used, resolver = usage.count_of_connections(tx), self._desk.resolver(tx)
            found = [
                _head(one.name, used, one.description) | _line(self._desk, tx, one, resolver)
                for one in store.load_all(tx)
            ]
            found += [
                _head(name, used) | {"warnings": [], "tried": {}, "error": str(error)}
                for name, error in store.unreadable(tx).items()
            ]
            return sorted(found, key=lambda one: one["name"].casefold())

        return await self._desk.db.read(body)

    async def show(self, name: str) -> models.Connection:
        """The settings as saved, what they come to, the warnings, and who uses it."""

        def body(tx: Tx) -> dict[str, Any]:
            connection = store.get(tx, name)
            used = usage.of_connection(tx, connection.name)
            found = {
                **shown(connection),
                "usage": [use._asdict() for use in used.uses],
                **used.last_use(),
            }
            return found | _resolved(self._desk, tx, connection)

        return await self._desk.db.read(body)

    async def test(
        self, name: str, *, on_step: Tell | None = None, send_to: str = "", from_: str = ""
    ) -> Report:
        """Walk both sides step by step, with a fresh token; nothing is changed and nothing sent.

        ``send_to`` sends one real message there, past the outbox, from ``from_`` (empty: the account):
        that proves Send As.  ``on_step`` hears of each step as it ends.  What fails is in the report,
        with what to do.  Raises InvalidValue, Refused (``sender_not_allowed``).
        """
        await self._desk.db.read(lambda tx: check_tested(self._desk, tx, name))
        trial = None
        if send_to or from_:
            check_may(self._desk.person, "send")
            trial = await self._desk.db.read(
                lambda tx: trial_of(self._desk, tx, name, send_to, from_)
            )
        return await test_connection(self._desk.opener, name, on_step=on_step, trial=trial)

    async def trust(
        self, name: str, place: str, fingerprint: str, *, rebind: Rebind = False
    ) -> models.Connection:
        """Trust the certificate with this SHA-256 fingerprint that the server shows for one side.

        Connects to see it, saves it as the trusted_certificate ``NAME-ca``, and sets ``trust``.
        """
        report = await self.test(name)
        saved = certificate_with(
            report, place, fingerprint, look=f"postroom connection test {name}"
        )

        def body(tx: Tx) -> None:
            connection = store.get(tx, name)
            credential = save_certificate(self._desk, tx, connection.name, saved)
            changed = merge(shown(connection), {place: {"trust": credential}})
            self.save(tx, parse(Connection, changed, where=f"connection {name}"), new=False)

        await self._desk.change(body, rebind=rebind)
        return await self.show(name)

    async def log(
        self, name: str, *, limit: int = events.KEPT
    ) -> builtins.list[models.ConnectionEvent]:
        """What happened to a connection lately, newest first.  Raises NotThere."""

        def body(tx: Tx) -> builtins.list[dict[str, Any]]:
            return log_told(self._desk, events.recent(tx, store.spelled(tx, name)))[:limit]

        return await self._desk.db.read(body)

    async def restart(self, name: str) -> dict[str, bool]:
        """Drop what is open and begin anew: every source over it, also one that waits after a failure,
        and every message that was deferred.

        Gives those sources, and whether a worker collects for each right now.
        """

        def body(tx: Tx) -> dict[str, bool]:
            found = store.spelled(tx, name)
            begun, uses = {}, usage.of_connection(tx, found).uses
            wake(tx, uses)
            for use in uses:
                if use.noun == "source":
                    workers = usage.of_source(tx, use.name).uses
                    begun[use.name] = any(each.noun == "worker" for each in workers)
            events.record(tx, found, "restarted", actor=self._desk.actor)
            self._desk.record(tx, "restart", "connection", found, sources=sorted(begun))
            return begun

        return await self._desk.write(body)

    async def usage(self, name: str) -> Usage:
        """What refers to a connection, when it was opened last, and by whom."""
        return await self._desk.db.read(lambda tx: usage.of_connection(tx, store.spelled(tx, name)))


def merge(old: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with changes in: groups field by field, lists and ``auth`` whole, None takes away."""
    merged = dict(old)
    for key, value in changes.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(merged.get(key), Mapping) and key != "auth":
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def _head(name: str, used: Mapping[str, int], description: str = "") -> dict[str, Any]:
    return {"name": name, "description": description, "used_by": used.get(name.casefold(), 0)}


def _line(desk: Desk, tx: Tx, connection: Connection, resolver: Resolver) -> dict[str, Any]:
    try:
        effective = resolver.of(connection)
    except PostroomError as error:  # a list shows every row, whatever is wrong with one
        return {"warnings": [], "tried": {}, "error": str(error)}
    sides = {side.place: f"{side.protocol}://{side.host}:{side.port}" for side in effective.sides}
    tried = _tried(desk, tx, connection.name, effective)
    return {"warnings": list(effective.warnings), "tried": tried} | sides


def _resolved(desk: Desk, tx: Tx, connection: Connection) -> dict[str, Any]:
    try:
        effective = desk.resolver(tx).of(connection)
    except PostroomError as error:
        return {"effective": None, "error": str(error), "warnings": [], "tried": {}}
    return {
        "effective": effective.as_json(),
        "warnings": list(effective.warnings),
        "tried": _tried(desk, tx, connection.name, effective),
    }


def _tried(desk: Desk, tx: Tx, name: str, effective: Effective) -> dict[str, Any]:
    """How each side was opened last, by its place; what was never opened is not there."""
    found = {side.place: events.last_try(tx, name, side.place) for side in effective.sides}
    return {
        place: {**one, "said": told(desk, one["said"])}
        for place, one in found.items()
        if one is not None
    }


def _keep_mailboxes(desk: Desk, tx: Tx, name: str) -> None:
    """What a connection leads to now is what its sources know, by another name."""
    family = {each.casefold() for each in desk.resolver(tx).family(name)}
    for source in sources.load_all(tx):
        if source.connection.casefold() in family:
            mailbox = desk.mailbox_of(tx, source.connection)
            sources.adopt(tx, sources.row_of(tx, source.name)["id"], mailbox, same=True)
