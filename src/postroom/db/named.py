"""Rows that people named and whose settings are JSON: found by name, in any case, and read."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable
from typing import Any, Final, Generic, Literal, TypeVar

from postroom.db.tx import Row, Tx
from postroom.errors import NotThere, Refused, WrongUse
from postroom.fields import Fields, nearest, parse

__all__ = ["Named"]

F = TypeVar("F", bound=Fields)
Noun = Literal["connection", "source", "service", "job", "notification"]

ALL: Final[dict[Noun, str]] = {
    "connection": "SELECT * FROM connections ORDER BY name_key",
    "source": "SELECT * FROM sources ORDER BY name_key",
    "service": "SELECT * FROM services ORDER BY name_key",
    "job": "SELECT * FROM jobs ORDER BY name_key",
    "notification": "SELECT * FROM notifications ORDER BY name_key",
}
ONE: Final[dict[Noun, str]] = {
    "connection": "SELECT * FROM connections WHERE name_key = :key",
    "source": "SELECT * FROM sources WHERE name_key = :key",
    "service": "SELECT * FROM services WHERE name_key = :key",
    "job": "SELECT * FROM jobs WHERE name_key = :key",
    "notification": "SELECT * FROM notifications WHERE name_key = :key",
}
VERBS: Final[dict[str, str]] = {"notification": "notify"}
"""What the command line calls a noun, where that is another word."""


class Named(Generic[F]):
    """The rows of one noun, those that are there for whoever asks (:class:`postroom.db.Sight`).

    ``name`` is as it was spelled first, ``name_key`` casefolded, ``body`` JSON.

    ``kind`` is what a body says.
    """

    def __init__(self, noun: Noun, kind: type[F]) -> None:
        self._noun = noun
        self._kind: Final = kind

    def find(self, tx: Tx, name: str) -> Row | None:
        """The row of that name, or None."""
        row = tx.one(ONE[self._noun], key=name.casefold())
        return None if row is None or tx.hides(self._noun, row) else row

    def row(self, tx: Tx, name: str) -> Row:
        """The row of that name.  Raises NotThere with the nearest name."""
        row = self.find(tx, name)
        if row is None:
            close = nearest(name, [each["name"] for each in self.rows(tx)])
            raise NotThere(
                f"There is no {self._noun} called {name!r}.",
                hint=f"Did you mean {close}?"
                if close
                else f"List them: postroom {_verb(self._noun)} list",
            )
        return row

    def rows(self, tx: Tx) -> list[Row]:
        """Every row, by name."""
        return [row for row in tx.all(ALL[self._noun]) if not tx.hides(self._noun, row)]

    def hidden(self, tx: Tx) -> list[Row]:
        """The rows that are not there for whoever asks."""
        if tx.sight is None:
            return []
        return [row for row in tx.all(ALL[self._noun]) if tx.hides(self._noun, row)]

    def taken(self, name: str) -> Refused:
        """The refusal of a name that another row has (``name_taken``)."""
        return Refused(
            f"There is a {self._noun} called {name} already.",
            code="name_taken",
            hint=f"Change it with: postroom {_verb(self._noun)} set {name}",
        )

    def read(self, row: Row) -> F:
        """What a row says.  Raises WrongUse(``room_error``) where nobody can read it any more."""
        said: F = _parsed(self._kind, self._noun, row["name"], row["body"])
        return said

    def all(self, tx: Tx) -> list[F]:
        """What every row says, by name; those that cannot be read are left out.

        One row that was changed from outside, or that a rule of this release refuses, stands in
        nobody's way: :meth:`unreadable` tells of it.
        """
        return self.of(self.rows(tx))

    def of(self, rows: Iterable[Row]) -> list[F]:
        """What these rows say, as :meth:`all` does."""
        return [said for _, said in self._read(rows) if not isinstance(said, WrongUse)]

    def unreadable(self, tx: Tx) -> dict[str, WrongUse]:
        """The names of rows that cannot be read, and why."""
        return {
            name: said for name, said in self._read(self.rows(tx)) if isinstance(said, WrongUse)
        }

    def _read(self, rows: Iterable[Row]) -> list[tuple[str, F | WrongUse]]:
        found: list[tuple[str, F | WrongUse]] = []
        for row in rows:
            try:
                found.append((row["name"], self.read(row)))
            except WrongUse as error:
                found.append((row["name"], error))
        return found


@functools.lru_cache(4096)  # by the very text: one that was changed is another
def _parsed(kind: type[Fields], noun: str, name: str, text: str) -> Any:
    try:
        body = json.loads(text)
        # the column has the name as it was spelled first
        return parse(kind, {**body, "name": name})
    except WrongUse as error:
        why = error.sentence
    except (ValueError, TypeError, RecursionError):
        why = "its settings are not JSON."
    raise WrongUse(
        f"The settings of {noun} {name} cannot be read: {why}",
        code="room_error",
        hint="They were changed outside of Postroom, or a rule has changed. Restore the room from a "
        f"backup, or delete the {noun}: postroom {_verb(noun)} delete {name}",
    )


def _verb(noun: str) -> str:
    return VERBS.get(noun, noun)
