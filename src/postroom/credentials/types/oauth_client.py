"""``oauth_client``: a client registered with any authorization server (RFC 6749 section 2)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from postroom.credentials.types.addresses import HttpsUrl, Proxy, origin, proxy_of
from postroom.credentials.types.base import CredentialType, Trusted, no_trust
from postroom.credentials.types.client_secrets import (
    ClientSecret,
    check_keys,
    check_secrets,
    lacking_proof,
)
from postroom.credentials.types.pem import describe_certificate
from postroom.fields import field
from postroom.net.destination import https_line
from postroom.net.tls import Tls
from postroom.secret import Secret

__all__ = ["OAuthClient"]


class OAuthClient(CredentialType):
    """Its secret or key goes to the token endpoint and nowhere else."""

    type_name: ClassVar[str] = "oauth_client"
    label: ClassVar[str] = "OAuth app (any server)"
    about: ClassVar[str] = "A client registered with an authorization server."

    authority: HttpsUrl = field(
        "",
        label="Authority",
        needed=True,
        help="The issuer, such as https://login.example.com/realms/mail",
    )
    client_id: str = field("", label="Client id", needed=True)
    client_secrets: dict[str, ClientSecret] = field(
        default_factory=dict, label="Client secrets", help="By label; none for a public client"
    )
    private_key: Secret | None = field(
        None, label="Private key", help="PEM; instead of a client secret"
    )
    certificate: str = field("", label="Certificate", help="PEM, of the private key")
    next_private_key: Secret | None = field(
        None, label="Next private key", help="Takes the place of the private key once it has worked"
    )
    next_certificate: str = field("", label="Next certificate", help="PEM, of the next private key")
    token_endpoint: HttpsUrl = field("", label="Token endpoint", help="Empty: discovered")
    device_authorization_endpoint: HttpsUrl = field(
        "", label="Device authorization endpoint", help="Empty: discovered (RFC 8628)"
    )
    authorization_endpoint: HttpsUrl = field(
        "", label="Authorization endpoint", help="Empty: discovered"
    )
    revocation_endpoint: HttpsUrl = field(
        "", label="Revocation endpoint", help="Empty: discovered (RFC 7009)"
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
        """An authority and a client id; secrets and keys are whole when they are there."""
        return super().lacks(plain, sealed) + lacking_proof(plain, sealed)

    def check(self) -> None:
        """Secrets are values, not ids, and the key fits the certificate."""
        check_secrets(self.client_secrets)
        check_keys(self.certificate, self.private_key)
        check_keys(self.next_certificate, self.next_private_key, before="next_")

    def own_destinations(self, trusted: Trusted = no_trust) -> set[str]:
        """The token endpoint, or the authority while it is not known yet; where tokens are revoked."""
        urls = (self.token_endpoint or self.authority, self.revocation_endpoint)
        tls = Tls(trust=(trusted(self.trust),) if self.trust else ())
        return {https_line(*origin(url), tls, proxy_of(self.proxy)) for url in urls if url}

    @classmethod
    def present(cls, plain: dict[str, Any]) -> dict[str, Any]:
        """The certificates by name, expiry and fingerprint."""
        names = [name for name in ("certificate", "next_certificate") if name in plain]
        return plain | {name: describe_certificate(plain[name]) for name in names}
