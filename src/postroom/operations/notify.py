"""Operations on notifications: their definitions, what was told, and whether telling works."""

from __future__ import annotations

import builtins
import dataclasses
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from postroom.access import users
from postroom.clock import rfc3339, timestamp
from postroom.credentials.trust import trusted_in
from postroom.db import Row, Tx
from postroom.errors import InvalidValue, Refused
from postroom.fields import parse, shown
from postroom.mail import parse_address
from postroom.net.dial import Policy
from postroom.notices import causes, destinations, rows, store
from postroom.notices.notification import Notify as Notification
from postroom.notices.saying import Notice
from postroom.operations.connections import merge
from postroom.operations.desk import Desk, Rebind
from postroom.operations.ears import said_to, saver_of, seen
from postroom.operations.outgoing import route_of
from postroom.operations.permitting import check_notification
from postroom.operations.sight import sees_named
from postroom.operations.untold import told

if TYPE_CHECKING:
    from postroom.operations import models

__all__ = ["Notify"]

TEST_SECONDS: Final = 30.0
"""How long a test waits for an email to be sent."""
_WAYS: Final = ("service", "url", "command")
_OF_THE_WEB: Final = ("credential", "signing", "trust", "proxy", "every", "method")


class Notify:
    """What a person may do with notifications."""

    def __init__(self, desk: Desk, *, public_only: bool = False) -> None:
        self._desk = desk
        self._public_only = public_only

    async def add(self, data: Mapping[str, Any], *, rebind: Rebind = False) -> models.Notification:
        """Make a notification.  Raises what is wrong with it, or ``secret_reentry_required``."""
        one = parse(Notification, data, where=f"notification {data.get('name', '')}".strip())
        await self._desk.change(lambda tx: self.save(tx, one, new=True), rebind=rebind)
        return await self.show(one.name)

    async def set(
        self, name: str, changes: Mapping[str, Any], *, rebind: Rebind = False
    ) -> models.Notification:
        """Change fields of a notification; another way takes the place of the one it had."""

        def body(tx: Tx) -> None:
            merged = self.merged(shown(store.get(tx, name)), changes)
            one = parse(Notification, merged, where=f"notification {name}")
            self.save(tx, one, new=False)

        await self._desk.change(body, rebind=rebind)
        return await self.show(name)

    def merged(self, old: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
        """A definition with changes: it has one way, so another one takes its place."""
        given = [one for one in _WAYS if changes.get(one)]
        gone = builtins.set[str]()
        if given:
            gone = {one for one in (*_WAYS, "to") if one not in given}
            gone |= builtins.set(_OF_THE_WEB if given != ["url"] else ())
            gone -= {"to"} if given == ["service"] else builtins.set()
        return merge({key: value for key, value in old.items() if key not in gone}, changes)

    def save(self, tx: Tx, one: Notification, *, new: bool) -> None:
        """Store it, check what it refers to, and write it down."""
        where = f"notification {one.name}"
        check_notification(self._desk.person, one)
        if one.service:
            route_of(
                self._desk, tx, one.service if ":" in one.service else f"service:{one.service}"
            )
            for address in one.to:
                parse_address(address, f"{where}: to")
        if one.url:
            self._check_web(tx, one, where)
        if one.instead_of:
            self._check_chain(tx, one, where)
        if one.every is not None and (below := _stand_in(tx, one.name)):
            raise InvalidValue(
                f"{where}: every", f"{below[0]} stands in for it, and a ping tells of nothing"
            )
        if new:
            store.add(tx, one, by=saver_of(self._desk))
        else:
            store.replace(tx, one, by=saver_of(self._desk))
        self._desk.record(tx, "add" if new else "set", "notification", one.name)

    def _check_web(self, tx: Tx, one: Notification, where: str) -> None:
        for place in ("credential", "signing"):
            name = getattr(one, place)
            kind = self._desk.credentials.get(tx, name).type if name else "secret"
            if kind != "secret":
                raise InvalidValue(
                    f"{where}: {place}",
                    f"credential {name} is of type {kind}; give one of type secret",
                )
        destinations.origin(one, trusted_in(tx))

    def _check_chain(self, tx: Tx, one: Notification, where: str) -> None:
        """Whoever stands in for another leads in the end to one that stands in for nobody."""
        above, seen = one.instead_of, {one.name.casefold()}
        while above:
            if above.casefold() in seen:
                raise InvalidValue(f"{where}: instead_of", "it stands in for itself in the end")
            seen.add(above.casefold())
            other = store.get(tx, above)
            if other.every is not None:
                raise InvalidValue(
                    f"{where}: instead_of", f"{other.name} is a ping; it tells of nothing"
                )
            above = other.instead_of

    async def copy(
        self, name: str, new_name: str, *, rebind: Rebind = False
    ) -> models.Notification:
        """Make another notification with the same settings under a new name."""
        data = shown(await self._desk.db.read(lambda tx: store.get(tx, name)))
        return await self.add({**data, "name": new_name}, rebind=rebind)

    async def delete(self, name: str, *, dry_run: bool = False) -> None:
        """Remove a notification; refused while another stands in for it."""
        await self._desk.change(lambda tx: self.remove(tx, name), dry_run=dry_run)

    def remove(self, tx: Tx, name: str) -> None:
        """As :meth:`delete`, inside a transaction."""
        found = store.spelled(tx, name)
        with tx.seen_by(None):
            others = _stand_in(tx, found)
        if others:
            seen = [one.name for one in store.load_all(tx) if one.name in others]
            told = f"Notification {seen[0]}" if seen else "One that is not there for you"
            change = f"postroom notify set {seen[0]} --clear instead_of" if seen else ""
            raise Refused(
                f"{told} stands in for {found}.",
                code="in_use",
                hint=f"Change that first: {change}" if change else "Ask an administrator.",
            )
        store.delete(tx, found)
        self._desk.record(tx, "delete", "notification", found)

    async def list(self) -> builtins.list[models.NotificationLine]:
        """Every notification: its way, to whom or where, when it was used last and what came of that.

        Of one whose settings cannot be read, ``error`` says why.
        """

        def body(tx: Tx) -> builtins.list[dict[str, Any]]:
            unreadable = store.unreadable(tx)
            found = []
            for row in store.rows(tx):
                error = unreadable.get(row["name"])
                if error is not None:
                    found.append({"name": row["name"], "error": str(error)})
                else:
                    one = store.get(tx, row["name"])
                    found.append({**shown(one), **_status(self._desk, tx, one, row)})
            return found

        return await self._desk.db.read(body)

    async def show(self, name: str) -> models.Notification:
        """One notification with every setting, and how it was used last."""

        def body(tx: Tx) -> dict[str, Any]:
            one = store.get(tx, name)
            status = _status(self._desk, tx, one, store.row_of(tx, name))
            return {**shown(one, defaults=True), **status}

        return await self._desk.db.read(body)

    async def notices(self) -> builtins.list[models.Notice]:
        """What a person has to know: what lasts, then what was over within a week; who was told."""

        def body(tx: Tx) -> builtins.list[rows.Kept]:
            found = (seen(self._desk, tx, one) for one in rows.listed(tx))
            return [_told_of(self._desk, tx, one) for one in found if one is not None]

        return [one.as_json() for one in await self._desk.db.read(body)]

    async def needs(self) -> builtins.list[models.Need]:
        """What needs a person now, as the room stands: ends, sign-ins, what is stuck, dead letters.

        Unlike :meth:`notices` it is looked up at once, whether a worker runs or not.
        """

        def body(tx: Tx) -> builtins.list[dict[str, Any]]:
            resolver, known = self._desk.resolver(tx), self._desk.credentials.all(tx, ending=True)
            found = [*causes.at_work(tx, resolver, now=timestamp()), *causes.ending(known)]
            facts = ("kind", "noun", "name", "do", "broken")
            return [
                {key: getattr(one, key) for key in facts}
                | {"said": said_to(self._desk, one.kind, one.name, one.said)}
                for one in found
                if sees_named(tx, one.noun, one.name)
            ]

        return await self._desk.db.read(body)

    async def test(self, name: str | None = None) -> builtins.list[models.Tried]:
        """Tell over every way, or that one, that somebody tries it; what came of it each."""

        def body(tx: Tx) -> tuple[str, builtins.list[Notification]]:
            every = store.load_all(tx) if name is None else [store.get(tx, name)]
            return rows.room_id(tx), every

        room, wanted = await self._desk.db.read(body)
        from postroom.operations.ways import Ways  # what dials: not for who only saves

        policy = Policy(public_only=self._public_only)
        ways = Ways(self._desk, policy=policy)
        found = []
        for one in wanted:
            await self._desk.write(
                lambda tx: self._desk.record(tx, "test", "notification", one.name)  # noqa: B023
            )
            said = f"This is a test of notification {one.name}: nothing has happened."
            notice = Notice(f"test-{secrets.token_hex(12)}", "test", "test", "notification", one.name,
                            said, "", timestamp(), room)  # fmt: skip
            outcome = await ways.tell(one, notice, wait=TEST_SECONDS)
            found.append({"name": one.name, "way": one.way, "where": one.where,
                          "ok": outcome.ok and not outcome.item,
                          "said": told(self._desk, outcome.said)})  # fmt: skip
        return found


def _stand_in(tx: Tx, name: str) -> list[str]:
    """Those that stand in for a notification."""
    key = name.casefold()
    return [one.name for one in store.load_all(tx) if one.instead_of.casefold() == key]


def _told_of(desk: Desk, tx: Tx, one: rows.Kept) -> rows.Kept:
    """A notice without the ways to tell it that are not there for whoever asks."""
    if tx.sight is None:
        return one
    ways = {}
    for name, each in one.told.items():
        if sees_named(tx, "notification", name):
            own = sees_named(tx, "notification", each.via)
            each = each if own else dataclasses.replace(each, via="", why="")
            ways[name] = dataclasses.replace(each, why=told(desk, each.why))
    return dataclasses.replace(one, told=ways)


def _status(desk: Desk, tx: Tx, one: Notification, row: Row) -> dict[str, Any]:
    used, by = row["used_at"], row["saved_by"]
    saver = users.of_id(tx, by) if by else None
    return {
        "way": one.way,
        "where": one.where,
        "used_at": None if used is None else rfc3339(used),
        "outcome": told(desk, row["outcome"]),
        "saved_by": saver["name"] if saver else by and "somebody who is gone",
    }
