"""A disk that fails once: children preload a library that refuses the nth write, sync or name.

The library is compiled from ``disk.c`` where there is a compiler.  It stands between the product and
the C library, so that it meets SQLite's own calls as well.
"""

from __future__ import annotations

import ctypes
import dataclasses
import errno
import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final, Literal, Self

__all__ = ["Failure", "library", "preloaded", "refused"]

Kind = Literal["write", "sync", "name"]
_KINDS: Final = ("", "write", "sync", "name")


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """The ``nth`` call of a kind, for what lies below ``place``, fails with an errno's name."""

    kind: Kind
    nth: int
    code: str
    place: str

    def __str__(self) -> str:
        """As :meth:`parse` reads it."""
        return f"{self.kind} {self.nth} {self.code} {self.place}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``KIND NTH CODE PLACE``."""
        kind, nth, code, place = text.split(" ", 3)
        assert kind in _KINDS
        return cls(kind, int(nth), code, place)  # type: ignore[arg-type]

    def arm(self) -> None:
        """Let it happen in this process, which has the library preloaded."""
        code: int = getattr(errno, self.code)
        place = os.path.realpath(self.place).encode()
        ctypes.CDLL(None).disk_fails(_KINDS.index(self.kind), ctypes.c_long(self.nth), code, place)


def refused() -> str:
    """The path of what was refused in this process; empty when nothing was."""
    asked = ctypes.CDLL(None).disk_refused
    asked.restype = ctypes.c_char_p
    found: bytes = asked()
    return found.decode()


@functools.cache
def library() -> Path | None:
    """The compiled library; None where there is no C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    made = Path(_scratch().name) / "disk.so"
    source = Path(__file__).with_name("disk.c")
    command = [
        compiler,
        "-shared",
        "-fPIC",
        "-O2",
        "-Wall",
        "-Werror",
        "-o",
        str(made),
        str(source),
        "-ldl",
    ]
    subprocess.run(command, check=True)
    return made


@functools.cache
def _scratch() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="postroom-disk-")


def preloaded() -> dict[str, str]:
    """What the environment of the children's home has to say for that."""
    found = library()
    return {} if found is None else {"LD_PRELOAD": str(found)}
