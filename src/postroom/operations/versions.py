"""Operations on the versions of a credential: see them, bring one back, destroy one."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING

from postroom.clock import rfc3339
from postroom.credentials.history import History
from postroom.db import Tx
from postroom.operations import usage
from postroom.operations.desk import Desk, Rebind
from postroom.operations.waking import wake

if TYPE_CHECKING:
    from postroom.operations import models

__all__ = ["Versions"]


class Versions:
    """What a person may do with the versions of a credential.  None of it shows a saved secret."""

    def __init__(self, desk: Desk, history: History) -> None:
        self._desk = desk
        self._history = history

    async def list(self, name: str) -> builtins.list[models.Version]:
        """Every version, newest first: state, masks, who typed it and when; ``same_as`` is the newest one
        that holds the same, sealed anew.  Raises NotThere.
        """

        def body(tx: Tx) -> builtins.list[models.Version]:
            return [
                one._asdict()
                | {
                    each: rfc3339(at) if (at := getattr(one, each)) else None
                    for each in ("typed_at", "presented_at", "destroyed_at")
                }
                for one in self._history.all(tx, name)
            ]

        return await self._desk.db.read(body)

    async def restore(self, name: str, version: int, *, rebind: Rebind = False) -> int:
        """Make a new version of what a kept one holds; gives its number.

        Raises NotThere, Refused (``in_use``, ``secret_reentry_required``), Unreadable, Locked.
        """

        def body(tx: Tx) -> int:
            new = self._history.restore(
                tx,
                name,
                version,
                actor=self._desk.actor,
                used_lines=self._desk.lines_of(tx, name),
                rebind=rebind,
            )
            wake(tx, usage.of_credential(tx, name).uses)
            return new

        return await self._desk.change(body, rebind=rebind)

    async def destroy(self, name: str, version: int) -> None:
        """Destroy a kept version for good.  Raises NotThere, Refused (``in_use``), Locked."""
        await self._desk.write(
            lambda tx: self._history.destroy(tx, name, version, actor=self._desk.actor)
        )
