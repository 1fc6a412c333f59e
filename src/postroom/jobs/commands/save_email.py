"""``save-email``: messages as files, byte for byte."""

from __future__ import annotations

from typing import ClassVar

from postroom.jobs.commands.base import Bench, Result
from postroom.jobs.commands.reading import counted, started_by
from postroom.jobs.commands.saving import Saving, written

__all__ = ["SaveEmail"]


class SaveEmail(Saving):
    """Write messages to files ID.eml, byte for byte as they lie on the server."""

    name: ClassVar[str] = "save-email"
    rights: ClassVar[tuple[str, ...]] = ("read",)
    about: ClassVar[str] = "Write messages to files; nothing there is overwritten."

    async def run(self, bench: Bench) -> Result:
        """Write them.  Raises NotThere before any is written when one is not there."""
        if self.ids is None:
            from postroom.connections.saving import write_new
            from postroom.mail import Message, safe_name

            raw = started_by(bench, "ids")
            name = safe_name(Message(raw).subject[:60], fallback="message")
            return written([write_new(self.directory(bench), f"{name}.eml", [raw])])
        if not self.ids:
            return written([])
        box = await self.box(bench)
        return written(await box.save(self.ids, self.directory(bench), self.folder))

    def plan(self) -> str:
        """Of how many, and where to."""
        return f"write {counted(self.ids)} of {self.folder} to {self.to or '.'} ({self.via})"
