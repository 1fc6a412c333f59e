"""``smtp``: a submission server with its own sign-in, usable directly by ``send-email``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from postroom.credentials.types.addresses import Address, Host, Port, Proxy, Senders, proxy_of
from postroom.credentials.types.base import CredentialType, Trusted, no_trust
from postroom.credentials.types.oneline import check_one_line
from postroom.errors import InvalidValue
from postroom.fields import field
from postroom.net.destination import wire_line
from postroom.net.names import is_loopback
from postroom.net.tls import Tls
from postroom.secret import Secret

__all__ = ["Smtp"]

DEFAULT_PORT = 25
IMPLICIT_TLS_PORT = 465  # RFC 8314 section 3.3


class Smtp(CredentialType):
    """Name, description and host are the minimum: a record people may send with says what it is
    for.  Without a user name nothing is signed in.
    """

    type_name: ClassVar[str] = "smtp"
    label: ClassVar[str] = "SMTP"
    about: ClassVar[str] = "A mail server that sends, with the user name and password it wants."
    needs_description: ClassVar[bool] = True

    host: Host = field("", label="Host", needed=True, help="Such as smtp.example.com")
    port: Port = field(None, label="Port", help="25 if empty; 587 and 465 are usual with TLS")
    email_address: Address = field(
        "", label="Email address", help="The sender; if empty, each command gives one"
    )
    allowed_senders: Senders = field(
        (),
        label="Allowed senders",
        help="What else a command may send as; *@example.com is a domain",
    )
    user_name: str = field("", label="User name", help="User name and password come together")
    password: Secret | None = field(None, label="Password")
    tls: bool = field(
        False,
        label="TLS",
        help="Required when ticked: from the first byte on port 465, else by STARTTLS",
    )
    check_server_identity: bool = field(
        True, label="Check the server's name", help="The certificate's chain is checked in any case"
    )
    trust: str = field(
        "",
        label="Trusted certificate",
        refers_to="credential",
        help="A trusted_certificate credential; empty: the system's authorities",
    )
    proxy: Proxy = field("", label="Proxy", help="HOST:PORT of an HTTP proxy")

    @classmethod
    def lacks(cls, plain: Mapping[str, Any], sealed: Collection[str]) -> list[str]:
        """Host, and the other one of user name and password when one of them is given."""
        found = super().lacks(plain, sealed)
        if "user_name" in plain and "password" not in sealed:
            found.append("password")
        if "password" in sealed and "user_name" not in plain:
            found.append("user_name")
        return found

    @property
    def dial_port(self) -> int:
        """The port that is dialled."""
        return self.port or DEFAULT_PORT

    @property
    def security(self) -> str:
        """``tls``, ``starttls`` or ``none``, as connections say it."""
        if not self.tls:
            return "none"
        return "tls" if self.dial_port == IMPLICIT_TLS_PORT else "starttls"

    def check(self) -> None:
        """User name and password go out in one line each, and no password crosses a network in the
        clear (RFC 8314 section 3.3).
        """
        check_one_line("user_name", self.user_name)
        check_one_line("password", self.password)
        here = not self.proxy and is_loopback(self.host)
        if self.password and self.security == "none" and self.host and not here:
            raise InvalidValue(
                "tls",
                f"without it the password would go to {self.host} unencrypted.",
                code="cleartext_sign_in",
                hint="Require TLS: --tls on the command line, tls: true in a room file. If that server "
                "has no TLS, use a password credential and a connection with cleartext_sign_in: true.",
            )

    def own_destinations(self, trusted: Trusted = no_trust) -> set[str]:
        """The one server this record names."""
        if not self.host:
            return set()
        pem = (trusted(self.trust),) if self.trust else ()
        tls = Tls(trust=pem, check_name=self.check_server_identity)
        return {
            wire_line("smtp", self.host, self.dial_port, self.security, tls, proxy_of(self.proxy))
        }
