"""Answers: a received message becomes the draft of a reply or of a forward (RFC 5322, 3.6.4)."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

from postroom.errors import InvalidValue
from postroom.mail.addresses import Address, AddressInput, parse_addresses
from postroom.mail.draft import Attachment, Draft
from postroom.mail.filenames import safe_name, unique
from postroom.mail.headers import one_line
from postroom.mail.message import Message

__all__ = ["forward", "plain_text", "reply"]

QUOTED_LIMIT = 256 * 1024
"""Characters of the original that are quoted."""
SUBJECT_LIMIT = 1000

_REPLY = re.compile(r"re\s*(?:\[\d+\])?\s*:", re.IGNORECASE)
_FORWARD = re.compile(r"(?:fwd?|fw)\s*:", re.IGNORECASE)
_ID = re.compile(r"<[!-;=?-~]{1,900}>")
_TAG = re.compile(r"<!--|-->|<(?:(/?)([A-Za-z][A-Za-z0-9]*)|[!?])[^<>]*>")
_LINES = {"br", "p", "div", "tr", "li", "h1", "h2", "h3", "h4", "blockquote", "pre", "table"}
_HIDDEN = {"script", "style", "head", "title"}


def reply(
    message: Message,
    *,
    from_: AddressInput,
    text: str,
    html: str | None = None,
    to_all: bool = False,
    quote: bool = True,
) -> Draft:
    """A draft that answers a message: Reply-To or From, the thread, ``Re:``, the quoted text.

    ``to_all`` adds the other recipients to Cc, without ``from_``.  Only addresses that can be sent
    to are taken over; raises InvalidValue when that leaves nobody.
    """
    own = {each.envelope.lower() for each in parse_addresses(from_, "from")}
    to = _usable(message.reply_to) or _usable(message.from_)
    if not to:
        raise InvalidValue("to", "the message names no address that can be answered; give one")
    taken = own | {each.envelope.lower() for each in to}
    others = _usable([*message.to, *message.cc]) if to_all else []
    return Draft(
        from_=from_,
        to=to,
        cc=[each for each in others if each.envelope.lower() not in taken],
        subject=_prefixed("Re: ", _REPLY, message.subject),
        text=f"{text.rstrip()}\n\n{_quoted(message)}" if quote else text,
        html=html and (html + _quoted_html(message) if quote else html),
        in_reply_to=next(iter(_ids([message.message_id])), None),
        references=_thread(message),
    )


def forward(
    message: Message,
    *,
    from_: AddressInput,
    to: AddressInput,
    text: str = "",
    as_attachment: bool = False,
) -> Draft:
    """A draft that passes a message on: its text and attachments, or the whole as an attachment.

    A message that is HTML only is passed on with its text; whoever needs the layout forwards it as
    an attachment.
    """
    subject = _prefixed("Fwd: ", _FORWARD, message.subject)
    if as_attachment:
        name = safe_name(message.subject[:60], fallback="message") + ".eml"
        whole = Attachment(name, "message/rfc822", bytes(message.raw))
        return Draft(from_=from_, to=to, subject=subject, text=text, attachments=[whole])
    rows = [
        ("From", _people(message.from_)),
        ("Date", message.header("date")),
        ("Subject", message.subject),
        ("To", _people(message.to)),
    ]
    head = "\n".join(f"{name}: {value}" for name, value in rows if value)
    original = f"-------- Forwarded message --------\n{head}\n\n{plain_text(message)}"
    return Draft(
        from_=from_,
        to=to,
        subject=subject,
        text=f"{text.rstrip()}\n\n{original}".lstrip("\n"),
        attachments=_taken_over(message),
    )


def plain_text(message: Message) -> str:
    """The text of a message; that of its HTML, without layout, when it has no plain text."""
    if message.text is not None:
        return message.text[:QUOTED_LIMIT]
    return _stripped((message.html or "")[:QUOTED_LIMIT])


def _stripped(markup: str) -> str:
    out: list[str] = []
    end = hidden = 0
    for tag in _TAG.finditer(markup):
        if not hidden:
            out.append(re.sub(r"\s+", " ", markup[end : tag.start()]))
        name = (tag[2] or "").lower()
        if tag[0] in {"<!--", "-->"} or name in _HIDDEN:
            opens = tag[0] == "<!--" or (name in _HIDDEN and not tag[1])
            hidden = hidden + 1 if opens else max(hidden - 1, 0)
        elif name in _LINES:
            out.append("\n")
        end = tag.end()
    out.append("" if hidden else re.sub(r"\s+", " ", markup[end:]))
    text = html.unescape("".join(out)).replace("\xa0", " ")
    lines = (line.strip() for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _quoted(message: Message) -> str:
    lines = plain_text(message).rstrip().split("\n")
    # RFC 3676, 4.5: no space between the marks of older quotes
    shown = [f">{line}" if line.startswith(">") else f"> {line}".rstrip() for line in lines]
    return "\n".join([_introduction(message), *shown]) + "\n"


def _quoted_html(message: Message) -> str:
    """The quoted text as HTML; never the HTML of a stranger."""
    text = html.escape(plain_text(message).rstrip()).replace("\n", "<br>\n")
    return f"<p>{html.escape(_introduction(message))}</p>\n<blockquote>{text}</blockquote>\n"


def _introduction(message: Message) -> str:
    who = next((each.name or each.address for each in message.from_), "") or "somebody"
    when = f"On {message.date:%Y-%m-%d %H:%M} UTC, " if message.date else ""
    return f"{when}{who} wrote:"


def _prefixed(prefix: str, present: re.Pattern[str], subject: str) -> str:
    subject = _sendable(subject)[:SUBJECT_LIMIT]
    return subject if present.match(subject) else f"{prefix}{subject}".strip()


def _sendable(text: str) -> str:
    return one_line(re.sub("[\ud800-\udfff]", "\ufffd", text))


def _usable(addresses: Iterable[Address]) -> list[Address]:
    found: dict[str, Address] = {}
    for each in addresses:
        try:
            checked = parse_addresses(Address(_sendable(each.name)[:200], each.address))[0]
        except InvalidValue:
            continue
        found.setdefault(checked.envelope, checked)
    return list(found.values())


def _people(addresses: Sequence[Address]) -> str:
    return ", ".join(str(each) for each in addresses)


def _ids(values: Iterable[str]) -> list[str]:
    return [value for value in values if _ID.fullmatch(value)]


def _thread(message: Message) -> list[str]:
    """References of an answer: those of the message, else its In-Reply-To, and its own id."""
    older = message.references or ([message.in_reply_to] if message.in_reply_to else [])
    return list(dict.fromkeys(_ids([*older, message.message_id])))


def _taken_over(message: Message) -> list[Attachment]:
    parts = message.attachments
    names = unique(safe_name(part.name, fallback="attachment") for part in parts)
    return [
        Attachment(name, _type(part.content_type), part.data())
        for name, part in zip(names, parts, strict=True)
    ]


def _type(content_type: str) -> str:
    usable = re.fullmatch(r"(?!multipart/)[a-z0-9.+-]{1,60}/[a-z0-9_.+-]{1,100}", content_type)
    return content_type if usable else "application/octet-stream"
