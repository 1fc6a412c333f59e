"""Credentials: named, versioned, sealed records of what external systems want to see."""

from postroom.credentials.record import Credential, Opened, Saved
from postroom.credentials.store import CredentialStore
from postroom.credentials.types import TYPES, type_named
from postroom.credentials.types.base import CredentialType

__all__ = [
    "TYPES",
    "Credential",
    "CredentialStore",
    "CredentialType",
    "Opened",
    "Saved",
    "type_named",
]
