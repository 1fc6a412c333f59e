"""The way in: how many connections are kept, and who is seen to while others are cut."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from postroom.net.listening import CUT_AT_ONCE, Counted, listen


@pytest.fixture
def way_in() -> Iterator[Counted]:
    listening = listen("127.0.0.1", 0)
    listening.setblocking(False)
    listening.limit(most=2, of_one=100, place=str)
    yield listening
    listening.close()


def test_a_crowd_that_is_cut_holds_nobody_up(way_in: Counted) -> None:
    """T50: more come than are kept, without an end: others have their turn after some of them."""
    crowd = [socket.create_connection(way_in.getsockname()) for _ in range(CUT_AT_ONCE + 12)]
    kept = [way_in.accept()[0] for _ in range(2)]
    with pytest.raises(BlockingIOError):
        way_in.accept()
    kept.pop().close()
    again = way_in.accept()[0]  # of the ten whom nobody has looked at yet
    for one in (*crowd, *kept, again):
        one.close()
