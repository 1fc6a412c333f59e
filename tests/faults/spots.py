"""Crash points: a child wraps what a spot names, and dies or freezes there.  The product has none.

    postroom.vault.terms:Terms.insert after       when that method has returned, the first time
    postroom.vault.terms:Terms.insert before 3    when it is called the third time
    sql INSERT INTO sealed after                  when a statement that begins so has run
    sql COMMIT before                             a commit that will not be

A function is wrapped in its own module and in every module that imported it by name;
a method in its class; a statement where connections to the database are made.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
import os
import pkgutil
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from typing import Any, Literal

import postroom

__all__ = ["Spot", "arm", "load_all", "patch"]

_SETTLED = 0.3


@dataclasses.dataclass(frozen=True, slots=True)
class Spot:
    """A moment: before or after the ``nth`` call of a function, or run of an SQL statement."""

    where: str
    when: Literal["before", "after"]
    nth: int = 1

    @classmethod
    def parse(cls, text: str) -> Spot:
        """Read ``WHERE before|after [N]``."""
        words = text.split()
        nth = int(words.pop()) if words[-1].isdigit() else 1
        when = words.pop()
        assert when in ("before", "after"), f"{text!r}: say before or after"
        return cls(" ".join(words), "before" if when == "before" else "after", nth)


@functools.cache
def load_all() -> None:
    """Import every module of the product, so that each has the names it imports."""
    for found in pkgutil.walk_packages(postroom.__path__, "postroom."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)


def patch(where: str, new: Callable[[Any], Any]) -> None:
    """Replace what ``module:name`` or ``module:Class.name`` names by ``new(what it was)``."""
    module, _, path = where.partition(":")
    owner: Any = importlib.import_module(module)
    *outer, name = path.split(".")
    for each in outer:
        owner = getattr(owner, each)
    old = inspect.getattr_static(owner, name)
    if isinstance(old, staticmethod | classmethod):
        raise TypeError(f"{where} is no plain function")
    made = new(old)
    setattr(owner, name, made)
    if not outer:
        load_all()
        known = ("postroom.", "tests.faults.")
        for other in [each for key, each in sys.modules.items() if key.startswith(known)]:
            for key, value in list(vars(other).items()):
                if value is old:
                    setattr(other, key, made)


def arm(spot: Spot, *, stop: bool = False) -> None:
    """Let this process die at the spot, or freeze there until somebody lets it go on."""
    count = 0

    def passing(when: str) -> None:
        nonlocal count
        if when == spot.when:
            count += 1
            if count == spot.nth:
                if (
                    stop
                ):  # what other threads were writing is over: a frozen write holds up everybody
                    time.sleep(_SETTLED)
                os.kill(os.getpid(), signal.SIGSTOP if stop else signal.SIGKILL)

    kind, _, text = spot.where.partition(" ")
    if kind == "sql":
        _arm_sql(text, passing)
    else:
        patch(spot.where, lambda old: _wrapped(old, passing))


def _wrapped(old: Callable[..., Any], passing: Callable[[str], None]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(old):

        @functools.wraps(old)
        async def waiting(*args: Any, **kwargs: Any) -> Any:
            passing("before")
            result = await old(*args, **kwargs)
            passing("after")
            return result

        return waiting

    @functools.wraps(old)
    def plain(*args: Any, **kwargs: Any) -> Any:
        passing("before")
        result = old(*args, **kwargs)
        passing("after")
        return result

    return plain


def _arm_sql(beginning: str, passing: Callable[[str], None]) -> None:
    class Armed(sqlite3.Connection):
        """A connection that knows which statement the spot names."""

        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            named = " ".join(sql.split()).startswith(beginning)
            if named:
                passing("before")
            cursor = super().execute(sql, *values)
            if named:
                passing("after")
            return cursor

        def executemany(self, sql: str, *values: Any) -> sqlite3.Cursor:
            named = " ".join(sql.split()).startswith(beginning)
            if named:
                passing("before")
            cursor = super().executemany(sql, *values)
            if named:
                passing("after")
            return cursor

    connect = sqlite3.connect
    sqlite3.connect = functools.partial(connect, factory=Armed)  # type: ignore[assignment]
