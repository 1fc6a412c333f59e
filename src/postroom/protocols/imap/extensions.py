"""What a session has switched on with ENABLE (RFC 5161), known or still hoped for."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["Extensions"]


class Extensions:
    """The extensions that are on: ``"QRESYNC" in extensions``.

    ENABLE is not waited for, so until it is ``answered`` what was asked for counts as on: a server
    that then says otherwise refuses the command that counted on it.
    """

    def __init__(self) -> None:
        self.names: frozenset[str] = frozenset()
        self.answered = True
        self._asked: frozenset[str] = frozenset()

    def ask(self, names: Iterable[str]) -> None:
        """ENABLE leaves with these, all of them announced."""
        self._asked = frozenset(names)
        self.answered = False

    def drop(self, name: str) -> None:
        """The server said that it does this, and does not."""
        self.names -= {name}

    def __contains__(self, name: object) -> bool:
        return name in (self.names if self.answered else self._asked)
