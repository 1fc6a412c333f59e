"""Reading what an authorization server answered: JSON within limits, times, text fit to be shown."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from postroom.errors import ProtocolError
from postroom.net import http_message
from postroom.net.http_message import http_date
from postroom.oauth.steps import Answer
from postroom.secret import Scrubber

__all__ = [
    "LARGEST",
    "document",
    "retry_after",
    "seconds",
    "server_time",
    "shown",
    "text_of",
    "texts_of",
    "whole",
]

LARGEST: Final = 256 * 1024
"""Bytes of an answer that are read; metadata and tokens of real servers stay far below."""
LONGEST_TEXT: Final = 500  # characters of a server's text that a person is shown
_DIGITS: Final = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?")


def document(answer: Answer) -> dict[str, Any]:
    """The JSON object of an answer, whatever its status and content type.

    Raises ProtocolError (temporary) for anything else: an HTML page of a proxy, an empty body, half
    a document.  Nothing of the body stands in the error, for half a document may hold a token.
    """
    if 300 <= answer.status < 400:
        raise _garbage(
            answer, "The authorization server redirects to another place, which is never followed."
        )
    body = answer.body
    if len(body) > LARGEST:
        raise _garbage(answer, "The authorization server answered with more than can be read.")
    if not body.strip():
        raise _garbage(answer, "The authorization server answered with nothing.")
    try:
        found = json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        page = body.lstrip()[:1] == b"<"
        what = "a web page" if page else "something that is no JSON object"
        raise _garbage(answer, f"The authorization server answered with {what}.")
    return found


def _no_number(text: str) -> float:
    raise ValueError(text)  # NaN and the infinities are no JSON, though the parser takes them


def _garbage(answer: Answer, sentence: str) -> ProtocolError:
    kind = shown(answer.header("content-type").partition(";")[0])[:60] or "no content type"
    return ProtocolError(
        sentence,
        step="sign-in",
        said=f"HTTP {answer.status}, {kind}, {len(answer.body)} bytes",
        temporary=True,
        hint="Something between may have answered in its place; it is tried again. If it stays so, "
        "check the authority.",
        retry_after=retry_after(answer),
    )


def text_of(found: dict[str, Any], name: str) -> str:
    """A member that is a text; an empty one when it is missing or something else."""
    value = found.get(name)
    return whole(value) if isinstance(value, str) else ""


def texts_of(found: dict[str, Any], name: str) -> tuple[str, ...]:
    """A member that is a list of texts, or one text; whatever else is in it is left out."""
    value = found.get(name)
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list):
        return ()
    return tuple(whole(each) for each in values if isinstance(each, str))


def whole(text: str) -> str:
    """A text that can be written again: JSON and its parser let half a character (a surrogate) pass."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def seconds(value: object) -> float | None:
    """A duration as servers write it, number or text (some quote it); None for anything else."""
    if isinstance(value, str):
        # int() and float() take more than numbers on the wire: signs, "1_0", "inf", other digits
        return float(value) if _DIGITS.fullmatch(value.strip()) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
        return None
    return float(value)


def server_time(answer: Answer) -> float:
    """The server's own clock (its Date header), or ours where it shows none."""
    return http_date(answer.header("date")) or answer.at


def retry_after(answer: Answer) -> float | None:
    """Seconds to wait, a day at most; None where the answer does not say."""
    said, date = answer.header("retry-after"), answer.header("date")
    return http_message.retry_after(said, date, now=answer.at)


def shown(text: str, scrubber: Scrubber | None = None) -> str:
    """A server's text for people: scrubbed whole, then on one line, then cut."""
    clean = scrubber.text(text) if scrubber else text
    line = " ".join(clean.split())
    line = "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in line)
    return line if len(line) <= LONGEST_TEXT else line[:LONGEST_TEXT] + "..."
