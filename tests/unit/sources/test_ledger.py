"""What a source remembers: every message in one state, nothing twice, nothing lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from postroom.db import Database, Row, Tx
from postroom.sinks import Delivery
from postroom.sources import cursors, entries, ledger, renumbered
from postroom.sources.ledger import Read, Seen

STORE, INBOX = "store-1", "INBOX"


class Book:
    """The ledger of one source, in the words of these tests."""

    def __init__(self, db: Database, source: str) -> None:
        self._db, self.source = db, source

    async def do(self, body: Callable[[Tx], object]) -> None:
        await self._db.write(body)

    async def listed(self, uids: Iterable[int], state: str = "pending", **more: object) -> None:
        seen = [Seen(f"7-{uid}", state, "", 100, None, **more) for uid in uids]  # type: ignore[arg-type]
        top = max((int(one.message[2:]) for one in seen), default=0)
        await self._db.write(
            lambda tx: ledger.record(
                tx, self.source, STORE, INBOX, seen, cursor=f"7-{top}", uidvalidity=7, now=1.0
            )
        )

    async def take(self, most: int = 10, most_bytes: int = 10**9) -> list[int]:
        rows = await self._db.write(
            lambda tx: ledger.acquire(
                tx, self.source, INBOX, most=most, most_bytes=most_bytes, now=2.0
            )
        )
        return [int(row["message"][2:]) for row in rows]

    async def row(self, uid: int) -> Row:
        found = await self._db.read(
            lambda tx: tx.one("SELECT * FROM ledger WHERE message = :m", m=f"7-{uid}")
        )
        assert found is not None
        return found

    async def ids(self, uids: Iterable[int]) -> list[int]:
        return [(await self.row(uid))["id"] for uid in uids]

    async def back(self, uids: Iterable[int], blamed: int | None = None) -> None:
        ids = await self.ids(uids)
        guilty = None if blamed is None else (await self.row(blamed))["id"]
        await self.do(lambda tx: ledger.give_back(tx, ids, blamed=guilty, now=3.0))

    async def recover(self) -> None:
        await self.do(lambda tx: ledger.recover(tx, self.source, 4.0))

    async def deliver(
        self, uid: int, *, error: str = "", done_due: bool = False, error_due: bool = False
    ) -> None:
        where = "" if error else f"/orders/{uid}.eml"
        read = Read(
            Delivery((await self.row(uid))["id"], where, error),
            b"digest",
            "Subject",
            "a@b",
            "<m@x>",
        )
        await self.do(
            lambda tx: ledger.delivered(
                tx, [read], [], done_due=done_due, error_due=error_due, now=5.0
            )
        )

    async def counts(self) -> dict[str, int]:
        return await self._db.read(lambda tx: entries.counts(tx, self.source))


@pytest.fixture
def book(db: Database, source_id: str) -> Book:
    return Book(db, source_id)


async def test_the_cursor_and_its_rows_are_one_transaction(db: Database, book: Book) -> None:
    """Nothing lost: a listing that fails half way moves no cursor and records no row."""

    def half(tx: Tx) -> None:
        seen = [Seen("7-1", "pending", "", 1, None)]
        ledger.record(tx, book.source, STORE, INBOX, seen, cursor="7-1", uidvalidity=7, now=1.0)
        raise ConnectionError("cut")

    with pytest.raises(ConnectionError):
        await db.write(half)
    assert await db.read(lambda tx: cursors.cursor_of(tx, book.source, STORE, INBOX)) is None
    assert await book.counts() == {}
    await book.listed([1, 2])
    row = await db.read(lambda tx: cursors.cursor_of(tx, book.source, STORE, INBOX))
    assert row is not None
    assert (row.text, row.uidvalidity) == ("7-2", 7)


async def test_listing_a_known_message_again_changes_nothing(book: Book) -> None:
    """Recorded exactly once: a message that is listed twice keeps its state."""
    await book.listed([1, 2])
    await book.take(1)
    await book.deliver(1)
    await book.listed([1, 2, 3])
    assert await book.counts() == {"done": 1, "pending": 2}


async def test_batches_are_taken_in_order_and_bounded_by_bytes(book: Book) -> None:
    """Oldest first; at least one message, however large it is."""
    await book.listed(range(1, 8))
    assert await book.take(2) == [1, 2]
    assert await book.take(10, most_bytes=250) == [3, 4]
    assert await book.take(10, most_bytes=10) == [5]
    assert await book.take() == [6, 7]
    assert await book.take() == []
    assert (await book.row(7))["attempts"] == 1, "the attempt is counted before a byte arrives"


async def test_what_was_not_read_goes_back_without_blame(book: Book) -> None:
    """After a lost connection only the message that was in flight keeps its attempt (T77)."""
    await book.listed(range(1, 6))
    await book.take()
    await book.back(range(1, 6), blamed=3)
    assert [(await book.row(uid))["attempts"] for uid in range(1, 6)] == [0, 0, 1, 0, 0]
    assert await book.take() == [1, 2, 4, 5], "the fresh ones come first, in one batch"
    assert await book.take() == [3], "and what failed before comes alone"


async def test_after_a_crash_messages_are_tried_one_by_one(book: Book) -> None:
    """A batch that a dead worker had is tried singly, so that the poisonous one is found (T77)."""
    await book.listed(range(1, 4))
    await book.take()
    await book.recover()
    assert await book.counts() == {"pending": 3}
    assert await book.take() == [1]
    await book.deliver(1)
    assert await book.take() == [2]


async def test_the_third_failure_holds_the_message_and_the_rest_goes_on(book: Book) -> None:
    """A poison message stops only itself: three crashes, then it is held, with the reason (T77)."""
    await book.listed([1])
    for _ in range(3):
        assert await book.take() == [1]
        await book.recover()
    row = await book.row(1)
    assert (row["state"], row["reason"]) == ("held", "third failure")
    await book.listed([2])
    assert await book.take() == [2]


async def test_the_third_lost_connection_holds_it_too(book: Book) -> None:
    """The same for a message during which the connection was lost three times."""
    await book.listed([1])
    for _ in range(3):
        assert (await book.row(1))["state"] == "pending"
        await book.take()
        await book.back([1], blamed=1)
    assert (await book.row(1))["state"] == "held"


async def test_a_released_message_has_three_tries_again(db: Database, book: Book) -> None:
    """Releasing a held message forgets its old failures."""
    await book.listed([1, 2], "held")
    ids = await book.ids([1])
    released = await db.write(lambda tx: entries.release(tx, book.source, ids, now=9.0))
    assert released == 1
    assert await book.counts() == {"held": 1, "pending": 1}
    assert await db.write(lambda tx: entries.release(tx, book.source, None, now=9.0)) == 1
    assert await book.take() == [1, 2]


@pytest.mark.parametrize(
    ("error", "done_due", "error_due", "state", "due"),
    [
        ("", False, False, "done", ""),
        ("", True, False, "delivered", "done"),
        ("", True, True, "delivered", "done"),
        ("cannot be written", True, False, "failed", ""),
        ("cannot be written", True, True, "failed", "error"),
    ],
)
async def test_what_follows_a_delivery(
    book: Book, error: str, done_due: bool, error_due: bool, state: str, due: str
) -> None:
    """Delivered until its after-action is done; a refused message is failed, and says why."""
    await book.listed([1])
    await book.take()
    await book.deliver(1, error=error, done_due=done_due, error_due=error_due)
    row = await book.row(1)
    assert (row["state"], row["after_due"], row["reason"]) == (state, due, error)
    assert (row["subject"], row["message_id"]) == ("Subject", "<m@x>")


async def test_after_actions_are_settled_by_outcome(db: Database, book: Book) -> None:
    """``done`` only once the after-action is finished; other outcomes keep their state."""
    await book.listed([1, 2])
    await book.listed([3], "ignored", after_due="ignored")
    await book.take()
    await book.deliver(1, done_due=True)
    await book.deliver(2, error="no", error_due=True)
    for outcome, uid in (("done", 1), ("error", 2), ("ignored", 3)):

        def due(tx: Tx, outcome: str = outcome) -> list[Row]:
            return ledger.to_settle(tx, book.source, INBOX, outcome, after=0, limit=9)

        rows = await db.read(due)
        assert [row["message"] for row in rows] == [f"7-{uid}"]
        ids = [row["id"] for row in rows]
        await db.write(lambda tx, ids=ids: ledger.settle_after(tx, ids, gone=True, now=6.0))  # type: ignore[misc]
        assert await db.read(due) == []
    assert await book.counts() == {"done": 1, "failed": 1, "ignored": 1}


@pytest.mark.parametrize(
    ("state", "due", "after"),
    [
        ("pending", "", "vanished"),
        ("held", "", "vanished"),
        ("delivered", "done", "done"),
        ("failed", "error", "failed"),
        ("ignored", "ignored", "ignored"),
        ("done", "", "done"),
        ("vanished", "", "vanished"),
    ],
)
@pytest.mark.parametrize("other", ["UIDVALIDITY", "mailbox"])
async def test_what_nobody_can_ask_for_is_finished(
    db: Database, book: Book, state: str, due: str, after: str, other: str
) -> None:
    """Old numbers, or those of another mailbox, are never asked for: they would be other messages."""
    await book.listed([1], state, after_due=due)
    store, validity = (STORE, 8) if other == "UIDVALIDITY" else ("store-2", 7)

    def left(uidvalidity: int, at: str = store) -> bool:
        return db.read_now(lambda tx: renumbered.retirable(tx, book.source, at, INBOX, uidvalidity))

    assert left(7, STORE) is False
    assert left(0, STORE) is False, "POP3 has none: nothing changes"
    assert left(validity) is (state != after or bool(due))
    await book.do(lambda tx: renumbered.retire(tx, book.source, store, INBOX, validity, now=9.0))
    row = await book.row(1)
    assert (row["state"], row["after_due"]) == (after, "")
    assert left(validity) is False


async def test_reset_processes_again_what_is_finished(db: Database, book: Book) -> None:
    """Everything but what is being worked on comes again, with three fresh tries."""
    await book.listed([1, 2, 3])
    await book.take(1)
    await book.deliver(1)
    await book.take(1)
    assert await db.write(lambda tx: entries.reset(tx, book.source, None, now=9.0)) == 1
    assert await book.counts() == {"acquired": 1, "pending": 2}
    assert (await book.row(1))["attempts"] == 0


async def test_forgetting_removes_rows_and_cursors(db: Database, book: Book) -> None:
    """A source that forgot begins from its start again."""
    await book.listed([1])
    await db.write(lambda tx: entries.forget(tx, book.source))
    assert await book.counts() == {}
    assert await db.read(lambda tx: cursors.cursor_of(tx, book.source, STORE, INBOX)) is None
