"""``certificate``: a client certificate with its private key."""

from __future__ import annotations

from typing import Any, ClassVar

from postroom.credentials.types.base import CredentialType
from postroom.credentials.types.pem import (
    check_pair,
    describe_certificate,
    read_certificates,
    read_key,
)
from postroom.errors import InvalidValue
from postroom.fields import field
from postroom.secret import Secret

__all__ = ["Certificate"]


class Certificate(CredentialType):
    """Shown to a server that wants to see one (``client_certificate`` of a connection)."""

    type_name: ClassVar[str] = "certificate"
    label: ClassVar[str] = "Client certificate"
    about: ClassVar[str] = "Shows a server who we are, where it asks for a certificate."

    certificate: str = field(
        "", label="Certificate", needed=True, help="PEM; the chain may follow it"
    )
    private_key: Secret | None = field(None, label="Private key", needed=True, help="PEM")
    passphrase: Secret | None = field(
        None, label="Passphrase", help="Only if the private key is encrypted"
    )

    def check(self) -> None:
        """Certificate and key can be read and belong together."""
        if self.certificate:
            read_certificates(self.certificate)
        if self.private_key is not None:
            read_key(self.private_key, self.passphrase)
        elif self.passphrase is not None:
            raise InvalidValue("passphrase", "it is given without a private key")
        if self.certificate and self.private_key is not None:
            check_pair(self.certificate, self.private_key, self.passphrase)

    @classmethod
    def present(cls, plain: dict[str, Any]) -> dict[str, Any]:
        """The certificate by name, expiry and fingerprint."""
        if "certificate" not in plain:
            return plain
        return plain | {"certificate": describe_certificate(plain["certificate"])}
