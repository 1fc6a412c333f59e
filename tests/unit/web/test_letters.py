"""A message that was just opened is had from memory by whoever opened it, and by nobody else."""

from __future__ import annotations

import pytest

from postroom.errors import NotThere
from postroom.web import letters
from postroom.web.letters import Letters
from postroom.web.reading import Letter


class Server:
    """Counts how often it is asked for a message of that many bytes."""

    def __init__(self, size: int = 10) -> None:
        self.asked = 0
        self._size = size

    async def fetch(self) -> Letter:
        self.asked += 1
        return Letter.of(b"Subject: x\r\n\r\n" + b"x" * self._size)


async def may() -> None:
    """They still may read it."""


async def test_only_whoever_opened_it_has_it_from_memory() -> None:
    """T48: what somebody has opened says nothing of what another may see: that one asks the server."""
    kept, server = Letters(), Server()
    await kept.get(("user:ann", "acme", "INBOX", "1"), server.fetch, may)
    await kept.get(("user:ann", "acme", "INBOX", "1"), server.fetch, may)
    assert server.asked == 1
    await kept.get(("user:bob", "acme", "INBOX", "1"), server.fetch, may)
    await kept.get(("user:ann", "acme", "INBOX", "2"), server.fetch, may)
    assert server.asked == 3


async def test_it_is_forgotten_soon_and_never_much_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, server = Letters(), Server(size=letters.BYTES // 2)
    for number in ("1", "2", "3"):
        await kept.get(("user:ann", number), server.fetch, may)
    await kept.get(("user:ann", "1"), server.fetch, may)
    assert server.asked == 4
    monkeypatch.setattr(letters, "SECONDS", -1.0)
    await kept.get(("user:ann", "9"), server.fetch, may)
    await kept.get(("user:ann", "9"), server.fetch, may)
    assert server.asked == 6


async def test_what_is_in_memory_is_not_for_whoever_may_not_read_it_any_more() -> None:
    """T48: a message that was opened a moment ago is read no more once the right to it is taken."""
    kept, server = Letters(), Server()

    async def taken() -> None:
        raise NotThere("There is no connection called acme.")

    await kept.get(("user:ann", "acme"), server.fetch, may)
    with pytest.raises(NotThere):
        await kept.get(("user:ann", "acme"), server.fetch, taken)
    assert server.asked == 1
