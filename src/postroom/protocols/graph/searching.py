"""IMAP's SEARCH (RFC 9051, 6.4.4) on Graph: narrowed by $filter and $search, decided here."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final

from postroom.errors import WireError
from postroom.protocols.graph.described import SELECT, flags_of, header_lines, time_of
from postroom.protocols.graph.folders import FolderVerbs
from postroom.protocols.memory.search import matches, tokens
from postroom.protocols.memory.server import MemoryMessage

__all__ = ["SearchVerb", "narrowed"]

_PAGE: Final = "100"
_FLAGS: Final = {
    "SEEN": "isRead eq true", "UNSEEN": "isRead eq false",
    "FLAGGED": "flag/flagStatus eq 'flagged'", "UNFLAGGED": "flag/flagStatus ne 'flagged'",
}  # fmt: skip
_FIELDS: Final = ("From", "To", "Cc", "Subject", "Message-ID", "Date")
_LONG_AGO: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class SearchVerb(FolderVerbs):
    """The verb that searches."""

    async def search(self, criteria: str) -> list[str]:
        """Ids that match, in the order of arrival.

        What a message says of itself is compared here; words of its text are looked for by the
        server, which finds words and their beginnings, not every part of one.
        """
        found = tokens(criteria)
        if {"LARGER", "SMALLER"} & {word.upper() for word in found}:
            raise WireError(
                "Microsoft Graph does not tell how large a message is.", code="not_supported"
            )
        query = {"$orderby": "receivedDateTime", "$select": SELECT, "$top": _PAGE}
        if text := narrowed(found):
            query["$filter"] = text
        rows = await self._listed(query)
        texts: dict[str, list[str]] = {}
        for before, word in zip(found, list(found)[1:], strict=False):
            if before.upper() in ("BODY", "TEXT"):
                for row in await self._holding(before.upper(), word):
                    texts.setdefault(str(row["id"]), []).append(word)
        seen = [
            MemoryMessage(
                number, _content(row, texts.get(str(row["id"]), ())), set(flags_of(row)),
                time_of(row.get("receivedDateTime")) or _LONG_AGO,
            )
            for number, row in enumerate(rows)
        ]  # fmt: skip
        return [str(rows[each.uid]["id"]) for each in matches(criteria, seen)]

    async def _holding(self, where: str, word: str) -> list[dict[str, Any]]:
        plain = word.replace('"', " ").replace("\\", " ")
        text = f'"body:{plain}"' if where == "BODY" else f'"{plain}"'
        return await self._listed({"$search": text, "$select": "id", "$top": _PAGE})


def narrowed(found: Sequence[str]) -> str:
    """A $filter for the conditions that Graph is known to decide exactly; ``""``: none.

    Only of a program that is one row of conditions: what stands in brackets, behind NOT or OR, or
    counts messages, is decided on all of them.
    """
    parts, left = ["receivedDateTime ge 1900-01-01T00:00:00Z"], list(found)
    while left:
        word = left.pop(0).upper()
        if word in _FLAGS:
            parts.append(_FLAGS[word])
        elif word in ("SINCE", "BEFORE") and left:
            day = dt.datetime.strptime(left.pop(0), "%d-%b-%Y").replace(tzinfo=dt.UTC)
            parts.append(
                f"receivedDateTime {'ge' if word == 'SINCE' else 'lt'} {day:%Y-%m-%dT%H:%M:%SZ}"
            )
        elif word == "HEADER" and len(left) > 1:
            name, value = left.pop(0), left.pop(0)
            if name.upper() == "MESSAGE-ID" and value.startswith("<") and value.endswith(">"):
                quoted_value = value.replace("'", "''")
                parts.append(f"internetMessageId eq '{quoted_value}'")
        elif word in ("FROM", "TO", "CC", "BCC", "SUBJECT", "BODY", "TEXT", "KEYWORD", "UNKEYWORD"):
            left = left[1:]
        elif word not in ("ALL", "ANSWERED", "UNANSWERED"):
            return ""
    return " and ".join(parts) if len(parts) > 1 else ""


def _content(row: dict[str, Any], texts: Sequence[str]) -> bytes:
    """What stands for the message when it is compared."""
    return header_lines(row, _FIELDS) + b"\r\n" + "\n".join(texts).encode()
