"""Searching the ledger: what fits, the order, and pages that nothing moves."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.db import Database
from postroom.sources import ledger, searching, store
from postroom.sources.ledger import Seen
from postroom.sources.searching import Search
from tests.unit.sources.definitions import source_of


async def listed(db: Database, source: str, *seen: Seen) -> None:
    await db.write(
        lambda tx: ledger.record(
            tx, source, "s", "INBOX", seen, cursor="7-9", uidvalidity=7, now=1000.0
        )
    )


async def uids(db: Database, source: str | None, search: Search, **how: Any) -> list[str]:
    found, _ = await searching.find(db, source, search, **{"limit": 50, **how})
    return [row["message"] for row in found]


ADA = Seen("7-1", "done", "", 1, 100.0, "Order 4711: Äpfel", "Ada <Ada@partner.example>", "<1@x>")
EVE = Seen("7-2", "held", "", 1, 200.0, "Re: order 4712", "eve@evil.example", "<2@x>")
BOB = Seen("7-3", "pending", "", 1, None)

FITS = [
    (Search(), ["7-3", "7-2", "7-1"]),
    (Search(states=("held", "pending")), ["7-3", "7-2"]),
    (Search(states=("eld",)), []),
    (Search(message_id="<1@x>"), ["7-1"]),
    (Search(message_id=" 1@x"), ["7-1"]),
    (Search(message_id="1@"), []),
    (Search(sender="ada@PARTNER"), ["7-1"]),
    (Search(subject="4711 äpfel"), ["7-1"]),
    (Search(subject="order"), ["7-2", "7-1"]),
    (Search(subject="order nothing"), []),
    (Search(since=150.0), ["7-3", "7-2"]),
    (Search(until=200.0), ["7-1"]),
    (Search(since=900.0), ["7-3"]),
    (Search(ids=(2,)), ["7-2"]),
]


@pytest.mark.parametrize(("search", "found"), FITS)
async def test_what_fits(db: Database, source_id: str, search: Search, found: list[str]) -> None:
    """Each condition alone; what was never received by its server's clock counts from when it was seen."""
    await listed(db, source_id, ADA, EVE, BOB)
    assert await uids(db, source_id, search) == found
    assert await uids(db, None, search, oldest=True) == found[::-1]


@pytest.mark.parametrize("oldest", [False, True])
async def test_pages_follow_one_another(db: Database, source_id: str, *, oldest: bool) -> None:
    """Over more rows than one look takes, among those of another source; nothing twice, nothing left."""
    await db.write(lambda tx: store.add(tx, source_of(name="other")))
    other = await db.read(lambda tx: store.row_of(tx, "other")["id"])
    for first in range(0, 2000, 100):
        await listed(db, other, Seen(f"7-{first}", "done", "", 1, None))
        numbers = range(first, first + 100)
        await listed(db, source_id, *(Seen(f"7-{n}", "done", "", 1, None) for n in numbers))
    pages: list[list[str]] = []
    after = None
    while True:
        found, after = await searching.find(
            db, source_id, Search(), limit=700, after=after, oldest=oldest
        )
        pages.append([row["message"] for row in found])
        if after is None:
            break
        await listed(db, source_id, Seen(f"8-{len(pages)}", "done", "", 1, None))
    flat = [one for page in pages for one in page if one.startswith("7-")]
    wanted = [f"7-{n}" for n in range(2000)]
    assert flat == (wanted if oldest else wanted[::-1])
    assert [len(page) for page in pages][:2] == [700, 700]


# letters that LIKE knows otherwise than casefold, and what LIKE takes for a pattern
ODD = [
    "ORDER",
    "Kelvin \u212a",
    "Stra\u00dfe",
    "STRASSE",
    "\u017fize",
    "50% off",
    "a_b",
    "axb",
    "wow!",
    "\u0130x",
    "",
]
WORDS = [
    "k",
    "strasse",
    "size",
    "50%",
    "a_b",
    "w!",
    "\u212a",
    "\u00df",
    "order",
    "i\u0307",
    "%",
    "_",
    "!",
]


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("field", ["subject", "sender"])
async def test_what_the_database_sifts_loses_nothing(
    db: Database, source_id: str, word: str, field: str
) -> None:
    """Every row that fits by the rule is found, whatever letters it is written in."""
    seen = [Seen(f"7-{n}", "done", "", 1, None, text, text) for n, text in enumerate(ODD)]
    await listed(db, source_id, *seen)
    search = Search(subject=word) if field == "subject" else Search(sender=word)
    rule = [f"7-{n}" for n, text in enumerate(ODD) if word.casefold() in text.casefold()]
    assert await uids(db, source_id, search, oldest=True) == rule
