"""Built-in commands: a new one is a file here and a line in COMMANDS."""

from __future__ import annotations

from typing import Final

from postroom.errors import UnknownField
from postroom.fields import nearest
from postroom.jobs.commands.base import Bench, Command, Result
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

COMMANDS: Final[tuple[type[Command], ...]] = (
    SendEmail,
    ListEmail,
    ReadEmail,
    SaveAttachments,
    SaveEmail,
    MoveEmail,
    CopyEmail,
    FlagEmail,
    DeleteEmail,
    ReplyEmail,
    ForwardEmail,
    ListFolders,
    TestConnection,
    RunJob,
)


def command_named(name: str) -> type[Command]:
    """The command of that name: ``move-email``, also written ``MoveEmail`` or ``move_email``.

    Raises UnknownField with the nearest name.
    """
    for one in COMMANDS:
        if _key(one.name) == _key(name):
            return one
    known = [one.name for one in COMMANDS]
    close = nearest(name, known)
    raise UnknownField(
        f"There is no command {name!r}.",
        hint=f"Did you mean {close}?" if close else f"Commands: {', '.join(known)}.",
    )


def _key(name: str) -> str:
    return name.replace("-", "").replace("_", "").casefold()
