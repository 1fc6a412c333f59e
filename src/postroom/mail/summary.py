"""The few facts of a header that ledger rows, lists and ``${mail:...}`` need, at scanning speed."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

from postroom.mail.addresses import Address, read_addresses
from postroom.mail.filenames import safe_name
from postroom.mail.headers import decode_header, read_date, scan

__all__ = ["HEADERS", "MessageSummary", "summarise"]

HEADERS: Final = frozenset({"subject", "from", "date", "received", "message-id"})
"""The fields :func:`summarise` looks at: what to ask a server for."""


@dataclass(frozen=True)
class MessageSummary:
    """Subject, authors, when it was received (UTC) and the Message-ID; absent ones are empty."""

    subject: str
    from_: list[Address]
    received: dt.datetime | None
    message_id: str

    def values(self, folder: str, *, as_names: bool = False) -> dict[str, str]:
        """The values of ``${mail:folder|from|subject|received}``.

        ``as_names``: each is one safe path component, for sink paths; otherwise for display.
        """
        who = next((each.address or each.name for each in self.from_), "")
        received = self.received
        shown = {
            "folder": folder,
            "from": who,
            "subject": self.subject,
            "received": received.strftime("%Y-%m-%dT%H:%M:%SZ") if received else "",
        }
        if not as_names:
            return shown
        shown["received"] = received.strftime("%Y-%m-%dT%H-%M-%SZ") if received else ""
        return {key: safe_name(value, fallback=f"no-{key}") for key, value in shown.items()}


def summarise(block: bytes, received: dt.datetime | None = None) -> MessageSummary:
    """The summary of a header block (the body may follow).

    ``received`` is what the server says (INTERNALDATE); without it the topmost Received field
    counts, then Date.
    """
    found = scan(block, HEADERS)
    if received is None:
        # RFC 5322, 3.6.7: the date stands behind the last semicolon
        stamp = found.get("received", b"").rpartition(b";")[2]
        received = (read_date(stamp) if stamp else None) or read_date(found.get("date", b""))
    return MessageSummary(
        decode_header(found.get("subject", b"")),
        read_addresses(found.get("from", b"")),
        received,
        decode_header(found.get("message-id", b""))[:998],
    )
