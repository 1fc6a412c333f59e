"""F11: one idempotency key is one message, however many ask for it at once, and after a crash."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from typing import Any

import pytest

from tests.faults.children import Victim, until_dead
from tests.faults.dose import dose, minutes
from tests.faults.stage import Stage
from tests.journeys.outgoing import NAME, Outgoing, message_ids

pytestmark = pytest.mark.timeout(minutes(2, 10, 30))


def _sender(stage: Stage, *arguments: str, spot: str = "") -> Victim:
    return Victim("tests.faults.sending:send_under_key", *stage.where, *arguments, spot=spot)


async def _answers(victims: list[Victim]) -> list[str]:
    """What all of them were told; they work beside each other."""
    found: list[str] = []
    with contextlib.ExitStack() as stack:
        for victim in victims:
            stack.enter_context(victim)
        for victim in victims:
            assert await asyncio.to_thread(victim.line) == "ready"
        for victim in victims:
            found += json.loads(await asyncio.to_thread(victim.line))
            assert await asyncio.to_thread(victim.wait, 60.0) == 0
    return found


async def _arrived(post: Outgoing) -> list[str]:
    await asyncio.to_thread(post.ground.postfix.idle)
    return message_ids(post.other)


async def test_fifty_at_once_are_one_message(post: Outgoing, stage: Stage) -> None:
    """F11: five processes send ten times each, all under one key: one item, one message."""
    await post.service()
    for number in range(dose(1, 10, 50)):
        words = (post.other.address, f"order-{number}", ",".join(["the same"] * 10))
        answers = await _answers([_sender(stage, *words) for _ in range(5)])
        assert len(answers) == 50
        assert len(set(answers)) == 1
        assert (await post.show(answers[0])).state == "sent"
        assert len(await _arrived(post)) == number + 1


async def test_another_content_under_the_key_is_a_conflict(post: Outgoing, stage: Stage) -> None:
    """F11: of two contents at once one is sent, whoever asked with the other hears of the conflict."""
    await post.service()
    for number in range(dose(1, 10, 50)):
        words = (post.other.address, f"order-{number}")
        answers = await _answers(
            [_sender(stage, *words, ",".join([text] * 10)) for text in ("one", "two")]
        )
        told: dict[Any, int] = Counter(answers)
        assert told.pop("idempotency_conflict") == 10
        assert list(told.values()) == [10]
        assert len(await _arrived(post)) == number + 1


@pytest.mark.parametrize(
    "spot",
    ["sql INSERT INTO outbox_content before", "postroom.operations.email:Email.follow before"],
)
async def test_the_key_holds_over_a_crash(post: Outgoing, stage: Stage, spot: str) -> None:
    """F11: killed while it is stored, or right after; whoever asks again makes no second message."""
    await post.service()
    words = (post.other.address, "order-1", "the same")
    with _sender(stage, *words, spot=spot) as victim:
        assert await until_dead(victim)
    answers = await _answers([_sender(stage, *words) for _ in range(2)])
    assert len(set(answers)) == 1
    assert sum(post.states().values()) == 1
    assert len(await _arrived(post)) == 1


@pytest.mark.parametrize(("days", "items"), [(6.9, 1), (7.1, 2)])
async def test_a_key_is_new_again_after_seven_days(post: Outgoing, days: float, items: int) -> None:
    """F11: before that the same item comes back, after it a new one; no worker has to tidy up first."""
    await post.service()
    item = await post.room.email.store(NAME, post.draft(), idempotency_key="order-1")
    assert (await post.drain()).sent == 1
    await post.room.desk.db.write(
        lambda tx: tx.execute(
            "UPDATE outbox SET finished_at = finished_at - :age", age=days * 86_400
        )
    )
    again = await post.room.email.store(NAME, post.draft(), idempotency_key="order-1")
    assert len({item, again}) == items
    assert await post.room.email.store(NAME, post.draft(), idempotency_key="order-1") == again
    await post.drain()
    assert len(await _arrived(post)) == items
