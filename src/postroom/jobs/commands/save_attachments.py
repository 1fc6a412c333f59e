"""``save-attachments``: the attachments of messages as files."""

from __future__ import annotations

from typing import ClassVar

from postroom.jobs.commands.base import Bench, Result
from postroom.jobs.commands.reading import counted, started_by
from postroom.jobs.commands.saving import Saving, written

__all__ = ["SaveAttachments"]


class SaveAttachments(Saving):
    """Write the attachments of messages to files, under safe names."""

    name: ClassVar[str] = "save-attachments"
    rights: ClassVar[tuple[str, ...]] = ("read",)
    about: ClassVar[str] = "Write attachments to files; nothing there is overwritten."

    async def run(self, bench: Bench) -> Result:
        """Write them.  Raises NotThere before any is written when a message is not there."""
        directory = self.directory(bench)
        if self.ids is None:
            from postroom.connections.saving import write_attachments
            from postroom.mail import Message

            return written(write_attachments(directory, Message(started_by(bench, "ids"))))
        if not self.ids:
            return written([])
        box = await self.box(bench)
        await box.check_there(self.ids, self.folder)
        return written(
            [
                path
                for one in self.ids
                for path in await box.save_attachments(one, directory, self.folder)
            ]
        )

    def plan(self) -> str:
        """Of how many, and where to."""
        of = f"{counted(self.ids)} of {self.folder}"
        return f"write the attachments of {of} to {self.to or '.'} ({self.via})"
