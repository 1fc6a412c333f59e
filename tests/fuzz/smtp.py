"""SMTP: what a server says, in any pieces, is the same answers or the same refusal."""

from __future__ import annotations

from postroom.errors import ProtocolError
from postroom.protocols.base import Limits
from postroom.protocols.smtp.machine import Answer, SmtpCore, parse_capabilities
from postroom.protocols.smtp.replies import explain, reply_of
from tests.fuzz.target import splits

__all__ = ["WORDS", "check", "heard"]

WORDS = (
    b"220 ready\r\n", b"250-", b"250 ", b"550 5.1.1 ", b"354 go\r\n", b"421", b"334 ", b"\r\n", b"\r",
    b"\n", b"SIZE 100", b"AUTH PLAIN LOGIN", b"AUTH=LOGIN", b"LIMITS MAILMAX=7", b"5.7.8", b"\xff",
    b"x" * 60, b"552-5.5.3 ", b"999 ", b"-", b" ", b"\xe2\x80\xae", b"4.999.999 ",
)  # fmt: skip
SMALL = Limits(line=100)


def heard(core: SmtpCore, parts: list[bytes]) -> list[Answer]:
    """What the core makes of these pieces."""
    return [answer for part in parts for answer in core.receive(memoryview(part))]


def check(data: bytes) -> None:
    """A server's side of a session."""
    for limits in (SMALL, Limits()):
        whole = _heard(limits, [data])
        for parts in splits(data):
            assert _heard(limits, parts) == whole, parts
    for answer in whole or []:
        parse_capabilities(answer)
        for step in ("rcpt", "data"):
            reply = reply_of(answer, step)
            assert (reply.text + "x").isprintable() or "\t" in reply.text, reply.text
            assert all(isinstance(each, str) for each in explain(reply))


def _heard(limits: Limits, parts: list[bytes]) -> list[Answer] | None:
    try:
        return heard(SmtpCore(limits), parts)
    except ProtocolError:
        return None
