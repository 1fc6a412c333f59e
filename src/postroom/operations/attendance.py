"""Who sends for a service: whether there is one of that name, and a worker that is at it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from postroom.clock import timestamp
from postroom.db import Tx, workers
from postroom.errors import NotThere
from postroom.fields import nearest
from postroom.operations.desk import Desk
from postroom.operations.sight import hidden_services, sees
from postroom.services import finding
from postroom.services import service as services

__all__ = ["Attendance", "known_service"]


class Attendance:
    """Who is at work in a room, as a transaction sees it."""

    def __init__(self, desk: Desk, tx: Tx) -> None:
        self._desk = desk
        self._tx = tx
        self._workers = workers(tx, now=timestamp())
        self._held = services.held_names(tx)
        self._services = {one.name: one for one in services.load_all(tx)}

    def of(self, name: str, *, waits: bool) -> dict[str, Any]:
        """``workers``: how many living ones send for a service.  ``note``: what to do where that is
        none and mail waits, empty otherwise.

        ``waits``: whether a message is there that is sent as soon as it is due.
        """
        needed = self._needed(name)
        if needed is None:  # nobody ever sends for it
            return {"workers": 0, "note": ""}
        number = sum(_fits(needed, roles) for roles in self._workers)
        told = waits and not number and name not in self._held  # that waits for a person
        return {"workers": number, "note": _note(needed) if told else ""}

    def unattended(
        self, service: str | None = None, *, roles: Sequence[str] | None = None
    ) -> list[dict[str, Any]]:
        """Each service (None: of all) with mail that nobody is there to send: how much, what to do.

        ``roles``: where, instead, a process of these roles may not send it.
        """
        found, hidden = [], hidden_services(self._tx)
        for name, waiting in finding.due_by_service(self._tx, service).items():
            if name in hidden:
                continue
            note = (
                self.of(name, waits=True)["note"] if roles is None else self._reserved(name, roles)
            )
            if note:
                found.append({"service": name, "waiting": waiting, "note": note})
        return found

    def _needed(self, name: str) -> list[Sequence[str]] | None:
        """The roles of which a worker must have one, each group; None: the service was deleted."""
        service = services.implicit(name) if ":" in name else self._services.get(name)
        if service is None:
            return None
        roles = (service.worker_roles, self._desk.roles_of(self._tx, service.connection))
        return [each for each in roles if each]

    def _reserved(self, name: str, roles: Sequence[str]) -> str:
        needed = self._needed(name) or ()
        if name in self._held or _fits(needed, roles):
            return ""
        which, flags = _named(needed)
        return f"Only workers{which} send it. Send once: postroom outbox drain{flags}"


def known_service(tx: Tx, name: str) -> str:
    """The service as rows of the outbox carry it: as it is written, or ``connection:NAME``.

    Also of one that was deleted and has rows.  Raises NotThere with the nearest name.
    """
    found: str | None = tx.value(
        "SELECT name FROM services WHERE name_key = :key "
        "UNION ALL SELECT service FROM outbox WHERE service = :name LIMIT 1",
        key=name.casefold(),
        name=name,
    )
    if found is not None and not sees(tx, found):
        found = None
    if found is not None or ":" in name:  # a connection over which nothing was sent yet
        return found or name
    hidden = hidden_services(tx)
    names = [each for each in finding.names(tx) if each not in hidden]
    over = [one for one in names if one.casefold().endswith(f":{name.casefold()}")]
    close = over[0] if over else nearest(name, names)
    raise NotThere(
        f"There is no service called {name!r}, and no message of one.",
        hint=f"Did you mean {close}?" if close else "List them: postroom service list",
    )


def _fits(needed: Sequence[Collection[str]], roles: Collection[str]) -> bool:
    return all(set(each) & set(roles) for each in needed)


def _note(needed: Sequence[Sequence[str]]) -> str:
    which, flags = _named(needed)
    return (
        f"No worker{which} runs, so nothing is sent. Start one (postroom worker{flags}), or send once: "
        f"postroom outbox drain{flags}"
    )


def _named(needed: Sequence[Sequence[str]]) -> tuple[str, str]:
    """`` with the role mailer`` and `` --role mailer``: the first of each group is enough."""
    roles = dict.fromkeys(each[0] for each in needed)
    which = f" with the role {' and '.join(roles)}" if roles else ""
    return which, "".join(f" --role {role}" for role in roles)
