"""``delete-email``: exactly these messages."""

from __future__ import annotations

from typing import ClassVar

from postroom.jobs.commands.base import Bench, Result
from postroom.jobs.commands.reading import OnMessages, counted

__all__ = ["DeleteEmail"]


class DeleteEmail(OnMessages):
    """Delete exactly the messages of these ids.  On POP3 they are gone once the run has ended."""

    name: ClassVar[str] = "delete-email"
    rights: ClassVar[tuple[str, ...]] = ("use",)
    about: ClassVar[str] = "Delete exactly these messages."
    gives: ClassVar[dict[str, str]] = {
        "count": "How many were deleted.",
        "gone": "no where the server could only mark them as deleted, and left them.",
    }

    async def run(self, bench: Bench) -> Result:
        """Delete them; raises NotThere before any is deleted when one is not there."""
        if not self.ids:
            return {"count": 0, "gone": True}
        done = await (await self.box(bench)).delete(self.ids, self.folder)
        return {"count": done.count, "gone": done.gone}

    def plan(self) -> str:
        """Of how many, and where."""
        return f"delete {counted(self.ids)} of {self.folder} ({self.via})"
