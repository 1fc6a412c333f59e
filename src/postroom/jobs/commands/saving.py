"""What the commands that write files have in common: which messages, and where to."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from postroom.fields import field
from postroom.jobs.commands.base import Bench, ReadAgain, Result
from postroom.jobs.commands.reading import OnReceived

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["Saving", "written"]


class Saving(OnReceived):
    """A command that writes files of messages; nothing that is there is overwritten."""

    files: ClassVar[bool] = True
    read_again: ClassVar[ReadAgain] = {"to": "directory"}
    gives: ClassVar[dict[str, str]] = {
        "paths": "The files that were written.",
        "count": "How many there are.",
    }

    ids: list[str] | None = field(
        None,
        label="Messages",
        help="Message ids, as list-email gives them. Not given: the message that started the run.",
        metavar="ID",
        argument=True,
    )
    to: str = field(
        "", label="To", help="A directory, made when missing. Default: the current directory.",
        metavar="DIRECTORY",
    )  # fmt: skip

    def directory(self, bench: Bench) -> Path:
        """Where the files go."""
        return bench.base / self.to


def written(paths: Iterable[Path]) -> Result:
    """The result of a command that wrote these."""
    found = [str(path) for path in paths]
    return {"paths": found, "count": len(found)}
