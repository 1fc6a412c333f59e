"""Models of connections and of accounts: settings, what they come to, events, sign-ins."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal, NotRequired, TypedDict

from postroom.connections import connection
from postroom.connections.recognising import SignInWay
from postroom.operations.models.shown import LastUse, Shown
from postroom.operations.moved import Moved
from postroom.operations.usage import Use

__all__ = [
    "Connected",
    "Connection",
    "ConnectionEvent",
    "ConnectionLine",
    "GuideFacts",
    "Recognised",
    "SignIn",
]


class _LastTry(TypedDict):
    ok: bool
    at: dt.datetime
    said: str


class _SidesTried(TypedDict):
    incoming: NotRequired[_LastTry]
    outgoing: NotRequired[_LastTry]


class _ConnectionLine(TypedDict):
    name: str
    description: str
    used_by: int
    warnings: list[str]
    tried: _SidesTried
    error: NotRequired[str]
    incoming: NotRequired[str]
    outgoing: NotRequired[str]


class _EffectiveSide(TypedDict):
    protocol: str
    host: str
    port: int
    security: Literal["tls", "starttls", "none"]
    user: str
    auth: Annotated[dict[str, Any], Shown(connection.Auth)]
    check_server_identity: bool
    trust: str
    client_certificate: str
    proxy: str
    read_only: bool
    destination: str


class _Effective(TypedDict):
    name: str
    type: str
    extends: list[str]
    incoming: _EffectiveSide | None
    outgoing: _EffectiveSide | None
    worker_roles: list[str]
    allowed_senders: list[str]
    inherited: dict[str, str]
    warnings: list[str]


class _OfConnection(LastUse):
    usage: list[Use]
    effective: _Effective | None
    warnings: list[str]
    tried: _SidesTried
    error: NotRequired[str]
    moved: NotRequired[list[Moved]]


class _ConnectionEvent(TypedDict):
    since: dt.datetime
    at: dt.datetime
    times: int
    actor: str
    side: str
    event: str
    step: str
    code: str
    detail: str


class _GuideFacts(TypedDict):
    provider: str
    wires: list[str]
    mailboxes: list[str]
    flow: NotRequired[str]
    certificate: NotRequired[bool]
    shared: NotRequired[bool]


class _Preset(TypedDict):
    preset: str
    provider: str
    imap: str
    pop3: str
    smtp: str
    sign_in: list[str]
    authority: str
    endpoints: dict[str, str]
    scopes: list[str]
    domains: list[str]
    quirks: list[str]
    seen: str
    sources: list[str]


class _Recognised(_Preset):
    address: str
    by: str
    ways: list[SignInWay]


class _Connected(TypedDict):
    credential: str
    certificate: str
    connection: str
    source: str
    service: str
    text: str


class _SignIn(TypedDict):
    account: str
    identity: str
    authority: str
    client_id: str
    flow: str
    state: str
    note: str
    signed_in_at: dt.datetime | None
    signed_in_by: str
    refreshed_at: dt.datetime | None
    connections: list[str]


ConnectionLine = Annotated[dict[str, Any], _ConnectionLine]
Connection = Annotated[dict[str, Any], Shown(connection.Connection, _OfConnection)]
ConnectionEvent = Annotated[dict[str, Any], _ConnectionEvent]
GuideFacts = Annotated[dict[str, Any], _GuideFacts]
Recognised = Annotated[dict[str, Any], _Recognised]
Connected = Annotated[dict[str, Any], _Connected]
SignIn = Annotated[dict[str, Any], _SignIn]
