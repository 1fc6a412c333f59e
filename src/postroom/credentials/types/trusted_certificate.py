"""``trusted_certificate``: a private authority, or a server's own certificate as a pin."""

from __future__ import annotations

from typing import Any, ClassVar

from postroom.credentials.types.base import CredentialType
from postroom.credentials.types.pem import describe_certificate, read_certificates
from postroom.fields import field

__all__ = ["TrustedCertificate"]


class TrustedCertificate(CredentialType):
    """Named by ``trust`` fields.  Nothing in it is secret; it decides whom secrets are shown to."""

    type_name: ClassVar[str] = "trusted_certificate"
    label: ClassVar[str] = "Trusted certificate"
    about: ClassVar[str] = "A private certificate authority, or the certificate of one server."

    certificate: str = field("", label="Certificate", needed=True, help="PEM, one or several")

    def check(self) -> None:
        """It can be read."""
        if self.certificate:
            read_certificates(self.certificate)

    @classmethod
    def present(cls, plain: dict[str, Any]) -> dict[str, Any]:
        """The certificate by name, expiry and fingerprint."""
        if "certificate" not in plain:
            return plain
        return plain | {"certificate": describe_certificate(plain["certificate"])}
