"""A file that a verb writes for a person: a new one, and nothing is left of it when the verb fails."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from postroom.errors import WrongUse

__all__ = ["new_file"]


@contextlib.contextmanager
def new_file(to: Path) -> Iterator[Callable[[str], None]]:
    """Make the file ``to`` before there is anything to write; gives what writes a text (UTF-8) to it.

    So a place that cannot be written is told before what belongs there is made.  Raises WrongUse;
    then, and when the block raises, the file is gone again.
    """
    try:
        file = to.open("x", encoding="utf-8")
    except FileExistsError:
        raise WrongUse(
            f"{to} is there already, and nothing is written over it.",
            hint="Give the name of a new file, or move that one away.",
        ) from None
    except OSError as error:
        raise _unwritable(to, error) from error

    def write(text: str) -> None:
        try:
            file.write(text)
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
