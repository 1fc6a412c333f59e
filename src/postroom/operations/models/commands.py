"""Models of what built-in commands give: the names that each declares, and their types."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Final, NamedTuple, NotRequired, TypedDict

from postroom.connections.report import StepResult
from postroom.jobs.commands import COMMANDS, Command
from postroom.net.certificates import CertificateFacts
from postroom.services.outbox import ItemCopy, ItemRecipient, ItemSettled

__all__ = ["GIVEN", "SELDOM", "Given", "Gives"]


class Gives(NamedTuple):
    """What a built-in command gives: the names that it declares, each of the type in :data:`GIVEN`."""

    command: type[Command]


_Listed = TypedDict(
    "_Listed",
    {
        "id": str,
        "received": dt.datetime | None,
        "from": str,
        "address": str,
        "to": str,
        "subject": str,
        "size": int | None,
        "flags": list[str],
        "message_id": str,
    },
)


class _Folder(TypedDict):
    name: str
    use: str


class _Header(TypedDict):
    name: str
    value: str


class _Attachment(TypedDict):
    name: str
    type: str
    size: int


class _TestedSide(TypedDict):
    side: str
    where: str
    ok: bool
    steps: list[StepResult]
    certificates: NotRequired[list[CertificateFacts]]
    error: NotRequired[
        Annotated[dict[str, Any], "Its code, error, hint, temporary, and its facts."]
    ]
    advice: NotRequired[str]
    commands: NotRequired[list[str]]


_Items = Annotated[dict[str, Any], _Listed, _Folder]
GIVEN: Final[dict[str, Any]] = {
    "answered": bool | None,
    "attachments": list[Annotated[dict[str, Any], _Attachment]],
    "attempts": int | None,
    "by_id": dict[str, str],
    "cc": list[str],
    "count": int,
    "created_at": dt.datetime | None,
    "created_by": str | None,
    "date": dt.datetime | None,
    "from": str | list[str] | None,
    "gone": bool,
    "headers": list[Annotated[dict[str, Any], _Header]],
    "html": str | None,
    "id": str | None,
    "ids": list[str],
    "items": list[_Items],
    "job": str,
    "message_id": str | None,
    "next": str | None,
    "next_attempt_at": dt.datetime | None,
    "note": str | None,
    "ok": bool,
    "paths": list[str],
    "problems": list[str],
    "raw": str,
    "reason": str | None,
    "recipients": list[ItemRecipient],
    "run": str | None,
    "sent_copy": ItemCopy | None,
    "service": str | None,
    "settled": ItemSettled | None,
    "sides": list[Annotated[dict[str, Any], _TestedSide]],
    "size": int | None,
    "state": str,
    "subject": str | None,
    "tested": str,
    "text": str | None,
    "to": list[str],
}
"""The types of what commands give, by name."""
SELDOM: Final = frozenset({"raw"})
"""What they give only where it was asked for."""
Given = Annotated[dict[str, Any], *(Gives(one) for one in COMMANDS)]
