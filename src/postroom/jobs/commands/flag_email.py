"""``flag-email``: flags set and cleared."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import model_validator

from postroom.fields import field
from postroom.jobs.commands.base import Bench, Result
from postroom.jobs.commands.reading import OnMessages, counted

__all__ = ["FlagEmail"]


class FlagEmail(OnMessages):
    """Set and clear flags of messages."""

    name: ClassVar[str] = "flag-email"
    rights: ClassVar[tuple[str, ...]] = ("use",)
    about: ClassVar[str] = "Set and clear flags."
    gives: ClassVar[dict[str, str]] = {"count": "How many messages were flagged."}

    add: list[str] = field(
        default_factory=list,
        label="Add",
        help="Flags to set: seen, answered, flagged, draft, or a keyword.",
        metavar="FLAG",
    )
    remove: list[str] = field(
        default_factory=list, label="Remove", help="Flags to clear.", metavar="FLAG"
    )

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not (self.add or self.remove):
            raise ValueError("add: give a flag to set or, in remove, one to clear, such as seen")
        return self

    async def run(self, bench: Bench) -> Result:
        """Flag them; raises NotThere before any is touched when one is not there."""
        if not self.ids:
            return {"count": 0}
        box = await self.box(bench)
        await box.flag(self.ids, self.folder, add=self.add, remove=self.remove)
        return {"count": len(self.ids)}

    def plan(self) -> str:
        """Of how many, and which."""
        told = [
            f"{word} {', '.join(names)}"
            for word, names in (("set", self.add), ("clear", self.remove))
            if names
        ]
        return f"{' and '.join(told)} on {counted(self.ids)} of {self.folder} ({self.via})"
