"""The library: an opened room for programs, asynchronous, and synchronous through one thread."""

from postroom.library.portal import SyncRoom, open  # noqa: A004  # the library's own verb
from postroom.library.room import (
    AsyncConnection,
    AsyncFolder,
    AsyncRoom,
    AsyncService,
    FolderMessage,
    aopen,
)

__all__ = [
    "AsyncConnection",
    "AsyncFolder",
    "AsyncRoom",
    "AsyncService",
    "FolderMessage",
    "SyncRoom",
    "aopen",
    "open",
]
