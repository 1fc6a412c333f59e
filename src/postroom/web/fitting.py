"""What a list may offer: the connections that have the side that is wanted, and what does without one."""

from __future__ import annotations

from typing import Final, Literal

from postroom.web.controls import Options
from postroom.web.visit import Visit

__all__ = ["connections_with", "credentials_to_hand"]

_DIRECT: Final = {"incoming": ("msgraph",), "outgoing": ("smtp", "msgraph")}
"""The types of credentials that have such a side by themselves."""


async def connections_with(visit: Visit, side: Literal["incoming", "outgoing"]) -> Options:
    """The connections that read, or that send, and the credentials that are used without one."""
    found = [
        (str(one["name"]), _told(one)) for one in await visit.room.connections.list() if side in one
    ]
    for one in await visit.room.credentials.list(types=_DIRECT[side]):
        if one["state"] == "complete" and one["direct"]:
            found.append((f"credential:{one['name']}", f"{_told(one)} (credential)"))
    return found


async def credentials_to_hand(visit: Visit) -> Options:
    """The credentials whose fields a job can be handed."""
    return [(str(one["name"]), _told(one)) for one in await visit.room.credentials.list()]


def _told(one: dict[str, object]) -> str:
    return f"{one['name']} · {one['description']}" if one["description"] else str(one["name"])
