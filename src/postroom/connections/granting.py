"""From the sign-in that a connection names to a grant: the client's record, and what it says itself.

Values given in the connection win where the record is silent; where both speak and differ, it is an
error: a token for another client than the one that was meant helps nobody.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Final

from postroom.connections.connection import Auth
from postroom.connections.presets import Preset, lacks_endpoint
from postroom.credentials.record import Credential, credential_of, find, find_of_types
from postroom.credentials.tokens import FlowName, Grant
from postroom.credentials.types.addresses import origin, proxy_of
from postroom.credentials.types.base import Details, Trusted
from postroom.credentials.types.msgraph import AUTHORITY, GRAPH, MsGraph
from postroom.credentials.types.oauth_client import OAuthClient
from postroom.db import Tx
from postroom.errors import InvalidValue, NotThere
from postroom.net.tls import Tls
from postroom.oauth.scopes import SignInFlow, check_sign_in, default_scopes

__all__ = ["CLIENT_TYPES", "Asked", "Client", "Clients", "check_grant", "expanded", "grant_of"]

CLIENT_TYPES: Final = ("oauth_client", "msgraph")
"""The types of credential that hold a client of an authorization server."""

_ENDPOINTS: Final = (
    "token_endpoint", "device_authorization_endpoint", "authorization_endpoint",
    "revocation_endpoint",
)  # fmt: skip
_FLOWS: Final[dict[str, FlowName]] = {
    "oauth_client_credentials": "client_credentials",
    "oauth_device_flow": "device_flow",
    "oauth_authorization_code": "authorization_code",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Asked:
    """What a side says.  ``where`` is its place, for the sentence of an error; ``wires`` the
    protocols of the connection that sign in by OAuth, since one sign-in serves both directions;
    ``mailbox`` is the field that ``user`` came from; ``account`` who signs in, if not ``user``;
    ``tls`` and ``proxy`` are its own, for the authorization server too where the record has none.
    """

    where: str
    auth: Auth
    wires: frozenset[str]
    user: str
    account: str
    tls: Tls
    proxy: tuple[str, int] | None
    graph_url: str = GRAPH
    mailbox: str = "user"


@dataclasses.dataclass(frozen=True, slots=True)
class Client:
    """What the record of a client says; empty where it is silent, None for "ask the side"."""

    name: str = ""
    authority: str = ""
    client_id: str = ""
    named: tuple[tuple[str, str], ...] = ()
    graph_url: str = ""
    mailbox: str = ""
    mailboxes: tuple[str, ...] = ()
    entra: bool | None = None
    way: tuple[Tls, tuple[str, int] | None] | None = None


def expanded(auth: Auth, where: str, text: Callable[[str, str], str]) -> Auth:
    """A sign-in by OAuth with its macros expanded; ``text`` is told the place of a value."""
    values: dict[str, object] = {
        name: text(f"{where}.auth.{name}", getattr(auth, name))
        for name in ("authority", "client_id", "redirect_uri")
    }
    values["scopes"] = [text(f"{where}.auth.scopes", scope) for scope in auth.scopes]
    return auth.model_copy(update=values)


def grant_of(clients: Clients, asked: Asked) -> Grant:
    """The grant of one side.  Raises InvalidValue with the field in the sentence."""
    auth, where = asked.auth, f"{asked.where}.auth"
    client = clients.of(asked)
    authority = _agreed(f"{where}.authority", auth.authority.rstrip("/"), client, client.authority)
    client_id = _agreed(f"{where}.client_id", auth.client_id, client, client.client_id)
    if not client.name and auth.type == "oauth_client_credentials":
        raise InvalidValue(
            f"{where}.credential",
            "is needed: the application signs in by itself, with the client secret or certificate "
            "of a credential of type oauth_client or msgraph",
        )
    try:
        origin(authority)
    except ValueError as error:
        raise InvalidValue(f"{where}.authority", str(error)) from None
    if auth.type == "oauth_client_credentials":
        _check_mailbox(asked, client)
    tls, proxy = client.way or (asked.tls, asked.proxy)
    tls = dataclasses.replace(tls, check_name=True)  # a web server's name is always checked
    account = asked.account or asked.user
    flow: SignInFlow = auth.type  # type: ignore[assignment]  # it is one of OAuth's, asked above
    scopes = tuple(auth.scopes) or default_scopes(
        flow, asked.wires, authority=authority, shared=account != asked.user,
        graph_url=asked.graph_url, entra=client.entra,
    )  # fmt: skip
    return Grant(
        flow=_FLOWS[auth.type], authority=authority, client_id=client_id, scopes=scopes,
        account=account, credential=client.name, redirect_uri=auth.redirect_uri,
        named=client.named, entra=client.entra, tls=tls, proxy=proxy,
    )  # fmt: skip


class Clients:
    """The clients that a transaction's records hold; ``trusted`` gives certificates by their name."""

    def __init__(self, tx: Tx, trusted: Trusted) -> None:
        self._tx = tx
        self._trusted = trusted

    def of(self, asked: Asked) -> Client:
        """The record of a side's client: the one it names, or the one that fits.  Raises InvalidValue."""
        return self._named(asked) if asked.auth.credential else self._fitting(asked)

    def _named(self, asked: Asked) -> Client:
        place = f"{asked.where}.auth.credential"
        try:
            record = credential_of(find(self._tx, asked.auth.credential), None)
        except NotThere as error:
            raise InvalidValue(place, str(error)) from None
        if record.type not in CLIENT_TYPES:
            wanted = " or ".join(CLIENT_TYPES)
            raise InvalidValue(
                place, f"{record.name} is of type {record.type}; OAuth needs one of {wanted}"
            )
        return _client(record, self._trusted)

    def _fitting(self, asked: Asked) -> Client:
        """The one record of this authority and client id; none is a public client."""
        wanted = (asked.auth.authority.rstrip("/").casefold(), asked.auth.client_id.casefold())
        found = [
            client
            for client in self._all
            if (client.authority.casefold(), client.client_id.casefold()) == wanted
        ]
        if len(found) > 1:
            names = " and ".join(client.name for client in found)
            raise InvalidValue(
                f"{asked.where}.auth.credential",
                f"is needed: {names} have the same authority and client id",
            )
        return found[0] if found else Client()

    @functools.cached_property
    def _all(self) -> list[Client]:
        """Every one; read once, however many connections name none."""
        rows = find_of_types(self._tx, CLIENT_TYPES)
        records = (credential_of(row, None) for row in rows)
        return [_client(record, self._trusted) for record in records if record.plain]


def _check_mailbox(asked: Asked, client: Client) -> None:
    """An application of Entra may open every mailbox of its tenant; the record says which it may."""
    if not asked.user or not client.mailboxes:
        return
    allowed = [each.lower() for each in (*client.mailboxes, client.mailbox) if each]
    name = asked.user.lower()
    if any(name == each or (each.startswith("*@") and name.endswith(each[1:])) for each in allowed):
        return
    raise InvalidValue(
        f"{asked.where}.{asked.mailbox}",
        f"credential {client.name} is not for {asked.user}: its mailboxes are {', '.join(allowed)}",
    )


def _agreed(place: str, given: str, client: Client, own: str) -> str:
    if given and own and given.casefold() != own.casefold():
        raise InvalidValue(
            place,
            f"says {given}, and credential {client.name} says {own}; leave it out here, or name "
            "another credential",
        )
    if not (given or own):
        raise InvalidValue(place, f"is needed: credential {client.name} does not say it")
    return own or given


def _client(record: Credential, trusted: Trusted) -> Client:
    details = Details(record.stored, {})
    if record.type == "msgraph":
        app = MsGraph.load(details, where=f"credential {record.name}")
        of_tenant = f"{AUTHORITY}/{app.tenant_id}" if app.tenant_id else ""
        return Client(
            record.name, app.authority or of_tenant, app.client_id,
            graph_url=app.graph_url, mailbox=app.mailbox, mailboxes=tuple(app.mailboxes), entra=True,
        )  # fmt: skip
    fields = OAuthClient.load(details, where=f"credential {record.name}")
    named = tuple((name, url) for name in _ENDPOINTS if (url := getattr(fields, name)))
    way = None
    if fields.trust or fields.proxy:
        way = Tls(trust=(trusted(fields.trust),) if fields.trust else ()), proxy_of(fields.proxy)
    return Client(record.name, fields.authority, fields.client_id, named, way=way)


def check_grant(where: str, auth: Auth, grant: Grant) -> None:
    """Refuse what cannot work, when it is saved; the sentence has the right value.

    Raises InvalidValue.
    """
    if (provider := lacks_endpoint(grant.authority, dict(grant.named))) is not None:
        raise InvalidValue(f"{where}.auth.credential", _endpoint_wanted(provider, grant))
    flow: SignInFlow = auth.type  # type: ignore[assignment]  # of a side that has a grant
    try:
        check_sign_in(flow, grant.authority, grant.scopes, entra=grant.entra)
    except InvalidValue as error:
        sentence = error.sentence.removeprefix(f"{error.field}: ")
        raise InvalidValue(f"{where}.auth.{error.field}", sentence) from None


def _endpoint_wanted(provider: Preset, grant: Grant) -> str:
    if grant.credential:
        return (
            f"{grant.credential} lacks the token_endpoint of {provider.label}: postroom credential set "
            f"{grant.credential} --token-endpoint {dict(provider.endpoints)['token_endpoint']}"
        )
    return (
        f"is needed for {provider.label}, to hold where tokens are asked for, and the client secret: "
        f"postroom credential add NAME --preset {provider.key} --client-id {grant.client_id} "
        "--client-secrets.one.value-from-env VARIABLE, then this command with --credential NAME"
    )
