"""Operations on grants: restrict a credential to those who are granted it, give and take grants."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING

from postroom.access import grants as store
from postroom.access import users
from postroom.clock import rfc3339
from postroom.db import Row, Tx
from postroom.errors import InvalidValue
from postroom.jobs import store as jobs
from postroom.operations.desk import Desk
from postroom.services import service as services

if TYPE_CHECKING:
    from postroom.operations import models

__all__ = ["Grants"]


class Grants:
    """What whoever sees to people may do about who uses which credential."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def list(self, credential: str | None = None) -> builtins.list[models.Grant]:
        """Every grant, or those of one credential: to whom (``grantee``), by whom and when;
        ``restricted``: whether the credential asks for one.  Raises NotThere."""

        def body(tx: Tx) -> builtins.list[Row]:
            if credential is None:
                return store.all_grants(tx)
            return store.all_grants(tx, self._desk.credentials.get(tx, credential).id)

        return [
            {
                "credential": row["credential"],
                "grantee": f"user:{row['user']}" if row["user"] else row["grantee"],
                "restricted": bool(row["restricted"]),
                "granted_by": row["granted_by"],
                "granted_at": rfc3339(row["granted_at"]),
            }
            for row in await self._desk.db.read(body)
        ]

    async def give(self, name: str, grantee: str) -> bool:
        """Grant the credential ``name`` to ``user:NAME``, ``service:NAME`` or ``job:NAME``; gives
        whether they had no grant.  Raises InvalidValue, NotThere."""

        def body(tx: Tx) -> bool:
            one = self._desk.credentials.get(tx, name)
            whom, said = _grantee(tx, grantee)
            given = store.give(tx, one.id, whom, by=self._desk.actor)
            if given:
                self._desk.record(tx, "give", "grant", one.name, grantee=said)
            return given

        return await self._desk.write(body)

    async def take(self, name: str, grantee: str) -> bool:
        """Take a grant of the credential ``name`` back; gives whether there was one.

        Raises InvalidValue, NotThere.
        """

        def body(tx: Tx) -> bool:
            one = self._desk.credentials.get(tx, name)
            whom, said = _grantee(tx, grantee)
            taken = store.take(tx, one.id, whom)
            if taken:
                self._desk.record(tx, "take", "grant", one.name, grantee=said)
            return taken

        return await self._desk.write(body)

    async def restrict(self, name: str) -> bool:
        """Let only those see and use a credential who have a grant; gives whether it was open.

        Connections, services and jobs that rest on it go on for whoever has a grant, and for nobody
        else; whoever sees to people needs none.
        """
        return await self._switch(name, restricted=True)

    async def open(self, name: str) -> bool:
        """Let everybody see and use a credential whose role says so; gives whether it was restricted.

        Its grants stay, for the next time.
        """
        return await self._switch(name, restricted=False)

    async def _switch(self, name: str, *, restricted: bool) -> bool:
        def body(tx: Tx) -> bool:
            one = self._desk.credentials.get(tx, name)
            changed = store.restrict(tx, one.id, restricted=restricted)
            if changed:
                self._desk.record(tx, "restrict" if restricted else "open", "grant", one.name)
            return changed

        return await self._desk.write(body)


def _grantee(tx: Tx, text: str) -> tuple[str, str]:
    """Whom that means, as it is stored, and as people say it.  Raises InvalidValue, NotThere."""
    noun, _, name = text.partition(":")
    if not name or noun not in ("user", "service", "job"):
        raise InvalidValue("grantee", "give user:NAME, service:NAME or job:NAME")
    if noun == "user":
        row = users.find(tx, name)
        return f"user:{row['id']}", f"user:{row['name']}"
    spelled = services.spelled(tx, name) if noun == "service" else jobs.spelled(tx, name)
    return f"{noun}:{spelled.casefold()}", f"{noun}:{spelled}"
