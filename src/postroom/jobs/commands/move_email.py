"""``move-email``: messages to another folder."""

from __future__ import annotations

from typing import ClassVar

from postroom.fields import field
from postroom.jobs.commands.base import Bench, Command, Result

__all__ = ["MoveEmail"]


class MoveEmail(Command):
    """Move messages to another folder of the same connection."""

    name: ClassVar[str] = "move-email"
    about: ClassVar[str] = "Move messages to another folder."
    gives: ClassVar[dict[str, str]] = {
        "count": "How many were moved.",
        "ids": "The new id of each by its old one, where the server tells.",
    }
    many: ClassVar[str] = "ids"

    via: str = field(label="Via", help="Name of the connection.")
    ids: list[str] = field(label="Messages", help="Message ids, as list-email gives them.")
    to: str = field(label="To", help="The folder to put them into.")
    folder: str = field("INBOX", label="Folder", help="A folder, or \\Archive and the like.")
    mailbox: str = field("", label="Mailbox", help="Another than its own, on Microsoft 365.")
    create: bool = field(False, label="Create", help="Make that folder if it is not there.")

    async def run(self, bench: Bench) -> Result:
        """Move them; raises NotThere before any is moved when one is not there."""
        if not self.ids:
            return {"count": 0, "ids": {}}
        box = await bench.box(self.via, self.mailbox)
        new = await box.move(self.ids, self.to, self.folder, create=self.create)
        return {"count": len(self.ids), "ids": new}

    def plan(self) -> str:
        """Of how many, and where to."""
        return f"move {len(self.ids)} messages of {self.folder} to {self.to} ({self.via})"
