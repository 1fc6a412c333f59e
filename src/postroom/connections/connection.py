"""The connection: the settings of an email endpoint, declared once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, model_validator

from postroom.connections.defaults import wires_of
from postroom.credentials.types.addresses import Senders
from postroom.errors import InvalidValue
from postroom.fields import Fields, Name, field
from postroom.net.names import parse_port

__all__ = ["Auth", "Connection", "Incoming", "Outgoing", "Side"]

_CONTROL = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029]")


def _one_line(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("holds a line break or another control character, which cannot be sent")
    return text


def _port(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str) and value and "${" not in value:
        value = value.strip()
        try:
            parse_port(value, field="")
        except InvalidValue as error:
            raise ValueError(error.sentence) from None
    return value


Text = Annotated[str, AfterValidator(_one_line)]
Port = Annotated[str, BeforeValidator(_port)]

if TYPE_CHECKING:
    OfIncoming = str
    OfOutgoing = str
    OfAny = str
else:  # the choices of a form, out of the one table
    OfIncoming = Literal[(*wires_of("incoming"), "none")]
    OfOutgoing = Literal[(*wires_of("outgoing"), "none")]
    OfAny = Literal[(*wires_of("incoming"), *wires_of("outgoing"), "graph", "none")]

# None is "not given": it is inherited, or the default of DESIGN 4.2 holds.  An empty text is given:
# a child may empty what its parent has.


class Auth(Fields):
    """How one side signs in: not at all, with a secret, or by OAuth (RFC 6749, RFC 8628)."""

    type: Literal[
        "none",
        "secret",
        "oauth_client_credentials",
        "oauth_device_flow",
        "oauth_authorization_code",
    ] = field(
        label="Type",
        help="none; secret: a credential with a password; or OAuth: the application itself, a "
        "person with a code on another device, a person with a browser.",
    )
    credential: str = field(
        "", label="Credential", refers_to="credential",
        help="For secret: one of type password, secret or smtp. For OAuth: the oauth_client or "
        "msgraph with the client's secret; empty: the one with this authority and client id.",
    )  # fmt: skip
    authority: Text = field(
        "", label="Authority", macro=True,
        help="The authorization server, such as https://login.microsoftonline.com/TENANT. Empty: "
        "the credential's.",
    )  # fmt: skip
    client_id: Text = field(
        "", label="Client id", macro=True, help="Of the registered app. Empty: the credential's."
    )
    scopes: list[Text] = field(
        default_factory=list, label="Scopes", macro=True,
        help="Empty: what the protocol needs at this provider.",
    )  # fmt: skip
    redirect_uri: Text = field(
        "", label="Redirect URI", macro=True,
        help="For the authorization code. Empty: http://localhost, on a free port.",
    )  # fmt: skip

    @property
    def by_oauth(self) -> bool:
        """Whether it signs in with a token."""
        return self.type.startswith("oauth_")

    @model_validator(mode="after")
    def _fits(self) -> Auth:
        if self.type == "secret" and not self.credential:
            raise ValueError("type secret needs a credential: the name of the one to use")
        if self.type == "none" and self.credential:
            raise ValueError("type none uses no credential; choose type secret, or leave it out")
        oauth = {"authority": self.authority, "client_id": self.client_id, "scopes": self.scopes}
        extra = [name for name, value in oauth.items() if value and not self.by_oauth]
        if self.redirect_uri and self.type != "oauth_authorization_code":
            extra.append("redirect_uri")
        if extra:
            raise ValueError(f"type {self.type} has no {' and no '.join(extra)}; leave it out")
        if self.by_oauth and not self.credential and not (self.authority and self.client_id):
            raise ValueError(
                "OAuth needs a client: a credential of type oauth_client or msgraph, or authority "
                "and client_id"
            )
        return self


class Side(Fields):
    """What both sides of a connection have."""

    protocol: OfAny | None = field(None, label="Protocol")
    host: Text | None = field(
        None, label="Host", macro=True, help="Name or address of the server, without port."
    )
    port: Port | None = field(
        None, label="Port", macro=True,
        help="IMAP 993, 143; POP3 995, 110; SMTP 465, 587, 2525, 25. Empty: by security.",
    )  # fmt: skip
    security: Literal["tls", "starttls", "none"] | None = field(
        None, label="Security",
        help="tls from the first byte; starttls, required; none. Empty: by port, else tls.",
    )  # fmt: skip
    user: Text | None = field(
        None, label="User", macro=True, help="Empty: the user name of the credential."
    )
    auth: Auth | None = field(None, label="Sign-in", help="Empty: no sign-in.")
    account: Text | None = field(
        None, label="Account", macro=True,
        help="Who signs in by OAuth, where it is not the user: for a shared mailbox.",
    )  # fmt: skip
    check_server_identity: bool | None = field(
        None, label="Check server identity",
        help="Whether the certificate has to name the host; true if empty. "
        "The chain is always verified.",
    )  # fmt: skip
    trust: str | None = field(
        None, label="Trusted certificate", refers_to="credential",
        help="A trusted_certificate to trust instead of the system's authorities.",
    )  # fmt: skip
    client_certificate: str | None = field(
        None, label="Client certificate", refers_to="credential",
        help="A certificate to show where the server wants one.",
    )  # fmt: skip
    proxy: Text | None = field(
        None, label="Proxy", macro=True, help="HOST:PORT of an HTTP CONNECT proxy."
    )
    cleartext_sign_in: bool | None = field(
        None, label="Sign in without TLS",
        help="Permits a sign-in over security none: anybody on the way can read it.",
    )  # fmt: skip


class Incoming(Side):
    """The incoming side: where messages are read."""

    protocol: OfIncoming | None = field(None, label="Protocol")
    read_only: bool | None = field(
        None, label="Read only", help="Nothing on the server is ever changed."
    )


class Outgoing(Side):
    """The outgoing side: where messages are submitted."""

    protocol: OfOutgoing | None = field(None, label="Protocol")


class Connection(Fields):
    """A connection (DESIGN 4.2).  What is not given is inherited from ``extends``."""

    name: Name = field(label="Name")
    description: str = field("", label="Description")
    type: Literal["standard", "microsoft365"] = field(
        "standard", label="Type",
        help="standard: IMAP or POP3, and SMTP. microsoft365: Microsoft Graph, in both directions.",
    )  # fmt: skip
    extends: str = field(
        "", label="Extends", refers_to="connection",
        help="Another connection, whose values hold wherever this one gives none.",
    )  # fmt: skip
    worker_roles: list[str] | None = field(
        None, label="Worker roles", help="Only workers with one of these use it. Empty: any."
    )
    allowed_senders: Senders | None = field(
        None, label="Allowed senders", help="Addresses, or *@DOMAIN."
    )
    incoming: Incoming | None = field(None, label="Incoming")
    outgoing: Outgoing | None = field(None, label="Outgoing")
    mailbox: Text | None = field(
        None, label="Mailbox", macro=True,
        help="microsoft365: whose mail. Empty: the credential's, else that of whoever signed in.",
    )  # fmt: skip
    account: Text | None = field(
        None, label="Account", macro=True,
        help="microsoft365: who signs in, where it is not the mailbox: for a shared one.",
    )  # fmt: skip
    auth: Auth | None = field(None, label="Sign-in", help="microsoft365: by OAuth.")
    graph_url: Text | None = field(
        None, label="Graph URL", macro=True,
        help="microsoft365: empty: the credential's, else https://graph.microsoft.com.",
    )  # fmt: skip
    trust: str | None = field(
        None, label="Trusted certificate", refers_to="credential",
        help="microsoft365: a trusted_certificate in place of the system's authorities, for Graph "
        "and the authorization server.",
    )  # fmt: skip
    proxy: Text | None = field(
        None, label="Proxy", macro=True,
        help="microsoft365: HOST:PORT of an HTTP CONNECT proxy, for both too.",
    )  # fmt: skip
    read_only: bool | None = field(
        None, label="Read only", help="microsoft365: nothing in the mailbox is ever changed."
    )

    @model_validator(mode="after")
    def _of_its_type(self) -> Connection:
        given = [name for name in _OF_GRAPH if getattr(self, name) is not None]
        if self.type == "standard" and given:
            raise ValueError(
                f"type standard has no {' and no '.join(given)} of its own: give such to incoming "
                "and outgoing, or choose type microsoft365"
            )
        if self.type == "microsoft365" and (self.incoming or self.outgoing):
            raise ValueError(
                "type microsoft365 has no incoming and no outgoing: both follow from mailbox and auth"
            )
        if self.type == "microsoft365" and self.auth is not None and not self.auth.by_oauth:
            raise ValueError(f"Microsoft 365 is signed in to by OAuth, not by {self.auth.type}")
        return self

    def sides(self) -> dict[str, Side]:
        """The sides that say anything, by ``incoming`` and ``outgoing``."""
        if self.type == "microsoft365":
            return {place: self._on_graph() for place in ("incoming", "outgoing")}
        found: dict[str, Any] = {"incoming": self.incoming, "outgoing": self.outgoing}
        return {place: side for place, side in found.items() if side is not None}

    def parts(self) -> dict[str, Any]:
        """What names credentials and holds macros, by the place of its fields: the sides, or what
        stands at the top of a connection to Microsoft 365.
        """
        return {"": self} if self.type == "microsoft365" else dict(self.sides())

    def _on_graph(self) -> Side:
        return Side(
            protocol="graph", host=self.graph_url, user=self.mailbox, account=self.account,
            auth=self.auth, trust=self.trust, proxy=self.proxy,
        )  # fmt: skip


_OF_GRAPH: Final = ("mailbox", "account", "auth", "graph_url", "trust", "proxy", "read_only")
