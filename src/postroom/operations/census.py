"""The census: who still signs in with a password where a provider is ending them."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from typing import Any, Final, NamedTuple

from postroom.clock import now, rfc3339
from postroom.connections import store
from postroom.connections.direct import effective_of_credential
from postroom.connections.effective import EffectiveSide
from postroom.connections.ending import SEEN, Ending, ending_of
from postroom.connections.presets import of_server
from postroom.credentials.record import Credential
from postroom.credentials.trust import trusted_in
from postroom.db import Tx
from postroom.errors import PostroomError
from postroom.operations.desk import Desk

__all__ = ["SEEN", "SOON_DAYS", "Census", "Password", "census"]

SOON_DAYS: Final = 90
"""From how many days before its end on a password is due."""


class Password(NamedTuple):
    """One side that signs in with a password at a provider that is ending it.

    ``noun`` and ``name``: the connection, or the smtp credential that is used directly.  ``days``
    are left (negative: past).  ``due``: whether something should be done now.
    """

    noun: str
    name: str
    side: str
    protocol: str
    host: str
    user: str
    credential: str
    provider: str
    since: dt.date
    days: int
    due: bool
    last_worked: float | None
    sentence: str
    source: str

    def as_json(self) -> dict[str, Any]:
        """As doors show it."""
        worked = None if self.last_worked is None else rfc3339(self.last_worked)
        told = {"since": self.since.isoformat(), "last_worked": worked, "convert": self.convert}
        return {**self._asdict(), **told}

    @property
    def convert(self) -> str:
        """The command that ends it; empty where there is no OAuth for it: for a credential, and at
        some providers.
        """
        preset = of_server(self.protocol, self.host, self.user)
        if self.noun != "connection" or preset is None or not preset.by_oauth:
            return ""
        flow = preset.by_oauth[0]
        return f"postroom connection convert {self.name} --auth {flow} --credential APP"


class Census(NamedTuple):
    """What was found, the most urgent first; ``unread`` are connections that cannot be resolved."""

    passwords: tuple[Password, ...]
    unread: tuple[str, ...]

    @property
    def due(self) -> bool:
        """Whether anything should be done now."""
        return any(each.due for each in self.passwords)


async def census(desk: Desk, *, within: int = SOON_DAYS, today: dt.date | None = None) -> Census:
    """Every side with a password at a provider of the dated table; due when its end is past or comes
    ``within`` days.

    An app password goes on working where the provider still makes them: one that has been accepted
    is not due.
    """
    day = today or now().date()
    # every record is resolved, and of thousands that takes its time
    return await asyncio.to_thread(desk.db.read_now, lambda tx: _census(desk, tx, within, day))


def _census(desk: Desk, tx: Tx, within: int, today: dt.date) -> Census:
    found, unread = [], []
    records = {one.name.casefold(): one for one in desk.credentials.all(tx, hints=False)}
    resolver = desk.resolver(tx)
    for connection in store.load_all(tx):
        try:
            sides = resolver.of(connection).sides
        except PostroomError:
            unread.append(connection.name)
            continue
        for side in sides:
            if side.auth.type == "secret":
                record = records.get(side.auth.credential.casefold())
                found += _password("connection", connection.name, side, record, within, today)
    for record in records.values():
        if record.type != "smtp":
            continue
        with contextlib.suppress(PostroomError):  # it is incomplete, and nothing can use it
            for side in effective_of_credential(tx, record, trusted_in(tx)).sides:
                if side.auth.type == "secret":
                    found += _password("credential", record.name, side, record, within, today)
    found.sort(key=lambda one: (not one.due, one.since, one.name.casefold()))
    return Census(tuple(found), tuple(unread))


def _password(
    noun: str,
    name: str,
    side: EffectiveSide,
    record: Credential | None,
    within: int,
    today: dt.date,
) -> list[Password]:
    own = str(record.plain.get("user_name", "")) if record is not None else ""
    user = side.user or own
    row = ending_of(side.protocol, side.host, user)
    if row is None:
        return []
    worked = record.presented_at if record is not None else None
    return [
        Password(
            noun, name, side.place, side.protocol, side.host, user,
            record.name if record is not None else side.auth.credential,
            row.provider, row.since, (row.since - today).days, _due(row, worked, within, today),
            worked, row.sentence, row.source,
        )
    ]  # fmt: skip


def _due(row: Ending, worked: float | None, within: int, today: dt.date) -> bool:
    if row.app_password:
        accepted = (
            worked is not None and dt.datetime.fromtimestamp(worked, dt.UTC).date() >= row.since
        )
        return row.ended(today) and not accepted
    return row.since - dt.timedelta(days=within) <= today
