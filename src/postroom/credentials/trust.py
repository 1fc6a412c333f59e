"""References by ``trust``: which certificate a record trusts, and who trusts a certificate."""

from __future__ import annotations

import contextlib
import functools
import json
from typing import Final

from postroom.credentials.record import credential_of, find
from postroom.credentials.types import type_named
from postroom.credentials.types.base import Details, Trusted
from postroom.db import Tx
from postroom.errors import InvalidValue, NotThere

__all__ = ["certificates_named", "other_lines", "trusted_in", "trusting"]


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
    key = name.casefold()
    return [one for trusted, one in certificates_named(tx) if trusted == key]


def certificates_named(tx: Tx) -> list[tuple[str, str]]:
    """Every certificate that a credential's ``trust`` field names, casefolded, and that credential."""
    found = []
    for row in tx.all(_TRUSTING):
        with contextlib.suppress(ValueError, AttributeError):  # a damaged record trusts nobody
            trusted = json.loads(row["plain"]).get("trust")
            if isinstance(trusted, str) and trusted:
                found.append((trusted.casefold(), row["name"]))
    return found


# the condition is that of the index: and versions come first (sqlite.org/optoverview.html#crossjoin)
_TRUSTING: Final = """
    SELECT c.name, v.plain FROM credential_versions v CROSS JOIN credentials c
    WHERE v.credential = c.id AND v.version = c.version AND instr(v.plain, '"trust"') > 0
    ORDER BY c.name_key
"""


def other_lines(tx: Tx, name: str) -> set[str]:
    """The destinations of a record that are not its own: those of what uses it."""
    one = credential_of(find(tx, name), None)
    record = type_named(one.type).load(Details(one.stored, {}))
    try:
        return set(one.destinations) - record.own_destinations(trusted_in(tx))
    except InvalidValue:  # the certificate it trusts is gone: which line was its own is not known
        return set(one.destinations)
