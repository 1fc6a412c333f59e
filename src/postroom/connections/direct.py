"""A credential used directly, without a connection: the sides that its own fields describe."""

from __future__ import annotations

from typing import Final

from postroom.connections.boxed import no_mailboxes
from postroom.connections.connection import Auth, Connection
from postroom.connections.effective import Effective, EffectiveSide
from postroom.credentials.record import Credential, check_complete
from postroom.credentials.types.addresses import proxy_of
from postroom.credentials.types.base import Details, Trusted
from postroom.credentials.types.smtp import Smtp
from postroom.db import Tx
from postroom.errors import InvalidValue, Refused
from postroom.net.names import is_loopback
from postroom.net.tls import Tls
from postroom.protocols.base import Security

__all__ = ["DIRECT", "DIRECT_TYPES", "effective_of_credential"]

DIRECT: Final = "credential:"
"""The prefix of a name that means a credential itself: ``credential:mailer``."""

DIRECT_TYPES: Final = ("smtp", "msgraph")
"""The types that can send by themselves; ``msgraph`` can read too."""


def effective_of_credential(
    tx: Tx, credential: Credential, trusted: Trusted, box: str = ""
) -> Effective:
    """The sides of an ``smtp`` or ``msgraph`` credential; their lines are the record's own.

    ``box`` is a mailbox that a command names.  Raises Refused (``not_supported`` for another type,
    ``incomplete``), InvalidValue.
    """
    if credential.type not in DIRECT_TYPES:
        raise Refused(
            f"Credential {credential.name} is of type {credential.type}; only one of type "
            f"{' or '.join(DIRECT_TYPES)} can send by itself.",
            code="not_supported",
            hint="Make a connection that uses it: postroom connection add",
        )
    check_complete(credential)
    incoming: EffectiveSide | None = None
    if credential.type == Smtp.type_name:
        if box:
            raise no_mailboxes(f"Credential {credential.name}")
        outgoing = _smtp(credential, trusted)
    else:
        incoming, outgoing = _graph(tx, credential, trusted, box)
    return Effective(
        name=DIRECT + credential.name, description=credential.description, type=credential.type,
        incoming=incoming, outgoing=outgoing, worker_roles=(), allowed_senders=(), chain=(),
        inherited={},
    )  # fmt: skip


def _smtp(credential: Credential, trusted: Trusted) -> EffectiveSide:
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


def _graph(
    tx: Tx, credential: Credential, trusted: Trusted, box: str
) -> tuple[EffectiveSide, EffectiveSide]:
    """The application by itself, in the mailbox of its record or of a command."""
    # few credentials are of that type, and OAuth is slow to load
    from postroom.connections.granting import Clients
    from postroom.connections.microsoft365 import graph_sides

    auth = Auth(type="oauth_client_credentials", credential=credential.name)
    whole = Connection(name=credential.name, type="microsoft365", auth=auth)
    clients = Clients(tx, trusted)
    sides = graph_sides(
        clients, whole, lambda _where, value: value or "", tls=Tls(), proxy=None, box=box
    )
    if not sides[0].user:
        raise InvalidValue(
            f"credential {credential.name}: mailbox",
            "is needed where it is used without a connection: whose mail it reads and sends",
        )
    return sides
