"""Pages of a folder whose store lists its newest messages alone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from postroom.connections.paging import behind, newest_behind
from postroom.errors import NotThere
from postroom.protocols.base import Summary


class Listing:
    """So many messages, numbered; remembers how many were asked for."""

    def __init__(self, count: int) -> None:
        self._ids = [str(number) for number in range(count)]
        self.asked: list[int] = []

    async def newest(self, limit: int, *, headers: Sequence[str] = ()) -> list[Summary]:
        """The newest, newest first."""
        self.asked.append(limit)
        return [Summary(each) for each in (self._ids[-limit:] if limit else self._ids)[::-1]]


@pytest.mark.parametrize(
    ("limit", "after", "asked", "found"),
    [
        (2, "", [2], ["2999", "2998"]),
        (2, "2999", [1000], ["2998", "2997"]),
        (2, "2001", [1000, 10_000], ["2000", "1999"]),  # the second of them is the 1,001st
        (2, "1", [1000, 10_000], ["0"]),
        (2, "0", [1000, 10_000], []),
        (0, "2", [0], ["1", "0"]),
    ],
)
async def test_no_further_back_than_is_needed(
    limit: int, after: str, asked: list[int], found: list[str]
) -> None:
    store = Listing(3000)
    told = await newest_behind(store, limit=limit, after=after, folder="INBOX", headers=())
    assert ([one.id for one in told], store.asked) == (found, asked)


async def test_a_message_that_is_gone_begins_no_page() -> None:
    with pytest.raises(NotThere, match="no page begins behind it"):
        await newest_behind(Listing(3), limit=2, after="9", folder="INBOX", headers=())
    with pytest.raises(NotThere, match="no page begins behind it"):
        behind(["1", "2"], limit=2, after="9", folder="INBOX")
