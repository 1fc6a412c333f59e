"""Models of credentials: as they are listed and shown, their versions, secrets and ends."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal, NotRequired, TypedDict

from postroom.operations.models.shown import LastUse
from postroom.operations.usage import Use

__all__ = ["ClientSecret", "Credential", "CredentialLine", "Version"]


class _Due(TypedDict):
    what: str
    on: dt.date
    days: int
    says: str


class _CredentialLine(TypedDict):
    name: str
    type: str
    description: str
    state: Literal["complete", "incomplete", "unreadable"]
    missing: list[str]
    warnings: list[str]
    expires_at: dt.date | None
    rotate_after: dt.date | None
    programs: bool
    direct: bool
    restricted: bool
    secrets: list[str]
    due: list[_Due]


class _CredentialListed(_CredentialLine):
    used_by: int
    used_at: NotRequired[dt.datetime | None]


class _Ending(TypedDict):
    name: str
    kind: str
    what: str
    on: dt.date
    days: int
    says: str
    stops: list[str]
    instead: str
    last_refresh: NotRequired[dt.datetime]


class _CredentialShown(_CredentialLine, LastUse):
    fields: Annotated[dict[str, Any], "As its type declares them; what is sealed is a mask."]
    destinations: list[str]
    version: int
    created_at: dt.datetime
    updated_at: dt.datetime
    presented_at: dt.datetime | None
    usage: list[Use]


class _Version(TypedDict):
    version: int
    state: Literal["current", "kept", "destroyed"]
    same_as: int | None
    secrets: dict[str, str]
    destinations: list[str]
    typed_by: str
    typed_at: dt.datetime | None
    presented_at: dt.datetime | None
    destroyed_at: dt.datetime | None


class _ClientSecret(TypedDict):
    label: str
    description: str | None
    value: str
    valid_until: dt.date | None
    days: int | None
    state: str
    worked_at: dt.datetime | None
    refused_at: dt.datetime | None
    why: str


CredentialLine = Annotated[dict[str, Any], _CredentialListed, _Ending]
Credential = Annotated[dict[str, Any], _CredentialShown]
Version = Annotated[dict[str, Any], _Version]
ClientSecret = Annotated[dict[str, Any], _ClientSecret]
