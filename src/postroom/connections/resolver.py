"""From saved connections to effective ones: inheritance, macros, defaults, trust, destinations."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from postroom.connections import store
from postroom.connections.connection import Auth, Connection, Side
from postroom.connections.defaults import port_and_security, wires_of
from postroom.connections.direct import DIRECT, effective_of_credential
from postroom.connections.effective import Effective, EffectiveSide
from postroom.connections.inherit import Merged, merge
from postroom.credentials.record import credential_of, find
from postroom.credentials.tokens import Grant
from postroom.db import Tx
from postroom.errors import InvalidValue, PostroomError, WrongUse
from postroom.net.names import canonical_host, is_loopback, parse_port, parse_proxy
from postroom.net.tls import Tls

if TYPE_CHECKING:
    from postroom.connections.granting import Clients

__all__ = ["Destinations", "Resolver", "destinations_of"]

Expand = Callable[[str, str], str]
"""Expands the macros of one value; the second text is its field, for the sentence of an error.
Raises WrongUse(``unknown_variable``) or InvalidValue."""

TrustedCertificate = Callable[[str], str]
"""The PEM text of a ``trusted_certificate`` credential; raises NotThere or WrongUse."""


@dataclasses.dataclass(slots=True)
class Destinations:
    """Where the secrets of one credential are presented by connections.

    ``problems`` are connections that cannot be resolved right now: they contribute no line.
    """

    lines: set[str] = dataclasses.field(default_factory=set)
    problems: dict[str, PostroomError] = dataclasses.field(default_factory=dict)


class Resolver:
    """Resolves connections as one transaction sees them."""

    def __init__(self, tx: Tx, *, expand: Expand, trusted: TrustedCertificate) -> None:
        self._tx = tx
        self._expand = expand
        self._trusted = trusted

    @functools.cached_property
    def _clients(self) -> Clients:
        # few connections sign in by OAuth, and it is slow to load
        from postroom.connections.granting import Clients

        return Clients(self._tx, self._trusted)

    def effective(self, name: str) -> Effective:
        """The connection of that name (``acme`` or ``connection:acme``) as it works.

        ``credential:mailer`` is one that is used directly.  Raises NotThere; InvalidValue or
        WrongUse with the connection and field in the sentence.
        """
        if name.startswith(DIRECT):
            record = credential_of(find(self._tx, name.removeprefix(DIRECT)), None)
            return effective_of_credential(self._tx, record, self._trusted)
        return self.of(store.get(self._tx, name.removeprefix("connection:")))

    def of(self, connection: Connection) -> Effective:
        """The same for a connection that is not saved yet."""
        merged = merge(connection, lambda name: store.get(self._tx, name))
        whole = merged.connection
        if whole.type == "microsoft365":
            return _effective(merged, *self._on_graph(whole))
        wires = frozenset(
            side.protocol
            for side in (whole.incoming, whole.outgoing)
            if side is not None and side.protocol and side.auth is not None and side.auth.by_oauth
        )
        incoming = self._side(whole.name, "incoming", whole.incoming, wires)
        outgoing = self._side(whole.name, "outgoing", whole.outgoing, wires)
        if incoming is None and outgoing is None:
            raise InvalidValue(
                f"connection {whole.name}: incoming",
                "a connection needs a side: give "
                f"incoming.protocol ({' or '.join(wires_of('incoming'))}) "
                f"or outgoing.protocol ({' or '.join(wires_of('outgoing'))})",
            )
        return _effective(merged, incoming, outgoing)

    def family(self, name: str) -> list[str]:
        """The connection and all that inherit from it, directly or not."""
        found = [store.get(self._tx, name).name]
        everything = store.load_all(self._tx)
        for above in found:  # grows while it is walked
            found += [
                each.name
                for each in everything
                if each.extends.casefold() == above.casefold() and each.name not in found
            ]
        return found

    def check(self, name: str) -> list[Effective]:
        """The connection and all that inherit from it, effective; raises what is wrong with one."""
        return [self.effective(member) for member in self.family(name)]

    def destinations(self, credential: str) -> Destinations:
        """Every line to which a connection presents a secret of this credential."""
        found = Destinations()
        key = credential.casefold()
        for connection in store.load_all(self._tx):
            try:
                sides = self.of(connection).sides
                for side in sides:
                    found.lines |= side.presents.get(key, set())
            except PostroomError as error:
                found.problems[connection.name] = error
        return found

    def all_sides(self) -> dict[str, tuple[EffectiveSide, ...]]:
        """The sides of every connection, by its name; none of those that cannot be resolved.

        Taken before and after a change, they say what secrets the change moved.
        """
        found = {}
        for connection in store.load_all(self._tx):
            with contextlib.suppress(PostroomError):
                found[connection.name] = self.of(connection).sides
        return found

    def problems(self) -> dict[str, PostroomError]:
        """The connections that cannot be resolved right now, and why."""
        found = {}
        for connection in store.load_all(self._tx):
            try:
                self.of(connection)
            except PostroomError as error:
                found[connection.name] = error
        return found

    # ------------------------------------------------------------------ one side

    def _on_graph(self, whole: Connection) -> tuple[EffectiveSide, EffectiveSide]:
        # few connections are of that type, and OAuth is slow to load
        from postroom.connections.microsoft365 import graph_sides

        where, side = f"connection {whole.name}", whole.sides()["incoming"]
        return graph_sides(
            self._clients, whole, self._text,
            tls=self._tls(where, side), proxy=self._proxy(where, side),
        )  # fmt: skip

    def _side(
        self, name: str, place: str, side: Side | None, wires: frozenset[str]
    ) -> EffectiveSide | None:
        if side is None or side.protocol == "none":
            return None
        where = f"connection {name}: {place}"
        if side.protocol is None:
            choice = " or ".join([*wires_of(place), "none"])
            raise InvalidValue(f"{where}.protocol", f"is needed: choose {choice}")
        host = self._host(where, side)
        said = self._text(f"{where}.port", side.port)
        number = parse_port(said, field=f"{where}.port") if said else None
        port, security = port_and_security(side.protocol, number, side.security)
        auth = side.auth or Auth(type="none")
        proxy = self._proxy(where, side)
        loopback = proxy is None and is_loopback(host)
        if security == "none" and auth.type != "none":
            _permit_cleartext(where, host, permitted=loopback or bool(side.cleartext_sign_in))
        tls, user = self._tls(where, side), self._text(f"{where}.user", side.user)
        grant = None
        if auth.by_oauth:
            account = self._text(f"{where}.account", side.account)
            grant = _grant(
                self._clients, where, auth, self._text,
                wires=wires, user=user, account=account, tls=tls, proxy=proxy,
            )  # fmt: skip
        return EffectiveSide(
            place=place, protocol=side.protocol, host=host, port=port, security=security,
            user=user, auth=auth, grant=grant, tls=tls,
            trust=side.trust or "", client_certificate=side.client_certificate or "", proxy=proxy,
            cleartext_permitted=loopback or bool(side.cleartext_sign_in),
            read_only=bool(getattr(side, "read_only", False)),
        )  # fmt: skip

    def _host(self, where: str, side: Side) -> str:
        text = self._text(f"{where}.host", side.host)
        if not text:
            raise InvalidValue(f"{where}.host", "is needed: the name or address of the server")
        return canonical_host(text, field=f"{where}.host")

    def _proxy(self, where: str, side: Side) -> tuple[str, int] | None:
        text = self._text(f"{where}.proxy", side.proxy)
        return parse_proxy(text, field=f"{where}.proxy") if text else None

    def _tls(self, where: str, side: Side) -> Tls:
        checked = side.check_server_identity is not False
        if not side.trust:
            return Tls(check_name=checked)
        try:
            tls = Tls(trust=(self._trusted(side.trust),), check_name=checked)
            _ = tls.trust_id  # reads the certificate
        except PostroomError as error:
            raise _placed(f"{where}.trust", error) from None
        return tls

    def _text(self, where: str, value: str | None) -> str:
        """The value with its macros expanded."""
        if not value or "${" not in value:
            return value or ""
        return self._expand(value, where)


def destinations_of(sides: Mapping[str, Iterable[EffectiveSide]]) -> dict[str, set[str]]:
    """The lines of every credential that these sides name, by its name in lower case (pure)."""
    found: dict[str, set[str]] = {}
    for each in sides.values():
        for side in each:
            for key, lines in side.presents.items():
                found.setdefault(key, set()).update(lines)
    return found


def _grant(
    clients: Clients, where: str, auth: Auth, text: Callable[[str, str], str], **side: Any
) -> Grant:
    """The grant of a side that signs in by OAuth, the macros of its settings expanded."""
    # few connections have one, and it is slow to load
    from postroom.connections.granting import Asked, expanded, grant_of

    return grant_of(clients, Asked(where, expanded(auth, where, text), **side))


def _effective(
    merged: Merged, incoming: EffectiveSide | None, outgoing: EffectiveSide | None
) -> Effective:
    whole = merged.connection
    return Effective(
        name=whole.name, description=whole.description, type=whole.type,
        incoming=incoming, outgoing=outgoing,
        worker_roles=tuple(whole.worker_roles or ()),
        allowed_senders=tuple(whole.allowed_senders or ()),
        chain=merged.chain, inherited=merged.inherited,
    )  # fmt: skip


def _placed(where: str, error: PostroomError) -> WrongUse:
    """The same error, with the place it belongs to in front."""
    sentence = error.sentence.removeprefix("trust: ")
    return WrongUse(f"{where}: {sentence}", code=error.code, hint=error.hint, field=where)


def _permit_cleartext(where: str, host: str, *, permitted: bool) -> None:
    if not permitted:
        raise WrongUse(
            f"{where}.security: a sign-in to {host} with security none would send the password "
            "for anybody on the way to read; nothing was saved.",
            code="cleartext_sign_in",
            hint="Use security tls or starttls. If the network is safe for it, say so with "
            "cleartext_sign_in: true.",
            field=f"{where}.security",
        )
