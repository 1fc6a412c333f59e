"""The gates of this process: one for each app and mailbox on Graph, shared by all that ask there."""

from __future__ import annotations

import weakref
from typing import Final

from postroom.connections.effective import EffectiveSide
from postroom.protocols.gate import Gate

__all__ = ["AT_ONCE", "Gates"]

AT_ONCE: Final = 4
"""Requests at a time from one app to one mailbox (Microsoft's "Outlook service limits")."""


class Gates:
    """Finds the gate of a side.  Of one event loop.

    Two processes that ask for one mailbox have a gate each: then the service itself says 429 to
    what is too much, and both come later.
    """

    def __init__(self) -> None:
        self._open: weakref.WeakValueDictionary[tuple[str, ...], Gate] = (
            weakref.WeakValueDictionary()
        )

    def of(self, side: EffectiveSide) -> Gate | None:
        """The gate of an app and mailbox; None for a wire that needs none."""
        if side.protocol != "graph" or side.grant is None:
            return None
        whose = side.user or side.grant.account
        key = (side.host, str(side.port), side.grant.client_id, whose.casefold())
        gate = self._open.get(key)
        if gate is None:
            gate = self._open[key] = Gate(AT_ONCE)
        return gate
