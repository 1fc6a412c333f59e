"""The verbs POP3 does not have: each says so (base.Features says it before)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from postroom.errors import FolderError
from postroom.protocols.base import OpenSpool, Page

__all__ = ["Unsupported"]


class Unsupported:
    """The part of base.MessageStore that POP3 cannot do.  All raise FolderError(not_supported)."""

    async def create(self, folder: str) -> None:
        """INBOX is there; there are no others."""
        if folder.upper() != "INBOX":
            raise _no("folders besides INBOX")

    def arrivals(self, cursor: str, spool: OpenSpool) -> AsyncIterator[Page]:
        """No order of arrival: what is new has to be found in the list first."""
        raise _no("order of arrival")

    async def search(self, criteria: str) -> list[str]:
        """No SEARCH."""
        raise _no("search")

    async def flag(
        self, ids: Sequence[str], *, add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> None:
        """No flags."""
        raise _no("flags")

    async def copy(self, ids: Sequence[str], folder: str) -> dict[str, str]:
        """No copying."""
        raise _no("copying")

    async def move(self, ids: Sequence[str], folder: str) -> dict[str, str]:
        """No moving."""
        raise _no("moving")

    async def append(self, folder: str, message: bytes, *, flags: Sequence[str] = ()) -> str:
        """No way to put a message in."""
        raise _no("way to put a message into a folder")

    async def wait(self, timeout: float) -> bool:
        """No push."""
        raise _no("push")


def _no(what: str) -> FolderError:
    return FolderError(
        f"POP3 has no {what}.",
        code="not_supported",
        hint="Use IMAP for this mailbox, if its server has it.",
    )
