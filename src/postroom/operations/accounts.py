"""Operations on accounts: whose mail an address is, trying what was typed, and connecting it at once."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from postroom.clock import timestamp
from postroom.connections.connection import Connection
from postroom.connections.dialling import Place
from postroom.connections.recognising import recognise, ways_of
from postroom.connections.report import Report, Tell
from postroom.db import Tx
from postroom.errors import InvalidValue, Refused, SignInError, WireError
from postroom.fields import parse
from postroom.net.certificates import CertificateFacts
from postroom.net.mx import mail_exchangers
from postroom.operations.account import Account, Parts, parts_of
from postroom.operations.connections import Connections
from postroom.operations.desk import Desk, Rebind
from postroom.operations.gate import check_may
from postroom.operations.moved import used_in
from postroom.operations.personal import Way
from postroom.operations.presetting import preset_named, shown_preset
from postroom.operations.roomfile import text_of
from postroom.operations.services import Services
from postroom.operations.sight import not_told
from postroom.operations.sources import Sources
from postroom.operations.trust import certificate_with, save_certificate
from postroom.operations.unsaved import (
    Tried,
    Unsaved,
    keep_sign_in,
    look,
    prepare,
    signed_in,
    take_mark,
    walk,
)
from postroom.services.service import Service
from postroom.settings import mail_beside
from postroom.sources.beginning import Mark, begin_at

if TYPE_CHECKING:  # a worker that signs nobody in does not load it
    from postroom.credentials.tokens.signing_in import SigningIn
    from postroom.operations import models

__all__ = ["Accounts"]

_PERSONAL: Final = ("oauth_authorization_code", "oauth_device_flow")
_LOOK: Final = "postroom connection test NAME, or test it on the page once more"


class Accounts:
    """What a person does to an account that nothing here knows yet."""

    def __init__(self, desk: Desk, *, device_flow: bool = True) -> None:
        self._desk = desk
        self._device_flow = device_flow

    async def recognise(self, address: str, *, provider: str = "") -> models.Recognised:
        """Whose mail an address is, by its domain, else by its MX records: the preset, and the ways
        to sign in there today, the best first, each with a sentence why.

        ``by`` is empty where neither is known; ``provider`` is a preset that somebody knows better,
        since a filter before the mailbox hides who has it.  Raises InvalidValue.
        """
        domain = address.strip().rpartition("@")[2]
        if "@" not in address or not domain:
            raise InvalidValue("address", "write one address like orders@example.com")
        found = recognise(address.strip())
        if provider:
            preset = preset_named(provider)
            by = "your choice" if preset.key != "plain" else ""
            found = found._replace(preset=preset, by=by, ways=ways_of(preset))
        elif not found.by:
            found = recognise(address.strip(), await mail_exchangers(domain))
        return {
            **shown_preset(found.preset),
            "address": found.address,
            "by": found.by,
            "ways": [way._asdict() for way in found.ways],
        }

    async def test(self, data: Mapping[str, Any], *, on_step: Tell | None = None) -> Report:
        """Walk both sides of what was typed, step by step; nothing of it is stored or sent.

        For sign-ins by password and of an app: a person's comes after it is made, or on the page
        (:meth:`attempt`).  Raises what is wrong with the input, SignInError, WireError.
        """
        account = parse(Account, data)
        if account.sign_in in _PERSONAL:
            raise InvalidValue("sign_in", "of a person is tested once the account is connected")
        return (await self._attempted(account, on_step, None)).report

    async def attempt(
        self, data: Mapping[str, Any], *, on_step: Tell | None = None, way: Way | None = None
    ) -> Tried:
        """The same, and somebody signs in meanwhile by ``way``: their tokens are in what it gives, and
        stored nowhere before :meth:`complete`.  What is in the mailbox then is marked.
        """
        account = parse(Account, data)
        return await self._attempted(account, on_step, way, mark=True)

    async def connect(self, data: Mapping[str, Any], *, rebind: Rebind = False) -> models.Connected:
        """Make credential, connection, source and service of an account: all of it, or nothing.

        Gives their names, and ``text``: what was made, and the certificates it names, as the room file
        has it, without secrets.
        A source that collects what comes ``new`` begins with what is there now, if the server can be
        asked.  Raises what is wrong with the input, Refused (``not_permitted``, ``name_taken``), Locked.
        """
        check_may(self._desk.person, "create")
        account = parse(Account, data)
        trusted = await self._trusted(account)
        mark = None
        if account.collect and account.start == "new" and account.sign_in not in _PERSONAL:
            with contextlib.suppress(WireError, SignInError):  # it may be connected before it works
                mark = await self._mark(account, trusted)
        return await self._connected(account, trusted, mark, None, rebind=rebind)

    async def complete(
        self, data: Mapping[str, Any], tried: Tried, *, rebind: Rebind = False
    ) -> dict[str, Any]:
        """As :meth:`connect`, with what :meth:`attempt` gave: whoever signed in stays signed in, and
        what came since is collected.  Raises Refused where that was too long ago.
        """
        check_may(self._desk.person, "create")
        account = parse(Account, data)
        if tried.signing is not None and tried.until < timestamp():
            raise Refused(
                "The sign-in was too long ago; nothing was stored.", hint="Sign in again."
            )
        mark = tried.mark if account.start == "new" else None
        trusted = await self._trusted(account)
        return await self._connected(account, trusted, mark, tried.signing, rebind=rebind)

    # ------------------------------------------------------------------ inside

    async def _connected(
        self, account: Account, trusted: Mapping[Place, CertificateFacts], mark: Mark | None,
        signing: SigningIn | None, *, rebind: Rebind,
    ) -> dict[str, Any]:  # fmt: skip
        def body(tx: Tx) -> dict[str, Any]:
            sight = tx.sight
            with tx.seen_by(None):
                before = used_in(tx, self._desk.resolver(tx), self._desk.expander(tx))
            made = self._make(tx, self._parts(account), trusted)
            if made["source"] and mark is not None:
                begin_at(tx, made["source"], mark)
            if signing is not None:
                # what was typed is bound first: with the sign-in it counts as presented
                typed = () if account.credential else (made["credential"].casefold(),)
                with tx.seen_by(None), not_told(tx, sight):
                    self._desk.rebind(tx, before, rebind=rebind, typed=typed)
                    keep_sign_in(self._desk, tx, made["connection"], signing)
            nouns = {
                "credentials": [made["credential"], *self._named(tx, made["connection"])],
                "connections": [made["connection"]],
                "sources": [made["source"]],
                "services": [made["service"]],
            }
            names = {noun: [name for name in names if name] for noun, names in nouns.items()}
            return made | {"text": text_of(self._desk, tx, names)}

        return await self._desk.change(body, rebind=rebind)

    def _named(self, tx: Tx, connection: str) -> set[str]:
        """The credentials besides that which signs in: another room has to have them too."""
        sides = self._desk.resolver(tx).effective(connection).sides
        return {name for side in sides for name in (side.trust, side.client_certificate)}

    def _parts(self, account: Account) -> Parts:
        if account.collect and not (account.directory or account.job):
            place = mail_beside(self._desk.data_dir) / account.name
            account = account.model_copy(update={"directory": str(place)})
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

    async def _attempted(
        self, account: Account, on_step: Tell | None, way: Way | None, *, mark: bool = False
    ) -> Tried:
        """Make it, prepare what is dialled, and undo it: what is dialled is exactly what would be saved."""
        trusted = await self._trusted(account)
        unsaved = await self._unsaved(account, trusted)
        tried = await walk(self._desk, unsaved, way, on_step, device_flow=self._device_flow)
        if mark and tried.report.ok:
            tried.mark = await take_mark(unsaved)
        return tried

    async def _mark(
        self, account: Account, trusted: Mapping[Place, CertificateFacts]
    ) -> Mark | None:
        unsaved = await self._unsaved(account, trusted)
        if unsaved.use is not None:
            await signed_in(self._desk, unsaved, None, device_flow=self._device_flow)
        return await take_mark(unsaved)

    async def _unsaved(
        self, account: Account, trusted: Mapping[Place, CertificateFacts]
    ) -> Unsaved:
        alone = account.model_copy(update={"collect": False, "send": False})

        def typed(made: Mapping[str, str]) -> list[str]:
            return [] if account.credential else [made["credential"].casefold()]

        def body(tx: Tx) -> Unsaved:
            return prepare(
                self._desk, tx, lambda tx: self._make(tx, self._parts(alone), trusted), typed=typed
            )

        await self._desk.write(lambda tx: self._desk.record(tx, "test", "account", account.address))
        return await self._desk.write(body, dry_run=True)

    async def _trusted(self, account: Account) -> dict[Place, CertificateFacts]:
        """The certificates that a person has agreed to by fingerprint, as the servers show them now."""
        wanted: dict[Place, str] = {
            "incoming": account.trust_incoming, "outgoing": account.trust_outgoing,
        }  # fmt: skip
        given = {place: text for place, text in wanted.items() if text}
        if not given:
            return {}
        report = await look(self._desk, await self._unsaved(account, {}))
        return {
            place: certificate_with(report, place, text, look=_LOOK)
            for place, text in given.items()
        }
