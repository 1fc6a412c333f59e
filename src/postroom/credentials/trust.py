"""References by ``trust``: which certificate a record trusts, and who trusts a certificate."""

from __future__ import annotations

import functools
import json

from postroom.credentials.record import credential_of, find, find_all
from postroom.credentials.types import type_named
from postroom.credentials.types.base import Details, Trusted
from postroom.db import Tx
from postroom.errors import InvalidValue, NotThere

__all__ = ["other_lines", "trusted_in", "trusting"]


def trusted_in(tx: Tx) -> Trusted:
    """Gives the PEM text of a ``trusted_certificate`` by name; raises InvalidValue."""
    return functools.partial(_pem, tx)


def _pem(tx: Tx, name: str) -> str:
    try:
        row = find(tx, name)
    except NotThere:
        raise InvalidValue("trust", f"there is no credential {name!r}", name=name) from None
    if row["type"] != "trusted_certificate":
        raise InvalidValue(
            "trust",
            f"the credential {row['name']} is of type {row['type']}, not trusted_certificate",
        )
    text = json.loads(row["plain"] or "{}").get("certificate")
    if not text:
        raise InvalidValue("trust", f"the credential {row['name']} holds no certificate yet")
    return str(text)


def trusting(tx: Tx, name: str) -> list[str]:
    """The names of the credentials whose ``trust`` field names this one."""
    found = (credential_of(row, None) for row in find_all(tx))
    return [one.name for one in found if str(one.stored.get("trust", "")).lower() == name.lower()]


def other_lines(tx: Tx, name: str) -> set[str]:
    """The destinations of a record that are not its own: those of what uses it."""
    one = credential_of(find(tx, name), None)
    record = type_named(one.type).load(Details(one.stored, {}))
    try:
        return set(one.destinations) - record.own_destinations(trusted_in(tx))
    except InvalidValue:  # the certificate it trusts is gone: which line was its own is not known
        return set(one.destinations)
