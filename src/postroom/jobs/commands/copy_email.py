"""``copy-email``: messages into another folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from postroom.jobs.commands.reading import IntoFolder

if TYPE_CHECKING:
    from postroom.connections.mailbox import Mailbox

__all__ = ["CopyEmail"]


class CopyEmail(IntoFolder):
    """Copy messages to another folder of the same connection."""

    name: ClassVar[str] = "copy-email"
    about: ClassVar[str] = "Copy messages to another folder."

    async def put(self, box: Mailbox, ids: list[str]) -> dict[str, str]:
        """Copy some; as :class:`IntoFolder` says."""
        return await box.copy(ids, self.to, self.folder, create=self.create)
