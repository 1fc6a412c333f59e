"""Operations on email itself: send through the outbox, and open a mailbox to read."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from postroom.clock import monotonic, timestamp
from postroom.connections import store as connections
from postroom.connections.mailbox import Mailbox
from postroom.connections.spool import Spools
from postroom.db import Tx
from postroom.errors import InvalidValue, NotThere, Refused
from postroom.mail import Draft, compose, new_message_id, parse_address
from postroom.operations.desk import Desk
from postroom.services import outbox
from postroom.services import service as services
from postroom.services.dispatcher import Dispatcher, Drained
from postroom.services.outbox import Item, Parcel
from postroom.services.senders import choose_sender
from postroom.services.service import Service

__all__ = ["Email"]

POLL_SECONDS = 0.2
"""How often a waiting caller looks whether another process has sent its message."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Via:
    """What a message is sent through: the service, and the name its rows carry."""

    service: Service
    row_name: str


@dataclasses.dataclass(frozen=True, slots=True)
class _Account:
    """Who sends: the account's own address, who else it may send as, whether it signs in."""

    own: str
    allowed: tuple[str, ...]
    signs_in: bool


class Email:
    """Sending and reading."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    # ------------------------------------------------------------------ send

    async def send(
        self, via: str, draft: Draft, *, wait: float = 60.0, idempotency_key: str | None = None
    ) -> Item:
        """Store a message and send it; gives the item as it is after at most ``wait`` seconds.

        The caller's own process sends it through the same queue and throttle as everybody's.
        An item that is not finished by then stays in the outbox and is sent by a worker.
        """
        item = await self.store(via, draft, idempotency_key=idempotency_key)
        deadline = monotonic() + wait
        while True:
            found = await self._desk.db.read(lambda tx: outbox.show(tx, item))
            if found.finished or found.state in ("held", "deferred") or monotonic() >= deadline:
                return found
            if found.due_at <= timestamp():
                await self.dispatch([found.service], item=item, within=deadline - monotonic())
            await asyncio.sleep(min(POLL_SECONDS, max(0.0, deadline - monotonic())))

    async def store(self, via: str, draft: Draft, *, idempotency_key: str | None = None) -> str:
        """Store a message durably in the outbox and return at once; gives the item's id."""
        return await self._desk.change(lambda tx: self._store(tx, via, draft, idempotency_key))

    def _store(self, tx: Tx, via: str, draft: Draft, key: str | None) -> str:
        chosen = self.via(tx, via)
        account = self._account(tx, chosen.service)
        written = draft.from_ or self._desk.expander(tx)(
            chosen.service.from_, f"service {chosen.service.name}: from"
        )
        bare = parse_address(written, "from").address if written else ""
        sender = choose_sender(
            str(written or ""),
            bare,
            own=account.own,
            allowed=account.allowed,
            signs_in=account.signs_in,
        )
        whole = dataclasses.replace(
            draft, from_=written or sender.from_, sender=draft.sender or sender.sender or None
        )
        now = dt.datetime.now(dt.UTC)
        domain = (bare or account.own).rpartition("@")[2]
        composed = compose(whole, message_id=new_message_id(domain), date=now)
        parcel = Parcel(
            content=composed.content,
            sender=composed.sender,
            recipients=composed.recipients,
            message_id=composed.message_id,
            subject=draft.subject,
            utf8=composed.utf8,
        )
        return outbox.add(
            tx,
            chosen.service,
            parcel,
            name=chosen.row_name,
            actor=self._desk.actor,
            idempotency_key=key,
            digest=_digest(whole),
        )

    def via(self, tx: Tx, name: str) -> _Via:
        """The service, connection or credential of that name; ``service:``, ``connection:`` or
        ``credential:`` in front decides where a name is not unique.
        """
        noun, _, bare = name.rpartition(":")
        found = [each for each in self._candidates(tx, bare) if not noun or each[0] == noun]
        if len(found) > 1:
            nouns = " or ".join(f"{each[0]}:{bare}" for each in found)
            raise InvalidValue("via", f"{bare} is the name of several things; say {nouns}")
        if not found:
            raise NotThere(
                f"There is no service, connection or smtp credential called {name!r}.",
                hint="List them: postroom service list",
            )
        kind, real = found[0]
        if kind == "service":
            return _Via(services.get(tx, real), real)
        implicit = services.implicit(f"{kind}:{real}")
        return _Via(implicit, f"{kind}:{real}")

    def _candidates(self, tx: Tx, name: str) -> list[tuple[str, str]]:
        key = name.casefold()
        found = [
            ("service", one.name) for one in services.load_all(tx) if one.name.casefold() == key
        ]
        found += [
            ("connection", one.name)
            for one in connections.load_all(tx)
            if one.name.casefold() == key and self._desk.resolver(tx).of(one).outgoing is not None
        ]
        found += [
            ("credential", one.name)
            for one in self._desk.credentials.all(tx)
            if one.name.casefold() == key and one.type == "smtp"
        ]
        return found

    def _account(self, tx: Tx, service: Service) -> _Account:
        if service.connection.startswith("credential:"):
            record = self._desk.credentials.get(tx, service.connection.partition(":")[2])
            fields = record.fields
            own = str(fields.get("email_address") or _address_in(fields.get("user_name")))
            allowed = service.allowed_senders or fields.get("allowed_senders") or ()
            return _Account(own, tuple(allowed), bool(fields.get("user_name")))
        effective = self._desk.resolver(tx).effective(service.connection)
        side = effective.outgoing
        if side is None:
            raise Refused(f"Connection {service.connection} has no outgoing side.")
        user: Any = side.user
        if not user and side.auth.credential:
            fields = self._desk.credentials.get(tx, side.auth.credential).fields
            user = fields.get("email_address") or fields.get("user_name")
        allowed = tuple(service.allowed_senders) or effective.allowed_senders
        return _Account(_address_in(user), allowed, side.auth.type != "none")

    # ------------------------------------------------------------------ dispatch

    async def dispatch(
        self,
        names: list[str] | None = None,
        *,
        item: str = "",
        within: float | None = None,
        roles: tuple[str, ...] = (),
    ) -> Drained:
        """Send what is due now, in this process, for at most ``within`` seconds.

        What was being sent when the time ran out is finished first: a message in DATA is not cut.
        """
        seat = await self._desk.seat()
        dispatcher = Dispatcher(
            self._desk.db, owner=seat.owner, open_transport=self._desk.opener.open_transport
        )
        draining = asyncio.create_task(dispatcher.drain(names, item=item, roles=roles))
        done, _ = await asyncio.wait([draining], timeout=within)
        if not done and within is not None:
            self._desk.background.add(draining)
            draining.add_done_callback(self._desk.background.discard)
            return Drained()
        return await draining

    def seconds_until(self, due: float | None) -> float:
        """How long until an instant; an hour when there is none."""
        return 3600.0 if due is None else max(0.0, due - timestamp())

    async def purge(self) -> None:
        """Remove what the outbox need not keep any longer."""
        await self._desk.change(lambda tx: outbox.purge(tx, now=timestamp()))

    # ------------------------------------------------------------------ read

    async def mailbox(self, connection: str) -> Mailbox:
        """Open the incoming side of a connection: ``async with await email.mailbox("acme") as box``."""
        effective = await self._desk.db.read(
            lambda tx: self._desk.resolver(tx).effective(connection)
        )
        if effective.incoming is None:
            raise Refused(f"Connection {connection} has no incoming side.")
        store = await self._desk.opener.open_store(effective.name)
        return Mailbox(
            store, Spools(self._desk.data_dir / "spool"), read_only=effective.incoming.read_only
        )


def _address_in(value: object) -> str:
    text = str(value or "")
    return text if "@" in text else ""


def _digest(draft: Draft) -> bytes:
    """Of the request itself: the same request gives the same digest, whenever it comes."""

    def plain(value: object) -> object:
        if isinstance(value, bytes):
            return hashlib.sha256(value).hexdigest()
        if isinstance(value, Mapping):
            return {str(key): plain(each) for key, each in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(each) for each in value]
        return value

    whole: dict[str, Any] = dataclasses.asdict(draft)
    return hashlib.sha256(json.dumps(plain(whole), sort_keys=True, default=str).encode()).digest()
