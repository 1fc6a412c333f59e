"""The library: an opened room for programs, asynchronous, and synchronous through one thread."""

from postroom.library.opening import aopen, arestore_backup, averify_backup
from postroom.library.portal import SyncRoom, open, restore_backup, verify_backup  # noqa: A004  # the library's own verb
from postroom.library.room import (
    AsyncConnection,
    AsyncFolder,
    AsyncRoom,
    AsyncService,
    FolderMessage,
)

__all__ = [
    "AsyncConnection",
    "AsyncFolder",
    "AsyncRoom",
    "AsyncService",
    "FolderMessage",
    "SyncRoom",
    "aopen",
    "arestore_backup",
    "averify_backup",
    "open",
    "restore_backup",
    "verify_backup",
]
