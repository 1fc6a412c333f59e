"""Operations on the keys that open the room: add one, retire one, see which there are."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

from postroom.clock import rfc3339
from postroom.db import Tx, seated
from postroom.errors import Locked, Refused
from postroom.operations.desk import Desk
from postroom.operations.keys.findings import Finding, Level
from postroom.vault import Kek, Start, another_kek, keks
from postroom.vault.kek import Ask
from postroom.vault.keks import Known

__all__ = ["Keks", "within_reach"]


class Keks:
    """The keys that open the room.  They are named by their ids; none is shown."""

    def __init__(self, desk: Desk, start: Start) -> None:
        self._desk = desk
        self._start = start

    async def list(self) -> builtins.list[dict[str, Any]]:
        """Which keys open the room, where each was when it was added, who uses which."""

        def body(tx: Tx) -> builtins.list[dict[str, Any]]:
            seats = set(
                seated(tx.path.parent)
            )  # a killed worker's row stays until the next one sits
            return [
                {
                    "id": one.id,
                    "source": one.source,
                    "used_here": one.id == self._desk.kek,
                    "workers": [
                        _worker(row) for row in _workers(tx, one.id) if row["owner"] in seats
                    ],
                    "kit_at": rfc3339(one.kit_at) if one.kit_at else None,
                    "created_at": rfc3339(one.created_at),
                }
                for one in keks.known(tx)
            ]

        return await self._desk.db.read(body)

    async def add(self, source: str, *, make: bool = False, ask: Ask | None = None) -> str:
        """Let the key at ``source`` open the room too; gives its id.

        The others go on opening it.  ``make`` makes a key file that is not there.  Raises Locked
        when that key cannot be used, Refused when it opens the room already.
        """
        keyring = self._start.opened()
        kek = await another_kek(self._desk.db, source, make=make, ask=ask)

        def body(tx: Tx) -> str:
            keks.add(tx, keyring.terms, kek)
            self._desk.record(tx, "add", "keys", "kek", kek=kek.id, source=kek.source)
            return kek.id

        return await self._desk.write(body)

    async def retire(self, kek_id: str) -> None:
        """Let a key open the room no more.

        Raises NotThere, or Refused (``in_use``): it is the last, this process was opened with it,
        or a living worker was, which is named.
        """
        self._start.opened()
        if kek_id == self._desk.kek:
            raise Refused(
                f"This command itself opened the room with the key {kek_id}; nothing was changed.",
                code="in_use",
                hint="Add the new key, then call this with it: --kek SOURCE",
            )
        seat = await self._desk.seat()
        await seat.remove_dead()

        def body(tx: Tx) -> None:
            if users := _workers(tx, kek_id):
                raise Refused(
                    f"The key {kek_id} is what {' and '.join(map(_worker, users))} opened the room "
                    "with; nothing was changed.",
                    code="in_use",
                    workers=[_worker(row) for row in users],
                    hint="Start it again with another key (POSTROOM_KEK), then retire this one.",
                )
            keks.retire(tx, kek_id)
            self._desk.record(tx, "retire", "keys", "kek", kek=kek_id)

        await self._desk.write(body)

    async def look(self, known: Sequence[Known]) -> builtins.list[Finding]:
        """Whether the other keys of the room still are, and safely, where they were added."""
        found = []
        for one in known:
            if one.id == self._desk.kek or not one.source or one.source.startswith("passphrase"):
                continue
            try:
                kek = await another_kek(self._desk.db, one.source)
            except Locked as locked:
                level: Level = "wrong" if locked.code == "key_unsafe" else "note"
                found.append(Finding(level, "key", f"The key {one.id}: {locked}"))
                continue
            if kek.id == one.id:
                text = f"The key {one.id} is at {one.source}."
                found.append(Finding("ok", "key", text))
            else:
                text = f"At {one.source} is another key, {kek.id}, and not {one.id}."
                found.append(Finding("note", "key", text))
        return found


async def within_reach(
    desk: Desk, own: Kek, also: Sequence[str] = (), *, ask: Ask | None = None
) -> list[Kek]:
    """Every key that opens the room and can be had: ``own``, those in ``also``, and those that
    still are where they were added.  Raises Locked for one of ``also`` that cannot be used."""
    found = {own.id: own}
    for source in also:
        kek = await another_kek(desk.db, source, ask=ask)
        found[kek.id] = kek
    for one in await desk.db.read(keks.known):
        if one.id in found or not one.source:
            continue
        try:
            kek = await another_kek(desk.db, one.source)
        except Locked:
            continue
        if kek.id == one.id:
            found[one.id] = kek
    wanted = {one.id for one in await desk.db.read(keks.known)}
    return [kek for kek in found.values() if kek.id in wanted]


def _workers(tx: Tx, kek_id: str) -> list[Any]:
    return tx.all(
        "SELECT owner, host, pid FROM workers WHERE kek = :kek ORDER BY owner", kek=kek_id
    )


def _worker(row: Any) -> str:
    return f"process {row['pid']} on {row['host']}"
