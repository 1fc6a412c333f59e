"""Models of what people watch: notices, health, keys, the audit record."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal, TypedDict

from postroom.credentials.checking import Damage
from postroom.notices.notification import Notify
from postroom.operations.health import Check
from postroom.operations.keys.findings import Finding
from postroom.operations.models.shown import Shown, Unreadable

__all__ = [
    "AuditKept",
    "AuditRow",
    "Damaged",
    "KeysFound",
    "KeysStatus",
    "Need",
    "Notice",
    "Notification",
    "NotificationLine",
    "Ready",
    "Tried",
]


class _OfNotification(TypedDict):
    way: str
    where: str
    used_at: dt.datetime | None
    outcome: str
    saved_by: Annotated[str, "Whoever saved it last: it tells what they see.  Empty: it tells all."]


class _Told(TypedDict):
    notification: str
    at: dt.datetime
    ok: bool
    over: str
    why: str


class _Notice(TypedDict):
    cause: str
    noun: str
    name: str
    said: str
    do: str
    since: dt.datetime
    over_at: dt.datetime | None
    told: list[_Told]


class _Need(TypedDict):
    kind: str
    noun: str
    name: str
    said: str
    do: str
    broken: bool


class _Tried(TypedDict):
    name: str
    way: str
    where: str
    ok: bool
    said: str


class _Ready(TypedDict):
    ok: bool
    checks: list[Check]


class _VaultKey(TypedDict):
    term: int
    state: str


class _KeysStatus(TypedDict):
    room: str
    state: Literal["locked", "open"]
    source: str
    why: str
    warning: str
    kek_ids: list[str]
    vault_keys: list[_VaultKey]
    sealed_values: int
    kits: list[str]
    notes: list[str]


class _KeysFound(TypedDict):
    state: Literal["locked", "open"]
    ok: bool
    findings: list[Finding]


class _AuditRow(TypedDict):
    stream: str
    seq: int
    at: dt.datetime
    actor: str
    action: str
    noun: str
    name: str
    detail: Annotated[dict[str, Any], "What else is known of it, by the action."]


class _AuditKept(TypedDict):
    path: str
    at: dt.datetime | None


Notification = Annotated[dict[str, Any], Shown(Notify, _OfNotification)]
NotificationLine = Annotated[dict[str, Any], Shown(Notify, _OfNotification), Unreadable]
Notice = Annotated[dict[str, Any], _Notice]
Need = Annotated[dict[str, Any], _Need]
Tried = Annotated[dict[str, Any], _Tried]
Ready = Annotated[dict[str, Any], _Ready]
KeysStatus = Annotated[dict[str, Any], _KeysStatus]
KeysFound = Annotated[dict[str, Any], _KeysFound]
Damaged = Annotated[dict[str, Any], Damage]
AuditRow = Annotated[dict[str, Any], _AuditRow]
AuditKept = Annotated[dict[str, Any], _AuditKept]
