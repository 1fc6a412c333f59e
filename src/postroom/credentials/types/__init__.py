"""The types of credentials: one file each, and one line each in ``TYPES``."""

from __future__ import annotations

from typing import Final

from postroom.credentials.types.base import CredentialType
from postroom.credentials.types.certificate import Certificate
from postroom.credentials.types.generic import Generic
from postroom.credentials.types.msgraph import MsGraph
from postroom.credentials.types.oauth_client import OAuthClient
from postroom.credentials.types.password import Password
from postroom.credentials.types.secret import SecretValue
from postroom.credentials.types.smtp import Smtp
from postroom.credentials.types.trusted_certificate import TrustedCertificate
from postroom.errors import InvalidValue
from postroom.fields import nearest

__all__ = ["TYPES", "type_named"]

TYPES: Final[tuple[type[CredentialType], ...]] = (
    Smtp,
    MsGraph,
    OAuthClient,
    Password,
    SecretValue,
    Generic,
    Certificate,
    TrustedCertificate,
)

_BY_NAME: Final = {kind.type_name: kind for kind in TYPES}


def type_named(text: str) -> type[CredentialType]:
    """The type of that name; raises InvalidValue with the nearest one."""
    if text in _BY_NAME:
        return _BY_NAME[text]
    close = nearest(text, _BY_NAME)
    hint = f"did you mean {close}?" if close else f"the types are {', '.join(_BY_NAME)}"
    raise InvalidValue("type", f"there is no credential type {text!r}; {hint}")
