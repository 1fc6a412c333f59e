"""What Graph says of a message as a summary: flags, dates, and header fields out of properties."""

from __future__ import annotations

import datetime as dt
import email.utils
import re
from collections.abc import Iterable, Sequence
from email.header import Header
from typing import Any, Final

from postroom.protocols.base import Summary
from postroom.protocols.graph.requests import id_of, strange

__all__ = ["HEADERS_KNOWN", "SELECT", "flags_of", "header_lines", "summary_of", "time_of"]

SELECT: Final = (
    "id,parentFolderId,receivedDateTime,sentDateTime,isRead,isDraft,flag,categories,subject,from,"
    "toRecipients,ccRecipients,internetMessageId"
)
"""What is asked of every message: a delta link keeps the selection it began with."""

HEADERS_KNOWN: Final = frozenset({"from", "to", "cc", "subject", "message-id", "date"})
"""Header fields that :data:`SELECT` brings along."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]+")


def summary_of(row: dict[str, Any], headers: Sequence[str] = ()) -> Summary:
    """A summary; its size is 0, since Graph does not tell one.  Raises ProtocolError."""
    try:
        lines = header_lines(row, headers) if headers else b""
    except (AttributeError, LookupError, TypeError):  # people and header fields of another shape
        raise strange("folder") from None
    return Summary(
        id_of(row),
        flags=flags_of(row),
        received=time_of(row.get("receivedDateTime")),
        headers=lines,
    )


def flags_of(row: dict[str, Any]) -> frozenset[str]:
    """isRead, flag and isDraft as our flags, categories as keywords."""
    categories, flag = row.get("categories"), row.get("flag")
    found = {str(name) for name in categories} if isinstance(categories, list) else set[str]()
    if row.get("isRead"):
        found.add("seen")
    if row.get("isDraft"):
        found.add("draft")
    if isinstance(flag, dict) and flag.get("flagStatus") == "flagged":
        found.add("flagged")
    return frozenset(found)


def time_of(text: Any) -> dt.datetime | None:
    """A time of Graph's (UTC), None where there is none."""
    try:
        found = dt.datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)


def header_lines(row: dict[str, Any], wanted: Iterable[str]) -> bytes:
    """The header fields that were asked for, as they could have stood in the message.

    Of fields beyond :data:`HEADERS_KNOWN` those in ``internetMessageHeaders`` are given.
    """
    lines = []
    for name in wanted:
        shown = "Message-ID" if name.lower() == "message-id" else name.title()
        for value in _values(row, name.lower()):
            lines.append(f"{shown}: {value}\r\n".encode("utf-8", "replace"))
    return b"".join(lines)


def _values(row: dict[str, Any], name: str) -> list[str]:
    if name == "subject":
        return [_encoded(str(row["subject"]))] if row.get("subject") is not None else []
    if name == "message-id":
        return [_plain(str(row["internetMessageId"]))] if row.get("internetMessageId") else []
    if name == "date":
        sent = time_of(row.get("sentDateTime"))
        return [email.utils.format_datetime(sent)] if sent else []
    if name == "from":
        return [_people([row["from"]])] if row.get("from") else []
    if name in ("to", "cc"):
        people = row.get(f"{name}Recipients")
        return [_people(people)] if people else []
    return [
        _encoded(str(each["value"]))
        for each in row.get("internetMessageHeaders") or ()
        if str(each.get("name", "")).lower() == name
    ]


def _people(people: Iterable[dict[str, Any]]) -> str:
    pairs = []
    for each in people:
        about = each.get("emailAddress") or {}
        address, name = _plain(about.get("address") or ""), _plain(about.get("name") or "")
        pairs.append(("" if name == address else name, address))
    return ", ".join(_shown(name, address) for name, address in pairs)


def _shown(name: str, address: str) -> str:
    try:
        return email.utils.formataddr((name, address))
    except UnicodeError:  # an address beyond ASCII, RFC 6532
        return f"<{address}>"


def _plain(text: str) -> str:
    return _CONTROL.sub(" ", text)


def _encoded(text: str) -> str:
    plain = _plain(text)
    if plain.isascii():
        return plain
    return Header(plain, "utf-8", maxlinelen=998).encode(linesep="")
