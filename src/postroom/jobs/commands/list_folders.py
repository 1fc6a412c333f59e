"""``list-folders``: what folders there are."""

from __future__ import annotations

from typing import ClassVar

from postroom.jobs.commands.base import Bench, Result
from postroom.jobs.commands.reading import InMailbox

__all__ = ["ListFolders"]


class ListFolders(InMailbox):
    """The folders of a mailbox, in the server's order; on POP3 the one there is, INBOX."""

    name: ClassVar[str] = "list-folders"
    rights: ClassVar[tuple[str, ...]] = ("read",)
    about: ClassVar[str] = "The folders of a connection."
    gives: ClassVar[dict[str, str]] = {
        "items": "Of each folder: name, use (such as \\Archive, where the server tells).",
        "count": "How many there are.",
    }

    async def run(self, bench: Bench) -> Result:
        """List them."""
        found = await (await self.box(bench)).folders()
        items = [{"name": one.name, "use": one.special_use} for one in found]
        return {"items": items, "count": len(items)}

    def plan(self) -> str:
        """Of what."""
        return f"list the folders of {self.via}"
