"""Collect what is new, then read what was delivered; finally look into the folder itself.

    python examples/collect.py

The room is that of POSTROOM_ROOM (or your own), with a source called orders-in whose sink is a
directory; see examples/orders.yaml.
"""

from pathlib import Path

import postroom
from postroom.mail import Message


def main() -> None:
    """One pass over the source."""
    with postroom.open() as room:
        if room.collecting.run("orders-in") is None:
            print("A worker owns the source; it was asked to look now.")
        for entry in room.ledger.list("orders-in", states=["done"], limit=5):
            message = Message(Path(entry.delivered_to).read_bytes())
            print(message.date, message.subject, [part.name for part in message.attachments])
        for message in room.connection("acme").folder("INBOX").search("unseen", limit=5):
            print("unseen:", message.subject)


if __name__ == "__main__":
    main()
