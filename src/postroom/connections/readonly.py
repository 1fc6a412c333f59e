"""A message store that only reads: the open incoming side of a connection with ``read_only: true``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NoReturn, cast

from postroom.errors import Refused
from postroom.protocols.base import FolderState, MessageStore, Since

__all__ = ["READS", "read_only_store"]

READS: Final = frozenset(
    {
        "features", "folders", "newer", "newest", "summaries", "fetch", "read_headers", "search",
        "wait", "check", "close", "abandon",
    }
)  # fmt: skip
"""What a read-only connection may do.  Any other verb is refused, one that is added later too."""


def read_only_store(store: MessageStore) -> MessageStore:
    """``store`` without the verbs that change something: they raise Refused (``read_only``).

    Here, below everything that reads, so that nobody who uses a connection has to remember it.
    """
    return cast(MessageStore, _ReadOnly(store))


class _ReadOnly:
    def __init__(self, store: MessageStore) -> None:
        self._store = store

    async def open(
        self, folder: str, *, read_only: bool = True, since: Mapping[str, Since] | None = None
    ) -> FolderState:
        if not read_only:
            _refuse()
        return await self._store.open(folder, read_only=True, since=since)

    def __getattr__(self, name: str) -> Any:
        if name in READS:
            return getattr(self._store, name)
        if name.startswith("_"):
            raise AttributeError(name)
        return _refused


async def _refused(*args: object, **options: object) -> NoReturn:
    _refuse()


def _refuse() -> NoReturn:
    raise Refused(
        "This connection is read-only: nothing on the server is changed.",
        code="read_only",
        hint="Use another connection, or set incoming.read_only to false.",
    )
