"""What changed while nobody looked: QRESYNC and CONDSTORE (RFC 7162), as far as a server is right.

A cursor of IMAP is ``UID`` or ``UID/MODSEQ``: the last uid that was listed, and the HIGHESTMODSEQ of
the folder when it was opened for that.  Changes since then come with SELECT or EXAMINE itself:

    QRESYNC            what vanished and what was flagged, no round trip of its own
    CONDSTORE only     what was flagged, one round trip and only if something was
    NOMODSEQ, neither  nothing; the daily sweep finds what is gone
    HIGHESTMODSEQ fell (the server lost count)      as if there were no modseq
    UIDVALIDITY differs                             nothing: it is another folder
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Iterator
from typing import Final

from postroom.errors import InvalidValue
from postroom.protocols.base import Changes, Since
from postroom.protocols.imap.commands import flag_set
from postroom.protocols.imap.responses import Event, Fetch, Vanished
from postroom.protocols.imap.sets import HIGHEST, Ranges, count

__all__ = ["Resync", "read_cursor", "write_cursor"]

_CURSOR: Final = re.compile(r"([0-9]{1,10})(?:/([0-9]{1,19}))?")
_MOST: Final = 100_000  # ranges of vanished uids that are kept; with more, nothing is believed


def read_cursor(cursor: str) -> tuple[int, int]:
    """The last uid and the modseq (0: none) of a cursor.  Raises InvalidValue."""
    found = _CURSOR.fullmatch(cursor or "0")
    if found is None:
        raise InvalidValue("cursor", "a cursor of IMAP is the last uid seen, in digits")
    return int(found[1]), int(found[2] or 0)


def write_cursor(uid: int, modseq: int) -> str:
    """The cursor of both; without a modseq, of the uid alone."""
    return f"{uid}/{modseq}" if modseq else str(uid)


class Resync:
    """Takes what a server tells of the time since a cursor was taken."""

    def __init__(self, since: Since) -> None:
        self._since = since
        self._last, self._modseq = read_cursor(since.cursor)
        self._gone: Ranges = []
        self._flags: dict[int, frozenset[str]] = {}
        self._told = False  # by QRESYNC, so what is not among the gone is there

    @property
    def possible(self) -> bool:
        """Whether there is something to go on from."""
        return bool(self._last and self._modseq and self._since.uidvalidity)

    def parameter(self) -> str:
        """The parameter of SELECT and EXAMINE; asks about the uids up to the cursor only."""
        self._told = True
        return f"(QRESYNC ({self._since.uidvalidity} {self._modseq} 1:{self._last}))"

    def refused(self) -> None:
        """The server did not take the parameter after all."""
        self._told = False

    def changed_since(self, uidvalidity: int, modseq: int) -> tuple[str, str] | None:
        """Set and modifier of the FETCH that asks for changed flags where QRESYNC did not tell."""
        if self._told or not self.possible or uidvalidity != self._since.uidvalidity:
            return None
        if modseq <= self._modseq:
            return None
        return f"1:{self._last}", f"(CHANGEDSINCE {self._modseq})"

    def take(self, event: Event) -> bool:
        """The next event of the answer."""
        if isinstance(event, Fetch):
            if event.flags is not None and 0 < event.uid <= self._last:
                self._flags[event.uid] = flag_set(event.flags)
            return True
        if isinstance(event, Vanished) and event.earlier:
            if len(self._gone) > _MOST:
                self._told = False
                return True
            self._gone += [
                (low, min(high, self._last)) for low, high in event.ranges if low <= self._last
            ]
            return True
        return False

    def changes(self, uidvalidity: int, modseq: int, *, tells: bool) -> Changes | None:
        """What changed, given what the folder is now; None when it is another folder.

        ``tells``: the server has QRESYNC, so the next time it can say.
        """
        if not self._last or uidvalidity != self._since.uidvalidity:
            return None
        cursor = write_cursor(self._last, modseq)
        if not self.possible or modseq < self._modseq:
            return Changes(cursor, lost=tells and modseq > 0)
        prefix = f"{uidvalidity}-"
        return Changes(
            cursor,
            _Ids(prefix, self._gone) if self._told else None,
            {f"{prefix}{uid}": flags for uid, flags in self._flags.items()},
            lost=tells and not self._told,
        )


class _Ids(Collection[str]):
    """The ids of ranges of uids, which a server can make long, without making them all."""

    def __init__(self, prefix: str, ranges: Ranges) -> None:
        self._prefix = prefix
        self._ranges: Ranges = []
        for low, high in sorted(ranges):
            if self._ranges and low <= self._ranges[-1][1] + 1:
                before, last = self._ranges[-1]
                self._ranges[-1] = (before, max(last, high))
            else:
                self._ranges.append((low, high))

    def __len__(self) -> int:
        return count(self._ranges)

    def __iter__(self) -> Iterator[str]:
        for low, high in self._ranges:
            for uid in range(low, high + 1):
                yield f"{self._prefix}{uid}"

    def __contains__(self, item: object) -> bool:
        if not isinstance(item, str) or not item.startswith(self._prefix):
            return False
        digits = item[len(self._prefix) :]
        if not digits.isdecimal():
            return False
        place = bisect_right(self._ranges, (int(digits), HIGHEST)) - 1
        return place >= 0 and self._ranges[place][0] <= int(digits) <= self._ranges[place][1]
