"""Postroom gives applications and jobs working email, and gives nobody a password."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = [
    "CopyEmail",
    "DeleteEmail",
    "FlagEmail",
    "ForwardEmail",
    "ListEmail",
    "ListFolders",
    "MoveEmail",
    "PostroomError",
    "ReadEmail",
    "ReplyEmail",
    "RunJob",
    "SaveAttachments",
    "SaveEmail",
    "Secret",
    "SendEmail",
    "TestConnection",
    "aopen",
    "arestore_backup",
    "averify_backup",
    "explain",
    "open",
    "restore_backup",
    "verify_backup",
]

if TYPE_CHECKING:
    from postroom.errors import PostroomError
    from postroom.jobs.commands import (
        CopyEmail,
        DeleteEmail,
        FlagEmail,
        ForwardEmail,
        ListEmail,
        ListFolders,
        MoveEmail,
        ReadEmail,
        ReplyEmail,
        RunJob,
        SaveAttachments,
        SaveEmail,
        SendEmail,
        TestConnection,
    )
    from postroom.library import (
        aopen,
        arestore_backup,
        averify_backup,
        open,  # noqa: A004  # postroom.open is the library's own verb
        restore_backup,
        verify_backup,
    )
    from postroom.operations.explaining import explain
    from postroom.secret import Secret

_HOMES = {
    "CopyEmail": "postroom.jobs.commands",
    "DeleteEmail": "postroom.jobs.commands",
    "FlagEmail": "postroom.jobs.commands",
    "ForwardEmail": "postroom.jobs.commands",
    "ListEmail": "postroom.jobs.commands",
    "ListFolders": "postroom.jobs.commands",
    "MoveEmail": "postroom.jobs.commands",
    "PostroomError": "postroom.errors",
    "ReadEmail": "postroom.jobs.commands",
    "ReplyEmail": "postroom.jobs.commands",
    "RunJob": "postroom.jobs.commands",
    "SaveAttachments": "postroom.jobs.commands",
    "SaveEmail": "postroom.jobs.commands",
    "Secret": "postroom.secret",
    "SendEmail": "postroom.jobs.commands",
    "TestConnection": "postroom.jobs.commands",
    "aopen": "postroom.library",
    "arestore_backup": "postroom.library",
    "averify_backup": "postroom.library",
    "explain": "postroom.operations.explaining",
    "open": "postroom.library",
    "restore_backup": "postroom.library",
    "verify_backup": "postroom.library",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used, so that ``import postroom`` stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module 'postroom' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
