"""Any error explained: what a pasted text means, why it happens, what to do; best meaning first."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from postroom.errors import CODES, NotThere
from postroom.oauth.refusals import CAUSES, Meaning, tables
from postroom.oauth.refusals import explain as refusals_in
from postroom.operations.meaning import AGAIN, Again
from postroom.operations.meanings import CODE_MEANINGS
from postroom.protocols.base import Reply
from postroom.protocols.graph import refusals as graph
from postroom.protocols.smtp.replies import explain as explain_reply

__all__ = ["Explained", "Refusals", "explain", "known_words", "refusals"]

LONGEST: Final = 20_000
"""Characters of a pasted text that are read."""


class Explained(NamedTuple):
    """One meaning: what was recognised, a sentence, the usual cause (may be empty), what to do.

    ``again``: ``yes``, ``no`` or ``sometimes``: whether the same may work later without a change.
    """

    key: str
    sentence: str
    cause: str
    action: str
    again: Again

    @property
    def told_again(self) -> str:
        """The same as a sentence."""
        return AGAIN[self.again]

    def as_json(self) -> dict[str, Any]:
        """As doors show it."""
        return self._asdict()


class Refusals(NamedTuple):
    """One table of refusals, for the docs: its title, when it was seen, its sources, its rows."""

    title: str
    seen: str
    sources: tuple[str, ...]
    rows: tuple[Explained, ...]


def explain(text: str) -> tuple[Explained, ...]:
    """What an error of any program means: of SMTP, IMAP, POP3, TLS, DNS, OAuth, Entra, Graph, Google or ours.

    The most telling meaning comes first.  Raises NotThere for a text nobody knows.  Nothing is sent
    anywhere, and the text is not kept.
    """
    some = text[:LONGEST]
    found = [_of_table(each) for each in refusals_in(some)]
    found += [
        _of_graph(word) for word in dict.fromkeys(_WORD.findall(some)) if word in graph.MEANINGS
    ]
    found += [each for each in _replies(some) if not any(_same(each, one) for one in found)]
    found += _ours(some)
    if not found:
        raise NotThere(
            "Nobody here knows this error.",
            hint="Paste the server's own line: a number (535 5.7.139), a code (AADSTS50076, "
            "invalid_grant) or its English text, not the program's summary of it. What Postroom "
            "itself says has a code: see postroom explain",
        )
    return tuple(dict.fromkeys(found))


def refusals() -> tuple[Refusals, ...]:
    """Every table of refusals, each row as :func:`explain` gives it."""
    found = [
        Refusals(title, seen, sources, tuple(map(_of_table, rows)))
        for title, seen, sources, rows in tables()
    ]
    codes = tuple(map(_of_graph, graph.MEANINGS))
    return (*found, Refusals("Microsoft Graph", graph.SEEN, graph.SOURCES, codes))


def _of_table(each: Meaning) -> Explained:
    again: Again = "yes" if each.temporary else "no"
    return Explained(each.key, each.sentence, CAUSES.get(each.key, ""), each.action, again)


def known_words() -> frozenset[str]:
    """The errors that are a single word, such as ``invalid_grant``."""
    keys = (each.key for table in refusals() for each in table.rows)
    return frozenset(key for key in keys if " " not in key)


# ------------------------------------------------------------------ Microsoft Graph

_WORD: Final = re.compile(r"\b[A-Z][A-Za-z_]+\b")


def _of_graph(code: str) -> Explained:
    known = graph.MEANINGS[code]
    again: Again = "yes" if known.temporary else "no"
    return Explained(code, known.sentence, CAUSES.get(code, ""), known.hint, again)


# ------------------------------------------------------------------ replies of SMTP

# "550 5.1.1 text", "550-5.1.1 text", "451 text": RFC 5321 4.2, RFC 3463
_REPLY: Final = re.compile(
    r"(?<![\d.])([45]\d\d)(?:(?:[ -]|[ -]#)([45]\.\d{1,3}\.\d{1,3})\b|[ -](?=[A-Za-z<]))"
)
_LONE: Final = re.compile(r"(?<![\d.])([45])\.(\d{1,3})\.(\d{1,3})(?![\d.])")


def _replies(text: str) -> list[Explained]:
    """The SMTP replies in a text, by the tables that our own sending is explained by."""
    seen: dict[tuple[int, str], None] = {}
    for found in _REPLY.finditer(text):
        seen[int(found[1]), found[2] or ""] = None
    if not seen:  # a bounce says the enhanced code alone
        for found in _LONE.finditer(text):
            seen[int(found[1]) * 100, found[0]] = None
    return [_reply(code, enhanced) for code, enhanced in seen]


def _reply(code: int, enhanced: str) -> Explained:
    later = code < 500
    reply = Reply("deferred" if later else "rejected", code, enhanced, "", "")
    sentence, action = explain_reply(reply)
    key = f"{code if code % 100 else ''} {enhanced}".strip()
    cause = "The other side says that it may pass." if later else ""
    return Explained(key, sentence, cause, action or _READ, "yes" if later else "no")


_READ: Final = "Read the text behind the code: it is the server's own reason."


def _same(reply: Explained, known: Explained) -> bool:
    """Whether a refusal says the same of a reply with more: both name one enhanced code."""
    return reply.key.rpartition(" ")[2] in known.key


# ------------------------------------------------------------------ what the house has codes for

_HOUSE: Final[tuple[tuple[str, str], ...]] = (
    (r"hostname mismatch|doesn't match|does not match .*certificate|name mismatch", "certificate_name"),
    (r"certificate has expired|certificate is not yet valid|CERT_HAS_EXPIRED", "certificate_expired"),
    (r"self.signed certificate|unable to get (local )?issuer|certificate verify failed"
     r"|unknown ca\b|x509: certificate signed by unknown", "certificate_untrusted"),
    (r"wrong.version.number|unexpected eof while reading|handshake.failure|unsupported protocol"
     r"|record.layer", "tls_failed"),
    (r"STARTTLS (extension )?(is )?not supported|STARTTLS is unavailable", "tls_unavailable"),
    (r"must issue a STARTTLS|\[PRIVACYREQUIRED\]|cleartext authentication disallowed",
     "cleartext_sign_in"),
    (r"name or service not known|nodename nor servname|no such host|getaddrinfo|NXDOMAIN"
     r"|temporary failure in name resolution|ENOTFOUND|could not resolve", "host_unknown"),
    (r"connection refused|ECONNREFUSED|actively refused", "connect_refused"),
    (r"no route to host|network is unreachable|EHOSTUNREACH|ENETUNREACH", "connect_failed"),
    (r"timed? ?out\b|ETIMEDOUT|ESOCKETTIMEDOUT", "timed_out"),
    (r"connection reset|ECONNRESET|broken pipe|connection unexpectedly closed"
     r"|server disconnected|\* BYE", "connection_lost"),
    (r"\[OVERQUOTA\]|quota exceeded|over quota|mailbox is full", "over_quota"),
    (r"\[(TRYCREATE|NONEXISTENT)\]|mailbox doesn't exist|mailbox does not exist|unknown mailbox"
     r"|no such mailbox", "folder_missing"),
    (r"\[(UNAVAILABLE|INUSE|LIMIT)\]|too many (simultaneous )?connections|\[IN-USE\]"
     r"|\[LOGIN-DELAY\]|\[SYS/TEMP\]", "deferred"),
    (r"\[AUTHENTICATIONFAILED\]|\[AUTHORIZATIONFAILED\]|authenticat(e|ion) fail(ed|ure)|-ERR \[AUTH\]"
     r"|invalid credentials|login failed|LOGIN failed", "sign_in_failed"),
)  # fmt: skip
"""What other programs and libraries say, and the code under which the house explains it."""
_HOUSE_CODE: Final = re.compile(r"\b[a-z]+(?:_[a-z]+)+\b")


def _ours(text: str) -> list[Explained]:
    codes = [word for word in _HOUSE_CODE.findall(text) if word in CODES]
    codes += [code for pattern, code in _HOUSE if re.search(pattern, text, re.IGNORECASE)]
    return [_code(code) for code in dict.fromkeys(codes)]


def _code(code: str) -> Explained:
    told = CODE_MEANINGS[code]
    means, cause, do = (part.replace("`", "") for part in (told.means, told.cause, told.do))
    return Explained(code, means, cause, do, told.again)
