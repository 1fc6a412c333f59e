"""The effective connection: what holds after inheritance, defaults and macros."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

from postroom.connections.connection import Auth
from postroom.credentials.tokens import BEARER, Grant
from postroom.net.destination import https_line, wire_line
from postroom.net.dial import Policy, Route
from postroom.net.names import host_and_port, is_loopback
from postroom.net.tls import Tls
from postroom.protocols.base import Limits, Security, WireTarget
from postroom.protocols.gate import Gate

__all__ = ["Effective", "EffectiveSide"]

_NO_SIGN_IN: Final = Auth(type="none")
_SYSTEM: Final = Tls()


@dataclasses.dataclass(frozen=True, slots=True)
class EffectiveSide:
    """One side as it is dialled.

    ``user`` is empty where the credential's user name, or whoever signed in by OAuth, is to be used.
    ``grant`` is what a token is asked for with, None for a sign-in without OAuth.  ``trust`` and
    ``client_certificate`` are names of credentials; ``tls`` holds what ``trust`` stands for, and
    the client certificate is added when it is opened.  ``path`` is where Graph's API begins.
    """

    place: str  # "incoming" or "outgoing"
    protocol: str
    host: str
    port: int
    security: Security
    user: str = ""
    auth: Auth = _NO_SIGN_IN
    grant: Grant | None = None
    tls: Tls = _SYSTEM
    trust: str = ""
    client_certificate: str = ""
    proxy: tuple[str, int] | None = None
    cleartext_permitted: bool = False
    read_only: bool = False
    path: str = ""

    @property
    def line(self) -> str:
        """The destination: the canonical line of where a secret of this side is presented."""
        if self.protocol == "graph":
            return https_line(self.host, self.port, self.tls, self.proxy)
        return wire_line(self.protocol, self.host, self.port, self.security, self.tls, self.proxy)

    @property
    def presents(self) -> dict[str, set[str]]:
        """Where this side presents secrets, by the credential (in lower case): a password or a
        certificate here; a client's secret to the authorization server, and its tokens here.
        """
        found: dict[str, set[str]] = {}
        if self.grant is not None:
            if self.grant.credential:
                found[self.grant.credential.casefold()] = self.token_lines
        elif self.auth.credential:
            found[self.auth.credential.casefold()] = {self.line}
        if self.client_certificate:
            found.setdefault(self.client_certificate.casefold(), set()).add(self.line)
        return found

    @property
    def token_lines(self) -> set[str]:
        """Where the tokens of this side go, and the client's secret: none where it has no grant."""
        if self.grant is None:
            return set()
        return {self.grant.token_line, self.grant.revocation_line, BEARER + self.line}

    def target(
        self,
        limits: Limits | None = None,
        policy: Policy | None = None,
        *,
        tls: Tls | None = None,
        gate: Gate | None = None,
    ) -> WireTarget:
        """What a wire is opened with; ``tls`` replaces this side's own (a client certificate)."""
        return WireTarget(
            route=Route(self.host, self.port, self.proxy, policy or Policy()),
            security=self.security,
            tls=tls or self.tls,
            limits=limits or Limits(),
            sign_in_without_tls=self.cleartext_permitted,
            path=self.path,
            gate=gate,
        )

    def as_json(self) -> dict[str, Any]:
        """The resolved values for a preview."""
        return {
            "protocol": self.protocol,
            "host": self.host,
            "port": self.port,
            "security": self.security,
            "user": self.user,
            "auth": self.auth.model_dump(exclude_defaults=True),
            "check_server_identity": self.tls.check_name,
            "trust": self.trust,
            "client_certificate": self.client_certificate,
            "proxy": host_and_port(*self.proxy) if self.proxy else "",
            "read_only": self.read_only,
            "destination": self.line,
        }


@dataclasses.dataclass(frozen=True, slots=True)
class Effective:
    """A connection as it works: its sides (None: it has none), and who gave what.

    ``inherited`` maps dotted fields to the connection their value is from; ``warnings`` are
    sentences to show wherever the connection is shown.
    """

    name: str
    description: str
    type: str
    incoming: EffectiveSide | None
    outgoing: EffectiveSide | None
    worker_roles: tuple[str, ...]
    allowed_senders: tuple[str, ...]
    chain: tuple[str, ...]
    inherited: Mapping[str, str]

    @property
    def sides(self) -> tuple[EffectiveSide, ...]:
        """The sides there are."""
        return tuple(side for side in (self.incoming, self.outgoing) if side is not None)

    @property
    def warnings(self) -> list[str]:
        """What a person should know before relying on this connection."""
        return [sentence for side in self.sides for sentence in _warnings(side)]

    def as_json(self) -> dict[str, Any]:
        """The preview: resolved host, port, user and security of each side, marks, warnings."""
        return {
            "name": self.name,
            "type": self.type,
            "extends": list(self.chain),
            "incoming": self.incoming.as_json() if self.incoming else None,
            "outgoing": self.outgoing.as_json() if self.outgoing else None,
            "worker_roles": list(self.worker_roles),
            "allowed_senders": list(self.allowed_senders),
            "inherited": dict(self.inherited),
            "warnings": self.warnings,
        }


def _warnings(side: EffectiveSide) -> list[str]:
    found = []
    if side.security != "none" and not side.tls.check_name:
        found.append(
            f"{side.place}: the server's name is not checked: any certificate of a trusted authority "
            f"is accepted, also one for another host than {side.host}."
        )
    here = side.proxy is None and is_loopback(side.host)
    if side.security == "none" and side.auth.type != "none" and not here:
        found.append(
            f"{side.place}: the sign-in goes to {side.host} without TLS: anybody on the way can "
            "read it."
        )
    return found
