"""What of the room's credentials and sign-ins ends, in how many days, and what stops with it."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from postroom.clock import now, rfc3339, timestamp
from postroom.connections import store as connections
from postroom.connections.presets import of_authority
from postroom.connections.signins import SignInUse, sign_ins
from postroom.credentials import proofs
from postroom.credentials.due import Due
from postroom.credentials.store import Credential
from postroom.credentials.tokens import rows
from postroom.db import Row, Tx
from postroom.operations import usage
from postroom.operations.desk import Desk
from postroom.operations.signins import hidden_uses

__all__ = ["SECONDS_OF_A_DAY", "counted", "ending", "unused"]

SECONDS_OF_A_DAY: Final = 86400.0
_PASSWORDS: Final = ("password", "smtp", "secret")
_PLURALS: Final = {
    "client secret": "client secrets",
    "certificate": "certificates",
    "refresh token": "refresh tokens",
    "password": "passwords",
    "credential": "credentials",
}


def ending(tx: Tx, desk: Desk, within: float) -> list[dict[str, Any]]:
    """What has ended or ends within so many seconds, nearest first: one item an end.

    ``kind`` is client secret, certificate, refresh token, password or credential; ``days`` how many
    are left; ``stops`` the sources and services that stop with it, empty where another proven secret
    or key pair goes on (``instead``).
    """
    days = within / SECONDS_OF_A_DAY
    found = []
    for record in desk.credentials.all(tx, ending=True):
        for due in record.due:
            if due.days <= days:
                found.append(_of_record(tx, record, due))
    uses = sign_ins(desk.resolver(tx).all_sides())
    hidden = hidden_uses(desk, tx, uses)
    for row in rows.find_all(tx):
        if row["id"] in hidden:
            continue
        item = _of_sign_in(tx, row, uses.get(row["id"]), days)
        if item is not None:
            found.append(item)
    return sorted(found, key=lambda item: (item["days"], item["name"]))


def counted(items: Iterable[Mapping[str, Any]]) -> str:
    """``2 client secrets, 1 certificate``."""
    many = Counter(item["kind"] for item in items)
    return ", ".join(
        f"{number} {kind if number == 1 else _PLURALS[kind]}"
        for kind in _PLURALS
        if (number := many[kind])
    )


def unused(tx: Tx, desk: Desk, longer_than: float) -> dict[str, str | None]:
    """The credentials nobody has used for so many seconds, by name, with their last use (or None)."""
    before = timestamp() - longer_than
    named = usage.connections_of_credentials(tx)
    found: dict[str, str | None] = {}
    for record in desk.credentials.all(tx, hints=False):
        if record.created_at > before:
            continue
        last = _last_use(tx, record, named.get(record.name.casefold(), ()))
        if last is None or last <= before:
            found[record.name] = None if last is None else rfc3339(last)
    return found


def _last_use(tx: Tx, record: Credential, over: Iterable[str]) -> float | None:
    """``over``: the connections that name it."""
    opened = usage.opened_at(tx, record.name, since=record.created_at)
    times = [row["worked_at"] for row in proofs.known(tx, record.id).values()]
    if record.type == "trusted_certificate":  # nobody opens one: it is used with its connections
        times += [connections.last_use(tx, name).at for name in over]
    return max((one for one in (opened, record.presented_at, *times) if one), default=None)


def _of_record(tx: Tx, record: Credential, due: Due) -> dict[str, Any]:
    instead = _instead(tx, record, due)
    stays = bool(instead) or due.what in ("rotate_after", "next_certificate")
    stops = () if stays else usage.of_credential(tx, record.name).uses
    return {
        "name": record.name,
        "kind": _kind(record, due),
        "what": due.what,
        "on": str(due.on),
        "days": due.days,
        "says": str(due),
        "stops": _working(stops),
        "instead": instead,
    }


def _kind(record: Credential, due: Due) -> str:
    if due.what.startswith("client_secrets."):
        return "client secret"
    if due.what in ("certificate", "next_certificate"):
        return "certificate"
    return "password" if record.type in _PASSWORDS else "credential"


def _instead(tx: Tx, record: Credential, due: Due) -> str:
    """The proof of a client that goes on when this one ends: one that worked, and ends later."""
    ends: dict[str, dt.date] = {}
    for other in record.due:
        if other.what.startswith("client_secrets."):
            ends[other.what.removeprefix("client_secrets.").removesuffix(".valid_until")] = other.on
        elif other.what == proofs.CERTIFICATE:
            ends[proofs.CERTIFICATE] = other.on
    own = due.what.removeprefix("client_secrets.").removesuffix(".valid_until")
    if own not in ends:
        return ""
    for label, row in proofs.known(tx, record.id).items():
        proven = row["state"] in (proofs.CURRENT, proofs.FALLBACK)
        if proven and label != own and (label not in ends or ends[label] > due.on):
            return label
    return ""


def _of_sign_in(tx: Tx, row: Row, use: SignInUse | None, within: float) -> dict[str, Any] | None:
    """A person's sign-in: over already, or with an end that its provider is known to set.

    None where it has none, or ends later than ``within`` days.
    """
    if not row["version"] or use is None:
        return None
    over = row["state"] == rows.REQUIRED
    preset = of_authority(row["authority"])
    lasts = preset.refresh_days if preset is not None else None
    if not over and lasts is None:
        return None
    last = row["refreshed_at"] or row["signed_in_at"] or timestamp()
    day = dt.datetime.fromtimestamp(last, dt.UTC).date() + dt.timedelta(days=lasts or 0)
    left = (day - now().date()).days
    days = min(0, left) if over else left
    if days > within:
        return None
    who = row["identity"] or row["account"]
    says = (
        "somebody has to sign in again"
        if over
        else f"ends {lasts} days after its last use, on {day}"
    )
    served = [one for name in use.connections for one in usage.of_connection(tx, name).uses]
    return {
        "name": f"{who or row['client_id']} at {row['authority']}",
        "kind": "refresh token",
        "what": "sign-in",
        "on": str(day),
        "days": days,
        "says": says,
        "last_refresh": rfc3339(last),
        "stops": _working(served),
        "instead": "",
    }


def _working(uses: Sequence[usage.Use]) -> list[str]:
    return list(dict.fromkeys(_names(uses)))


def _names(uses: Sequence[usage.Use]) -> Iterator[str]:
    for use in uses:
        if use.noun in ("source", "service"):
            yield f"{use.noun} {use.name}"
