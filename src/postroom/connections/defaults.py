"""Ports and security: what holds where a connection gives only one of them, or neither.

RFC 8314 names the ports with TLS from the first byte; 2525 is what providers offer where networks
block the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from postroom.protocols import WIRES
from postroom.protocols.base import Security

__all__ = ["PORTS", "port_and_security", "wires_of"]

_BY_PORT: Final[dict[int, Security]] = {
    993: "tls", 995: "tls", 465: "tls",
    143: "starttls", 110: "starttls", 25: "starttls", 587: "starttls", 2525: "starttls",
}  # fmt: skip

PORTS: Final[dict[str, Mapping[Security, int]]] = {one.name: one.ports for one in WIRES}
"""The port of each protocol where only security is given."""


def wires_of(place: str) -> tuple[str, ...]:
    """The protocols that a side may name: of ``incoming``, or of ``outgoing``."""
    return tuple(one.name for one in WIRES if one.side == place)


def port_and_security(
    protocol: str, port: int | None, security: Security | None
) -> tuple[int, Security]:
    """The port and security that hold: what is given wins, one decides the other, else TLS."""
    if port is None:
        security = security or "tls"
        return PORTS[protocol][security], security
    return port, security or _BY_PORT.get(port, "tls")
