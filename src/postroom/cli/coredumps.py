"""No core dumps: the memory of a process that has a room open holds keys and passwords."""

from __future__ import annotations

import contextlib
import resource
import sys
from typing import Final

__all__ = ["forbid"]

PR_SET_DUMPABLE: Final = 4


def forbid() -> None:
    """Make this process leave no core dump, whatever it dies of; what it starts may not either.

    A limit of 0 keeps the kernel from writing a file, but not from handing the memory to a program
    that /proc/sys/kernel/core_pattern names (core(5)): Linux is told that this process is not
    dumpable as well (prctl(2)), which also keeps other programs of this user from reading its memory
    and environment.  Only the command line does this; a library must not change its host.
    """
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if sys.platform == "linux":
        import ctypes  # not for the help of a verb

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
