"""Searching here: messages are read and held against criteria, where the server cannot do it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final

from postroom.connections.criteria import Criteria
from postroom.mail import Message
from postroom.protocols.base import MessageStore, OpenSpool

__all__ = ["fitting"]

_AT_ONCE: Final = 200  # messages whose headers are in memory together


async def fitting(
    store: MessageStore, spool: OpenSpool, ids: Sequence[str], criteria: Criteria
) -> list[str]:
    """Those of the messages of the open folder that meet the criteria, in the order of ``ids``.

    Only the headers are read, unless a criterion is about the text.  Raises WireError.
    """
    found: list[str] = []
    for start in range(0, len(ids), _AT_ONCE):
        some = list(ids[start : start + _AT_ONCE])
        summaries = {each.id: each for each in await store.summaries(some)}
        async for one, message in _messages(store, spool, some, whole=criteria.needs_body):
            if one in summaries and criteria.fits(message, summaries[one]):
                found.append(one)
    return found


async def _messages(
    store: MessageStore, spool: OpenSpool, ids: Sequence[str], *, whole: bool
) -> AsyncIterator[tuple[str, Message]]:
    if not whole:
        blocks = await store.read_headers(ids)
        for one in ids:
            if one in blocks:
                yield one, Message(blocks[one])
        return
    async for batch in store.fetch(ids, spool):
        for fetched in batch:
            if fetched.content is not None:
                try:
                    yield fetched.id, Message(fetched.content.bytes())
                finally:
                    fetched.content.discard()
