"""A file that a verb writes for a person: a new one, and nothing is left of it when the verb fails."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from postroom.errors import WrongUse

__all__ = ["new_file"]


@contextlib.contextmanager
def new_file(to: Path) -> Iterator[Callable[[str | bytes], None]]:
    """Make the file ``to``, for its owner alone, before there is anything to write; gives what writes
    bytes, or a text as UTF-8.

    So a place that cannot be written is told before what belongs there is made.  Raises WrongUse;
    then, and when the block raises, the file is gone again.
    """
    try:
        file = os.fdopen(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
    except FileExistsError:
        raise WrongUse(
            f"{to} is there already, and nothing is written over it.",
            hint="Give the name of a new file, or move that one away.",
        ) from None
    except OSError as error:
        raise _unwritable(to, error) from error

    def write(content: str | bytes) -> None:
        try:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
        except OSError as error:
            raise _unwritable(to, error) from error

    with file:
        try:
            yield write
        except BaseException:
            to.unlink(missing_ok=True)
            raise


def _unwritable(to: Path, error: OSError) -> WrongUse:
    return WrongUse(f"{to} cannot be written: {error.strerror}.", hint="Choose another place.")
