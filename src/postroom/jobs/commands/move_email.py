"""``move-email``: messages to another folder."""

from __future__ import annotations

from typing import ClassVar

from postroom.fields import field
from postroom.jobs.commands.base import Bench, Result
from postroom.jobs.commands.reading import OnMessages, counted

__all__ = ["MoveEmail"]


class MoveEmail(OnMessages):
    """Move messages to another folder of the same connection."""

    name: ClassVar[str] = "move-email"
    about: ClassVar[str] = "Move messages to another folder."
    gives: ClassVar[dict[str, str]] = {
        "count": "How many were moved.",
        "ids": "The new id of each by its old one, where the server tells.",
    }

    to: str = field(label="To", help="The folder to put them into.", metavar="FOLDER")
    create: bool = field(False, label="Create", help="Make that folder if it is not there.")

    async def run(self, bench: Bench) -> Result:
        """Move them; raises NotThere before any is moved when one is not there."""
        if not self.ids:
            return {"count": 0, "ids": {}}
        box = await self.box(bench)
        new = await box.move(self.ids, self.to, self.folder, create=self.create)
        return {"count": len(self.ids), "ids": new}

    def plan(self) -> str:
        """Of how many, and where to."""
        return f"move {counted(self.ids)} of {self.folder} to {self.to} ({self.via})"
