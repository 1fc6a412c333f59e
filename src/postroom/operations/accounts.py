"""Operations on accounts: whose mail an address is, trying what was typed, and connecting it at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from postroom.connections.connection import Connection
from postroom.connections.doctor import Report, Tell, test_unsaved
from postroom.connections.open import Place, Prepared
from postroom.connections.recognising import recognise
from postroom.db import Tx
from postroom.errors import InvalidValue
from postroom.fields import parse
from postroom.net.certificates import CertificateFacts
from postroom.net.mx import mail_exchangers
from postroom.operations.account import Account, Parts, parts_of
from postroom.operations.connections import Connections
from postroom.operations.desk import Desk, Rebind
from postroom.operations.gate import check_may
from postroom.operations.moved import used_in
from postroom.operations.presetting import preset_named, shown_preset
from postroom.operations.roomfile import text_of
from postroom.operations.services import Services
from postroom.operations.sources import Sources
from postroom.operations.trust import certificate_with, save_certificate
from postroom.services.service import Service

__all__ = ["Accounts"]

_LOOK = "postroom connection test NAME, or test it on the page once more"


class Accounts:
    """What a person does to an account that nothing here knows yet."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def recognise(self, address: str) -> dict[str, Any]:
        """Whose mail an address is, by its domain, else by its MX records: the preset, and the ways
        to sign in there today, the best first, each with a sentence why.

        ``by`` is empty where neither is known.  Raises InvalidValue.
        """
        domain = address.strip().rpartition("@")[2]
        if "@" not in address or not domain:
            raise InvalidValue("address", "write one address like orders@example.com")
        found = recognise(address.strip())
        if not found.by:
            found = recognise(address.strip(), await mail_exchangers(domain))
        return {
            **shown_preset(found.preset),
            "address": found.address,
            "by": found.by,
            "ways": [way._asdict() for way in found.ways],
        }

    async def test(self, data: Mapping[str, Any], *, on_step: Tell | None = None) -> Report:
        """Walk both sides of what was typed, step by step; nothing of it is stored or sent.

        For sign-ins by password: a person's, and an app's, come after it is made.  Raises what is
        wrong with the input.
        """
        account = parse(Account, data, where="account")
        if account.sign_in != "secret":
            raise InvalidValue("sign_in", "by OAuth is tested once the account is connected")
        return await self._tested(account, await self._trusted(account), on_step)

    async def connect(self, data: Mapping[str, Any], *, rebind: Rebind = False) -> dict[str, Any]:
        """Make credential, connection, source and service of an account: all of it, or nothing.

        Gives their names, and ``text``: what was made, as the room file has it, without secrets.
        Raises what is wrong with the input, Refused (``not_permitted``, ``name_taken``), Locked.
        """
        check_may(self._desk.person, "create")
        account = parse(Account, data, where="account")
        trusted = await self._trusted(account)

        def body(tx: Tx) -> dict[str, Any]:
            made = self._make(tx, self._parts(account), trusted)
            nouns = {
                "credentials": [made["credential"], made["certificate"]],
                "connections": [made["connection"]],
                "sources": [made["source"]],
                "services": [made["service"]],
            }
            names = {noun: [name for name in names if name] for noun, names in nouns.items()}
            return made | {"text": text_of(self._desk, tx, names)}

        return await self._desk.change(body, rebind=rebind)

    # ------------------------------------------------------------------ inside

    def _parts(self, account: Account) -> Parts:
        if account.collect and not account.directory:
            beside = self._desk.data_dir.with_name(f"{self._desk.data_dir.name}-mail")
            account = account.model_copy(update={"directory": str(beside / account.name)})
        return parts_of(account, preset_named(account.provider))

    def _make(
        self, tx: Tx, parts: Parts, trusted: Mapping[Place, CertificateFacts]
    ) -> dict[str, Any]:
        """The records, in this transaction; gives their names, empty for what was not wanted."""
        desk, connection = self._desk, parts.connection
        made = {"connection": connection["name"], "source": "", "service": "", "certificate": ""}
        if parts.credential is not None:
            record = parts.credential
            desk.credentials.create(tx, actor=desk.actor, **record)
            desk.credentials.set_details(tx, record["name"], parts.details, actor=desk.actor)
            made["credential"] = record["name"]
        else:
            side = connection.get("incoming") or connection.get("outgoing") or connection
            made["credential"] = side["auth"]["credential"]
        for place, facts in trusted.items():
            made["certificate"] = save_certificate(desk, tx, connection["name"], facts)
            connection[place]["trust"] = made["certificate"]
        where = f"connection {connection['name']}"
        Connections(desk).save(tx, parse(Connection, connection, where=where), new=True)
        if parts.source is not None:
            sources = Sources(desk)
            sources.save(tx, sources.declared(parts.source, desk.data_dir.parent), new=True)
            made["source"] = parts.source["name"]
        if parts.service is not None:
            Services(desk).save(tx, parse(Service, parts.service), new=True)
            made["service"] = parts.service["name"]
        return made

    async def _tested(
        self,
        account: Account,
        trusted: Mapping[Place, CertificateFacts],
        on_step: Tell | None = None,
    ) -> Report:
        """Make it, prepare what is dialled, and undo it: what is dialled is exactly what would be saved."""
        alone = account.model_copy(update={"collect": False, "send": False})

        def body(tx: Tx) -> dict[Place, Prepared]:
            before = used_in(tx, self._desk.resolver(tx), self._desk.expander(tx))
            made = self._make(tx, self._parts(alone), trusted)
            # a secret that is stored goes nowhere else by a test: only what was typed just now does
            typed = () if account.credential else (made["credential"].casefold(),)
            self._desk.rebind(tx, before, rebind=False, typed=typed)
            name = made["connection"]
            effective = self._desk.resolver(tx).effective(name)
            places: list[Place] = [side.place for side in effective.sides]  # type: ignore[misc]
            return {place: self._desk.opener.prepare_in(tx, name, place) for place in places}

        await self._desk.write(lambda tx: self._desk.record(tx, "test", "account", account.address))
        sides = await self._desk.write(body, dry_run=True)
        return await test_unsaved(account.name, sides, on_step=on_step)

    async def _trusted(self, account: Account) -> dict[Place, CertificateFacts]:
        """The certificates that a person has agreed to by fingerprint, as the servers show them now."""
        wanted: dict[Place, str] = {
            "incoming": account.trust_incoming, "outgoing": account.trust_outgoing,
        }  # fmt: skip
        given = {place: text for place, text in wanted.items() if text}
        if not given:
            return {}
        report = await self._tested(account, {})
        return {
            place: certificate_with(report, place, text, look=_LOOK)
            for place, text in given.items()
        }
