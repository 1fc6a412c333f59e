"""``password``: a user name and a password."""

from __future__ import annotations

from typing import ClassVar

from postroom.credentials.types.base import CredentialType
from postroom.credentials.types.oneline import check_one_line
from postroom.fields import field
from postroom.secret import Secret

__all__ = ["Password"]


class Password(CredentialType):
    """Signs in to a mail server by SASL or LOGIN; the connections that name it say where."""

    type_name: ClassVar[str] = "password"
    label: ClassVar[str] = "User name and password"
    about: ClassVar[str] = "Signs in to a mail server. The connections that use it say which one."

    user_name: str = field("", label="User name", needed=True, help="Often the whole email address")
    password: Secret | None = field(None, label="Password", needed=True)

    def check(self) -> None:
        """Both go out in one line."""
        check_one_line("user_name", self.user_name)
        check_one_line("password", self.password)
