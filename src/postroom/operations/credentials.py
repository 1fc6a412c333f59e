"""Operations on credentials: create, give details, change, copy, delete, list, show, usage."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from postroom.clock import rfc3339
from postroom.connections.direct import DIRECT_TYPES
from postroom.connections.doctor import test_credential
from postroom.connections.granting import CLIENT_TYPES
from postroom.connections.report import Report, Tell
from postroom.credentials import proofs
from postroom.credentials.store import Credential, Saved
from postroom.credentials.types import type_named
from postroom.credentials.types.pem import PAIR_DAYS, generate_pair
from postroom.db import Row, Tx
from postroom.errors import InvalidValue, Refused
from postroom.operations import ends, usage
from postroom.operations.desk import Desk, Rebind
from postroom.operations.page import Page, cut
from postroom.operations.signins import forget_sign_ins
from postroom.operations.trust import certificate_with, save_certificate
from postroom.operations.usage import Usage, Use
from postroom.operations.waking import wake

if TYPE_CHECKING:
    from postroom.operations import models

__all__ = ["Credentials", "Generated", "check_type"]


class Generated(NamedTuple):
    """A record after a key pair was made for it, and the certificate (PEM): the part that leaves."""

    saved: Saved
    certificate: str


class Credentials:
    """What a person may do with credentials.  None of it shows a saved secret."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def create(
        self,
        name: str,
        type: str,
        *,
        description: str = "",  # the word of the design
        expires_at: str | None = None,
        rotate_after: str | None = None,
        programs: bool = False,
        details: Mapping[str, Any] | None = None,
    ) -> Saved:
        """Make a record: name, type and description first; the details may come at once or later."""
        store = self._desk.credentials

        def body(tx: Tx) -> Saved:
            made = store.create(
                tx,
                actor=self._desk.actor,
                name=name,
                type=type,
                description=description,
                expires_at=expires_at,
                rotate_after=rotate_after,
                programs=programs,
            )
            if not details:
                return Saved(made, [])
            return store.set_details(
                tx,
                name,
                details,
                actor=self._desk.actor,
                used_lines=self._desk.lines_of(tx, name),
                rebind=False,
            )

        return await self._desk.change(body)

    async def set(
        self,
        name: str,
        details: Mapping[str, Any],
        *,
        clear: Collection[str] = (),
        rebind: Rebind = False,
        wakes: bool = True,
        **changes: Any,
    ) -> Saved:
        """Give or change details.  A sealed field that is left out or empty keeps its value.

        What rests on it begins anew; with ``wakes`` False only what is failing does.

        ``changes`` are made before, as :meth:`change` makes them: with the details, or not at all.
        """

        def body(tx: Tx) -> Saved:
            if changes:
                _change(self._desk, tx, name, changes)
            lines = self._desk.lines_of(tx, name)
            saved = self._desk.credentials.set_details(
                tx,
                name,
                details,
                actor=self._desk.actor,
                clear=clear,
                used_lines=lines,
                rebind=rebind,
            )
            wake(tx, usage.of_credential(tx, name).uses, failing=not wakes)
            return saved

        return await self._desk.change(body, rebind=rebind)

    async def generate(
        self, name: str, *, days: int = PAIR_DAYS, replace: bool = False
    ) -> Generated:
        """Make a key pair here: the private key is sealed, and the certificate (PEM) is given back.

        Beside the pair of an OAuth app it waits as the next one, until a token has come by it.
        Raises Refused for a type that holds no private key, and, unless ``replace``, where another
        type has one already: what trusts the old certificate would not know the new one.
        """
        record = await self.get(name)
        if "private_key" not in type_named(record.type).model_fields:
            raise Refused(
                f"Credential {record.name} is of type {record.type}, which holds no private key.",
                code="not_supported",
                hint="Types that do: msgraph, oauth_client, certificate.",
            )
        beside = "private_key" in record.sealed and record.type in CLIENT_TYPES
        if "private_key" in record.sealed and not (replace or beside):
            raise Refused(
                f"Credential {record.name} has a private key already.",
                hint="Replace it with --yes; the other side has to learn the new certificate.",
            )
        key, certificate = await asyncio.to_thread(generate_pair, record.name, days=days)
        clear = [slot for slot in ("passphrase",) if slot in record.sealed]
        place = "next_" if beside else ""
        details = {f"{place}private_key": key, f"{place}certificate": certificate}
        saved = await self.set(name, details, clear=clear, wakes=not beside)
        return Generated(saved, certificate)

    async def change(
        self, name: str, *, dry_run: bool = False, rebind: Rebind = False, **changes: Any
    ) -> Credential:
        """Change description, dates, whether programs may be handed it, or its type while unused."""

        return await self._desk.change(
            lambda tx: _change(self._desk, tx, name, changes), rebind=rebind, dry_run=dry_run
        )

    async def copy(self, name: str, new_name: str) -> Saved:
        """Make another record with the same type, description and plain fields.

        No secret is carried over, and no date, since the dates belong to the secret: a copy that
        held it could present it at places of its own, and a rotation would miss it.
        """

        def body(tx: Tx) -> Saved:
            old = self._desk.credentials.get(tx, name)
            made = self._desk.credentials.create(
                tx,
                actor=self._desk.actor,
                name=new_name,
                type=old.type,
                description=old.description,
            )
            if not old.plain:
                return Saved(made, [])
            return self._desk.credentials.set_details(
                tx, new_name, old.plain, actor=self._desk.actor, used_lines=set(), rebind=False
            )

        return await self._desk.change(body)

    async def delete(self, name: str, *, force: bool = False, dry_run: bool = False) -> None:
        """Remove a record and destroy its secrets; refused with the list while used, unless forced."""
        await self._desk.change(lambda tx: self.remove(tx, name, force=force), dry_run=dry_run)

    def remove(self, tx: Tx, name: str, *, force: bool = False) -> None:
        """As :meth:`delete`, inside a transaction."""
        self._desk.credentials.get(tx, name)
        uses = usage.standing(tx, self.usage_of, name)
        if uses and (not force or usage.OUT_OF_SIGHT in uses):
            hint = "Change those first, or use --force to delete it."
            raise _in_use(name, "It cannot be deleted.", uses, hint)
        key = name.casefold()
        forget_sign_ins(self._desk, tx, lambda use: use.grant.credential.casefold() == key)
        self._desk.credentials.delete(tx, name, actor=self._desk.actor)

    async def list(
        self,
        *,
        expiring: float | None = None,
        unused: float | None = None,
        types: Sequence[str] = (),
        part: str = "",
        limit: int | None = None,
        after: str = "",
    ) -> Page[models.CredentialLine]:
        """Every record with state, dates, the names of the secrets that it has (none is opened), whether it
        is used without a connection (``direct``) and how often it is used, by name.

        ``limit`` of them at most, those behind the name ``after``, which is the page's ``next``.
        ``types``: only of these types; ``part``: only with that in their name or description.
        Raises InvalidValue for a type that there is not.

        ``expiring`` (seconds): instead, one item for each end within that time, of sign-ins too, as
        :func:`postroom.operations.ends.ending` gives it.  ``unused`` (seconds): only the records
        that nobody has used for that long, each with ``used_at``.  ``after`` of these is no name.
        """
        if limit is not None and limit < 1:
            raise InvalidValue("limit", "give a number from 1 on")
        for one in types:
            type_named(one)
        if expiring is not None:
            found = await asyncio.to_thread(
                self._desk.db.read_now, lambda tx: ends.ending(tx, self._desk, expiring)
            )
            return cut(found, limit=limit, after=after)
        if unused is None:
            return await self._desk.db.read(
                lambda tx: _listed(self._desk, tx, after, limit, types, part)
            )
        every, last = await asyncio.to_thread(
            self._desk.db.read_now,
            lambda tx: (
                _listed(self._desk, tx, "", None),
                ends.unused(tx, self._desk, unused),
            ),
        )
        idle = [{**one, "used_at": last[one["name"]]} for one in every if one["name"] in last]
        return cut(idle, limit=limit, after=after)

    async def show(self, name: str) -> models.Credential:
        """One record with masks, destinations, dates and usage."""

        def body(tx: Tx) -> dict[str, Any]:
            one = self._desk.credentials.get(tx, name)
            used = self.usage_of(tx, one.name)
            return {
                **_line(one, proofs.refused_ones(tx).get(one.id)),
                "fields": one.fields,
                "destinations": list(one.destinations),
                "version": one.version,
                "created_at": rfc3339(one.created_at),
                "updated_at": rfc3339(one.updated_at),
                "presented_at": rfc3339(one.presented_at) if one.presented_at else None,
                "usage": [use._asdict() for use in used.uses],
                **used.last_use(),
            }

        return await self._desk.db.read(body)

    async def get(self, name: str) -> Credential:
        """One record as the store shows it.  Raises NotThere."""
        return await self._desk.db.read(lambda tx: self._desk.credentials.get(tx, name))

    async def test(self, name: str, *, on_step: Tell | None = None) -> Report:
        """Walk the sign-in of a credential that is used directly, step by step, sending nothing."""
        record = await self.get(name)
        if not _is_direct(record):
            used = await self.usage(name)
            known = sorted({one.name for one in used.uses if one.noun == "connection"})
            raise Refused(
                f"Credential {record.name} is of type {record.type}; only smtp names a "
                "server of its own, and msgraph with a mailbox.",
                code="not_supported",
                hint=f"Test what uses it: {' or '.join(f'postroom connection test {one}' for one in known)}"
                if known
                else "No connection uses it yet; name it in one, and test that.",
            )
        return await test_credential(self._desk.opener, record.name, on_step=on_step)

    async def trust(self, name: str, fingerprint: str, *, rebind: Rebind = False) -> Saved:
        """Trust the certificate with this SHA-256 fingerprint that an smtp credential's server shows."""
        saved = certificate_with(
            await self.test(name), "outgoing", fingerprint, look=f"postroom credential test {name}"
        )

        def body(tx: Tx) -> Saved:
            credential = save_certificate(self._desk, tx, name, saved)
            return self._desk.credentials.set_details(
                tx,
                name,
                {"trust": credential},
                actor=self._desk.actor,
                used_lines=self._desk.lines_of(tx, name),
                rebind=rebind,
            )

        return await self._desk.change(body, rebind=rebind)

    async def usage(self, name: str) -> Usage:
        """What refers to a credential, when it was opened last, and for whom.  Raises NotThere."""
        return await self._desk.db.read(lambda tx: self.usage_of(tx, name))

    def usage_of(self, tx: Tx, name: str) -> Usage:
        """As :meth:`usage`, inside a transaction."""
        record = self._desk.credentials.get(tx, name)
        return usage.of_credential(tx, record.name, since=record.created_at)


def check_type(desk: Desk, tx: Tx, name: str, wanted: str | None) -> None:
    """Raise Refused (``in_use``), with what uses it, where a record would become another type."""
    record = desk.credentials.get(tx, name)
    if wanted is None or type_named(wanted).type_name == record.type:
        return
    if uses := usage.of_credential(tx, record.name).uses:
        raise _in_use(record.name, "Its type cannot change.", uses, "Change those first.")


def _change(desk: Desk, tx: Tx, name: str, changes: Mapping[str, Any]) -> Credential:
    check_type(desk, tx, name, changes.get("type"))
    return desk.credentials.change(tx, name, actor=desk.actor, **changes)


def _listed(
    desk: Desk,
    tx: Tx,
    after: str,
    limit: int | None,
    types: Sequence[str] = (),
    part: str = "",
) -> Page[models.CredentialLine]:
    used = usage.count_of_credentials(tx)
    refused = proofs.refused_ones(tx)
    one_more = None if limit is None else limit + 1
    found = desk.credentials.all(
        tx, hints=False, after=after, limit=one_more, types=types, part=part
    )
    more, found = limit is not None and len(found) > limit, found[:limit]
    return Page(
        (
            {**_line(one, refused.get(one.id)), "used_by": used[one.name.casefold()]}
            for one in found
        ),
        next=found[-1].name if more else None,
    )


def _is_direct(one: Credential) -> bool:
    """Whether it is used without a connection: an app that opens many mailboxes says none of them."""
    of_type = one.type in DIRECT_TYPES
    return of_type and (one.type != "msgraph" or bool(one.plain.get("mailbox")))


def _line(one: Credential, refused: Sequence[Row] | None) -> dict[str, Any]:
    told = [
        f"{one.name}: {proofs.named(row['label'])} was refused by the authorization server on "
        f"{rfc3339(row['refused_at'])}. See: postroom credential secret list {one.name}"
        for row in refused or ()
    ]
    return {
        "name": one.name,
        "type": one.type,
        "description": one.description,
        "state": one.state,
        "missing": list(one.missing),
        "warnings": [*told, *one.warnings],
        "expires_at": one.expires_at and str(one.expires_at),
        "rotate_after": one.rotate_after and str(one.rotate_after),
        "programs": one.programs,
        "direct": _is_direct(one),
        "restricted": one.restricted,
        "secrets": list(one.sealed),
        "due": [
            {"what": end.what, "on": str(end.on), "days": end.days, "says": str(end)}
            for end in one.due
        ],
    }


def _in_use(name: str, then: str, uses: Sequence[Use], hint: str) -> Refused:
    return usage.in_use(f"Credential {name}", uses, hint, then=then)
