"""Operations on users: who may come in, with which role; invitations, and the sessions they have."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

from postroom.access import ROLES, invitations, sessions
from postroom.access import users as store
from postroom.access.passwords import check_password, hash_password
from postroom.access.rights import MEANS, ROLES_MEAN
from postroom.clock import rfc3339
from postroom.db import Row, Tx
from postroom.errors import InvalidValue, Refused
from postroom.mail import parse_address
from postroom.operations.desk import Desk
from postroom.operations.gate import check_may
from postroom.secret import Secret

if TYPE_CHECKING:
    from postroom.operations import models

__all__ = ["MEANS", "ROLES_MEAN", "Users", "check_not_above"]


class Users:
    """What a person may do with the people of the room.  None of it shows a password."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def list(self) -> builtins.list[models.User]:
        """Every user by name: role, address, how they sign in, how many sessions and tokens."""
        found = await self._desk.db.read(store.find_all)
        return [_shown(row) for row in found]

    async def show(self, name: str) -> models.User:
        """One user as :meth:`list` gives them, with the rights of their role.  Raises NotThere."""
        row = await self._desk.db.read(lambda tx: store.find(tx, name))
        return {**_shown(row), "rights": sorted(store.person_of(row).verbs)}

    async def add(
        self,
        name: str,
        role: str,
        *,
        address: str = "",
        password: Secret | None = None,
        issuer: str = "",
        subject: str = "",
    ) -> models.User:
        """Make a user; without ``password``, and without ``issuer`` and ``subject`` (how a provider of
        OpenID Connect calls them), they come in by an invitation.

        Raises InvalidValue, and Refused (``name_taken``, ``not_permitted``).
        """
        store.check_role(role)
        _check(address, issuer, subject)
        kept = await _kept(password, name, address)

        def body(tx: Tx) -> Row:
            check_not_above(self._desk, role)
            row = store.add(
                tx, name, role, by=self._desk.actor, address=address, password=kept,
                issuer=issuer, subject=subject,
            )  # fmt: skip
            self._desk.record(tx, "add", "user", row["name"], id=row["id"], role=role)
            return row

        return _shown(await self._desk.write(body))

    async def set(
        self,
        name: str,
        *,
        role: str | None = None,
        address: str | None = None,
        disabled: bool | None = None,
        password: Secret | None = None,
        issuer: str | None = None,
        subject: str | None = None,
    ) -> models.User:
        """Change a user.  Another password or account at a provider, or being disabled, ends every session
        and invitation.

        An empty ``issuer`` and ``subject`` end their sign-in by a provider.  Raises NotThere,
        InvalidValue, and Refused: for the last administrator, and ``not_permitted``.
        """
        if role is not None:
            store.check_role(role)
        kept = await _kept(password, name, address or "")
        given = {"role": role, "address": address, "issuer": issuer, "subject": subject}
        changes: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
        if disabled is not None:
            changes["disabled"] = int(disabled)
        if kept:
            changes["password"] = kept

        def body(tx: Tx) -> Row:
            row = store.find(tx, name)
            merged = {key: row[key] for key in ("address", "issuer", "subject")} | changes
            _check(merged["address"], merged["issuer"], merged["subject"])
            check_not_above(self._desk, row["role"], merged.get("role", row["role"]))
            self._keep_one(tx, row, merged)
            store.update(tx, row, **changes)
            moved = (merged["issuer"], merged["subject"]) != (row["issuer"], row["subject"])
            if kept or disabled or (moved and row["subject"]):
                sessions.end_all(tx, row["id"])
                invitations.spend(tx, row["id"])
            fields = sorted(changes)
            told = {"role": role} if role is not None else {}
            self._desk.record(tx, "set", "user", row["name"], fields=fields, **told)
            return store.find(tx, name)

        return _shown(await self._desk.write(body))

    async def delete(self, name: str, *, dry_run: bool = False) -> None:
        """Remove a user with their sessions, tokens and grants.  Raises Refused for the last
        administrator, and ``not_permitted``."""

        def body(tx: Tx) -> None:
            row = store.find(tx, name)
            check_not_above(self._desk, row["role"])
            store.check_administrator(tx, row)
            store.delete(tx, row)
            self._desk.record(tx, "delete", "user", row["name"], id=row["id"])

        await self._desk.write(body, dry_run=dry_run)

    async def invite(self, name: str) -> models.Invitation:
        """A one-time code with which a user chooses a password: ``code``, shown this once, and
        ``expires_at``.  One that was given before is void."""

        def body(tx: Tx) -> dict[str, Any]:
            row = store.find(tx, name)
            check_not_above(self._desk, row["role"])
            if row["disabled"]:
                raise Refused(
                    f"{row['name']} is disabled.",
                    hint=f"Let them in with: postroom user set {row['name']} --enable",
                )
            code, expires = invitations.make(tx, row["id"])
            self._desk.record(tx, "invite", "user", row["name"])
            return {"name": row["name"], "code": code, "expires_at": rfc3339(expires)}

        return await self._desk.write(body)

    async def sessions(self, name: str) -> builtins.list[models.Session]:
        """The sessions of a user, the newest first: since when, until when, with which browser."""

        def body(tx: Tx) -> builtins.list[Row]:
            return sessions.of_user(tx, store.find(tx, name)["id"])

        return [
            {
                "created_at": rfc3339(row["created_at"]),
                "seen_at": rfc3339(row["seen_at"]),
                "expires_at": rfc3339(sessions.ends_at(row)),
                "agent": row["agent"],
            }
            for row in await self._desk.db.read(body)
        ]

    async def end_sessions(self, name: str) -> int:
        """Sign a user out everywhere; gives how many sessions there were."""

        def body(tx: Tx) -> int:
            row = store.find(tx, name)
            count = sessions.end_all(tx, row["id"])
            if count:
                self._desk.record(tx, "end-sessions", "user", row["name"], count=count)
            return count

        return await self._desk.write(body)

    def _keep_one(self, tx: Tx, row: Row, merged: dict[str, Any]) -> None:
        """Raise Refused for a change after which no administrator could sign in."""
        after = {
            key: merged.get(key, row[key]) for key in ("role", "disabled", "password", "subject")
        }
        stays = after["role"] == "admin" and not after["disabled"]
        if not (stays and (after["password"] or after["subject"])):
            store.check_administrator(tx, row)


def check_not_above(desk: Desk, *roles: str) -> None:
    """Raise Refused unless who asks has every right of those roles: nobody gives what they have not."""
    for role in roles:
        for verb in sorted(ROLES.get(role, frozenset())):
            check_may(desk.person, verb)


async def _kept(password: Secret | None, name: str, address: str) -> str:
    if password is None:
        return ""
    check_password(password, name, address)
    return await hash_password(password)


def _check(address: str, issuer: str, subject: str) -> None:
    if address:
        parse_address(address, "address")
    if bool(issuer) != bool(subject):
        raise InvalidValue(
            "subject", "give both: issuer, the address of the provider, and subject, its id of them"
        )
    if issuer and not issuer.startswith("https://") and not issuer.startswith("http://"):
        raise InvalidValue("issuer", "give the address of the provider: https://...")


def _shown(row: Row) -> dict[str, Any]:
    ways = [("password", row["password"]), ("openid", row["subject"])]
    return {
        "name": row["name"],
        "role": row["role"],
        "address": row["address"],
        "disabled": bool(row["disabled"]),
        "sign_in": [way for way, has in ways if has],
        "issuer": row["issuer"],
        "subject": row["subject"],
        "sessions": row["sessions"],
        "tokens": row["tokens"],
        "created_at": rfc3339(row["created_at"]),
        "created_by": row["created_by"],
        "updated_at": rfc3339(row["updated_at"]),
        "signed_in_at": rfc3339(row["signed_in_at"]) if row["signed_in_at"] else None,
    }
