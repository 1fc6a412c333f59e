"""The room's variables and the environment variables that macros may read: rows and their rules."""

from __future__ import annotations

import re

from postroom.clock import timestamp
from postroom.db import Tx
from postroom.errors import InvalidValue, NotThere, Refused
from postroom.fields import check_name, nearest

__all__ = [
    "all_variables",
    "allow_environment",
    "allowed_environment",
    "delete_variable",
    "forbid_environment",
    "get_variable",
    "set_variable",
]

_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029]")
LONGEST = 1024  # characters of a value: it stands in hosts, users and folder names


def all_variables(tx: Tx) -> dict[str, str]:
    """Every variable of the room, by name."""
    rows = tx.all("SELECT name, value FROM variables ORDER BY name")
    return {row["name"]: row["value"] for row in rows}


def get_variable(tx: Tx, name: str) -> str:
    """The value of one variable.  Raises NotThere with the nearest name."""
    known = all_variables(tx)
    if name in known:
        return known[name]
    close = nearest(name, known)
    raise NotThere(
        f"There is no variable called {name!r}.",
        hint=f"Did you mean {close}?" if close else "List them: postroom variable list",
    )


def set_variable(tx: Tx, name: str, value: str) -> bool:
    """Make or change a variable; False when it had this value already.

    Raises InvalidValue for a name or a value that cannot be, Refused(``name_taken``) for a name
    that differs from another one in case alone.
    """
    _check(name, value)
    known = all_variables(tx)
    if known.get(name) == value:
        return False
    for other in known:
        if other != name and other.casefold() == name.casefold():
            raise Refused(
                f"There is a variable called {other}; two names may not differ in case alone.",
                code="name_taken",
                hint=f"Use {other}, or delete it first.",
            )
    tx.execute(
        "INSERT INTO variables (name, value, updated_at) VALUES (:name, :value, :now) "
        "ON CONFLICT (name) DO UPDATE SET value = :value, updated_at = :now",
        name=name, value=value, now=timestamp(),
    )  # fmt: skip
    return True


def delete_variable(tx: Tx, name: str) -> None:
    """Remove a variable.  Who uses it is the caller's to ask.  Raises NotThere."""
    get_variable(tx, name)
    tx.execute("DELETE FROM variables WHERE name = :name", name=name)


def allowed_environment(tx: Tx) -> frozenset[str]:
    """The environment variables that ``${env:NAME}`` may read."""
    return frozenset(row["name"] for row in tx.all("SELECT name FROM allowed_environment"))


def allow_environment(tx: Tx, name: str) -> bool:
    """Let macros read this environment variable; False when they might already.

    Raises InvalidValue when it is no name of an environment variable.
    """
    if not _ENVIRONMENT_NAME.fullmatch(name):
        raise InvalidValue("name", "give the name of an environment variable, such as MAIL_HOST")
    return bool(
        tx.execute(
            "INSERT INTO allowed_environment (name) VALUES (:name) ON CONFLICT (name) DO NOTHING",
            name=name,
        )
    )


def forbid_environment(tx: Tx, name: str) -> bool:
    """Take the permission back; False when there was none."""
    return bool(tx.execute("DELETE FROM allowed_environment WHERE name = :name", name=name))


def _check(name: str, value: str) -> None:
    try:
        check_name(name)
    except ValueError as error:
        raise InvalidValue("name", str(error)) from None
    if _CONTROL.search(value):
        raise InvalidValue(name, "a variable holds one line, without control characters")
    if len(value) > LONGEST:
        raise InvalidValue(name, f"a variable holds at most {LONGEST} characters")
