"""What the commands that send have in common: people, attachments, and what becomes of a message."""

from __future__ import annotations

import asyncio
import base64
import binascii
import mimetypes
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, PlainSerializer

from postroom.errors import InvalidValue
from postroom.fields import Duration, Fields, field, parse
from postroom.jobs.commands.base import Bench, Command, Result
from postroom.mail import Address, Attachment, Draft, parse_addresses

__all__ = ["Attached", "Files", "People", "Sending", "addresses", "attachments_of", "shown"]


def _people(value: object) -> object:
    """Addresses as a list of what JSON can hold; what they are is looked at when they are used."""
    if value is None:
        return []
    if isinstance(value, str | Address | Mapping):
        value = [value]
    if not isinstance(value, Iterable):
        return value
    return [
        {"name": one.name, "address": one.address} if isinstance(one, Address) else one
        for one in value
    ]


People = Annotated[
    list[Any], BeforeValidator(_people)
]  # a closer type takes 6 ms to build, each time
"""Addresses: a text, also a list with ; or , between, {address, name}, or a list of these."""


def shown(people: Sequence[Any]) -> str:
    """Addresses as a plan says them."""
    return ", ".join(str(one["address"] if isinstance(one, Mapping) else one) for one in people)


def addresses(people: Sequence[Any], name: str) -> list[Address]:
    """The addresses that a field holds.  Raises InvalidValue with its name."""
    return [one for each in people for one in parse_addresses(each, name)]


class Attached(Fields):
    """A file to attach whose content is said here."""

    name: str = field(label="Name", help="As the recipient sees it.")
    type: str = field("", label="Type", help="Such as application/pdf; empty: by the name.")
    content: str = field(label="Content", help="Its bytes in base64.")
    inline_id: str | None = field(None, label="Inline id", help="The HTML shows it as cid:ID.")


def _files(value: object) -> object:
    if not isinstance(value, Iterable) or isinstance(value, str | bytes | Mapping):
        return value
    return [_file(one, at) for at, one in enumerate(value)]


def _file(one: object, at: int) -> object:
    """A path as a text, or what says its content; those of a program stay as they are."""
    if isinstance(one, Mapping):
        return parse(Attached, one, where=f"attachments.{at}")
    if not isinstance(one, str | Path | Attached | Attachment):
        raise ValueError("give paths, or {name, type, content}")
    return str(one) if isinstance(one, Path) else one


def _written(files: list[Any]) -> list[Any]:
    """Attachments as JSON can hold them."""
    return [one if isinstance(one, str) else _encoded(one) for one in files]


def _encoded(one: Attached | Attachment) -> dict[str, Any]:
    if isinstance(one, Attachment):
        content = base64.b64encode(one.data).decode("ascii")
        one = Attached(
            name=one.name, type=one.content_type, content=content, inline_id=one.inline_id
        )
    return one.model_dump(exclude_defaults=True)


Files = Annotated[list[Any], BeforeValidator(_files), PlainSerializer(_written)]
"""Attachments: paths, or {name, type, content}; of a program also Attachment."""


class Sending(Command):
    """A command that sends a message."""

    gives: ClassVar[dict[str, str]] = {
        "id": "Of the outbox item: postroom outbox show ID.",
        "state": "stored where nobody waited, and then there is nothing below; else as the outbox has "
        "it: sent, deferred, failed ...",
        "recipients": "Of each recipient: address, state, code, enhanced, reply.",
        "reason": "Why it is in that state, if there is more to say.",
        "service": "The service, connection:NAME or credential:NAME it went through.",
        "message_id": "Its Message-ID.",
        "subject": "Its subject.",
        "from": "The envelope sender.",
        "size": "Its bytes.",
        "attempts": "How often it was tried.",
        "created_at": "When it was stored.",
        "created_by": "Who stored it.",
        "next_attempt_at": "When it is tried again; nothing where it is finished.",
        "sent_copy": "What became of the copy for the Sent folder: state, said.",
        "settled": "Who settled it by hand, and when.",
        "run": "The run that has sent it.",
    }

    wait: Duration | None = field(
        None,
        label="Wait",
        help="How long to wait for the outcome of sending it now. In a job without it: it is sent when "
        "the run has succeeded.",
        metavar="TIME",
    )
    key: str = field("", label="Key", help="Idempotency key: the same key sends once.")

    async def sent(
        self, bench: Bench, via: str, draft: Draft, *, mailbox: str = "", once_in: float = 0.0
    ) -> Result:
        """Store the message, or send it now where its outcome is waited for."""
        if self.wait is None:
            stored = await bench.store(via, draft, key=self.key, mailbox=mailbox, once_in=once_in)
            nothing: Result = dict.fromkeys(type(self).gives)
            return {**nothing, "id": stored, "state": "stored", "recipients": []}
        item = await bench.send(
            via, draft, wait=self.wait, key=self.key, mailbox=mailbox, once_in=once_in
        )
        return item.as_json()


async def attachments_of(
    given: Sequence[str | Attached | Attachment], base: Path
) -> list[Attachment]:
    """The attachments; files are read here, relative paths from ``base``.  Raises InvalidValue."""
    return [await _attachment(one, at, base) for at, one in enumerate(given)]


async def _attachment(one: str | Attached | Attachment, at: int, base: Path) -> Attachment:
    if isinstance(one, Attachment):
        return one
    if isinstance(one, Attached):
        return _decoded(one, at)
    return await asyncio.to_thread(_read, base / one)


def _decoded(given: Attached, at: int) -> Attachment:
    try:
        data = base64.b64decode(given.content, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidValue(f"attachments.{at}.content", "is not base64") from None
    return Attachment(given.name, given.type or _type_of(given.name), data, given.inline_id)


def _read(path: Path) -> Attachment:
    try:
        if not path.is_file():
            raise InvalidValue(
                "attachments",
                f"{path} is not a file" if path.exists() else f"there is no file {path}",
            )
        data = path.read_bytes()
    except OSError as error:
        raise InvalidValue("attachments", f"{path} cannot be read: {error.strerror}") from error
    return Attachment(path.name, _type_of(path.name), data)


def _type_of(name: str) -> str:
    kind, encoding = mimetypes.guess_type(name)
    return kind if kind and not encoding else "application/octet-stream"
