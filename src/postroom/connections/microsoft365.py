"""A connection to Microsoft 365: both its sides on Graph, out of one mailbox and one sign-in."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from postroom.connections.connection import Connection
from postroom.connections.effective import EffectiveSide
from postroom.connections.granting import Asked, Client, Clients, expanded, grant_of
from postroom.credentials.types.addresses import origin
from postroom.credentials.types.msgraph import GRAPH
from postroom.errors import InvalidValue
from postroom.net.tls import Tls

__all__ = ["graph_sides"]

_WIRES: Final = frozenset({"graph"})
_VERSION: Final = "/v1.0"


def graph_sides(
    clients: Clients,
    whole: Connection,
    text: Callable[[str, str | None], str],
    *,
    tls: Tls,
    proxy: tuple[str, int] | None,
    box: str = "",
) -> tuple[EffectiveSide, EffectiveSide]:
    """The incoming and the outgoing side.  ``text`` expands macros, told the place of a value.

    The mailbox is that of a command (``box``), else the connection's, else the credential's, else
    that of whoever signs in.  Raises InvalidValue with the field in the sentence.
    """
    where = f"connection {whole.name}"
    if whole.auth is None:
        raise InvalidValue(f"{where}: auth", "is needed: Microsoft 365 is signed in to by OAuth")
    auth = expanded(whole.auth, where, text)
    asked = Asked(
        where, auth, _WIRES, user=text(f"{where}.mailbox", whole.mailbox),
        account=text(f"{where}.account", whole.account), tls=tls, proxy=proxy,
        mailbox="mailbox",
    )  # fmt: skip
    client = clients.of(asked)
    url = text(f"{where}.graph_url", whole.graph_url) or client.graph_url or GRAPH
    mailbox = asked.user or client.mailbox
    if box:
        # who signs in stays who it is; an application needs to have been let into that mailbox
        asked = dataclasses.replace(asked, account=asked.account or mailbox)
        if auth.type == "oauth_client_credentials":
            _check_named(where, box, mailbox, client)
        mailbox = box
    asked = dataclasses.replace(asked, user=mailbox, graph_url=url)
    grant = grant_of(clients, asked)
    host, port, path = _place(where, url)
    incoming = EffectiveSide(
        place="incoming", protocol="graph", host=host, port=port, path=path, security="tls",
        user=mailbox, auth=auth, grant=grant, tls=dataclasses.replace(tls, check_name=True),
        trust=whole.trust or "", proxy=proxy, read_only=bool(whole.read_only),
    )  # fmt: skip
    return incoming, dataclasses.replace(incoming, place="outgoing", read_only=False)


def _check_named(where: str, box: str, own: str, client: Client) -> None:
    """Without a list, an application is for its own mailbox: its grant may be the whole tenant's."""
    if not client.mailboxes and box.casefold() not in (own.casefold(), client.mailbox.casefold()):
        raise InvalidValue(
            f"{where}.mailbox",
            f"{box} is another than {own or 'its own'}, and credential {client.name} lists no mailboxes; "
            "put it, or *@domain, into the credential's mailboxes",
        )


def _place(where: str, url: str) -> tuple[str, int, str]:
    """Host, port and where the API begins; without a path, its version 1.0."""
    try:
        host, port = origin(url)
    except ValueError as error:
        raise InvalidValue(f"{where}.graph_url", str(error)) from None
    path = urlsplit(url).path.rstrip("/")
    return host, port, path or _VERSION
