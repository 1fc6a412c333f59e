"""POP3: what a server says, in any pieces, is the same content or the same refusal."""

from __future__ import annotations

import contextlib

from postroom.errors import FolderError, ProtocolError
from postroom.protocols.base import Limits
from postroom.protocols.pop3.headers import header_block, pick
from postroom.protocols.pop3.listing import join_listing
from postroom.protocols.pop3.machine import Answer, Chunk, Kind, Pop3Core
from postroom.protocols.pop3.session import code_of, parse_capabilities
from tests.fuzz.target import splits

__all__ = ["WORDS", "check", "heard"]

WORDS = (
    b"+OK ready\r\n", b"+OK\r\n", b"-ERR [IN-USE] no\r\n", b"+ \r\n", b"+OK\n", b"\r\n.\r\n", b".\r\n",
    b"\r\n..", b"\r\n", b"\r", b"\n", b".", b"1 120\r\n", b"1 abc\r\n", b"Subject: a\r\n", b" b\r\n",
    b"x" * 60, b"SASL PLAIN\r\n", b"\0", b"\xff", b"[", b"]",
)  # fmt: skip
KINDS: tuple[Kind, ...] = ("listing", "headers", "message", "line", "listing", "message", "headers")
LIMITS = (Limits(line=40, literal=300, in_memory=60), Limits(in_memory=16), Limits())

Heard = list[tuple[bool | None, bytes, bytes]]


def heard(core: Pop3Core, parts: list[bytes]) -> Heard:
    """Answers with their chunks put together, so that streaming makes no difference."""
    found: Heard = []
    pieces = b""
    for part in parts:
        for event in core.receive(memoryview(part)):
            if isinstance(event, Chunk):
                pieces += event.data
                continue
            found.append((event.ok, event.text, pieces + event.data))
            pieces = b""
    return found


def check(data: bytes) -> None:
    """A server's side of a session: its greeting, then the answers to commands of every kind."""
    for limits in LIMITS:
        whole = _heard(limits, [data])
        for parts in splits(data):
            assert _heard(limits, parts) == whole, parts
    for ok, text, content in whole or []:
        code_of(Answer(ok, text))
        parse_capabilities(content)
        picked = pick(header_block(content), ["SUBJECT"])
        assert not picked or picked.endswith(b"\r\n")
        with contextlib.suppress(FolderError, ProtocolError):
            join_listing(content, content)


def _heard(limits: Limits, parts: list[bytes]) -> Heard | None:
    core = Pop3Core(limits)
    core.expect(*KINDS)
    try:
        return heard(core, parts)
    except ProtocolError:
        return None
