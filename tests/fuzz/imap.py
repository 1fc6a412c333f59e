"""IMAP: what a server says, in any pieces, is the same events or the same refusal."""

from __future__ import annotations

from postroom.errors import ProtocolError
from postroom.protocols.base import Limits
from postroom.protocols.imap import commands
from postroom.protocols.imap.machine import Machine
from postroom.protocols.imap.names import Naming
from postroom.protocols.imap.responses import Event, Listed
from tests.fuzz.target import splits

__all__ = ["WORDS", "check", "events"]

WORDS = (
    b"* OK [CAPABILITY IMAP4rev1] hi\r\n", b"* ", b"T1 OK done\r\n", b"T2 OK begin\r\n", b"+ \r\n",
    b"T4 NO [TRYCREATE] x\r\n",
    b"* 1 FETCH (UID 5 FLAGS (\\Seen) BODY[] {3}\r\nabc)\r\n", b"* SEARCH 1 2 3", b"\r\n", b" ", b"(",
    b")", b"{0}\r\n", b"{250}\r\n", b"~{2}\r\n", b"{4294967296}\r\n", b"{-1}\r\n", b'"', b"\\", b"NIL",
    b"* VANISHED (EARLIER) 1:5,9", b'* ESEARCH (TAG "A") UID ALL 1:3', b"* LIST () \"/\" ", b"[", b"]",
    b"BODY[HEADER.FIELDS (A)]", b"INTERNALDATE \"24-Nov-2026 19:16:37 +0100\"", b"RFC822.SIZE 9",
    b"* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n", b"* 3 EXISTS\r\n", b"* BYE {1}\r\n", b"7 " * 200,
    b",8" * 200, b"x" * 300, b"&AOQ-", b"4294967296", b"\0", b"\xff", b"\r", b"\n",
)  # fmt: skip
SMALL = Limits(line=600, literal=1_000_000, in_memory=200, nesting=8)
TINY = Limits(line=130, literal=1000, in_memory=20, nesting=3)


def events(parts: list[bytes], limits: Limits = SMALL) -> list[Event]:
    """What a core with some commands in flight makes of these pieces."""
    core = Machine(limits, letters="T")
    for command in (
        commands.search("UNSEEN"),
        commands.plain("STARTTLS"),
        commands.authenticate("PLAIN", None),
        commands.append(b"x", b"abc", []),
    ):
        core.send(command)
    core.outgoing()  # the last one waits for a go-ahead
    found: list[Event] = []
    buffer = bytearray(max(map(len, parts), default=0))  # the pump's, used again for the next read
    for part in parts:
        buffer[: len(part)] = part
        found += core.receive(memoryview(buffer)[: len(part)])
        buffer[: len(part)] = b"\xee" * len(part)
    return found


def check(data: bytes) -> None:
    """A server's side of a session."""
    for limits in (TINY, SMALL):
        whole = _events([data], limits)
        for parts in splits(data):
            assert _events(parts, limits) == whole, parts
    for event in whole or []:
        if isinstance(event, Listed):
            for naming in (Naming(), Naming(".", b"INBOX."), Naming(utf8=True)):
                naming.from_wire(event.name).encode()


def _events(parts: list[bytes], limits: Limits) -> list[Event] | None:
    try:
        return events(parts, limits)
    except ProtocolError:
        return None
