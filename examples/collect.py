"""Collect what is new, then read what was delivered; finally look into the folder itself.

    python examples/collect.py

The room is that of POSTROOM_ROOM (or your own), with a source called orders-in whose sink is a
directory; see examples/orders.yaml.
"""

import asyncio
from pathlib import Path

import postroom
from postroom.mail import Message


async def main() -> None:
    """One pass over the source."""
    async with postroom.aopen() as room:
        tally = await room.collecting.run("orders-in")
        if tally is None:
            print("A worker owns the source; it was asked to look now.")
        for entry in await room.ledger.list("orders-in", states=["done"], limit=5):
            message = Message(Path(entry.delivered_to).read_bytes())
            print(message.date, message.subject, [part.name for part in message.attachments])
        async for message in room.connection("acme").folder("INBOX").search("unseen", limit=5):
            print("unseen:", message.subject)


if __name__ == "__main__":
    asyncio.run(main())
