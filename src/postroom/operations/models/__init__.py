"""Models: what operations give where that is no record: the names in an answer, each with its type.

Each is a dict where it is made and where it is read; the OpenAPI document has what is written here, and
a test holds every answer against it.  Instants and dates are texts there (RFC 3339).
"""

from __future__ import annotations

from postroom.operations.models.commands import GIVEN, SELDOM, Given, Gives
from postroom.operations.models.connections import (
    Connected,
    Connection,
    ConnectionEvent,
    ConnectionLine,
    GuideFacts,
    Recognised,
    SignIn,
)
from postroom.operations.models.credentials import ClientSecret, Credential, CredentialLine, Version
from postroom.operations.models.people import Grant, Invitation, NewToken, Session, Token, User
from postroom.operations.models.records import BESIDE
from postroom.operations.models.shown import Shown
from postroom.operations.models.watching import (
    AuditKept,
    AuditRow,
    Damaged,
    KeysFound,
    KeysStatus,
    Need,
    Notice,
    Notification,
    NotificationLine,
    Ready,
    Tried,
)
from postroom.operations.models.working import (
    Attempt,
    Command,
    Job,
    JobLine,
    LogLine,
    Service,
    ServiceLine,
    Source,
    Unattended,
)

__all__ = [
    "BESIDE",
    "GIVEN",
    "SELDOM",
    "Attempt",
    "AuditKept",
    "AuditRow",
    "ClientSecret",
    "Command",
    "Connected",
    "Connection",
    "ConnectionEvent",
    "ConnectionLine",
    "Credential",
    "CredentialLine",
    "Damaged",
    "Given",
    "Gives",
    "Grant",
    "GuideFacts",
    "Invitation",
    "Job",
    "JobLine",
    "KeysFound",
    "KeysStatus",
    "LogLine",
    "Need",
    "NewToken",
    "Notice",
    "Notification",
    "NotificationLine",
    "Ready",
    "Recognised",
    "Service",
    "ServiceLine",
    "Session",
    "Shown",
    "SignIn",
    "Source",
    "Token",
    "Tried",
    "Unattended",
    "User",
    "Version",
]
