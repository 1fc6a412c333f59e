"""What POP3 lists: STAT, UIDL and LIST read into one index (RFC 1939, 5 and 7)."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from postroom.errors import FolderError, ProtocolError, WireError
from postroom.protocols.pop3.machine import Answer
from postroom.protocols.pop3.session import Session
from postroom.protocols.pump import told

__all__ = ["Listed", "join_listing", "read_listing", "read_stat"]

_MOST: Final = 10_000_000  # message numbers above this are a lie
_UIDL = re.compile(rb"(\d{1,8})[ \t]+([\x21-\x7e]{1,255})[ \t]*")  # 70 by RFC, more in practice
_SIZE = re.compile(rb"(\d{1,8})[ \t]+(\d{1,15})\b.*")


class Listed(NamedTuple):
    """One message: its number in this session and its size in bytes, as the server says."""

    number: int
    size: int


async def read_stat(session: Session) -> tuple[int, int]:
    """How many messages, and how many bytes."""
    answer = await session.ask(b"STAT")
    if not answer.ok:
        raise session.refused("say how many messages there are", answer)
    found = _SIZE.fullmatch(answer.text.strip())
    if found is None or int(found[1]) > _MOST:
        raise session.nonsense("an answer to STAT")
    return int(found[1]), int(found[2])


async def read_listing(session: Session) -> dict[str, Listed]:
    """Every message by its UIDL, in the server's order.

    Raises FolderError (``not_supported``) when there is no UIDL, for nothing else tells for sure
    which messages were seen before; and (``protocol_error``) when two messages have the same.
    """
    if session.can("PIPELINING"):
        session.put(b"UIDL", "listing")
        session.put(b"LIST", "listing")
        uidl, sizes = await session.answer(), await session.answer()
    else:
        uidl, sizes = await session.ask(b"UIDL", "listing"), await session.ask(b"LIST", "listing")
    _need(session, uidl, sizes)
    try:
        return join_listing(uidl.data, sizes.data)
    except WireError as error:
        raise told(session.pump, error) from None


def _need(session: Session, uidl: Answer, sizes: Answer) -> None:
    if not uidl.ok:
        raise FolderError(
            f"{session.pump.where} has no unique message ids (UIDL), so nothing is collected:"
            " messages would be lost or taken twice.",
            code="not_supported",
            hint="Use IMAP for this mailbox, or another POP3 server.",
            said=session.said(uidl),
        )
    if not sizes.ok:
        raise session.refused("list its messages", sizes)


def join_listing(uidl: bytes, sizes: bytes) -> dict[str, Listed]:
    """UIDL and LIST as one index; raises FolderError and ProtocolError as read_listing says."""
    by_number = {
        int(found[1]): int(found[2]) for line in sizes.splitlines() if (found := _SIZE.match(line))
    }
    index: dict[str, Listed] = {}
    for line in uidl.splitlines():
        found = _UIDL.fullmatch(line)
        if found is None:
            raise ProtocolError(
                "The server's UIDL list holds a line that is none.",
                said=line.decode("ascii", "backslashreplace"),
            )
        key, number = found[2].decode("ascii"), int(found[1])
        if key in index:
            raise FolderError(
                f"The server gives two messages the same unique id ({key}), so it cannot be told"
                " which was seen before; nothing is collected.",
                code="protocol_error",
                hint="Use IMAP for this mailbox, or ask who runs the server to repair it.",
            )
        index[key] = Listed(number, by_number.get(number, 0))
    return index
