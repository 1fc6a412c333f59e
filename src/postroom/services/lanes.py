"""Lanes: the services with something that waits, by the connection over which they are sent."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from postroom.db import Tx
from postroom.services import service as services
from postroom.services.service import Service

__all__ = ["CopyWanted", "Lane", "RolesOf", "due", "lanes"]

RolesOf = Callable[[Tx, str], Sequence[str]]
"""The worker roles that the connection of a service asks for (empty: none)."""

CopyWanted = Callable[[Tx, Service], bool]
"""Whether a copy of a sent message of that service is to be put into a Sent folder."""

Lane = dict[str, Service]
"""The services of one connection, by name: they share it, so that it is opened once.  ``sent_copy`` is
none where no copy is to be put anywhere."""


def lanes(
    tx: Tx,
    names: Sequence[str] | None,
    roles: Sequence[str],
    *,
    roles_of: RolesOf,
    copies: CopyWanted,
) -> dict[str, Lane]:
    """The lanes of these services (None: of all) that a process with these roles may serve."""
    wanted = None if names is None else {name.casefold() for name in names}
    waiting = [name for name in _waiting(tx) if wanted is None or name.casefold() in wanted]
    found: dict[str, Lane] = {}
    for name, one in services.sending(tx, waiting).items():
        needed = (one.worker_roles, roles_of(tx, one.connection))
        if all(not each or set(each) & set(roles) for each in needed):
            copied = copies(tx, one)
            lane = found.setdefault(one.connection, {})
            lane[name] = one if copied else one.model_copy(update={"sent_copy": "none"})
    return found


def due(found: Mapping[str, Lane], names: Collection[str]) -> dict[str, Lane]:
    """The lanes with one of these services in it (pure)."""
    return {over: lane for over, lane in found.items() if any(name in names for name in lane)}


def _waiting(tx: Tx) -> list[str]:
    """The services of whose messages, or of their copies, something waits."""
    # from name to name by the index: this costs what there are services, not messages
    found = tx.all(
        "WITH RECURSIVE named (service) AS "
        "(SELECT min(service) FROM outbox WHERE finished_at IS NULL UNION ALL SELECT "
        "(SELECT min(service) FROM outbox AS more WHERE finished_at IS NULL "
        "AND more.service > named.service) FROM named WHERE service IS NOT NULL) "
        "SELECT service FROM named WHERE service IS NOT NULL "
        "UNION SELECT service FROM sent_copies WHERE state = 'waiting'"
    )
    return [row["service"] for row in found]
