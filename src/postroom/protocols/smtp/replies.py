"""How SMTP replies are to be read (RFC 5321, 4.2; RFC 3463 enhanced codes) and said to a person."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, Literal

from postroom.protocols.base import Reply
from postroom.protocols.smtp.machine import Answer

__all__ = ["explain", "refusal", "reply_of"]

State = Literal["accepted", "deferred", "rejected"]

_ENHANCED = re.compile(r"^([245])\.(\d{1,3})\.(\d{1,3})(?:\s+|$)")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_TEXT_LIMIT = 1000

# The first digit decides; an enhanced code of another class is a slip of the server's.
_BY_CLASS: Final[dict[int, State]] = {2: "accepted", 3: "accepted", 4: "deferred", 5: "rejected"}

# (step, code, enhanced) that mean something else than their first digit says.
_EXCEPTIONS: Final[dict[tuple[str, int, str], State]] = {
    # "too many recipients" was 552 in RFC 821 and is to be read as 452: RFC 5321, 4.5.3.1.10
    ("rcpt", 552, ""): "deferred",
    ("rcpt", 552, "5.5.3"): "deferred",
    ("rcpt", 550, "5.5.3"): "deferred",
    ("rcpt", 554, "5.5.3"): "deferred",
}


def reply_of(answer: Answer, step: str, scrub: Callable[[str], str] = str) -> Reply:
    """The answer as a Reply; ``scrub`` removes this session's secrets from its text."""
    lines = [line.decode("utf-8", "replace") for line in answer.lines]
    found = _ENHANCED.match(lines[0])
    enhanced = found.group().strip() if found else ""
    if found:
        lines = [_ENHANCED.sub("", line) for line in lines]
    whole = "".join(lines)
    text = scrub(whole)
    if text == whole:  # else a secret may go over the end of a line
        text = scrub(" ".join(filter(None, map(str.strip, lines))))
    text = _UNPRINTABLE.sub("?", text)
    state = _EXCEPTIONS.get((step, answer.code, enhanced)) or _BY_CLASS[answer.code // 100]
    return Reply(state, answer.code, enhanced, text[:_TEXT_LIMIT], step)


def refusal(step: str, code: int, enhanced: str, text: str) -> Reply:
    """A permanent refusal of our own, before anything was sent, in the form of a reply."""
    return Reply("rejected", code, enhanced, text, step)


def explain(reply: Reply) -> tuple[str, str]:
    """What the reply means and what to do about it, as two sentences (the second may be empty)."""
    _, _, family = reply.enhanced.partition(".")
    subject = family.partition(".")[0]
    found = _BY_ENHANCED.get(family) or _BY_CODE.get(reply.code) or _BY_SUBJECT.get(subject)
    if found is None:
        found = _BY_STATE[reply.state]
    sentence, hint = found
    if reply.state == "deferred" and not hint:
        hint = "It is tried again."
    return sentence, hint


_SENDER_RECORDS = "Ask who runs the sender's domain to check its SPF, DKIM and DMARC records."
_ADDRESS = "Check the address."
_SENDER = "Check the sender's address."

_TEST = "Run a connection test: it goes step by step."

# By the subject and detail of the enhanced code: RFC 3463, 3; RFC 7372; RFC 7505; IANA's registry.
_BY_ENHANCED: Final[dict[str, tuple[str, str]]] = {
    "1.0": ("The address was refused.", _ADDRESS),
    "1.1": ("There is no mailbox of that name.", _ADDRESS),
    "1.2": ("The domain of the address does not exist or takes no mail.", _ADDRESS),
    "1.3": ("The address is not written correctly.", _ADDRESS),
    "1.4": ("The address fits more than one mailbox.", "Use the full address."),
    "1.6": ("The mailbox has moved and nothing is forwarded.", "Ask for the new address."),
    "1.7": ("The sender's address is not written correctly.", _SENDER),
    "1.8": ("The sender's domain does not exist or takes no mail.", _SENDER),
    "1.10": ("The domain of the address says that it takes no mail.", _ADDRESS),
    "2.0": ("The mailbox cannot take the message.", ""),
    "2.1": ("The mailbox is disabled.", "Ask the recipient, by another way, whether it is in use."),
    "2.2": ("The mailbox is full.", "The recipient has to make room."),
    "2.3": ("The message is larger than this mailbox takes.", "Send a smaller one, or a link."),
    "2.4": ("The mailing list could not be expanded.", "Ask who runs the list."),
    "3.1": ("The mail system is full.", ""),
    "3.2": ("The mail system takes no messages now.", ""),
    "3.3": ("The mail system lacks something this message needs.", ""),
    "3.4": ("The message is larger than the server takes.", "Send a smaller one, or a link."),
    "3.5": ("The mail system is set up wrongly.", "Tell who runs it."),
    "4.1": ("The recipient's server does not answer.", ""),
    "4.3": ("A directory the server needs does not answer.", ""),
    "4.4": ("The server knows no way to the recipient's domain.", _ADDRESS),
    "4.5": ("The mail system is busy.", ""),
    "4.6": ("The message goes round in a loop.", "A forwarding at the recipient's side is wrong."),
    "4.7": ("Delivery took too long and was given up.", ""),
    "5.1": ("The server does not expect this command.", _TEST),
    "5.2": ("The server does not understand the command.", _TEST),
    "5.3": ("The message has more recipients than the server takes at once.", ""),
    "5.4": ("The server does not take a parameter of the command.", _TEST),
    "6.0": ("The server does not take the form of this message.", ""),
    "6.1": ("The server does not take this kind of content.", ""),
    "6.3": ("The message would need converting and the server cannot.", "Send it as 7-bit."),
    "6.7": ("The server takes no addresses outside ASCII.", "Use an ASCII address."),
    "7.0": ("The server's policy refused the message.", ""),
    "7.1": ("The server does not allow this message.", "Check sender and sign-in."),
    "7.2": ("The mailing list does not take messages from this sender.", ""),
    "7.8": ("User name or password are wrong.", "Check the credential."),
    "7.9": ("The server wants a stronger sign-in.", "See which ones it offers: connection test."),
    "7.11": ("The server wants TLS before a sign-in.", "Set security to starttls or tls."),
    "7.13": ("The account is disabled.", "Ask who runs the server."),
    "7.14": ("The server wants to be trusted first.", ""),
    "7.20": ("The message has no valid DKIM signature.", _SENDER_RECORDS),
    "7.21": ("No acceptable DKIM signature was found.", _SENDER_RECORDS),
    "7.22": ("The DKIM signature is not the author's.", _SENDER_RECORDS),
    "7.23": ("The sender's domain does not allow this server to send (SPF).", _SENDER_RECORDS),
    "7.24": ("The sender's SPF record could not be read.", _SENDER_RECORDS),
    "7.25": ("The sending server has no valid reverse DNS.", "Tell who runs it."),
    "7.26": ("The message failed the checks of its sender's domain (DMARC).", _SENDER_RECORDS),
    "7.27": ("The sender's domain says that it takes no mail.", _SENDER),
    "7.28": ("Too many messages in a short time.", "Lower the throttle of the service."),
    "7.60": (  # Exchange's own
        "The account may not send as this sender.",
        "Grant it Send As on that mailbox; that can take an hour to work.",
    ),
}

_BY_SUBJECT: Final[dict[str, tuple[str, str]]] = {
    "1": ("The address was refused.", _ADDRESS),
    "2": ("The mailbox cannot take the message.", ""),
    "3": ("The mail system cannot take the message.", ""),
    "4": ("The way to the recipient's server is disturbed.", ""),
    "5": ("The server does not understand us.", _TEST),
    "6": ("The server does not take the form of this message.", ""),
    "7": ("The server's policy refused the message.", ""),
}

# By the basic code, where no enhanced code says more: RFC 5321, 4.2.3; RFC 4954, 6.
_BY_CODE: Final[dict[int, tuple[str, str]]] = {
    421: ("The server is closing the connection.", ""),
    450: ("The mailbox is not available at the moment.", ""),
    451: ("The server met an error of its own.", ""),
    452: ("The server has no room, or takes no more recipients at once.", ""),
    454: ("The server cannot check sign-ins at the moment.", ""),
    455: ("The server cannot take the parameters at the moment.", ""),
    500: _BY_ENHANCED["5.2"],
    501: ("The server does not take an argument, often an address.", _ADDRESS),
    502: _BY_ENHANCED["5.1"],
    503: _BY_ENHANCED["5.1"],
    504: _BY_ENHANCED["5.4"],
    521: _BY_ENHANCED["1.10"],
    523: _BY_ENHANCED["3.4"],
    530: ("The server wants a sign-in first.", "Give the connection a sign-in."),
    534: _BY_ENHANCED["7.9"],
    535: _BY_ENHANCED["7.8"],
    538: _BY_ENHANCED["7.11"],
    550: ("There is no such mailbox, or the server's policy refused it.", _ADDRESS),
    551: _BY_ENHANCED["1.6"],
    552: ("The message is too large, or the mailbox is full.", "Send a smaller one, or a link."),
    553: _BY_ENHANCED["1.3"],
    554: ("The server refused the message.", "What the server said usually tells why."),
    555: _BY_ENHANCED["5.4"],
    556: _BY_ENHANCED["1.10"],
}

_BY_STATE: Final[dict[str, tuple[str, str]]] = {
    "accepted": ("The server took the message.", ""),
    "deferred": ("The server cannot take the message now.", ""),
    "rejected": ("The server refused the message.", "What the server said usually tells why."),
}
