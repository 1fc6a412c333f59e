"""``copy-email``: messages into another folder."""

from __future__ import annotations

from typing import ClassVar

from postroom.fields import field
from postroom.jobs.commands.base import Bench, Result
from postroom.jobs.commands.reading import OnMessages, counted

__all__ = ["CopyEmail"]


class CopyEmail(OnMessages):
    """Copy messages to another folder of the same connection."""

    name: ClassVar[str] = "copy-email"
    rights: ClassVar[tuple[str, ...]] = ("use",)
    about: ClassVar[str] = "Copy messages to another folder."
    gives: ClassVar[dict[str, str]] = {
        "count": "How many were copied.",
        "ids": "The new ids, where the server tells: later steps name them.",
        "by_id": "The new id of each by that of its message, where the server tells.",
    }

    to: str = field(label="To", help="The folder to put them into.", metavar="FOLDER")
    create: bool = field(False, label="Create", help="Make that folder if it is not there.")

    async def run(self, bench: Bench) -> Result:
        """Copy them; raises NotThere before any is copied when one is not there."""
        if not self.ids:
            return {"count": 0, "ids": [], "by_id": {}}
        box = await self.box(bench)
        new = await box.copy(self.ids, self.to, self.folder, create=self.create)
        return {"count": len(self.ids), "ids": list(new.values()), "by_id": new}

    def plan(self) -> str:
        """Of how many, and where to."""
        return f"copy {counted(self.ids)} of {self.folder} to {self.to} ({self.via})"
