"""From a draft to what the outbox stores: through what, from whom, and the bytes."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from postroom.connections import store as connections
from postroom.connections.boxed import in_mailbox, parted
from postroom.connections.direct import DIRECT, DIRECT_TYPES
from postroom.connections.open import no_side
from postroom.credentials.record import check_complete
from postroom.db import Tx
from postroom.errors import InvalidValue, NotThere, Refused
from postroom.mail import Draft, compose, new_message_id, parse_address
from postroom.operations.desk import Desk
from postroom.operations.fits import check_outgoing
from postroom.services import service as services
from postroom.services.outbox import Parcel
from postroom.services.senders import Sender, choose_sender
from postroom.services.service import Service

__all__ = ["Route", "is_small", "route_of", "write_out"]

SMALL: Final = 32 * 1024
"""Bytes of a draft that are encoded in less than a millisecond."""


@dataclasses.dataclass(frozen=True, slots=True)
class Route:
    """What a message is sent through and as whom.

    ``row_name`` is the name its outbox rows carry; ``default_from`` is the service's own From,
    expanded; ``own`` is the account's address (empty: unknown), ``allowed`` who else it may send as.
    """

    service: Service
    row_name: str
    default_from: str
    own: str
    allowed: tuple[str, ...]
    signs_in: bool

    def sender(self, written: Any) -> Sender:
        """The sender for a From (or Sender) as written.  Raises Refused(``sender_not_allowed``)."""
        bare = parse_address(written, "from").address if written else ""
        return choose_sender(
            str(written or ""),
            bare,
            own=self.own,
            allowed=self.allowed,
            signs_in=self.signs_in,
            via=self.row_name,
        )


def route_of(desk: Desk, tx: Tx, name: str) -> Route:
    """The service, connection or credential of that name, ready to write messages for.

    ``service:``, ``connection:`` or ``credential:`` in front decides where a name is not unique; the
    mailbox that a command names stands behind it (connections/boxed).  Raises NotThere, InvalidValue,
    Refused(``incomplete``, ``not_supported``).
    """
    service, row_name = _via(desk, tx, name)
    with tx.seen_by(None):  # a service that is there may rest on what is granted to it alone
        own, allowed, signs_in = _account(desk, tx, service)
        where = f"service {service.name}: from"
        default_from = desk.expander(tx)(service.from_, where)
    return Route(
        service=service,
        row_name=row_name,
        default_from=default_from,
        own=own,
        allowed=allowed,
        signs_in=signs_in,
    )


def write_out(route: Route, draft: Draft, *, repeatable: bool) -> tuple[Parcel, bytes]:
    """The bytes and the envelope of a draft; of a ``repeatable`` request, one with a key, its digest.

    Raises InvalidValue with the field, Refused(``sender_not_allowed``).
    """
    written = draft.from_ or route.default_from
    chosen = route.sender(written)
    if draft.sender:
        route.sender(draft.sender)
    whole = dataclasses.replace(
        draft, from_=written or chosen.from_, sender=draft.sender or chosen.sender or None
    )
    domain = parse_address(whole.from_, "from").address.rpartition("@")[2]
    composed = compose(whole, message_id=new_message_id(domain), date=dt.datetime.now(dt.UTC))
    parcel = Parcel(
        content=composed.content,
        sender=composed.sender,
        recipients=composed.recipients,
        message_id=composed.message_id,
        subject=draft.subject,
        utf8=composed.utf8,
    )
    return parcel, _digest(whole) if repeatable else b""


def is_small(draft: Draft) -> bool:
    """Whether writing it out holds nobody up: a thread of its own would take longer."""
    texts = len(draft.text or "") + len(draft.html or "")
    return texts + sum(len(one.data) for one in draft.attachments) <= SMALL


def _via(desk: Desk, tx: Tx, name: str) -> tuple[Service, str]:
    name, box = parted(name)
    noun, _, bare = name.rpartition(":")
    found = [each for each in _candidates(desk, tx, bare) if not noun or each[0] == noun]
    if len(found) > 1:
        nouns = " or ".join(f"{each[0]}:{bare}" for each in found)
        raise InvalidValue("via", f"{bare} is the name of several things; say {nouns}")
    if not found:
        _check_able(desk, tx, noun, bare)
        raise NotThere(
            f"There is no service, connection or credential that can send called {name!r}.",
            hint="List them: postroom service list",
        )
    kind, real, service = found[0]
    if service is not None:
        if box:
            raise Refused(
                f"Service {real} sends from the mailbox of its connection alone.",
                code="not_supported",
                hint=f"Send by the connection: --via {service.connection} --mailbox {box}",
            )
        return service, real
    row_name = in_mailbox(f"{kind}:{real}", box)
    return services.implicit(row_name), row_name


def _check_able(desk: Desk, tx: Tx, noun: str, name: str) -> None:
    """Raise Refused where there is a record of that name, and it cannot send."""
    if noun in ("", "connection") and connections.exists(tx, name):
        check_outgoing(desk, tx, connections.get(tx, name).name, "sending")
    if noun in ("", "credential") and desk.credentials.exists(tx, name):
        check_outgoing(desk, tx, DIRECT + name, "sending")


def _candidates(desk: Desk, tx: Tx, name: str) -> list[tuple[str, str, Service | None]]:
    """What that may be the name of: the noun, the name as it is spelled, and a service itself."""
    found: list[tuple[str, str, Service | None]] = []
    if (service := services.find(tx, name)) is not None:
        found.append(("service", service.name, service))
    if connections.exists(tx, name):
        connection = connections.get(tx, name)
        if desk.resolver(tx).of(connection).outgoing is not None:
            found.append(("connection", connection.name, None))
    if desk.credentials.exists(tx, name):
        record = desk.credentials.get(tx, name)
        found += [("credential", record.name, None)] if record.type in DIRECT_TYPES else []
    return found


def _account(desk: Desk, tx: Tx, service: Service) -> tuple[str, tuple[str, ...], bool]:
    """The account's own address, who else it may send as, and whether it signs in."""
    if service.connection.startswith("credential:"):
        name, box = parted(service.connection.partition(":")[2])
        if box:
            desk.resolver(tx).effective(service.connection)  # is it for that mailbox?
        fields = _usable(desk, tx, name)
        own = box or fields.get("email_address") or fields.get("mailbox")
        allowed = service.allowed_senders or fields.get("allowed_senders") or ()
        signs_in = bool(fields.get("user_name") or fields.get("client_id"))
        return str(own or _address_in(fields.get("user_name"))), tuple(allowed), signs_in
    effective = desk.resolver(tx).effective(service.connection)
    side = effective.outgoing
    if side is None:
        raise no_side(effective.name, "outgoing")
    fields = _usable(desk, tx, side.auth.credential) if side.auth.credential else {}
    user = side.user or fields.get("email_address") or fields.get("user_name")
    allowed = tuple(service.allowed_senders) or effective.allowed_senders
    return _address_in(user), allowed, side.auth.type != "none"


def _usable(desk: Desk, tx: Tx, name: str) -> Mapping[str, Any]:
    """The fields of a record that nothing is missing of: else the message would wait in vain."""
    record = desk.credentials.get(tx, name)
    check_complete(record)
    return record.fields


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
