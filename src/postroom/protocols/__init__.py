"""The wires: pure cores on one pump, and their twin in memory.  A new one has a line in ``WIRES``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from postroom.protocols.base import Security

__all__ = ["WIRES", "Wire"]


class Wire(NamedTuple):
    """A protocol that one side of a standard connection may name: the package of that name.

    ``ports`` are the usual ones, for where only security is given.
    """

    name: str
    side: Literal["incoming", "outgoing"]
    ports: Mapping[Security, int]


WIRES: Final = (
    Wire("imap", "incoming", {"tls": 993, "starttls": 143, "none": 143}),
    Wire("pop3", "incoming", {"tls": 995, "starttls": 110, "none": 110}),
    Wire("smtp", "outgoing", {"tls": 465, "starttls": 587, "none": 25}),
)
