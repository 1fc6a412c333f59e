"""An ``smtp`` credential used directly: the outgoing side that its own fields describe."""

from __future__ import annotations

from postroom.connections.connection import Auth
from postroom.connections.effective import EffectiveSide
from postroom.connections.resolver import TrustedCertificate
from postroom.credentials.record import Credential, check_complete
from postroom.credentials.types.addresses import proxy_of
from postroom.credentials.types.base import Details
from postroom.credentials.types.smtp import Smtp
from postroom.errors import Refused
from postroom.net.names import is_loopback
from postroom.net.tls import Tls
from postroom.protocols.base import Security

__all__ = ["DIRECT", "side_of_credential"]

DIRECT = "credential:"
"""The prefix of a name that means a credential itself: ``credential:mailer``."""


def side_of_credential(credential: Credential, trusted: TrustedCertificate) -> EffectiveSide:
    """The outgoing side of an ``smtp`` credential; its line is the record's own destination.

    Raises Refused (``not_supported`` for another type, ``incomplete``).
    """
    if credential.type != Smtp.type_name:
        raise Refused(
            f"Credential {credential.name} is of type {credential.type}; only one of type smtp can "
            "send by itself.",
            code="not_supported",
            hint="Make a connection that uses it: postroom connection add",
        )
    check_complete(credential)
    fields = Smtp.load(Details(credential.stored, {}), where=f"credential {credential.name}")
    signs_in = "password" in credential.sealed
    auth = Auth(type="secret", credential=credential.name) if signs_in else Auth(type="none")
    pem = (trusted(fields.trust),) if fields.trust else ()
    security: Security = "none"
    if fields.security != "none":
        security = "tls" if fields.security == "tls" else "starttls"
    proxy = proxy_of(fields.proxy)
    return EffectiveSide(
        place="outgoing",
        protocol="smtp",
        host=fields.host,
        port=fields.dial_port,
        security=security,
        user=fields.user_name,
        auth=auth,
        tls=Tls(trust=pem, check_name=fields.check_server_identity),
        trust=fields.trust,
        proxy=proxy,
        cleartext_permitted=proxy is None and is_loopback(fields.host),
    )
