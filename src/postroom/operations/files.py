"""Files: who asks from afar names none of this machine, neither to read nor to write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from postroom.errors import Refused

if TYPE_CHECKING:
    from postroom.jobs.commands import Command

__all__ = ["check_no_files"]


def check_no_files(command: Command) -> None:
    """Raise Refused (``not_supported``) for a command that would read or write a file here."""
    for name, what in command.read_again.items():
        if what == "directory":
            raise Refused(
                f"{command.name} writes files where the room is; it is not done from afar.",
                code="not_supported",
                hint="Read the messages (read-email, raw), and write them where you are.",
            )
        if what == "path" and any(isinstance(one, str) for one in getattr(command, name) or ()):
            raise Refused(
                f"{command.name}: {name}: a path names a file where the room is; none is read from afar.",
                code="not_supported",
                hint="Send what is in it: {name, type, content}, the content in base64.",
            )
