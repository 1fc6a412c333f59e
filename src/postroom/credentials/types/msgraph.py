"""``msgraph``: an application registered in Microsoft Entra, which reads or sends mail."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Annotated, Any, ClassVar, Final

from pydantic import AfterValidator

from postroom.credentials.types.addresses import Address, HttpsUrl, Senders, origin
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

__all__ = ["AUTHORITY", "GRAPH", "MsGraph"]

AUTHORITY: Final = "https://login.microsoftonline.com"
GRAPH: Final = "https://graph.microsoft.com"
_TENANT = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[a-z0-9-]+(\.[a-z0-9-]+)+|"
    r"common|organizations|consumers"
)


def _tenant(text: str) -> str:
    lower = text.lower()
    if text and not _TENANT.fullmatch(lower):
        raise ValueError("give the tenant's GUID or one of its domains, such as example.com")
    return lower


class MsGraph(CredentialType):
    """One Entra application is one record; its secret goes to the authority, tokens to Graph."""

    type_name: ClassVar[str] = "msgraph"
    label: ClassVar[str] = "Microsoft 365 app"
    about: ClassVar[str] = "An application registered in Microsoft Entra that reads or sends mail."

    tenant_id: Annotated[str, AfterValidator(_tenant)] = field(
        "", label="Tenant", help="The directory's GUID, or one of its domains"
    )
    client_id: str = field(
        "",
        label="Client id",
        needed=True,
        help="The application's own GUID, from its overview page",
    )
    client_secrets: dict[str, ClientSecret] = field(
        default_factory=dict, label="Client secrets", help="By label, such as 2026a"
    )
    private_key: Secret | None = field(
        None, label="Private key", help="PEM; instead of a client secret"
    )
    certificate: str = field("", label="Certificate", help="PEM, of the private key")
    next_private_key: Secret | None = field(
        None, label="Next private key", help="Takes the place of the private key once it has worked"
    )
    next_certificate: str = field("", label="Next certificate", help="PEM, of the next private key")
    mailbox: Address = field("", label="Mailbox", help="Whose mail, when a command names none")
    mailboxes: Senders = field(
        (),
        label="Mailboxes it may be used for",
        help="Addresses or *@example.com; Entra itself grants the whole tenant",
    )
    authority: HttpsUrl = field("", label="Authority", help="Empty: Microsoft's, with the tenant")
    graph_url: HttpsUrl = field("", label="Graph URL", help=f"Empty: {GRAPH}")

    @classmethod
    def lacks(cls, plain: Mapping[str, Any], sealed: Collection[str]) -> list[str]:
        """A tenant or an authority, and a client secret or a key pair."""
        found = super().lacks(plain, sealed)
        if "tenant_id" not in plain and "authority" not in plain:
            found.append("tenant_id")
        proofs = (plain.get("client_secrets"), "private_key" in sealed, "certificate" in plain)
        if not any(proofs):
            found.append("client_secrets")
        return found + lacking_proof(plain, sealed)

    def check(self) -> None:
        """Secrets are values, not ids, and the key fits the certificate."""
        check_secrets(self.client_secrets)
        check_keys(self.certificate, self.private_key)
        check_keys(self.next_certificate, self.next_private_key, before="next_")

    def own_destinations(self, trusted: Trusted = no_trust) -> set[str]:
        """The authority for the secret, Graph for the tokens, and the mailboxes it is meant for."""
        if not self.client_id:
            return set()
        system = Tls()
        lines = {
            f"mailbox:{address.lower()}" for address in (*self.mailboxes, self.mailbox) if address
        }
        lines.add(https_line(*origin(self.authority or AUTHORITY), system, None))
        lines.add("bearer+" + https_line(*origin(self.graph_url or GRAPH), system, None))
        return lines

    @classmethod
    def present(cls, plain: dict[str, Any]) -> dict[str, Any]:
        """The certificates by name, expiry and fingerprint."""
        names = [name for name in ("certificate", "next_certificate") if name in plain]
        return plain | {name: describe_certificate(plain[name]) for name in names}
