"""Rows of sign-ins and their tokens: sealed like secrets, bound to where they may go.

A refresh token is bound to the authorization server and to every line its access tokens may go to;
that list is the person's consent, and who edits it in the database opens nothing.  The refresh token
of before is kept until the new one has worked: an answer that was lost on the way loses no sign-in.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from postroom.credentials.tokens.grant import Grant
from postroom.db import Row, Tx
from postroom.secret import Secret
from postroom.vault import Binding, Keyring

if TYPE_CHECKING:
    from postroom.oauth.claims import Claims

__all__ = [
    "REQUIRED",
    "SIGNED_IN",
    "WAITING",
    "Access",
    "destroy",
    "drop_access",
    "ensure",
    "find",
    "find_all",
    "forget_others",
    "hurry",
    "keep_access",
    "keep_refresh",
    "known_access",
    "make_due",
    "open_access",
    "open_refresh",
    "rebind",
    "refresh_versions",
    "scopes_key",
]

WAITING: Final = "waiting"
SIGNED_IN: Final = "signed in"
REQUIRED: Final = "sign-in required"

_REFRESH: Final = "refresh-token"
_ACCESS: Final = "access-token"
_FIELD: Final = "token"


class Access(NamedTuple):
    """An access token for one use: the token, whose it is (an address, or empty), when it ends
    (seconds since 1970), and its version, by which a refusal is told; ``note`` is what somebody
    should know of how it came.
    """

    token: Secret
    identity: str
    expires_at: float
    version: int
    granted: tuple[str, ...] = ()
    note: str = ""
    hints: Claims | None = None


def find(tx: Tx, sign_in: str) -> Row | None:
    """The row of a sign-in by its id."""
    return tx.one("SELECT * FROM sign_ins WHERE id = :id", id=sign_in)


def find_all(tx: Tx) -> list[Row]:
    """Every sign-in."""
    return tx.all("SELECT * FROM sign_ins ORDER BY authority, client_id, account")


def ensure(tx: Tx, grant: Grant, *, now: float) -> Row:
    """The row of a grant's sign-in, made when it is not there yet."""
    tx.execute(
        "INSERT INTO sign_ins (id, authority, client_id, account, flow, identity, state, note, "
        "proof, version, destinations, signed_in_by, failures, due_at, epoch) VALUES (:id, "
        ":authority, :client_id, :account, :flow, '', :state, '', '', 0, '[]', '', 0, :now, 0) "
        "ON CONFLICT (id) DO NOTHING",
        id=grant.sign_in,
        authority=grant.authority,
        client_id=grant.client_id,
        account=grant.account if grant.personal else "",
        flow=grant.flow,
        state=WAITING,
        now=now,
    )
    row = find(tx, grant.sign_in)
    assert row is not None  # noqa: S101  # it was just put there
    return row


def hurry(tx: Tx, *, now: float, sign_in: str | None = None) -> None:
    """Let a sign-in that failed be tried at once; None: every one."""
    tx.execute(
        "UPDATE sign_ins SET failures = 0, due_at = :now "
        "WHERE failures > 0 AND id = COALESCE(:sign_in, id)",
        now=now,
        sign_in=sign_in,
    )


def make_due(tx: Tx, sign_in: str, *, now: float) -> None:
    """Let a sign-in be claimed now."""
    tx.execute(
        "UPDATE sign_ins SET due_at = :now WHERE id = :id AND due_at > :now", id=sign_in, now=now
    )


def destroy(tx: Tx, keyring: Keyring, sign_in: str) -> None:
    """Remove a sign-in with all its tokens and their keys."""
    keyring.destroy(tx, _REFRESH, sign_in)
    drop_access(tx, keyring, sign_in)
    tx.execute("DELETE FROM sign_ins WHERE id = :id", id=sign_in)


# ------------------------------------------------------------------ refresh tokens


def refresh_versions(tx: Tx, sign_in: str) -> list[int]:
    """The versions of the refresh token that are kept, newest first: one, or two."""
    rows = tx.all(
        "SELECT version FROM sealed WHERE kind = :kind AND record = :id ORDER BY version DESC",
        kind=_REFRESH,
        id=sign_in,
    )
    return [row["version"] for row in rows]


def open_refresh(tx: Tx, keyring: Keyring, row: Row, version: int) -> Secret:
    """A kept refresh token.  Raises Unreadable when its row or its list of lines was changed."""
    return keyring.open(tx, _refresh_binding(row, version, json.loads(row["destinations"])), _FIELD)


def keep_refresh(tx: Tx, keyring: Keyring, row: Row, token: Secret, lines: Iterable[str]) -> int:
    """Seal a new refresh token bound to these lines; the one before it stays.  Gives its version."""
    version: int = row["version"] + 1
    found = sorted(lines)
    binding = _refresh_binding(row, version, found)
    keyring.seal(tx, keyring.new_data_key(tx), binding, {_FIELD: token})
    tx.execute(
        "UPDATE sign_ins SET version = :version, destinations = :lines WHERE id = :id",
        version=version,
        lines=json.dumps(found),
        id=row["id"],
    )
    return version


def forget_others(tx: Tx, keyring: Keyring, sign_in: str, version: int) -> None:
    """Destroy every other refresh token: this one has worked."""
    for other in refresh_versions(tx, sign_in):
        if other != version:
            keyring.destroy(tx, _REFRESH, sign_in, other)


def rebind(tx: Tx, keyring: Keyring, row: Row, lines: Iterable[str]) -> None:
    """Bind a sign-in to another list of lines: every kept token is sealed anew, access dropped."""
    kept = refresh_versions(tx, row["id"])
    tokens = {version: open_refresh(tx, keyring, row, version) for version in kept}
    found = sorted(lines)
    for version, token in tokens.items():
        keyring.destroy(tx, _REFRESH, row["id"], version)
        binding = _refresh_binding(row, version, found)
        keyring.seal(tx, keyring.new_data_key(tx), binding, {_FIELD: token})
    tx.execute(
        "UPDATE sign_ins SET destinations = :lines WHERE id = :id",
        lines=json.dumps(found),
        id=row["id"],
    )
    drop_access(tx, keyring, row["id"])


def _refresh_binding(row: Row, version: int, lines: Iterable[str]) -> Binding:
    return Binding(_REFRESH, row["id"], _owner(row), row["client_id"], version, tuple(lines))


# ------------------------------------------------------------------ access tokens


def scopes_key(grant: Grant) -> str:
    """The scopes of a grant as a token is found by."""
    return " ".join(grant.scopes)


def known_access(tx: Tx, grant: Grant) -> Row | None:
    """The row of the access token for a grant's scopes."""
    return tx.one(
        "SELECT * FROM access_tokens WHERE sign_in = :id AND scopes = :scopes",
        id=grant.sign_in,
        scopes=scopes_key(grant),
    )


def open_access(tx: Tx, keyring: Keyring, sign_in: Row, row: Row) -> Access:
    """Open an access token.  Raises Unreadable when its row or its list of lines was changed."""
    binding = _access_binding(sign_in, row, row["version"], json.loads(row["destinations"]))
    token = keyring.open(tx, binding, _FIELD)
    granted = tuple(row["granted"].split())
    return Access(token, sign_in["identity"], row["expires_at"], row["version"], granted)


def keep_access(
    tx: Tx, keyring: Keyring, sign_in: Row, grant: Grant, new: Access, lines: Iterable[str],
    *, now: float,
) -> Access:  # fmt: skip
    """Seal an access token in the place of the one before; ``new.version`` does not count."""
    before = known_access(tx, grant)
    version = 1 + (before["version"] if before else 0)
    row: dict[str, Any] = {
        "sign_in": grant.sign_in,
        "scopes": scopes_key(grant),
        "version": version,
        "granted": " ".join(new.granted),
        "destinations": json.dumps(sorted(lines)),
        "obtained_at": now,
        "expires_at": new.expires_at,
    }
    keyring.destroy(tx, _ACCESS, _access_record(row))
    binding = _access_binding(sign_in, row, version, sorted(lines))
    keyring.seal(tx, keyring.new_data_key(tx), binding, {_FIELD: new.token})
    tx.execute(
        "INSERT INTO access_tokens (sign_in, scopes, version, granted, destinations, obtained_at, "
        "expires_at) VALUES (:sign_in, :scopes, :version, :granted, :destinations, :obtained_at, "
        ":expires_at) ON CONFLICT (sign_in, scopes) DO UPDATE SET version = :version, "
        "granted = :granted, destinations = :destinations, obtained_at = :obtained_at, "
        "expires_at = :expires_at",
        **row,
    )
    return new._replace(version=version)


def drop_access(tx: Tx, keyring: Keyring, sign_in: str) -> None:
    """Destroy every access token of a sign-in."""
    for row in tx.all("SELECT * FROM access_tokens WHERE sign_in = :id", id=sign_in):
        keyring.destroy(tx, _ACCESS, _access_record(row))
    tx.execute("DELETE FROM access_tokens WHERE sign_in = :id", id=sign_in)


def _access_record(row: Row | dict[str, Any]) -> str:
    scopes = hashlib.sha256(row["scopes"].encode()).hexdigest()[:16]
    return f"{row['sign_in']}-{scopes}"


def _access_binding(
    sign_in: Row, row: Row | dict[str, Any], version: int, lines: Iterable[str]
) -> Binding:
    return Binding(
        _ACCESS, _access_record(row), _owner(sign_in), row["scopes"], version, tuple(lines)
    )


def _owner(row: Row) -> str:
    """Whose tokens these are: part of what they are bound to, so no two sign-ins are swapped."""
    return f"{row['authority']} {row['account']} {row['identity']}"
