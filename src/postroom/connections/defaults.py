"""Ports and security: what holds where a connection gives only one of them, or neither.

RFC 8314 names the ports with TLS from the first byte; 2525 is what providers offer where networks
block the others.
"""

from __future__ import annotations

from typing import Final

from postroom.protocols.base import Security

__all__ = ["PORTS", "port_and_security"]

_BY_PORT: Final[dict[int, Security]] = {
    993: "tls", 995: "tls", 465: "tls",
    143: "starttls", 110: "starttls", 25: "starttls", 587: "starttls", 2525: "starttls",
}  # fmt: skip

PORTS: Final[dict[str, dict[Security, int]]] = {
    "imap": {"tls": 993, "starttls": 143, "none": 143},
    "pop3": {"tls": 995, "starttls": 110, "none": 110},
    "smtp": {"tls": 465, "starttls": 587, "none": 25},
}
"""The port of each protocol where only security is given."""


def port_and_security(
    protocol: str, port: int | None, security: Security | None
) -> tuple[int, Security]:
    """The port and security that hold: what is given wins, one decides the other, else TLS."""
    if port is None:
        security = security or "tls"
        return PORTS[protocol][security], security
    return port, security or _BY_PORT.get(port, "tls")
