"""Settling: the after-actions on the server, for what is delivered, failed or ignored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal, Protocol, TypeVar

from postroom.clock import timestamp
from postroom.db import Database, Row, Tx
from postroom.errors import FolderError, Refused
from postroom.protocols.base import Features, FolderState, MessageStore
from postroom.sources import ledger
from postroom.sources.reading import wire_id
from postroom.sources.source import Source

__all__ = ["OUTCOMES", "Settler", "Write", "check_actions"]

T = TypeVar("T")
OUTCOMES: Final[tuple[Literal["done", "error", "ignored"], ...]] = ("done", "error", "ignored")
_AT_ONCE: Final = 500


class Write(Protocol):
    """Runs a body under the fence of the claim."""

    async def __call__(self, body: Callable[[Tx], T], /) -> T: ...


def check_actions(source: Source, features: Features) -> None:
    """Refuse, before anything is touched, what this wire cannot do."""
    able = {
        "move": features.folders,
        "copy": features.folders and features.copy,
        "seen": features.flags,
        "flag": features.flags,
    }
    for outcome in OUTCOMES:
        action = source.action(outcome)
        if not able.get(action, True):
            raise Refused(
                f"Source {source.name}: after.{outcome} is {action}, which this "
                "connection's protocol cannot do.",
                code="not_supported",
                hint="POP3 has no folders and no flags: use keep or delete.",
            )


class Settler:
    """Does the after-actions that are due, those of an earlier pass too."""

    def __init__(self, db: Database, source_id: str, source: Source, write: Write) -> None:
        self._db = db
        self._id = source_id
        self._source = source
        self._write = write

    async def run(
        self, store: MessageStore, folder: FolderState, alive: Callable[[], None]
    ) -> None:
        """Finish with every message; ``alive`` is called after each step that the server answered."""
        snapshot = store.features.snapshot
        settled: list[int] = []
        for outcome in OUTCOMES:
            action = self._source.action(outcome)
            target = getattr(self._source.folders, outcome)
            last = 0
            while rows := await self._due(folder.name, outcome, after=last):
                await _act(store, action, [wire_id(row["message"]) for row in rows], target)
                alive()
                done = [row["id"] for row in rows]
                if snapshot:
                    settled += done
                    last = done[-1]
                else:
                    await self._settled(done, gone=action in ("move", "delete"))
        if settled:  # POP3 deletes when the session ends well (RFC 1939, 6), not before
            await store.close()
            await self._settled(settled, gone=False)  # the next listing shows whether they are

    async def _settled(self, ids: Sequence[int], *, gone: bool) -> None:
        await self._write(lambda tx: ledger.settle_after(tx, ids, gone=gone, now=timestamp()))

    async def _due(self, folder: str, outcome: str, *, after: int) -> list[Row]:
        return await self._db.read(
            lambda tx: ledger.to_settle(tx, self._id, folder, outcome, after=after, limit=_AT_ONCE)
        )


async def _act(store: MessageStore, action: str, ids: Sequence[str], target: str) -> None:
    if action in ("move", "copy"):
        verb = store.move if action == "move" else store.copy
        try:
            await verb(ids, target)
        except FolderError as error:
            if error.code != "folder_missing":
                raise
            await store.create(target)
            await verb(ids, target)
    elif action == "seen":
        await store.flag(ids, add=["seen"])
    elif action == "flag":
        await store.flag(ids, add=["flagged"])
    elif action == "delete":
        await store.delete(ids)
