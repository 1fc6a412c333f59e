"""Message: a read view over the exact bytes of a received message (RFC 5322); it never raises."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from postroom.mail import charsets, mimeread
from postroom.mail.addresses import Address, read_addresses
from postroom.mail.filenames import extension_of
from postroom.mail.headers import decode_header, read_date

__all__ = ["Message", "Part"]

TEXT_LIMIT = 16 * 1024 * 1024
"""Bytes of one text that are decoded; attachments are not cut."""
REFERENCES_LIMIT = 1000

_ID = re.compile(r"<[^<>\s]{1,900}>")


@dataclass(frozen=True)
class Part:
    """An attachment, inline image or attached message.

    ``name`` is what the sender called it, decoded and on one line, but *not* safe as a path: see
    :func:`postroom.mail.safe_name`.  It is never empty.
    """

    name: str
    content_type: str
    inline: bool
    content_id: str
    entity: mimeread.Entity = field(repr=False, compare=False)

    def data(self) -> bytes:
        """Its bytes without the transfer encoding; archives in it are never opened."""
        return mimeread.decode_body(self.entity)

    @property
    def size(self) -> int:
        """Bytes of :meth:`data`, which this decodes."""
        return len(self.data())


def _text_of(name: str) -> cached_property[str]:
    return cached_property(lambda message: message.header(name))


def _id_of(name: str) -> cached_property[str]:
    """``<...>``; what stands there instead is kept for Message-ID, which names the message."""

    def read(message: Message) -> str:
        given = message.header(name)
        found = _ID.search(given)
        return found[0] if found else given[:998] if name == "message-id" else ""

    return cached_property(read)


def _addresses_of(name: str) -> cached_property[list[Address]]:
    def read(message: Message) -> list[Address]:
        found: list[Address] = []
        for raw in message.raw_fields(name):
            found += read_addresses(raw, message.charset)
        return found

    return cached_property(read)


def _body_of(content_type: str) -> cached_property[str | None]:
    """The shown texts of a type, several in a row joined, with ``\\n`` line ends; None: no such."""

    def read(message: Message) -> str | None:
        leaves = [leaf for leaf in message.root.leaves() if _shown(leaf) == content_type]
        return "\n".join(_text(leaf, message.notes) for leaf in leaves) if leaves else None

    return cached_property(read)


class Message:
    """One received message, or only its header block.  Everything is read when first asked for.

    ``raw`` are the exact bytes.  Fields that are absent are empty; a wrong one is read as far as it
    goes, and :attr:`problems` says so.
    """

    subject = _text_of("subject")
    from_ = _addresses_of("from")
    to = _addresses_of("to")
    cc = _addresses_of("cc")
    reply_to = _addresses_of("reply-to")
    message_id = _id_of("message-id")
    in_reply_to = _id_of("in-reply-to")
    text = _body_of("text/plain")
    html = _body_of("text/html")  # as it was sent: it must be cleaned before it is shown

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.notes: list[str] = []

    def __repr__(self) -> str:
        return f"<Message of {len(self.raw)} bytes>"

    @cached_property
    def root(self) -> mimeread.Entity:
        """The tree of its parts."""
        return mimeread.read(self.raw, self.notes)

    @cached_property
    def charset(self) -> str:
        """The charset the message declares for its text; raw 8-bit header bytes are read by it."""
        labels = (leaf.type_parameters.get("charset", "") for leaf in self.root.leaves())
        return next(filter(None, labels), "")

    def raw_fields(self, name: str) -> list[bytes]:
        """The raw values of every field of that name, unfolded, at most 16 KiB of each."""
        wanted = name.lower().encode("utf-8", "surrogateescape")
        return [value for key, value in self.root.fields if key.lower() == wanted]

    def header(self, name: str) -> str:
        """The first field of that name as text, or an empty text."""
        raw = self.root.first(name.lower().encode("utf-8", "surrogateescape"))
        return self._decoded(raw)

    def _decoded(self, raw: bytes) -> str:
        return decode_header(raw) if raw.isascii() else decode_header(raw, self.charset)

    @cached_property
    def headers(self) -> list[tuple[str, str]]:
        """All fields in order: the name as it stands, the value as text."""
        return [(name.decode("latin-1"), self._decoded(value)) for name, value in self.root.fields]

    @cached_property
    def date(self) -> dt.datetime | None:
        """The Date field in UTC, or None when there is none that can be read."""
        return read_date(self.root.first(b"date"))

    @cached_property
    def references(self) -> list[str]:
        """The ids of References, oldest first."""
        return _ID.findall(self.header("references"))[:REFERENCES_LIMIT]

    @cached_property
    def attachments(self) -> list[Part]:
        """Everything that is not the shown text: files, inline images, attached messages."""
        return list(_parts(self.root))

    @property
    def problems(self) -> list[str]:
        """What was odd, cut or beyond a limit, in sentences; empty for usual mail."""
        doubts = [
            f"An address cannot be believed: {each.problem}."
            for each in (*self.from_, *self.to, *self.cc, *self.reply_to)
            if each.problem
        ]
        _ = (self.text, self.html)
        return list(dict.fromkeys([*self.notes, *doubts]))


def _parts(root: mimeread.Entity) -> Iterator[Part]:
    for number, leaf in enumerate(root.leaves(), 1):
        if _shown(leaf) or (leaf is root and leaf.start >= leaf.end):
            continue
        content_id = decode_header(leaf.first(b"content-id")).strip("<> ")
        related = bool(content_id) and leaf.disposition != "attachment"
        kind = "message" if leaf.content_type.startswith("message/") else "attachment"
        name = leaf.file_name or f"{kind}-{number}{extension_of(leaf.content_type)}"
        inline = leaf.disposition == "inline" or related
        yield Part(name, leaf.content_type, inline, content_id, leaf)


def _text(leaf: mimeread.Entity, notes: list[str]) -> str:
    data = mimeread.decode_body(leaf)
    if len(data) > TEXT_LIMIT:
        notes.append(f"A text is longer than {TEXT_LIMIT} bytes; it was cut.")
        data = data[:TEXT_LIMIT]
    text = charsets.decode(data, leaf.type_parameters.get("charset"))
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _shown(leaf: mimeread.Entity) -> str:
    """``text/plain`` or ``text/html`` when the part is shown as the message's own text, else ''."""
    content_type = leaf.content_type
    if content_type.startswith("multipart/"):
        content_type = "text/plain"  # one without parts
    if content_type not in {"text/plain", "text/html"}:
        return ""
    return "" if leaf.disposition == "attachment" or leaf.file_name else content_type
