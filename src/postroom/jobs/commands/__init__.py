"""Built-in commands: a new one is a file here and a line in the table below.

Each is loaded when it is first used: a program that leaves a message in the outbox should not wait
for those that read.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from postroom.errors import UnknownField
from postroom.fields import nearest
from postroom.jobs.commands.base import Bench, Command, Result

if TYPE_CHECKING:
    from postroom.jobs.commands.copy_email import CopyEmail
    from postroom.jobs.commands.delete_email import DeleteEmail
    from postroom.jobs.commands.flag_email import FlagEmail
    from postroom.jobs.commands.forward_email import ForwardEmail
    from postroom.jobs.commands.list_email import ListEmail
    from postroom.jobs.commands.list_folders import ListFolders
    from postroom.jobs.commands.move_email import MoveEmail
    from postroom.jobs.commands.read_email import ReadEmail
    from postroom.jobs.commands.reply_email import ReplyEmail
    from postroom.jobs.commands.run_job import RunJob
    from postroom.jobs.commands.save_attachments import SaveAttachments
    from postroom.jobs.commands.save_email import SaveEmail
    from postroom.jobs.commands.send_email import SendEmail
    from postroom.jobs.commands.test_connection import TestConnection

    COMMANDS: tuple[type[Command], ...]
    """All of them, in the order of the table."""

__all__ = [
    "COMMANDS",
    "Bench",
    "Command",
    "CopyEmail",
    "DeleteEmail",
    "FlagEmail",
    "ForwardEmail",
    "ListEmail",
    "ListFolders",
    "MoveEmail",
    "ReadEmail",
    "ReplyEmail",
    "Result",
    "RunJob",
    "SaveAttachments",
    "SaveEmail",
    "SendEmail",
    "TestConnection",
    "command_named",
]

_TABLE: Final = {
    "send-email": "SendEmail",
    "list-email": "ListEmail",
    "read-email": "ReadEmail",
    "save-attachments": "SaveAttachments",
    "save-email": "SaveEmail",
    "move-email": "MoveEmail",
    "copy-email": "CopyEmail",
    "flag-email": "FlagEmail",
    "delete-email": "DeleteEmail",
    "reply-email": "ReplyEmail",
    "forward-email": "ForwardEmail",
    "list-folders": "ListFolders",
    "test-connection": "TestConnection",
    "run-job": "RunJob",
}
"""The name of each command, and its class; its module is named as the command is."""


def command_named(name: str) -> type[Command]:
    """The command of that name: ``move-email``, also written ``MoveEmail`` or ``move_email``.

    Raises UnknownField with the nearest name.
    """
    for known in _TABLE:
        if _key(known) == _key(name):
            return _load(known)
    close = nearest(name, _TABLE)
    raise UnknownField(
        f"There is no command {name!r}.",
        hint=f"Did you mean {close}?" if close else f"Commands: {', '.join(_TABLE)}.",
    )


def _key(name: str) -> str:
    return name.replace("-", "").replace("_", "").casefold()


def _load(name: str) -> type[Command]:
    module = import_module(f"{__name__}.{name.replace('-', '_')}")
    kind: type[Command] = getattr(module, _TABLE[name])
    return kind


def __getattr__(name: str) -> Any:
    """Load a command when its class is first asked for, or all of them as ``COMMANDS``."""
    if name == "COMMANDS":
        return tuple(map(_load, _TABLE))
    for known, kind in _TABLE.items():
        if name == kind:
            return _load(known)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
