"""Operations on the room's keys: what there is, what would be needed, and new ones for old."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from postroom.credentials import checking
from postroom.credentials.checking import Damage
from postroom.db import Tx
from postroom.errors import NotThere
from postroom.operations.desk import Desk
from postroom.operations.keys.findings import Finding, findings
from postroom.operations.keys.keks import Keks, within_reach
from postroom.operations.keys.rotating import Rotated, Tell, rotate
from postroom.vault import Keyring, Start, keks, rotation
from postroom.vault.kek import Ask
from postroom.vault.kit import kit_place, remove_kit, write_kit

if TYPE_CHECKING:
    from postroom.operations import models

__all__ = ["Keys"]


class Keys:
    """What a person may ask about the keys.  Nothing here shows one."""

    def __init__(self, desk: Desk, start: Start) -> None:
        self._desk = desk
        self._start = start
        self.kek = Keks(desk, start)

    async def status(self) -> models.KeysStatus:
        """Whether the room is open, where its key comes from, what wraps what, and what is to do."""
        known, terms, left, sealed = await self._desk.db.read(_facts)
        locked = self._start.locked
        found = findings(self._start, known, terms, left)
        return {
            "room": self._start.room_id,
            "state": "locked" if locked else "open",
            "source": self._start.source,
            "why": str(locked) if locked else "",
            "warning": self._start.warning,
            "kek_ids": [one.id for one in known],
            "vault_keys": [{"term": term, "state": state} for term, state in terms],
            "sealed_values": sealed,
            "kits": [one.text for one in found if (one.topic, one.level) == ("kit", "ok")],
            "notes": [
                one.text
                for one in found
                if one.level != "ok" and one.text != self._start.warning and one.topic != "room"
            ],
        }

    async def doctor(self) -> models.KeysFound:
        """Everything there is to say about the keys, after opening every sealed value once.

        A damaged one is named and hides no other.  On a locked room only what can be seen from
        outside.
        """
        known, terms, left, _ = await self._desk.db.read(_facts)
        found = findings(self._start, known, terms, left)
        found += await self.kek.look(known)
        if self._start.keyring is not None:
            damaged = await self.damaged()
            found += [Finding("wrong", "record", _damage(one)) for one in damaged]
            if not damaged:
                found.append(Finding("ok", "record", "Every sealed value of every record opens."))
        return {
            "state": "locked" if self._start.locked else "open",
            "ok": all(one.level != "wrong" for one in found),
            "findings": [one._asdict() for one in found],
        }

    async def kit(self, to: Path) -> str:
        """Write the recovery kit of the key that opened the room; gives the id of that key.

        Raises InvalidValue for a file that is there or a place in the room's directory.
        """
        keyring = self._start.opened()
        kek = keyring.terms.kek
        path = kit_place(to, data_dir=self._desk.data_dir)
        # written down first, so that there is no copy of the key that nobody is said to have made
        await self._desk.write(lambda tx: self._desk.record(tx, "kit", "keys", "kek", kek=kek.id))
        write_kit(path, room_id=keyring.room_id, kek=kek, data_dir=self._desk.data_dir)
        try:
            await self._desk.write(lambda tx: keks.kit_written(tx, kek.id))
        except BaseException:
            remove_kit(path)  # the room would go on asking for one
            raise
        return kek.id

    async def rotate(
        self, *, also: Sequence[str] = (), ask: Ask | None = None, tell: Tell | None = None
    ) -> Rotated:
        """Put a new vault key in the place of the old one, while everybody goes on working.

        An interrupted rotation is finished instead.  ``also`` are the sources of further keys that
        open the room and are not where they were added; ``tell`` hears how far it is.
        """
        terms = self._start.opened().terms
        keys = await within_reach(self._desk, terms.kek, also, ask=ask)
        return await rotate(self._desk, terms, keys, tell=tell)

    async def finish(self) -> None:
        """Finish a rotation that was interrupted, if there is one; nothing on a locked room."""
        unfinished = await self._desk.db.read(rotation.retired)
        if unfinished and self._start.keyring is not None:
            await rotate(self._desk, self._start.keyring.terms, [], begin=False)

    async def damaged(self) -> list[models.Damaged]:
        """Every version of every credential that does not open; the check is written down first."""
        keyring = self._start.opened()
        await self._desk.write(lambda tx: self._desk.record(tx, "check", "keys", "vault"))
        found: list[dict[str, Any]] = []
        for name in await self._desk.db.read(checking.names):
            await asyncio.sleep(0)  # ten thousand take seconds: others come between
            with contextlib.suppress(NotThere):  # deleted a moment ago
                found += [one._asdict() for one in await self._desk.db.read(_check(keyring, name))]
        return found


def _check(keyring: Keyring, name: str) -> Callable[[Tx], list[Damage]]:
    return lambda tx: checking.check_record(tx, keyring, name)


def _facts(tx: Tx) -> tuple[list[keks.Known], list[tuple[int, str]], int, int]:
    terms = tx.all("SELECT term, state FROM vault_keys ORDER BY term")
    sealed: int = tx.value("SELECT count(*) FROM sealed")
    return (
        keks.known(tx),
        [(row["term"], row["state"]) for row in terms],
        rotation.left(tx),
        sealed,
    )


def _damage(one: dict[str, Any]) -> str:
    which = "" if one["current"] else f" (version {one['version']}, not the current one)"
    todo = (
        f"Give its secrets again: postroom credential set {one['name']}"
        if one["current"]
        else "The current version is not touched by it."
    )
    return f"Credential {one['name']}{which}: {one['what']} {todo}"
