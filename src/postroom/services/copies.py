"""Copies of sent messages in the Sent folder: which are wanted, and the durable queue of those due."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, Literal

from postroom.clock import timestamp
from postroom.db import Claim, Database, Owe, Queue, Tx, write_or_owe
from postroom.errors import NotThere, PostroomError, Refused
from postroom.services import contents, parking
from postroom.services import settle as rows
from postroom.services.service import Service

__all__ = ["COPIES", "OpenSent", "State", "after", "make_copies", "wants_copy"]

State = Literal["waiting", "kept", "failed", "none"]
"""``kept``: it lies there.  ``none``: there turned out to be no place for it, or no wish."""

OpenSent = Callable[[str], AbstractAsyncContextManager[Callable[[str, bytes], Awaitable[None]]]]
"""Opens the Sent folder of a connection; what comes out puts a message there, given its Message-ID
and its bytes, unless it lies there already.  Both raise PostroomError."""

COPIES: Final = Queue(
    "sent_copies",
    ready="state = 'waiting' AND (:item = '' OR id = :item)",
    order="due_at, id",
    among="service",
)
_BATCH: Final = 20


def wants_copy(policy: str, *, imap: bool, read_only: bool, kept: bool) -> bool:
    """Whether a sent message is to be put into the Sent folder (pure).

    ``kept``: the provider is known to keep a copy of what it is given to send.
    """
    if policy == "auto":
        return imap and not read_only and not kept
    return policy == "append"


def after(error: PostroomError, policy: str, *, over: bool) -> State:
    """What becomes of a copy that could not be made (pure); ``over``: its retry time has passed.

    Without a Sent folder ``auto`` wants none, and ``append`` was promised one.
    """
    if error.code == "folder_missing":
        return "none" if policy == "auto" else "failed"
    if over or isinstance(error, (Refused, NotThere)):
        return "failed"
    return "waiting"


async def make_copies(
    db: Database,
    connection: str,
    by_name: Mapping[str, Service],
    *,
    owner: str,
    item: str,
    open_sent: OpenSent,
    owe: Owe | None = None,
) -> PostroomError | None:
    """Make the copies of one connection that are due, as long as it serves; gives the first error.

    The claim is only settled after the copy is there, and whoever takes it over looks first: so a
    copy is made once, as far as can be known.
    """

    def claim(tx: Tx) -> list[Claim]:
        now = timestamp()
        names = parking.may_go(tx, "sent_copies", by_name, now=now)
        return COPIES.claim(tx, owner=owner, now=now, limit=_BATCH, names=names, item=item)

    first: PostroomError | None = None
    while claims := await db.write(claim):
        left = list(claims)
        try:
            async with open_sent(connection) as put:
                while left:
                    error = await _make(db, left[0], by_name, owner, put)
                    left.pop(0)
                    first = first or error
        except PostroomError as error:
            failed, left, cause = left, [], error
            first = first or error
            await write_or_owe(db, lambda tx: _failed(tx, failed, by_name, owner, cause), owe)  # noqa: B023
            break  # what else is due would knock at the same door: it is asked again later
        finally:
            if left:  # cancelled: somebody else may take them at once
                await write_or_owe(db, lambda tx: _give_back(tx, left, owner), owe)  # noqa: B023
    return first


async def _make(
    db: Database,
    one: Claim,
    by_name: Mapping[str, Service],
    owner: str,
    put: Callable[[str, bytes], Awaitable[None]],
) -> PostroomError | None:
    service = by_name[one.row["service"]]

    def read(tx: Tx) -> tuple[str, bytes | None]:
        message_id = tx.value("SELECT message_id FROM outbox WHERE id = :id", id=one.id)
        return message_id, contents.content_of(tx, one.id)

    message_id, content = await db.read(read)
    try:
        if service.sent_copy == "none":
            await db.write(lambda tx: _settle(tx, one, owner, "none", "", 0.0))
            return None
        if content is None:
            raise NotThere("The content had been removed before the copy could be made.")
        await put(message_id, content)
    except PostroomError as error:
        if error.code in ("connection_lost", "timed_out"):
            raise  # of this connection: the rest waits too
        cause = error
        await db.write(lambda tx: _failed(tx, [one], by_name, owner, cause))
        return error
    await db.write(lambda tx: _settle(tx, one, owner, "kept", "", 0.0))
    return None


def _failed(
    tx: Tx,
    claims: Sequence[Claim],
    by_name: Mapping[str, Service],
    owner: str,
    error: PostroomError,
) -> None:
    now = timestamp()
    for one in _held(tx, claims, owner):
        service = by_name[one.row["service"]]
        over = now - one.row["created_at"] >= service.retry.for_
        state = after(error, service.sent_copy, over=over)
        wait = parking.wait_after(error, rows.backoff(service.retry, one.row["attempts"] + 1))
        _settle(tx, one, owner, state, error.kept(error.sentence), now + wait)
    parking.park(tx, "sent_copies", by_name, error, now=now)


def _settle(tx: Tx, one: Claim, owner: str, state: State, said: str, due_at: float) -> None:
    COPIES.guard(tx, one, owner=owner)
    tx.execute(
        "UPDATE sent_copies SET state = :state, said = :said, attempts = attempts + 1 "
        "WHERE id = :id",
        id=one.id,
        state=state,
        said=said,
    )
    COPIES.release(tx, one, owner=owner, due_at=due_at)


def _give_back(tx: Tx, claims: Sequence[Claim], owner: str) -> None:
    for one in _held(tx, claims, owner):
        COPIES.release(tx, one, owner=owner, due_at=one.row["due_at"])


def _held(tx: Tx, claims: Sequence[Claim], owner: str) -> list[Claim]:
    """Those that are still ours: a process that was taken for dead has lost some."""
    return [one for one in claims if COPIES.holds(tx, one, owner=owner)]
