"""Which credentials are there for a person: what is restricted and not granted to them is not."""

from __future__ import annotations

from postroom.access import Person, hidden_from
from postroom.credentials.record import find, find_all, not_there
from postroom.db import Row, Tx

__all__ = ["Sight", "is_taken"]


class Sight:
    """What a person sees; without one, everything: the operator's, and the worker's."""

    def __init__(self, person: Person | None = None) -> None:
        self._person = person

    def find(self, tx: Tx, name: str) -> Row:
        """The row of a record by name; raises NotThere, in the same words, for one that is hidden."""
        hidden = self._hidden(tx)
        if name.lower() in hidden:
            raise not_there(tx, name, without=hidden)
        return find(tx, name)

    def rows(self, tx: Tx, *, hints: bool) -> list[Row]:
        """The rows of all that is not hidden, by name."""
        hidden = self._hidden(tx)
        return [row for row in find_all(tx, hints=hints) if row["name"].lower() not in hidden]

    def sees(self, tx: Tx, name: str) -> bool:
        """Whether a name, if it is one, is not hidden."""
        return name.lower() not in self._hidden(tx)

    def _hidden(self, tx: Tx) -> frozenset[str]:
        return frozenset() if self._person is None else hidden_from(tx, self._person)


def is_taken(tx: Tx, name: str) -> bool:
    """Whether there is a record of that name, seen or not."""
    found = tx.value("SELECT 1 FROM credentials WHERE name_key = :key", key=name.lower())
    return found is not None
