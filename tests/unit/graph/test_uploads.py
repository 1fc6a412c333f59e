"""Files of a draft: what is too large for Graph is refused before anything is asked."""

from __future__ import annotations

import email
from pathlib import Path

import pytest

from postroom.errors import InvalidValue
from postroom.net.dial import Route
from postroom.net.tls import Tls
from postroom.protocols.base import SignIn, WireTarget
from postroom.protocols.graph.parts import Leaf
from postroom.protocols.graph.requests import Requests
from postroom.protocols.graph.sending import reply_of
from postroom.protocols.graph.uploads import LARGEST, attach
from postroom.secret import Secret

__all__: list[str] = []


async def test_a_file_over_150_mb_is_refused(tmp_path: Path) -> None:
    """Nobody listens there: it is refused without a request, for good, and by its name."""
    fields = email.message_from_bytes(b'Content-Type: video/mp4; name="film.mp4"\r\n\r\n')
    path = tmp_path / "film"
    with path.open("wb") as made:
        made.truncate(LARGEST + 1)  # takes no room
    target = WireTarget(Route("127.0.0.1", 9), "tls", Tls())
    requests = Requests(target, SignIn("token", "a@b.example", Secret("a-token-of-nobody")))
    with path.open("rb") as file, pytest.raises(InvalidValue) as caught:
        await attach(requests, "draft", Leaf(fields, 0, LARGEST + 1), 1, file)
    await requests.close()
    assert "film.mp4" in caught.value.sentence
    assert "150 MB" in caught.value.sentence
    reply = reply_of(caught.value)
    assert reply is not None
    assert (reply.state, reply.code) == ("rejected", 554)
