"""One automatic answer to one sender: what counts as one, for how long, and what is kept of it."""

from __future__ import annotations

from postroom.errors import Refused
from postroom.services import answered, ofrun, outbox
from tests.unit.services.desk import Desk, parcel
from tests.unit.services.runs import begin_run

ME, ANN = "orders@acme.example", "ann@customer.example"
DAY = 86400.0


async def may(desk: Desk, sender: str = ANN, *, mailbox: str = ME, later: float = 0.0) -> bool:
    try:
        await desk.db.read(
            lambda tx: answered.check(tx, mailbox, sender, once_in=DAY, now=desk.clock + later)
        )
    except Refused as error:
        return not ("once in 1d is enough" in error.sentence and error.facts["once_in"] == DAY)
    return True


async def mark(desk: Desk, item: str, sender: str = ANN) -> None:
    await desk.db.write(
        lambda tx: answered.mark(tx, ME, sender, item=item, once_in=DAY, now=desk.clock)
    )


async def test_once_in_a_day(desk: Desk) -> None:
    """However the address is written; each mailbox and each sender for itself."""
    assert await may(desk)
    await mark(desk, await desk.add())
    assert not await may(desk)
    assert not await may(desk, "Ann@Customer.EXAMPLE", mailbox="ORDERS@acme.example", later=DAY - 1)
    assert await may(desk, later=DAY)
    assert await may(desk, "bob@customer.example")
    assert await may(desk, mailbox="info@acme.example")


async def test_an_answer_that_was_cancelled_with_its_run_is_none(desk: Desk) -> None:
    """A run that is begun anew answers; while one may still succeed, nobody else does."""
    await begin_run(desk.db, "run-1", job="answer")
    item = await desk.db.write(
        lambda tx: outbox.add(tx, desk.service, parcel(ANN), actor="job:answer", run="run-1")
    )
    await mark(desk, item)
    assert not await may(desk)
    await desk.db.write(lambda tx: ofrun.cancel(tx, "run-1", reason="again", now=desk.clock))
    assert await may(desk)
    second = await desk.add()
    await mark(desk, second)
    assert not await may(desk)


async def test_nobody_is_remembered_longer_than_that(desk: Desk) -> None:
    """And nobody's address lies there: a hash does, another one for each mailbox."""
    await mark(desk, await desk.add())
    await desk.db.write(
        lambda tx: answered.mark(
            tx, "info@acme.example", ANN, item="x", once_in=DAY, now=desk.clock
        )
    )
    rows = await desk.db.read(lambda tx: [tuple(row) for row in tx.all("SELECT * FROM answered")])
    assert "ann" not in str(rows)
    assert len({row[1] for row in rows}) == 2
    assert await desk.db.write(lambda tx: answered.purge(tx, now=desk.clock + DAY - 1)) == 0
    assert await desk.db.write(lambda tx: answered.purge(tx, now=desk.clock + DAY + 1)) == 2


async def test_whoever_is_erased_is_forgotten(desk: Desk) -> None:
    await mark(desk, await desk.add())
    await mark(desk, await desk.add(), "bob@customer.example")
    assert await desk.db.write(lambda tx: answered.erase(tx, "ANN@customer.example")) == 1
    assert await may(desk)
    assert not await may(desk, "bob@customer.example")
