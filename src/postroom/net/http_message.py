"""What is asked over HTTP and what is answered (RFC 9110): values, without input or output."""

from __future__ import annotations

import base64
import datetime as dt
import email.utils
import json
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, Final
from urllib.parse import quote_plus, urlencode

from postroom import clock
from postroom.errors import InvalidValue, ProtocolError
from postroom.secret import Secret

__all__ = [
    "FORM",
    "LONGEST_WAIT",
    "Exchange",
    "HttpAnswer",
    "HttpLimits",
    "Sized",
    "basic",
    "bearer",
    "file_slice",
    "form",
    "http_date",
    "retry_after",
]

FORM: Final = "application/x-www-form-urlencoded"
CHUNK: Final = 64 * 1024  # bytes read from a file at once
LONGEST_WAIT: Final = 86_400.0
"""Seconds: no server keeps anybody waiting for longer than a day by one answer."""
_DIGITS: Final = re.compile(r"[0-9]{1,60}")
_LONGEST_DATE: Final = 60
_B64TOKEN = re.compile(rb"[A-Za-z0-9._~+/-]+=*")  # RFC 6750 section 2.1


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """What one exchange may use: bytes and seconds.  Over a limit, its connection ends.

    ``body`` bounds the answer's body, ``head`` its status line and header fields together;
    ``reply_timeout`` each wait for bytes in either direction, ``total`` the whole exchange,
    waiting for a free connection included.
    """

    body: int = 4 * 1024 * 1024
    head: int = 64 * 1024
    connect_timeout: float = 20.0
    reply_timeout: float = 60.0
    total: float = 120.0


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A status and what came with it.

    ``headers`` have lower-case names; a field that came more than once is joined with commas (RFC
    9110 section 5.3).  Nothing of it is shown by ``repr``: answers hold tokens.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)

    def json(self) -> Any:
        """The body read as JSON.  Raises ProtocolError, which repeats nothing of it."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise ProtocolError(
                f"The server's answer ({self.status}) is not the JSON it should be.",
                hint="Check the address: a proxy or a sign-in page may have answered instead.",
                temporary=self.status >= 500,
                step="request",
            ) from None

    def retry_after(self) -> float | None:
        """Seconds to wait; as :func:`retry_after`."""
        said, date = self.headers.get("retry-after", ""), self.headers.get("date", "")
        return retry_after(said, date, now=clock.timestamp())


def retry_after(said: str, date: str, *, now: float) -> float | None:
    """Seconds to wait as ``Retry-After`` asks (RFC 9110 section 10.2.3), a number or a date.

    A date is held against the server's own clock (its ``Date``), so that a wrong one here changes
    nothing; ``now`` is ours, for a server that shows none.  None where it is missing or cannot be
    read; never negative, and at most :data:`LONGEST_WAIT`, whatever a server writes.
    """
    text = said.strip()
    if _DIGITS.fullmatch(text):
        return min(float(text), LONGEST_WAIT)
    until = http_date(text)
    if until is None:
        return None
    return min(max(0.0, until - (http_date(date) or now)), LONGEST_WAIT)


def http_date(text: str) -> float | None:
    """An HTTP date (RFC 9110 section 5.6.7) in seconds since 1970; None for anything else."""
    if not text or len(text) > _LONGEST_DATE:
        return None
    try:
        when = email.utils.parsedate_to_datetime(text)
        # "-0000" is UTC without a word about the zone, RFC 5322 section 3.3
        return (when if when.tzinfo else when.replace(tzinfo=dt.UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


@dataclass(frozen=True, slots=True)
class Exchange:
    """What a log may say of one exchange: never a query, a header or a body.

    ``status`` is 0 when there was no answer.
    """

    method: str
    where: str
    path: str
    status: int
    seconds: float

    def __str__(self) -> str:
        came = str(self.status) if self.status else "no answer"
        return f"{self.method} {self.where}{self.path} {came} ({self.seconds * 1000:.0f} ms)"


@dataclass(frozen=True, slots=True)
class Sized:
    """A body of known length that is made while it is sent.  It can be sent once."""

    length: int
    chunks: AsyncIterator[bytes] = field(repr=False)


def file_slice(file: IO[bytes], start: int, length: int) -> Sized:
    """``length`` bytes of a file from ``start`` on, read while they are sent."""
    return Sized(length, _slice(file, start, length))


async def _slice(file: IO[bytes], start: int, length: int) -> AsyncIterator[bytes]:
    at, end = start, start + length
    while at < end:
        file.seek(at)  # each time: others may read the same file meanwhile
        chunk = file.read(min(CHUNK, end - at))
        if not chunk:
            return  # the client says that it was too short
        at += len(chunk)
        yield chunk


def bearer(token: Secret) -> Secret:
    """The value of Authorization for an access token (RFC 6750).  Raises InvalidValue."""
    if not _B64TOKEN.fullmatch(token.reveal_bytes()):
        raise InvalidValue("token", "an access token holds no such characters (RFC 6750).")
    return Secret(b"Bearer " + token.reveal_bytes())


def basic(user: str, password: Secret) -> Secret:
    """The value of Authorization for HTTP Basic as OAuth has it: both parts are form-encoded first
    (RFC 6749 section 2.3.1).
    """
    pair = f"{quote_plus(user)}:{quote_plus(password.reveal_bytes())}"
    return Secret(b"Basic " + base64.b64encode(pair.encode("ascii")))


def form(fields: Iterable[tuple[str, str | Secret]]) -> Secret:
    """The body of a form (:data:`FORM`, RFC 6749 appendix B), its fields in their order.

    A secret, since what is sent that way always holds something worth hiding.
    """
    return Secret(
        urlencode(
            [
                (name, value.reveal_bytes() if isinstance(value, Secret) else value)
                for name, value in fields
            ]
        )
    )
