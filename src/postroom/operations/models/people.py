"""Models of people: users, sessions, tokens, grants."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal, NotRequired, TypedDict

__all__ = ["Grant", "Invitation", "NewToken", "Session", "Token", "User"]


class _User(TypedDict):
    name: str
    role: str
    address: str
    disabled: bool
    sign_in: list[Literal["password", "openid"]]
    issuer: str
    subject: str
    sessions: int
    tokens: int
    created_at: dt.datetime
    created_by: str
    updated_at: dt.datetime
    signed_in_at: dt.datetime | None
    rights: NotRequired[list[str]]


class _Invitation(TypedDict):
    name: str
    code: str
    expires_at: dt.datetime


class _Session(TypedDict):
    created_at: dt.datetime
    seen_at: dt.datetime
    expires_at: dt.datetime
    agent: str


class _Token(TypedDict):
    id: str
    name: str
    user: str
    verbs: list[str]
    state: Literal["good", "revoked", "expired", "disabled"]
    created_at: dt.datetime
    expires_at: dt.datetime
    used_at: dt.datetime | None
    revoked_at: dt.datetime | None


class _NewToken(_Token):
    token: str


class _Grant(TypedDict):
    credential: str
    grantee: str
    restricted: bool
    granted_by: str
    granted_at: dt.datetime


User = Annotated[dict[str, Any], _User]
Invitation = Annotated[dict[str, Any], _Invitation]
Session = Annotated[dict[str, Any], _Session]
Token = Annotated[dict[str, Any], _Token]
NewToken = Annotated[dict[str, Any], _NewToken]
Grant = Annotated[dict[str, Any], _Grant]
