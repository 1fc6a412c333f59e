"""``move-email``: messages to another folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from postroom.jobs.commands.reading import IntoFolder

if TYPE_CHECKING:
    from postroom.connections.mailbox import Mailbox

__all__ = ["MoveEmail"]


class MoveEmail(IntoFolder):
    """Move messages to another folder of the same connection."""

    name: ClassVar[str] = "move-email"
    about: ClassVar[str] = "Move messages to another folder."

    async def put(self, box: Mailbox, ids: list[str]) -> dict[str, str]:
        """Move some; as :class:`IntoFolder` says."""
        return await box.move(ids, self.to, self.folder, create=self.create)
