"""Moved: which secrets a change presents elsewhere from now on; told to whoever made the change."""

from __future__ import annotations

from typing import NamedTuple

from postroom.connections.resolver import Resolver, destinations_of
from postroom.connections.signins import sign_ins

__all__ = ["Moved", "Used", "used_in"]


class Moved(NamedTuple):
    """A credential whose secrets go elsewhere: the lines that were added and those that are gone."""

    credential: str
    added: tuple[str, ...]
    gone: tuple[str, ...]


class Used(NamedTuple):
    """Where secrets and tokens go by the settings: lines by credential (its key), and by sign-in."""

    credentials: dict[str, set[str]]
    sign_ins: dict[str, set[str]]


def used_in(resolver: Resolver) -> Used:
    """Where everything goes as this transaction sees it.

    What cannot be resolved here, such as a host in an environment that this process does not have,
    goes nowhere.  So what was is only ever held against what is, both as one process sees them.
    """
    sides = resolver.all_sides()
    tokens = {key: use.lines for key, use in sign_ins(sides).items()}
    return Used(destinations_of(sides), tokens)
