"""Drafts: what a person writes, checked; and what leaves, the bytes and the envelope of it."""

from __future__ import annotations

import datetime as dt
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from postroom.errors import InvalidValue
from postroom.mail import mimewrite
from postroom.mail.addresses import Address, AddressInput, envelope, parse_address, parse_addresses
from postroom.mail.folding import LONGEST_TOKEN, address_field, fold, text_field

__all__ = ["Attachment", "Composed", "Draft", "compose", "new_message_id"]

HEADERS_LIMIT = 100
TEXT_LIMIT = 16 * 1024
"""Characters of one field, such as a subject."""
REFERENCES_LIMIT = 40

_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_ID = re.compile(r"<?([!-;=?-~]{1,900})>?")
_TYPE = re.compile(
    r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+"
    r"(?:; ?[A-Za-z0-9-]+=(?:[A-Za-z0-9!#$&^_.+-]+|\"[ !#-\[\]-~]*\"))*"
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,59}")
_STRUCTURE = {
    "from", "sender", "reply-to", "to", "cc", "bcc", "subject", "date", "message-id",
    "in-reply-to", "references", "mime-version", "return-path", "received", "delivered-to",
    "dkim-signature", "authentication-results",
}  # fmt: skip
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True)
class Attachment:
    """A file that goes with a draft.  ``inline_id``: the HTML shows it as ``cid:ID`` (RFC 2392)."""

    name: str
    content_type: str
    data: bytes
    inline_id: str | None = None


@dataclass(frozen=True)
class Draft:
    """A message being written.  Its values are checked by :func:`compose`.

    ``sender``: when it differs from ``from_``, it is the envelope sender and the Sender field.
    ``message_id``: fixed by the writer; it wins over the one that ``compose`` is given.
    ``headers``: further fields; those that are structure (From, Bcc, Content-Type ...) are refused.
    """

    from_: AddressInput
    to: AddressInput = None
    cc: AddressInput = None
    bcc: AddressInput = None
    reply_to: AddressInput = None
    subject: str = ""
    text: str | None = None
    html: str | None = None
    attachments: Sequence[Attachment] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    in_reply_to: str | None = None
    references: Sequence[str] = ()
    sender: AddressInput = None
    message_id: str | None = None


@dataclass(frozen=True)
class Composed:
    """What leaves: CRLF bytes without Bcc, the envelope, and whether it needs SMTPUTF8."""

    content: bytes
    sender: str
    recipients: tuple[str, ...]
    utf8: bool
    message_id: str


def new_message_id(domain: str) -> str:
    """A new Message-ID ``<...@domain>``; the domain may be an IDN.  Raises InvalidValue."""
    checked = parse_address(f"id@{domain}", "domain").envelope.partition("@")[2]
    return f"<{secrets.token_hex(16)}@{checked}>"


def compose(draft: Draft, *, message_id: str, date: dt.datetime) -> Composed:
    """The bytes and the envelope of a draft (RFC 5322, 2045); the same for the same arguments.

    The bytes are 7-bit, except that addresses with a local part that is not ASCII stand as UTF-8;
    then ``utf8`` is set.  Raises InvalidValue with the name of the field.
    """
    people = _People.of(draft)
    own_id = _message_id(draft.message_id or message_id)
    fields = [
        fold("Date", [_date(date)]),
        *people.fields(),
        text_field("Subject", _text(draft.subject, "subject")),
        fold("Message-ID", [own_id]),
        *_thread(draft),
        *_custom(draft.headers),
        "MIME-Version: 1.0",
    ]
    body = mimewrite.body(
        None if draft.text is None else _body_text(draft.text, "text"),
        None if draft.html is None else _body_text(draft.html, "html"),
        [_file(each, f"attachments.{at}") for at, each in enumerate(draft.attachments)],
        seed=own_id,
    )
    head = "\r\n".join([*fields, *body.fields]).encode()
    recipients = envelope(people.to, people.cc, people.bcc)
    if not recipients:
        raise InvalidValue("to", "give at least one recipient in to, cc or bcc")
    sender = (people.sender or people.from_[0]).envelope
    utf8 = not (head.isascii() and sender.isascii() and all(map(str.isascii, recipients)))
    return Composed(b"".join([head, b"\r\n\r\n", *body.content]), sender, recipients, utf8, own_id)


@dataclass(frozen=True)
class _People:
    from_: list[Address]
    sender: Address | None
    reply_to: list[Address]
    to: list[Address]
    cc: list[Address]
    bcc: list[Address]

    @classmethod
    def of(cls, draft: Draft) -> _People:
        sender = parse_address(draft.sender, "sender") if draft.sender else None
        from_ = parse_addresses(draft.from_, "from")
        if not from_:
            raise InvalidValue("from", "give the address the message comes from")
        if len(from_) > 1 and sender is None:
            raise InvalidValue("from", "several authors need a sender (RFC 5322, 3.6.2)")
        lists = {name: parse_addresses(getattr(draft, name), name) for name in ("to", "cc", "bcc")}
        return cls(from_, sender, parse_addresses(draft.reply_to, "reply_to"), **lists)

    def fields(self) -> list[str]:
        differs = self.sender is not None and [self.sender.envelope] != [
            author.envelope for author in self.from_
        ]
        rows = [
            ("From", self.from_),
            ("Sender", [self.sender] if self.sender and differs else []),
            ("Reply-To", self.reply_to),
            ("To", self.to),
            ("Cc", self.cc),
        ]
        fields = [address_field(name, people) for name, people in rows if people]
        # a message with neither To nor Cc is legal, but filters take it for junk
        return fields if self.to or self.cc else [*fields, "To: undisclosed-recipients:;"]


def _text(value: str, name: str) -> str:
    """A value for a header: no line end can get in, however it is spelled."""
    if not isinstance(value, str):
        raise InvalidValue(name, "give a text")
    if _CONTROL.search(value):
        raise InvalidValue(name, "holds a line end or another control character; remove it")
    if len(value) > TEXT_LIMIT:
        raise InvalidValue(name, f"is longer than {TEXT_LIMIT} characters")
    return value.replace("\t", " ")


def _body_text(value: str, name: str) -> str:
    if not isinstance(value, str):
        raise InvalidValue(name, "give a text")
    if re.search("[\ud800-\udfff]", value):
        raise InvalidValue(name, "holds half of a surrogate pair, which is no character")
    return value


def _message_id(value: str) -> str:
    found = _ID.fullmatch(value)
    if found is None or found[1].count("@") != 1 or len(found[1]) > 250:
        raise InvalidValue("message_id", "give <text@domain> in ASCII without spaces")
    return f"<{found[1]}>"


def _date(date: dt.datetime) -> str:
    """RFC 5322, 3.3; month names do not depend on the locale."""
    if date.tzinfo is None:
        raise InvalidValue("date", "needs a time zone")
    day, month = _DAYS[date.weekday()], _MONTHS[date.month - 1]
    return f"{day}, {date.day:02} {month} {date.year:04} {date:%H:%M:%S %z}"[:31]


def _thread(draft: Draft) -> list[str]:
    """In-Reply-To and References; of a very long thread the first and the last ones."""
    rows: list[str] = []
    if draft.in_reply_to:
        rows.append(fold("In-Reply-To", [_reference(draft.in_reply_to, "in_reply_to")]))
    references = [_reference(each, "references") for each in draft.references]
    if len(references) > REFERENCES_LIMIT:
        references = [references[0], *references[1 - REFERENCES_LIMIT :]]
    return [*rows, fold("References", references)] if references else rows


def _reference(value: str, name: str) -> str:
    found = _ID.fullmatch(_text(value, name).strip())
    if found is None:
        raise InvalidValue(name, "give message ids: <text@domain>, ASCII, without spaces")
    return f"<{found[1]}>"


def _custom(headers: Mapping[str, str]) -> list[str]:
    if len(headers) > HEADERS_LIMIT:
        raise InvalidValue("headers", f"holds more than {HEADERS_LIMIT} fields")
    rows: list[str] = []
    for name, value in headers.items():
        if not _NAME.fullmatch(name):
            raise InvalidValue("headers", "a field name has letters, digits and - only")
        if name.lower() in _STRUCTURE or name.lower().startswith(("content-", "resent-")):
            raise InvalidValue(f"headers.{name}", "is made here; use the draft's own fields")
        text = _text(value, f"headers.{name}")
        if not text.strip():
            raise InvalidValue(f"headers.{name}", "is empty; leave it out")
        rows.append(text_field(name, text))
    return rows


def _file(given: Attachment, name: str) -> mimewrite.File:
    shown = _text(given.name, f"{name}.name").strip()
    if re.search(r"[/\\]", shown) or shown in {".", ".."}:
        raise InvalidValue(f"{name}.name", "give a file name without a path")
    if not shown and given.inline_id is None:
        raise InvalidValue(f"{name}.name", "give the attachment a name")
    if not _TYPE.fullmatch(given.content_type) or len(given.content_type) > LONGEST_TOKEN:
        raise InvalidValue(f"{name}.content_type", "give a type such as application/pdf")
    if given.content_type.lower().startswith("multipart/"):
        raise InvalidValue(f"{name}.content_type", "an attachment cannot be a multipart")
    inline = given.inline_id
    if inline is not None and not re.fullmatch(r"[A-Za-z0-9@._+$=-]{1,200}", inline):
        raise InvalidValue(f"{name}.inline_id", "has letters, digits and @ . _ + $ = - only")
    return mimewrite.File(shown, given.content_type, bytes(given.data), inline)
