"""What is said on the next page that somebody sees: once, kept in this process only."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, Literal, NamedTuple

__all__ = ["Kind", "Notice", "Said"]

Kind = Literal["done", "note", "wrong"]
_SESSIONS: Final = 1000
_EACH: Final = 5


class Notice(NamedTuple):
    """One sentence, and what kind of news it is."""

    kind: Kind
    text: str


class Said:
    """Sentences by session; the oldest are forgotten where nobody comes back for them."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, list[Notice]] = OrderedDict()

    def say(self, session: str, text: str, kind: Kind = "done") -> None:
        """Keep a sentence for the next page of a session."""
        kept = self._kept.setdefault(session, [])
        kept.append(Notice(kind, text))
        del kept[:-_EACH]
        self._kept.move_to_end(session)
        while len(self._kept) > _SESSIONS:
            self._kept.popitem(last=False)

    def heard(self, session: str) -> list[Notice]:
        """What is to be said to a session now; it is forgotten with that."""
        return self._kept.pop(session, [])
