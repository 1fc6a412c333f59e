"""By how much this process grows in a block, its short peaks too."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

__all__ = ["MIB", "memory_growth"]

MIB: Final = 1 << 20

_RESET_PEAK: Final = "5"  # proc(5), /proc/pid/clear_refs
_C: Final = ctypes.CDLL(None)
_TRIM: Final = getattr(_C, "malloc_trim", None)
_MMAP_THRESHOLD: Final = -3
"""mallopt(3): what is larger has pages of its own, and grows without being copied.  By itself glibc
raises it after what it has seen, so that the same buffer would take once or twice its size."""


@contextlib.contextmanager
def memory_growth() -> Iterator[Callable[[], int]]:
    """Gives a function that tells, after the block, by how many bytes this process grew in it.

    Its peak is reset first, and what lies free in its heap is given back: otherwise what grows would
    hide below what an earlier test had taken.
    """
    gc.collect()
    if hasattr(_C, "mallopt"):
        _C.mallopt(_MMAP_THRESHOLD, 128 * 1024)
    if _TRIM is not None:
        _TRIM(0)
    Path("/proc/self/clear_refs").write_text(_RESET_PEAK)
    before = _peak()
    after: list[int] = []
    try:
        yield lambda: after[0] - before
    finally:
        after.append(_peak())


def _peak() -> int:
    found = re.search(r"^VmHWM:\s*(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024
