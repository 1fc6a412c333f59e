"""Bodies: JSON read strictly (RFC 8259, RFC 7493): what two readers may read differently is refused.

Nothing is made of a body before its length, depth and number of values were counted: a small body
can be a large object.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any, Final, NoReturn

from starlette.requests import ClientDisconnect, Request

from postroom.errors import WrongUse

__all__ = ["MOST_BYTES", "MOST_OF_A_COMMAND", "parsed", "read_body", "read_json"]

MOST_BYTES: Final = 1 << 20
MOST_OF_A_COMMAND: Final = 40 << 20
"""Attachments travel in the parameters of commands."""
MOST_VALUES: Final = 20_000
DEEPEST: Final = 32
_TOKEN: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{,}\]]', re.DOTALL)
_HALF: Final = re.compile("[\ud800-\udfff\0]")


async def read_body(request: Request, *, most: int = MOST_BYTES) -> bytes:
    """The bytes of a body.  Raises WrongUse: too long, compressed, or no JSON."""
    kind, _, more = request.headers.get("content-type", "").partition(";")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise WrongUse("The body is compressed; send it as it is.", code="media_type")
    data = bytearray()
    try:
        async for chunk in request.stream():
            data += chunk
            if len(data) > most:
                raise WrongUse(
                    f"The body is longer than {most >> 20} MiB, and was not read.",
                    code="request_too_large",
                )
    except ClientDisconnect:
        raise _malformed("did not arrive whole") from None
    charset = more.replace(" ", "").lower().strip('";')
    if data and (kind.strip().lower() != "application/json" or charset not in _CHARSETS):
        raise WrongUse(
            "The body is not JSON.",
            code="media_type",
            hint="Send it with Content-Type: application/json.",
        )
    return bytes(data)


_CHARSETS: Final = ("", "charset=utf-8", 'charset="utf-8')


async def read_json(data: bytes) -> dict[str, Any]:
    """As :func:`parsed`; a long body is read in a thread, and holds nobody up meanwhile."""
    return await asyncio.to_thread(parsed, data) if len(data) > MOST_BYTES else parsed(data)


def parsed(data: bytes) -> dict[str, Any]:
    """The JSON object of a body; an empty body is an empty one.  Raises WrongUse (``malformed``)."""
    if not data.strip():
        return {}
    _count(data)
    try:
        found = json.loads(
            data.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_constant
        )
    except (ValueError, RecursionError):
        raise _malformed("is no JSON") from None
    if not isinstance(found, dict):
        raise _malformed("has to be a JSON object")
    return found


def _count(data: bytes) -> None:
    """Raise WrongUse for what is too deep, or has too many values."""
    values = depth = 0
    for token in _TOKEN.finditer(data):
        first = data[token.start()]
        if first in b"[{":
            depth += 1
            values += 1
        elif first in b"]}":
            depth -= 1
        elif first == 0x2C:
            values += 1
        if depth > DEEPEST:
            raise _malformed(f"is deeper than {DEEPEST} levels")
        if values > MOST_VALUES:
            raise _malformed(f"has more than {MOST_VALUES:,} values")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _malformed("says a name twice")
    for key, value in pairs:
        if _HALF.search(key) or _is_broken(value):
            raise _malformed("has half a character, or a NUL, in a text")
    return found


def _is_broken(value: Any) -> bool:
    if isinstance(value, list):
        return any(_is_broken(each) for each in value)
    return isinstance(value, str) and _HALF.search(value) is not None


def _no_constant(_name: str) -> NoReturn:
    raise _malformed("has a number that JSON does not have")


def _malformed(what: str) -> WrongUse:
    return WrongUse(f"The body {what}.", code="malformed")
