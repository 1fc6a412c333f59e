"""Automatic answers: which messages a machine may answer, to whom, and what marks its answer (RFC 3834)."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from postroom.mail.addresses import Address, read_addresses
from postroom.mail.draft import Draft
from postroom.mail.message import Message

__all__ = ["MARKS", "answered_to", "as_automatic", "why_not_answer"]

MARKS: Final[Mapping[str, str]] = {
    "Auto-Submitted": "auto-replied",  # RFC 3834, 5
    "X-Auto-Response-Suppress": "All",  # Exchange and Microsoft 365 ([MS-OXCMAIL])
}
"""The fields of an automatic answer; whoever heeds them does not answer it."""

_COMMENT: Final = re.compile(r"\([^()]*\)")
_PATH: Final = re.compile(r"<?(?:@[^:<>\s]*:)?([^<>\s]+@[^<>\s]+?)>?")  # a route: RFC 5321, 4.1.1.3
_BULK: Final = frozenset({"bulk", "list", "junk", "auto_reply"})
_SUPPRESSED: Final = frozenset({"all", "autoreply", "oof"})
_DAEMON: Final = re.compile(
    r"mailer-daemon|mail-daemon|daemon|postmaster|listserv|listproc|majordomo"
    r"|no[-_.]?reply|do[-_.]?not[-_.]?reply|bounces?(?:[-+=].*)?"
    r"|owner-.*|.*-(?:request|owner|bounces?|errors)"
)
_ADDRESSED: Final = ("to", "cc", "bcc", "resent-to", "resent-cc", "resent-bcc")


def why_not_answer(message: Message, own: Iterable[str]) -> str:
    """Why a machine may not answer a message, as the end of a sentence; empty: it may.

    ``own`` are the addresses of whoever would answer.  The rules are those of RFC 3834, 2, and what
    lists and Exchange say in fields of their own: no answer to what a machine has sent, to a list, to
    a report, to nobody, to ourselves, or to a message that names none of our addresses.
    """
    mine = {_plain(one) for one in own if one}
    return next(_reasons(message, mine), "")


def answered_to(message: Message) -> str:
    """The one address that an automatic answer goes to; empty: there is none.

    The return path, which the receiving server wrote down (RFC 3834, 4); where it wrote none, From.
    Never Reply-To: anybody may be named there.
    """
    if _has(message, "return-path"):
        found = _PATH.fullmatch(message.header("return-path").strip()[:998])
        return found[1] if found else ""
    return next((one.address for one in message.from_ if "@" in one.address), "")


def as_automatic(draft: Draft, message: Message) -> Draft:
    """The draft of a reply as an automatic one: to one address, marked, ``Auto:`` (RFC 3834, 3.1.5).

    Its return path stays that of whoever answers: a report about it comes back there, and is not
    answered.  Many servers take no empty one from those who sign in.
    """
    return dataclasses.replace(
        draft,
        to=answered_to(message),
        cc=None,
        subject=f"Auto: {draft.subject.removeprefix('Re: ')}",
        headers={**draft.headers, **MARKS},
    )


def _reasons(message: Message, mine: set[str]) -> Iterator[str]:
    yield from _says_itself(message)
    if message.root.content_type in ("multipart/report", "message/delivery-status"):
        yield "it is a report"
    if _has(message, "return-path") and not answered_to(message):
        yield "its return path is empty: nobody wants an answer"
    to = answered_to(message)
    if not to:
        yield "it names nobody who could be answered"
    senders = {to, *(one.address for one in (*message.from_, *_people(message, "sender")))}
    for one in sorted(filter(None, senders)):
        if _plain(one) in mine:
            yield "it comes from the same mailbox"
        if _DAEMON.fullmatch(one.rpartition("@")[0].lower()):
            yield f"{one} is the address of a machine"
    named = {_plain(one.address) for name in _ADDRESSED for one in _people(message, name)}
    if mine and not named & mine:
        yield "it is not addressed to this mailbox by name"


def _says_itself(message: Message) -> Iterator[str]:
    """What the message says of itself in a field."""
    for value in _values(message, "auto-submitted"):
        if value != "no":
            yield f"a machine has sent it (Auto-Submitted: {value})"
    for value in _values(message, "precedence"):
        if value in _BULK:
            yield f"it went to many (Precedence: {value})"
    for name, _ in message.headers:
        if name.lower().startswith("list-"):
            yield f"it came by a list ({name})"
    for raw in message.raw_fields("x-auto-response-suppress"):
        words = {word.strip().lower() for word in raw.decode("latin-1").split(",")}
        if words & _SUPPRESSED:
            yield "its sender wants no automatic answer (X-Auto-Response-Suppress)"


def _values(message: Message, name: str) -> Iterator[str]:
    """The words that fields of that name begin with, in lower case, without comments."""
    for raw in message.raw_fields(name):
        text = _COMMENT.sub(" ", raw.decode("latin-1")).partition(";")[0]
        yield text.strip().lower()[:60]


def _people(message: Message, name: str) -> Iterator[Address]:
    for raw in message.raw_fields(name):
        yield from read_addresses(raw, message.charset)


def _has(message: Message, name: str) -> bool:
    return bool(message.raw_fields(name))


def _plain(address: str) -> str:
    """An address as it is compared: in lower case, without what stands behind a plus sign."""
    local, _, domain = address.strip().casefold().rpartition("@")
    return f"{local.partition('+')[0]}@{domain}"
