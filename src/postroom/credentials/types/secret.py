"""``secret``: one value, such as an API key."""

from __future__ import annotations

from typing import ClassVar

from postroom.credentials.types.base import CredentialType
from postroom.fields import field
from postroom.secret import Secret

__all__ = ["SecretValue"]


class SecretValue(CredentialType):
    """One sealed value."""

    type_name: ClassVar[str] = "secret"
    label: ClassVar[str] = "Secret"
    about: ClassVar[str] = "One value: an app password, a token, an API key."

    value: Secret | None = field(None, label="Value", needed=True)
