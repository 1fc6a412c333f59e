"""Moved: which secrets a change presents elsewhere from now on; told to whoever made the change."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from postroom.connections.resolver import Resolver, destinations_of
from postroom.connections.signins import sign_ins
from postroom.db import Tx

__all__ = ["Moved", "Used", "lines_used", "used_in"]


Expand = Callable[[str, str], str]
"""The value of a macro of the room, and the field for its errors."""


class Moved(NamedTuple):
    """A credential whose secrets go elsewhere: the lines that were added and those that are gone."""

    credential: str
    added: tuple[str, ...]
    gone: tuple[str, ...]


class Used(NamedTuple):
    """Where secrets and tokens go by the settings: lines by credential (its key), and by sign-in."""

    credentials: dict[str, set[str]]
    sign_ins: dict[str, set[str]]


def used_in(tx: Tx, resolver: Resolver, expand: Expand) -> Used:
    """Where everything goes as this transaction sees it.

    What cannot be resolved here, such as a host in an environment that this process does not have,
    goes nowhere.  So what was is only ever held against what is, both as one process sees them.
    """
    sides = resolver.all_sides()
    tokens = {key: use.lines for key, use in sign_ins(sides).items()}
    return Used(lines_used(tx, destinations_of(sides), expand), tokens)


def lines_used(tx: Tx, found: dict[str, set[str]], expand: Expand) -> dict[str, set[str]]:
    """The lines of connections with those of jobs, programs and notifications, by credential (in lower
    case)."""
    from postroom.jobs.granting import program_lines  # what only reads or sends needs no jobs
    from postroom.notices.destinations import webhook_lines

    for more in (program_lines(tx, expand), webhook_lines(tx)):
        for name, lines in more.items():
            found.setdefault(name, set()).update(lines)
    return found
