"""What we say: each command of RFC 9051, 6, as bytes, with NUL, CR and LF refused before all else.

A command is text and literals in turn.  How a literal is announced (waiting for the server's
go-ahead or not, RFC 7888) is the core's decision, since only it knows what the server can do.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Sequence
from typing import Final

from postroom.errors import InvalidValue
from postroom.protocols.base import SignIn

__all__ = [
    "Command",
    "append",
    "authenticate",
    "copy",
    "expunge",
    "fetch_bodies",
    "fetch_headers",
    "fetch_summaries",
    "fetch_whole",
    "flag_set",
    "idle",
    "list_folders",
    "login",
    "on_folder",
    "plain",
    "plain_flag",
    "search",
    "server_flag",
    "store",
]

_ATOM: Final = re.compile(r"[!#$&'+,\-./0-9:;<=>?@A-Z^_`a-z|}~]+")  # atom-char of RFC 9051
_FIELD: Final = re.compile(r"[!-9;-~]+")  # the name of a header field, RFC 5322, 3.6.8
_LONGEST_QUOTED: Final = 1000  # bytes; longer strings go as literals

_FLAGS: Final = {
    "seen": "\\Seen",
    "answered": "\\Answered",
    "flagged": "\\Flagged",
    "deleted": "\\Deleted",
    "draft": "\\Draft",
}
_OURS: Final = {theirs.lower(): ours for ours, theirs in _FLAGS.items()}


@dataclasses.dataclass(frozen=True, slots=True)
class Command:
    """``parts`` are text and, at odd places, literals; ``talks``: the server may ask for more."""

    name: str
    parts: tuple[bytes, ...] = dataclasses.field(repr=False)  # may hold a password
    talks: bool = False


class _Name(bytes):
    """The name of a folder.  It is ASCII (modified UTF-7) unless UTF8=ACCEPT is on, and then its
    UTF-8 stands between quotes (RFC 6855, 3): no go-ahead has to be waited for.
    """


def _say(name: str, *words: str | bytes | list[bytes], talks: bool = False) -> Command:
    """``str``: words of ours; ``bytes``: a value, quoted or a literal; ``[bytes]``: a literal."""
    parts: list[bytes] = []
    text = name.encode("ascii")
    for word in words:
        if isinstance(word, str):
            text += b" " + word.encode("ascii")
        elif isinstance(word, bytes) and _quotable(word):
            text += b' "' + word.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
        else:
            parts += (text + b" ", word if isinstance(word, bytes) else word[0])
            text = b""
    return Command(name, (*parts, text), talks)


def _quotable(value: bytes) -> bool:
    if any(bad in value for bad in b"\0\r\n"):
        raise InvalidValue("", "a value holds a line break or NUL, which cannot be sent")
    return (value.isascii() or isinstance(value, _Name)) and len(value) <= _LONGEST_QUOTED


def plain(name: str, *words: str) -> Command:
    """A command of our own words: CAPABILITY, NOOP, STARTTLS, NAMESPACE, LOGOUT, ENABLE x."""
    return _say(name, *words)


def login(sign_in: SignIn) -> Command:
    """LOGIN user password; anything but printable ASCII goes as a literal.  Raises InvalidValue."""
    secret = sign_in.secret.reveal_bytes() if sign_in.secret else b""
    return _say("LOGIN", sign_in.user.encode(), secret)


def authenticate(mechanism: str, initial: bytes | None) -> Command:
    """AUTHENTICATE; ``initial`` is base64 already (RFC 4959)."""
    words = [mechanism] if initial is None else [mechanism, initial.decode("ascii")]
    return _say("AUTHENTICATE", *words, talks=True)


def on_folder(name: str, folder: bytes, *words: str) -> Command:
    """CREATE, SUBSCRIBE, SELECT, EXAMINE: a folder by the server's spelling of its name."""
    return _say(name, _Name(folder), *words)


def list_folders(pattern: bytes, *, special_use: bool = False) -> Command:
    """LIST "" pattern, with the special uses of RFC 6154 where they have to be asked for."""
    return _say("LIST", b"", _Name(pattern), *(["RETURN (SPECIAL-USE)"] if special_use else []))


def fetch_bodies(uids: str) -> Command:
    """Whole messages; PEEK leaves \\Seen alone."""
    return _say("UID FETCH", uids, "(UID BODY.PEEK[])")


def fetch_whole(uids: str) -> Command:
    """Whole messages with what a summary holds."""
    return _say("UID FETCH", uids, "(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])")


def fetch_headers(uids: str) -> Command:
    """Whole header blocks."""
    return _say("UID FETCH", uids, "(UID BODY.PEEK[HEADER])")


def fetch_summaries(uids: str, headers: Sequence[str]) -> Command:
    """What a summary holds, and these header fields.  Raises InvalidValue for what is no field."""
    for field in headers:
        if not _FIELD.fullmatch(field) or not _ATOM.fullmatch(field):
            raise InvalidValue("headers", f"{field!r} is no name of a header field")
    fields = f" BODY.PEEK[HEADER.FIELDS ({' '.join(headers).upper()})]" if headers else ""
    return _say("UID FETCH", uids, f"(UID FLAGS INTERNALDATE RFC822.SIZE{fields})")


def search(criteria: str, *, extended: bool = False) -> Command:
    """UID SEARCH with a program handed through.  Raises InvalidValue.

    ``extended`` asks for the answer as ranges (RFC 4731).  A program that ends in ``{5+}`` would
    swallow the command after it, so it is refused.
    """
    if not criteria.strip() or not criteria.isascii() or not criteria.isprintable():
        raise InvalidValue("criteria", "a search is one line of printable ASCII")
    if re.search(r"\{\d*\+?\}\s*\Z", criteria):
        raise InvalidValue("criteria", "a search cannot end in a literal; use a quoted string")
    return _say("UID SEARCH", *(["RETURN (ALL)"] if extended else []), criteria.strip())


def store(uids: str, sign: str, flags: Sequence[str]) -> Command:
    """UID STORE ``+`` or ``-`` these flags, without an answer for each.  Raises InvalidValue."""
    return _say("UID STORE", uids, f"{sign}FLAGS.SILENT", _flag_list(flags))


def copy(uids: str, folder: bytes, *, move: bool = False) -> Command:
    """UID COPY, or UID MOVE (RFC 6851)."""
    return _say("UID MOVE" if move else "UID COPY", uids, _Name(folder))


def expunge(uids: str) -> Command:
    """UID EXPUNGE (RFC 4315): exactly these.  There is no builder of the plain one."""
    return _say("UID EXPUNGE", uids)


def idle() -> Command:
    """IDLE (RFC 2177); it ends with the line DONE."""
    return _say("IDLE", talks=True)


def append(folder: bytes, message: bytes, flags: Sequence[str], *, utf8: bool = False) -> Command:
    """APPEND; ``utf8`` tells that the header is not ASCII (RFC 6855, 4).

    Raises InvalidValue for a flag that is none.
    """
    words = [_flag_list(flags)] if flags else []
    if not utf8:
        return _say("APPEND", _Name(folder), *words, [message])
    *before, announced, _, _ = _say("APPEND", _Name(folder), *words, "UTF8 (", [message]).parts
    return Command("APPEND", (*before, announced.rstrip() + b"~", message, b")"))


def _flag_list(flags: Sequence[str]) -> str:
    return f"({' '.join(server_flag(flag) for flag in flags)})"


def server_flag(flag: str) -> str:
    """``seen`` as ``\\Seen``, a keyword as it is.  Raises InvalidValue."""
    if known := _FLAGS.get(flag.lower()):
        return known
    if not _ATOM.fullmatch(flag):
        raise InvalidValue("flags", f"{flag!r} is neither a flag nor a keyword a server can keep")
    return flag


def plain_flag(flag: str) -> str:
    """``\\Seen`` as ``seen``, a keyword as the server spells it."""
    return _OURS.get(flag.lower(), flag)


@functools.lru_cache(maxsize=512)  # a folder has few combinations, a listing many messages
def flag_set(flags: tuple[str, ...]) -> frozenset[str]:
    """A message's flags as a summary holds them; \\Recent says nothing (RFC 9051, appendix E)."""
    return frozenset([plain_flag(flag) for flag in flags if flag.lower() != "\\recent"])
