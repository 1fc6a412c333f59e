"""An account to connect: everything that a person says of it at once, declared once."""

from __future__ import annotations

from typing import Any, Final, Literal

from postroom.connections.connection import Incoming, Outgoing, Text
from postroom.connections.presets import TENANT, Preset
from postroom.credentials.types.addresses import Address, HttpsUrl
from postroom.errors import InvalidValue
from postroom.fields import Fields, Name, field
from postroom.secret import Secret

__all__ = ["Account", "Parts", "parts_of"]

_PLAIN: Final = "plain"
_LABEL: Final = "first"


class Account(Fields):
    """What *Connect an account* asks for.  What is not needed for the way to sign in stays empty."""

    name: Name = field(
        label="Name", help="Of all that is made: NAME, NAME-login, NAME-in, NAME-out."
    )
    address: Address = field(label="Email address")
    provider: str = field(_PLAIN, label="Provider", help="A preset; plain is any other server.")
    sign_in: Literal[
        "secret", "oauth_client_credentials", "oauth_authorization_code", "oauth_device_flow"
    ] = field("secret", label="Sign-in")
    credential: str = field(
        "", label="Credential", refers_to="credential", help="One that is there; empty: a new one."
    )
    user_name: Text = field("", label="User name", help="Empty: the address.")
    password: Secret | None = field(None, label="Password")
    tenant_id: str = field("", label="Tenant", help="Microsoft: the directory's GUID or domain.")
    authority: HttpsUrl = field("", label="Authority", help="Of another server's OAuth.")
    client_id: str = field("", label="Client id", help="Of the registered app.")
    client_secret: Secret | None = field(
        None, label="Client secret", help="Its value. A person's sign-in often needs none."
    )
    scopes: tuple[str, ...] = field((), label="Scopes", help="Empty: what is usual there.")
    redirect_uri: Text = field("", label="Redirect URI", help="Empty: http://localhost.")
    graph_url: HttpsUrl = field("", label="Graph URL", help="Of another cloud of Microsoft's.")
    trust: str = field(
        "", label="Trusted certificate", refers_to="credential",
        help="A trusted_certificate for all its servers; empty: the system's authorities.",
    )  # fmt: skip
    incoming: Incoming | None = field(None, label="Incoming", help="What the preset does not say.")
    outgoing: Outgoing | None = field(None, label="Outgoing", help="What the preset does not say.")
    trust_incoming: str = field(
        "", label="Certificate of the incoming server",
        help="SHA-256 of one to trust, as its administrator says it.",
    )  # fmt: skip
    trust_outgoing: str = field("", label="Certificate of the outgoing server", help="Likewise.")
    collect: bool = field(True, label="Collect from it")
    directory: str = field("", label="Directory", help="Where what is collected goes, as files.")
    job: str = field(
        "",
        label="Job",
        refers_to="job",
        help="What each message is handed to, instead of a directory.",
    )
    start: Literal["new", "all"] = field(
        "new", label="What of the messages there already", help="new: none of them."
    )
    send: bool = field(True, label="Send with it")


class Parts:
    """The records that an account comes to: as the room file has them, the secrets apart."""

    def __init__(self) -> None:
        self.credential: dict[str, Any] | None = None
        self.details: dict[str, Any] = {}
        self.connection: dict[str, Any] = {}
        self.source: dict[str, Any] | None = None
        self.service: dict[str, Any] | None = None


def parts_of(account: Account, preset: Preset) -> Parts:
    """The records (pure).  Raises InvalidValue for what is missing."""
    parts = Parts()
    name = account.credential
    if not name:
        parts.credential, parts.details = _credential(account, preset)
        name = parts.credential["name"]
    parts.connection = _connection(account, preset, name)
    if account.collect:
        parts.source = {
            "name": f"{account.name}-in", "connection": account.name, "start": account.start,
            "description": f"New mail of {account.address}",
            "sink": {"type": "job", "job": account.job} if account.job
                    else {"type": "directory", "path": account.directory},
        }  # fmt: skip
    if account.send:
        parts.service = {
            "name": f"{account.name}-out", "connection": account.name, "from": account.address,
            "description": f"Sends as {account.address}",
        }  # fmt: skip
    return parts


def _credential(account: Account, preset: Preset) -> tuple[dict[str, Any], dict[str, Any]]:
    made = {"name": f"{account.name}-login", "description": f"Signs in as {account.address}"}
    if account.sign_in == "secret":
        if account.password is None:
            raise InvalidValue("password", "is needed")
        user = account.user_name or account.address
        return {**made, "type": "password"}, {"user_name": user, "password": account.password}
    if not account.client_id:
        raise InvalidValue("client_id", "is needed: the registered app's, from its overview page")
    made["name"] = f"{account.name}-app"
    details: dict[str, Any] = {"client_id": account.client_id}
    if account.client_secret is not None:
        details["client_secrets"] = {_LABEL: {"value": account.client_secret}}
    if TENANT in preset.authority:
        if not account.tenant_id:
            raise InvalidValue(
                "tenant_id", "is needed: the Directory (tenant) ID, or a domain of it"
            )
        details |= {"tenant_id": account.tenant_id}
        if account.sign_in == "oauth_client_credentials":
            details["mailboxes"] = [account.address]
        authority = account.authority or preset.authority_of(account.tenant_id)
        if account.authority:  # another cloud than Microsoft's own: it says all of it
            details |= {"authority": authority}
        # without a secret nothing of a Microsoft app is sealed, and an msgraph record wants one
        if account.client_secret is not None:
            if account.graph_url:
                details |= {"graph_url": account.graph_url}
            return {**made, "type": "msgraph"}, details
        del details["tenant_id"]
        details["authority"] = authority
        return {**made, "type": "oauth_client"}, _trusted(account, details)
    authority = account.authority or preset.authority
    if not authority:
        raise InvalidValue("authority", "is needed: the address of the authorization server")
    details |= {"authority": authority, **dict(preset.endpoints)}
    return {**made, "type": "oauth_client"}, _trusted(account, details)


def _trusted(account: Account, details: dict[str, Any]) -> dict[str, Any]:
    return details | {"trust": account.trust} if account.trust else details


def _connection(account: Account, preset: Preset, credential: str) -> dict[str, Any]:
    auth: dict[str, Any] = {"type": account.sign_in, "credential": credential}
    if account.redirect_uri and account.sign_in == "oauth_authorization_code":
        auth["redirect_uri"] = account.redirect_uri
    if account.scopes and account.sign_in != "secret":
        auth["scopes"] = list(account.scopes)
    made = {"name": account.name, "description": f"Mail of {account.address}"}
    if preset.graph_url and account.sign_in != "secret" and account.incoming is None:
        of_cloud = {"graph_url": account.graph_url, "trust": account.trust}
        given = {key: value for key, value in of_cloud.items() if value}
        return {
            **made, "type": "microsoft365", "mailbox": account.address, "auth": auth, **given
        }  # fmt: skip
    scopes = preset.scopes_of(("imap", "smtp")) if account.sign_in != "secret" else ()
    if scopes:
        auth.setdefault("scopes", list(scopes))
    made |= {"type": "standard"}
    sides = {
        "incoming": (account.incoming, preset.imap),
        "outgoing": (account.outgoing, preset.smtp),
    }
    for place, (said, wire) in sides.items():
        side: dict[str, Any] = {} if wire is None else {
            "host": wire.host, "port": str(wire.port), "security": wire.security
        }  # fmt: skip
        side["protocol"] = "imap" if place == "incoming" else "smtp"
        if said is not None:
            side |= said.model_dump(exclude_none=True)
        if side["protocol"] == "none":
            side = {"protocol": "none"}
        elif not side.get("host"):
            raise InvalidValue(f"{place}.host", "is needed: the name of the server")
        else:
            side["auth"] = auth
            if account.trust:
                side.setdefault("trust", account.trust)
            if account.sign_in != "secret":
                side["user"] = account.address
        made[place] = side  # type: ignore[assignment]
    return made
