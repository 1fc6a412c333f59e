"""Operations on client secrets: a new one is proven before it is used, the old one stays meanwhile."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from postroom.clock import now, rfc3339, timestamp
from postroom.connections.direct import DIRECT, DIRECT_TYPES
from postroom.connections.granting import CLIENT_TYPES
from postroom.connections.signins import SignInUse, sign_ins
from postroom.credentials import proofs
from postroom.credentials.proofs import (
    CERTIFICATE,
    CURRENT,
    FALLBACK,
    NEXT,
    NEXT_CERTIFICATE,
    REFUSED,
)
from postroom.credentials.store import Credential
from postroom.credentials.tokens import BEARER, Use, rows
from postroom.db import Row, Tx, take_tokens
from postroom.errors import InvalidValue, NotThere, PostroomError, Refused, RoomError
from postroom.fields import check_name, nearest
from postroom.operations import usage
from postroom.operations.desk import Desk
from postroom.operations.waking import wake
from postroom.secret import Secret

if TYPE_CHECKING:
    from postroom.operations import models

__all__ = ["ClientSecrets", "Proof"]

_PAIRS: Final = {
    CERTIFICATE: ("private_key", "certificate"),
    NEXT_CERTIFICATE: ("next_private_key", "next_certificate"),
}
_PROVEN: Final = (CURRENT, FALLBACK)
_UNKNOWN_SECRET: Final = 7000215  # AADSTS: the secret is wrong, or not known everywhere yet
_ENTRA_SECONDS: Final = 600
_SECONDS: Final = 60
"""How long after its making a secret may be unknown to a server: Entra's copies take minutes."""


class Proof(NamedTuple):
    """How a client secret stands after it was shown to the authorization server, or could not be.

    ``state`` is as in the list; ``proven``: a token came by it just now.  ``why`` is why none did,
    ``hint`` what to do, ``wait`` after how many seconds another try makes sense (None: it does not,
    before something else is done).  ``served`` are the connections that sign in with it.
    """

    credential: str
    label: str
    state: str
    proven: bool
    why: str = ""
    hint: str = ""
    wait: int | None = None
    served: tuple[str, ...] = ()

    @property
    def what(self) -> str:
        """What it is, as people say it: ``client secret 2026a``, or ``certificate``."""
        return proofs.named(self.label)

    @property
    def told(self) -> str:
        """The same as a sentence."""
        secret = f"Credential {self.credential}: {self.what}"
        if self.proven:
            return f"{secret} has worked, and is the {self.state} one."
        return f"{secret} could not be proven. {self.why} {self.hint}".rstrip()

    def as_json(self) -> dict[str, Any]:
        """As doors show it."""
        return {**self._asdict(), "served": list(self.served)}


class ClientSecrets:
    """What a person may do with the client secrets of an OAuth app.  None of it shows a saved one."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def add(
        self,
        name: str,
        value: Secret | str,
        label: str = "",
        *,
        valid_until: str | None = None,
        description: str = "",
    ) -> Proof:
        """Seal a new secret beside those there are, and prove it as :meth:`prove` does.

        Without a ``label`` it gets the year and a letter.  One that never worked is replaced under
        its label.  Raises Refused (``not_supported``), InvalidValue.
        """
        label = await self._desk.change(
            lambda tx: self._seal(tx, name, label, value, valid_until, description)
        )
        return await self.prove(name, label)

    async def prove(self, name: str, label: str = "") -> Proof:
        """Ask the authorization server for a real token with this secret alone.

        Only by that it becomes the current one; whatever else comes of it, those that worked go on.
        A client that serves persons only is proven by refreshing a stored sign-in.  ``label`` may be
        left out where one secret waits.  Raises NotThere, InvalidValue, Refused, Locked.
        """
        return await self._prove(name, label, self._desk.actor)

    async def prove_waiting(self) -> builtins.list[Proof]:
        """Prove the secrets that wait, each once a minute at most, whichever workers ask.

        One that was added while the server could not be reached, or before anybody had signed in,
        becomes the current one by that.  Gives those that were shown to a server.
        """
        found = []
        for one in await self._desk.db.read(proofs.waiting):
            if await self._desk.db.write(lambda tx: self._has_turn(tx, one)):  # noqa: B023
                found.append(await self._prove(one["name"], one["label"], "postroom"))
        return found

    async def _prove(self, name: str, label: str, actor: str) -> Proof:
        record, label, use, waits = await self._desk.db.read(
            lambda tx: self._wanted(tx, name, label)
        )
        if use is None:
            state = await self._state(record, label)
            return Proof(record.name, label, state, False, waits, _how(record.name, label))
        served = tuple(use.connections)
        line = next(line for line in sorted(use.lines) if line.startswith(BEARER))
        wanted = Use(line, actor, f"prove {proofs.named(label)} of {record.name}")
        try:
            await self._desk.tokens.prove(use.grant, wanted, label)
        except RoomError:
            raise  # it is the room that has to be mended, and nothing is known of the secret
        except PostroomError as error:
            return await self._not_proven(record, label, error, served)
        await self._desk.change(
            lambda tx: wake(tx, usage.of_credential(tx, record.name).uses, failing=True)
        )
        if label == NEXT_CERTIFICATE:  # it has moved up
            label = CERTIFICATE
        return Proof(record.name, label, await self._state(record, label), True, served=served)

    async def list(self, name: str) -> builtins.list[models.ClientSecret]:
        """Every secret of a client, and its key pair: dates, days left, how it stands, masked."""

        def body(tx: Tx) -> builtins.list[models.ClientSecret]:
            record = self._client(tx, name)
            return _shown(record, proofs.known(tx, record.id))

        return await self._desk.db.read(body)

    async def retire(self, name: str, label: str) -> None:
        """Take a secret out of use; it stays in the kept versions of the record, sealed.

        Raises Refused (``in_use``) for the last one that a token came by.
        """

        def body(tx: Tx) -> None:
            record = self._client(tx, name)
            _there(record, label)
            known = proofs.known(tx, record.id)
            proven = {one for one, row in known.items() if row["state"] in _PROVEN}
            if proven == {label}:
                raise Refused(
                    f"The {proofs.named(label)} is the last proven one of {record.name}; it was not "
                    "retired.",
                    code="in_use",
                    hint="Add another one first: postroom credential secret add "
                    f"{record.name} --valid-until DATE",
                )
            self._desk.credentials.set_details(
                tx, record.name, {}, actor=self._desk.actor,
                clear=_PAIRS.get(label) or [f"client_secrets.{label}"],
                used_lines=self._desk.lines_of(tx, record.name),
            )  # fmt: skip
            self._desk.record(tx, "retire", "credential", record.name, label=label)

        await self._desk.change(body)

    # ------------------------------------------------------------------ inside

    def _has_turn(self, tx: Tx, waiting: Row) -> bool:
        """Whether something can prove it, and nobody has tried for a minute."""
        if self._wanted(tx, waiting["name"], waiting["label"])[2] is None:
            return False
        bucket = f"prove {waiting['credential']} {waiting['label']}"
        return bool(take_tokens(tx, bucket, wanted=1, most=1, per=_SECONDS, now=timestamp())[0])

    def _client(self, tx: Tx, name: str) -> Credential:
        record = self._desk.credentials.get(tx, name)
        if record.type not in CLIENT_TYPES:
            raise Refused(
                f"Credential {record.name} is of type {record.type}, which has no client secrets.",
                code="not_supported",
                hint=f"Types that do: {', '.join(CLIENT_TYPES)}.",
            )
        return record

    def _seal(
        self, tx: Tx, name: str, label: str, value: Secret | str, until: str | None, about: str
    ) -> str:
        record = self._client(tx, name)
        there = _labels(record)
        label = label or _free_label(there)
        try:
            check_name(label)
        except ValueError as error:
            raise InvalidValue("label", str(error)) from None
        if label.casefold() in _PAIRS:
            raise InvalidValue("label", f"{label.casefold()} is what a key pair is called")
        known = proofs.known(tx, record.id).get(label)
        if label in there and (known is None or known["worked_at"] is not None):
            raise InvalidValue(
                "label",
                f"{record.name} has a client secret {label}; give the new one another label, so that "
                "both are there until it has worked",
            )
        entry: dict[str, Any] = {"value": value, "valid_until": until or None}
        entry["description"] = about or None
        self._desk.credentials.set_details(
            tx, record.name, {"client_secrets": {label: entry}}, actor=self._desk.actor,
            used_lines=self._desk.lines_of(tx, record.name),
        )  # fmt: skip
        proofs.begin(tx, record.id, label)
        return label

    def _wanted(
        self, tx: Tx, name: str, label: str
    ) -> tuple[Credential, str, SignInUse | None, str]:
        """The record, the label, and the sign-in that can prove it; else why none can."""
        record = self._client(tx, name)
        if not label:
            known = proofs.known(tx, record.id)
            waiting = [
                one
                for one in _all_labels(record)
                if one not in known or known[one]["state"] not in _PROVEN
            ]
            if len(waiting) != 1:
                raise InvalidValue(
                    "label", f"is needed; there are: {', '.join(_all_labels(record)) or 'none'}"
                )
            label = waiting[0]
        _there(record, label)
        found = [
            use
            for use in sign_ins(self._desk.resolver(tx).all_sides()).values()
            if use.grant.credential.casefold() == record.name.casefold()
        ]
        for use in found:
            if not use.grant.personal:
                return record, label, use, ""
        for use in found:
            row = rows.find(tx, use.grant.sign_in)
            if row is not None and row["version"] and row["state"] == rows.SIGNED_IN:
                return record, label, use, ""
        direct = self._directly(tx, record)
        if direct is not None:
            return record, label, direct, ""
        why = (
            "Nobody has signed in with it yet." if found else "No connection signs in with it yet."
        )
        return record, label, None, f"It cannot be proven now: {why}"

    def _directly(self, tx: Tx, record: Credential) -> SignInUse | None:
        """The sign-in of an app that is used without a connection; None for one that cannot be."""
        if record.type not in DIRECT_TYPES:
            return None
        try:
            sides = self._desk.resolver(tx).effective(DIRECT + record.name).sides
        except PostroomError:
            return None
        lines = set().union(*(side.token_lines for side in sides))
        return next((SignInUse(side.grant, lines) for side in sides if side.grant), None)

    async def _state(self, record: Credential, label: str) -> str:
        found = await self._desk.db.read(lambda tx: proofs.known(tx, record.id).get(label))
        return NEXT if found is None else str(found["state"])

    async def _not_proven(
        self, record: Credential, label: str, error: PostroomError, served: tuple[str, ...]
    ) -> Proof:
        state = await self._state(record, label)
        wait, again = None, _how(record.name, label)
        hint = error.hint
        if label in (error.facts.get("refused") or ()):
            codes = error.facts.get("provider_codes") or ()
            if not codes or _UNKNOWN_SECRET in codes:
                wait = _ENTRA_SECONDS if codes else _SECONDS
                hint = (
                    f"If it was made just now, the server may not know it everywhere yet: wait "
                    f"{wait // 60} minute{'s' if wait > 60 else ''}, then: {again} Else: {error.hint}"
                )
        elif error.temporary:
            wait = round(error.facts.get("retry_after") or _SECONDS)
            hint = f"Try again in {wait} s: {again}"
        return Proof(record.name, label, state, False, error.reason, hint, wait, served)


def _labels(record: Credential) -> Mapping[str, Any]:
    found: Mapping[str, Any] = record.plain.get("client_secrets") or {}
    return found


def _all_labels(record: Credential) -> builtins.list[str]:
    return [
        *_labels(record),
        *(label for label, (key, _) in _PAIRS.items() if key in record.sealed),
    ]


def _there(record: Credential, label: str) -> None:
    labels = _all_labels(record)
    if label not in labels:
        close = nearest(label, labels)
        raise NotThere(
            f"{record.name} has no client secret {label!r}.",
            hint=f"Did you mean {close}?"
            if close
            else f"See them: postroom credential secret list {record.name}",
        )


def _free_label(there: Mapping[str, Any]) -> str:
    year = now().year
    letters = (f"{year}{chr(ord('a') + number)}" for number in range(26))
    return next((one for one in letters if one not in there), f"{now():%Y-%m-%d.%H%M%S}")


def _how(name: str, label: str) -> str:
    return f"postroom credential secret prove {name} {label}"


def _shown(record: Credential, known: Mapping[str, Row]) -> builtins.list[models.ClientSecret]:
    masks = record.fields.get("client_secrets") or {}
    days = {each.what: (str(each.on), each.days) for each in record.due}
    items = []
    for label in _all_labels(record):
        pair = _PAIRS.get(label)
        one = masks.get(label, {}) if not pair else {}
        end = pair[1] if pair else f"client_secrets.{label}.valid_until"
        until, left = days.get(end, (None, None))
        row = known.get(label)
        items.append({
            "label": label,
            "description": one.get("description", ""),
            "value": record.fields.get(pair[0], "") if pair else one.get("value", ""),
            "valid_until": until,
            "days": left,
            "state": NEXT if row is None else row["state"],
            "worked_at": _at(row, "worked_at"),
            "refused_at": _at(row, "refused_at"),
            "why": "" if row is None else row["why"],
        })  # fmt: skip
    order = (CURRENT, FALLBACK, NEXT, REFUSED)
    return sorted(items, key=lambda item: order.index(item["state"]))


def _at(row: Row | None, column: str) -> str | None:
    return None if row is None or row[column] is None else rfc3339(row[column])
