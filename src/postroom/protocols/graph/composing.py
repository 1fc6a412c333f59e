"""What is said to Graph of a message that goes out: as MIME, or as a structured message.  Pure.

MIME is what Postroom composed, byte for byte, and the better way - where it goes.  Graph ignores the
From of MIME and takes the mailbox, and it takes 4 MB in base64 at most.  So:

    up to 3 MB     MIME; another From is said of the draft beside it
    above          a structured message, each file by itself, large ones by upload session
    some of the    a structured message too: in MIME the recipients are those of the header, and a
    header's       second try may go to some of them alone
    recipients

A structured message keeps subject, people, dates of Exchange's own, Message-ID, In-Reply-To,
References, X- fields, one body (HTML where there is one) and the files.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from email.message import Message as Fields
from typing import IO, Any, Final

from postroom.errors import InvalidValue
from postroom.mail.addresses import Address, read_addresses
from postroom.mail.charsets import decode
from postroom.mail.headers import decode_header
from postroom.protocols.base import Envelope
from postroom.protocols.graph.parts import Leaf, Taken

__all__ = ["IN_ONE", "Outgoing", "outgoing", "person", "structured", "with_bcc"]

IN_ONE: Final = 3_000_000
"""Bytes of a message, or of one file, that go in one request; in base64 they are 4 MB."""

_IN_REPLY_TO: Final = "String 0x1042"  # PidTagInReplyToId, MS-OXPROPS
_REFERENCES: Final = "String 0x1039"  # PidTagInternetReferences


@dataclasses.dataclass(frozen=True, slots=True)
class Outgoing:
    """To whom a message goes and from whom, and whether MIME can say it."""

    sender: Address | None  # From, where it is not the mailbox
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    hidden: tuple[str, ...]  # recipients that stand in no header
    exact: bool  # everybody in the header is a recipient
    message_id: str


def outgoing(fields: Fields, envelope: Envelope, wanted: Collection[str], mailbox: str) -> Outgoing:
    """``wanted`` are the recipients of the envelope that it goes to now."""
    left = {address.casefold(): address for address in wanted}
    to, cc = _people(fields, "to"), _people(fields, "cc")
    named = [*to, *cc]
    exact = all(one.envelope.casefold() in left for one in named)
    for one in named:
        left.pop(one.envelope.casefold(), None)
    sender = next(iter(_people(fields, "from")), None)
    other = sender is not None and sender.envelope.casefold() != mailbox.casefold()
    kept = {address.casefold() for address in wanted}
    return Outgoing(
        sender if other else None,
        tuple(one for one in to if one.envelope.casefold() in kept),
        tuple(one for one in cc if one.envelope.casefold() in kept),
        tuple(left.values()),
        exact,
        str(fields.get("message-id", "")).strip(),
    )


def with_bcc(content: bytes, hidden: Collection[str]) -> bytes:
    """The message with the recipients that stand in no header; Exchange takes the field out."""
    if not hidden:
        return content
    return b"Bcc: " + ",\r\n ".join(hidden).encode() + b"\r\n" + content


def structured(taken: Taken, file: IO[bytes], said: Outgoing) -> tuple[dict[str, Any], list[Leaf]]:
    """The message without its files, and the leaves that are files.

    Raises InvalidValue for a body that is too large.
    """
    body, files = _body(taken.leaves)
    fields = taken.fields
    message: dict[str, Any] = {
        "subject": decode_header(str(fields.get("subject", ""))),
        "body": {"contentType": "text", "content": ""},
        "toRecipients": [person(one) for one in said.to],
        "ccRecipients": [person(one) for one in said.cc],
        "bccRecipients": [{"emailAddress": {"address": one}} for one in said.hidden],
    }
    if body is not None:
        if body.end - body.start > IN_ONE:
            raise InvalidValue("message", "its text is larger than 3 MB, which Graph does not take")
        text = decode(b"".join(body.decoded(file)), body.fields.get_content_charset())
        kind = "html" if body.content_type == "text/html" else "text"
        message["body"] = {"contentType": kind, "content": text}
    if said.message_id:
        message["internetMessageId"] = said.message_id
    if said.sender is not None:
        message["from"] = person(said.sender)
    if reply_to := _people(fields, "reply-to"):
        message["replyTo"] = [person(one) for one in reply_to]
    return message | _further(fields), files


def _further(fields: Fields) -> dict[str, Any]:
    """X- fields (others are refused as headers), and what threads are made of."""
    found: dict[str, Any] = {}
    own = [(k, decode_header(str(v))) for k, v in fields.items() if k.lower().startswith("x-")]
    if own:
        found["internetMessageHeaders"] = [{"name": k, "value": v} for k, v in own]
    threads = [
        {"id": tag, "value": " ".join(str(fields[name]).split())}
        for name, tag in (("in-reply-to", _IN_REPLY_TO), ("references", _REFERENCES))
        if fields.get(name)
    ]
    if threads:
        found["singleValueExtendedProperties"] = threads
    return found


def _body(leaves: list[Leaf]) -> tuple[Leaf | None, list[Leaf]]:
    shown = [one for one in leaves if not one.attached and not one.content_id]
    html = next((one for one in shown if one.content_type == "text/html"), None)
    text = next((one for one in shown if one.content_type == "text/plain"), None)
    body = html or text
    dropped = {id(one) for one in (html, text) if one is not None}
    return body, [one for one in leaves if id(one) not in dropped and one.end > one.start]


def person(one: Address) -> dict[str, Any]:
    """A recipient, as Graph says it."""
    about = {"address": one.envelope}
    return {"emailAddress": about | ({"name": one.name} if one.name else {})}


def _people(fields: Fields, name: str) -> list[Address]:
    found = [one for value in fields.get_all(name, []) for one in read_addresses(str(value))]
    return [one for one in found if one.address]
