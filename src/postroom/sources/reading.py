"""From fetched bytes to what a sink takes: the few headers, the digest, the attachments asked for."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Mapping
from typing import NamedTuple

from postroom.db import Row
from postroom.mail.filenames import safe_name, unique
from postroom.mail.headers import decode_header, scan
from postroom.mail.message import Message
from postroom.protocols.base import Content
from postroom.sinks import Item
from postroom.sinks.base import Attachment
from postroom.sources.naming import Naming, Told, place_of
from postroom.sources.source import Source
from postroom.sources.verdict import chosen_attachments

__all__ = ["HEADERS", "Opened", "folder_path", "header_texts", "key_of", "open_message", "wire_id"]

HEADERS = ("From", "Subject", "Message-ID", "Date")
_NAMES = frozenset(name.lower() for name in HEADERS)
_READ = _NAMES - {"date"}
_QUIET = 2047
"""hashlib gives the interpreter's lock away for more bytes at once (documented), and to have it back
takes longer than a small message does."""
_HEAD = 64 * 1024
"""Bytes at the beginning of a message in which its few headers are looked for."""
_PIECE = 256 * 1024
"""Bytes read at once."""
_PARSED = 64 * 1024 * 1024
"""A larger message is delivered without its attachments being taken apart."""
_UNNAMED = Naming()
_UID_KEY = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")


class Opened(NamedTuple):
    """One message ready for the sink, and what the ledger wants to know of it."""

    item: Item
    sha256: bytes
    subject: str
    sender: str
    message_id: str


def header_texts(block: bytes, names: frozenset[str] = _NAMES) -> dict[str, str]:
    """The decoded texts of :data:`HEADERS` in a header block, by lower-case name; absent is empty.

    The body may follow.
    """
    raw = scan(block, names)
    return {name: decode_header(raw[name])[:998] if name in raw else "" for name in names}


def wire_id(message: str) -> str:
    """What the server calls a message that the ledger knows as ``message``.

    They are the same but for a UIDL that several messages had, one after the other (RFC 1939, 7,
    lets a server do so): the later ones are ``UIDL 2``, ``UIDL 3`` here, and a UIDL holds no space.
    """
    return message.partition(" ")[0]


def key_of(message: str) -> str:
    """The file-name-safe key: ``UIDVALIDITY-UID``, else 24 hexadecimal characters of a SHA-256."""
    if _UID_KEY.fullmatch(message):
        return message
    return hashlib.sha256(message.encode()).hexdigest()[:24]


@functools.lru_cache(maxsize=64)
def folder_path(folder: str) -> str:
    """A folder's name as a relative path that stays inside the sink, whatever the server called it."""
    return "/".join(safe_name(level, fallback="folder") for level in folder.split("/") if level)


def open_message(source: Source, row: Row, content: Content, naming: Naming = _UNNAMED) -> Opened:
    """Make the sink's item of a fetched message.  Never raises for what the message says."""
    digest, head = _digest_and_head(content)
    texts = header_texts(head, _READ)
    attachments: tuple[Attachment, ...] = ()
    notes: list[str] = []
    if source.attachments.load:
        attachments, notes = _attachments(source, content)
    item = Item(
        ledger=row["id"],
        folder=folder_path(row["folder"]),
        key=key_of(row["message"]),
        content=content,
        store=row["store"][:8],
        received=row["received_at"],
        below=_below(naming, row, texts),
        attachments=attachments,
        summary=functools.partial(_summary, row, texts, head, attachments, notes),
        source=source.name,
        id=wire_id(row["message"]),
    )
    return Opened(item, digest, texts["subject"], texts["from"], texts["message-id"])


def _below(naming: Naming, row: Row, texts: Mapping[str, str]) -> str:
    if not naming.below.pieces:
        return ""
    told = Told.of(row, sender=texts["from"], subject=texts["subject"])
    return place_of(naming.below, told)


def _digest_and_head(content: Content) -> tuple[bytes, bytes]:
    if content.size <= _PIECE:
        data = content.bytes()
        if len(data) > 4 * _QUIET:
            return hashlib.sha256(data).digest(), data[:_HEAD]
        digest = hashlib.sha256(data[:_QUIET])
        for at in range(_QUIET, len(data), _QUIET):
            digest.update(data[at : at + _QUIET])
        return digest.digest(), data
    digest = hashlib.sha256()
    head = b""
    with content.open() as stream:
        while piece := stream.read(_PIECE):
            digest.update(piece)
            head = head or piece[:_HEAD]
    return digest.digest(), head


def _attachments(source: Source, content: Content) -> tuple[tuple[Attachment, ...], list[str]]:
    if content.size > _PARSED:
        return (), [f"attachments not loaded: the message is {content.size} bytes"]
    message = Message(content.bytes())
    parts = message.attachments
    chosen, reason = chosen_attachments(
        source.attachments, [(part.content_type, part.size) for part in parts]
    )
    names = unique([safe_name(parts[i].name, fallback=f"attachment-{i + 1}") for i in chosen])
    loaded = tuple(Attachment(name, parts[i].data()) for name, i in zip(names, chosen, strict=True))
    return loaded, [*message.problems, *([reason] if reason else [])]


def _summary(
    row: Row,
    texts: Mapping[str, str],
    head: bytes,
    attachments: tuple[Attachment, ...],
    notes: list[str],
) -> dict[str, object]:
    return {
        "folder": row["folder"],
        "message": row["message"],
        "size": row["size"],
        "subject": texts["subject"],
        "from": texts["from"],
        "date": header_texts(head, _NAMES - _READ)["date"],
        "message_id": texts["message-id"],
        "attachments": [{"name": one.name, "size": len(one.data)} for one in attachments],
        "notes": notes,
    }
