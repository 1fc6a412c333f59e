"""Operations on answers: a request that carries an Idempotency-Key is done once, and answered the same.

What is kept is a hash of who asked and of their key, a hash of what was asked, and the answer; for a
day.  While it is being done nobody else does it; where the process ended meanwhile nobody knows
whether it was done, and that is said.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Final, NamedTuple

from postroom.clock import timestamp
from postroom.db import Tx
from postroom.errors import Refused
from postroom.operations.desk import Desk

__all__ = ["Answer", "Answers", "erase"]

KEEP_SECONDS: Final = 86400.0
_FIND: Final = "SELECT request, status, body FROM answers WHERE key = :key AND at > :since"
_BEGIN: Final = (
    "INSERT OR REPLACE INTO answers (key, request, status, body, at) "
    "VALUES (:key, :request, NULL, '', :at)"
)
_END: Final = "UPDATE answers SET status = :status, body = :body WHERE key = :key"
_FORGET: Final = "DELETE FROM answers WHERE key = :key AND status IS NULL"
_PURGE: Final = "DELETE FROM answers WHERE at <= :since"
_ERASED: Final = '{"v": 1, "erased": true}'
"""What is answered again where the answer named a person who was erased: it still was done once."""


_OLD: Final = "SELECT 1 FROM answers WHERE at <= :since LIMIT 1"


def erase(tx: Tx, named_in: Callable[[str], bool]) -> int:
    """Take the text out of the answers that name a person; gives how many there were."""
    rows = tx.all("SELECT key, body FROM answers WHERE body <> ''")
    found = [{"key": row["key"], "erased": _ERASED} for row in rows if named_in(_text(row["body"]))]
    tx.many("UPDATE answers SET body = :erased WHERE key = :key", found)
    return len(found)


def _text(body: str) -> str:
    """A document with its letters as they are, also those that JSON writes as numbers."""
    try:
        return json.dumps(json.loads(body), ensure_ascii=False)
    except ValueError:
        return body


class Answer(NamedTuple):
    """What was answered: the status of HTTP and the body, as text."""

    status: int
    body: str


class Answers:
    """The answers to requests with an Idempotency-Key."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def begin(self, key: str, request: bytes) -> Answer | None:
        """Begin a request; gives the answer where it was done before.

        Raises Refused: ``idempotency_conflict`` where the key was another request's, or where the same
        one is being done.
        """
        place, asked = self._place(key), hashlib.sha256(request).digest()

        def body(tx: Tx) -> Answer | None:
            now = timestamp()
            found = tx.one(_FIND, key=place, since=now - KEEP_SECONDS)
            if found is None:
                tx.execute(_PURGE, since=now - KEEP_SECONDS)
                tx.execute(_BEGIN, key=place, request=asked, at=now)
                return None
            if bytes(found["request"]) != asked:
                raise Refused(
                    "This Idempotency-Key was used for another request.",
                    code="idempotency_conflict",
                    hint="A key is for one request, and for what repeats it; take a new one.",
                )
            if found["status"] is None:
                raise Refused(
                    "The request with this Idempotency-Key is being done, or was broken off.",
                    code="idempotency_conflict",
                    hint="Ask again later; if it stays so, look what was done, and take a new key.",
                    temporary=True,
                )
            return Answer(found["status"], found["body"])

        return await self._desk.write(body)

    async def end(self, key: str, answer: Answer | None) -> None:
        """Keep the answer; None: it was not done, and the key is free again."""
        place = self._place(key)

        def body(tx: Tx) -> None:
            if answer is None:
                tx.execute(_FORGET, key=place)
            else:
                tx.execute(_END, key=place, status=answer.status, body=answer.body)

        await self._desk.write(body)

    async def purge(self) -> None:
        """Remove what was kept for its day, whether or not anybody asks for another."""
        since = timestamp() - KEEP_SECONDS
        if await self._desk.db.read(lambda tx: tx.value(_OLD, since=since)):
            await self._desk.write(lambda tx: tx.execute(_PURGE, since=since))

    def _place(self, key: str) -> bytes:
        return hashlib.sha256(f"{self._desk.actor}\0{key}".encode()).digest()
