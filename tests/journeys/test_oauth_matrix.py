"""Every wire with every sign-in by OAuth, from one room file: only its addresses say whose servers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography import x509

from postroom.app import Room
from postroom.credentials.types.pem import generate_pair
from postroom.mail import Draft
from postroom.secret import Secret
from tests.ground import Client, Ground, User, arrived
from tests.ground.oauth import TENANT
from tests.journeys.oauth import approving, browsing, expire

__all__: list[str] = []

ROOM: Final = """
postroom: 1
connections:
  - name: imap
    incoming: {protocol: imap, host: "${IMAP_HOST}", port: "${IMAP_PORT}", user: "${MAILBOX}",
               auth: {type: %(flow)s, credential: app}}
    outgoing: {protocol: smtp, host: "${SMTP_HOST}", port: "${SMTP_PORT}", user: "${MAILBOX}",
               auth: {type: %(flow)s, credential: app}}
  - name: pop3
    extends: imap
    incoming: {protocol: pop3, host: "${POP3_HOST}", port: "${POP3_PORT}"}
services:
  - {name: orders-out, connection: imap}
"""
"""What is ours; the files below say where: addresses, and the apps that are registered there."""

GRAPH: Final = """
postroom: 1
connections:
  - name: graph
    type: microsoft365
    mailbox: "${MAILBOX}"
    graph_url: "${GRAPH_URL}"
    auth: {type: %(flow)s, credential: graph-app, scopes: [%(scopes)s]}
sources:
  - {name: graph-in, connection: graph, sink: {type: directory, path: ./collected}, start: all}
services:
  - {name: graph-out, connection: graph}
"""
"""What is ours of Graph, with an app of its own; the scopes are Microsoft's, whatever the address."""

OF_GRAPH: Final = "https://graph.microsoft.com"

GROUND: Final = """
postroom: 1
variables: {MAILBOX: "%(mailbox)s", IMAP_HOST: localhost, IMAP_PORT: "%(imap)d",
            POP3_HOST: localhost, POP3_PORT: "%(pop3)d", SMTP_HOST: localhost, SMTP_PORT: "%(smtp)d",
            GRAPH_URL: "%(graph)s"}
credentials:
  - {name: ground-ca, type: trusted_certificate, fields: {certificate: {from_file: ca.pem}}}
  - {name: app, type: msgraph, fields: {%(client)s, authority: "%(authority)s"}}
  - {name: graph-app, type: msgraph, fields: {%(graph_client)s, authority: "%(authority)s"}}
connections:
  - {name: imap, incoming: {trust: ground-ca}, outgoing: {trust: ground-ca}}
  - {name: graph, trust: ground-ca}
"""

MICROSOFT: Final = """
postroom: 1
variables: {MAILBOX: orders@example.com, IMAP_HOST: outlook.office365.com, IMAP_PORT: "993",
            POP3_HOST: outlook.office365.com, POP3_PORT: "995",
            SMTP_HOST: smtp.office365.com, SMTP_PORT: "587", GRAPH_URL: "https://graph.microsoft.com"}
credentials:
  - {name: app, type: msgraph, fields: {%(client)s}}
  - {name: graph-app, type: msgraph, fields: {%(graph_client)s}}
"""

GOOGLE: Final = """
postroom: 1
variables: {MAILBOX: orders@example.com, IMAP_HOST: imap.gmail.com, IMAP_PORT: "993",
            POP3_HOST: pop.gmail.com, POP3_PORT: "995", SMTP_HOST: smtp.gmail.com, SMTP_PORT: "465"}
credentials:
  - name: app
    type: oauth_client
    fields: {authority: "https://accounts.google.com", client_id: app.apps.googleusercontent.com,
             client_secrets: {one: {value: {from_file: secret}}},
             token_endpoint: "https://oauth2.googleapis.com/token",
             authorization_endpoint: "https://accounts.google.com/o/oauth2/v2/auth"}
"""

FLOWS: Final = {
    "secret posted": "oauth_client_credentials",
    "secret as Basic": "oauth_client_credentials",
    "certificate": "oauth_client_credentials",
    "device": "oauth_device_flow",
    "code": "oauth_authorization_code",
}
HOW: Final = {
    "secret posted": "client_secret_post", "secret as Basic": "client_secret_basic",
    "certificate": "private_key_jwt", "device": "none", "code": "none",
}  # fmt: skip


def _client(folder: Path, client_id: str, how: str) -> tuple[str, x509.Certificate | None]:
    """The fields of an app's record and, for a certificate, what is registered."""
    fields, registered = f'tenant_id: "{TENANT}", client_id: "{client_id}"', None
    if how == "certificate":
        key, certificate = generate_pair("postroom tests")
        (folder / f"{client_id}.key").write_text(key.reveal())
        (folder / f"{client_id}.pem").write_text(certificate)
        registered = x509.load_pem_x509_certificate(certificate.encode())
        pair = f"private_key: {{from_file: {client_id}.key}}, "
        fields += f", {pair}certificate: {{from_file: {client_id}.pem}}"
    else:
        (folder / f"{client_id}.secret").write_text("a-secret-of-nobody-0123456789")
        fields += f", client_secrets: {{one: {{value: {{from_file: {client_id}.secret}}}}}}"
    return fields, registered


def _registered(
    ground: Ground, folder: Path, user: User, how: str, number: int
) -> tuple[Client, str]:
    """An app of the ground's authorization server, and the fields of its record."""
    client_id = f"00000000-0000-4000-800{number}-{user.address.encode().hex()[:12].ljust(12, '0')}"
    fields, registered = _client(folder, client_id, how)
    client = ground.oauth.client(
        client_id, mailbox=user.address, rotation="strict", redirect_uris=["http://localhost"],
        public=how in ("device", "code"), certificates=[registered] if registered else [],
    )  # fmt: skip
    (folder / f"{client_id}.secret").write_text(client.secret)
    return client, fields


def _at_the_ground(
    ground: Ground, folder: Path, user: User, how: str
) -> tuple[Client, Client, Callable[[str], list[Path]]]:
    """The two apps, registered; and what writes the room files for one flow."""
    client, fields = _registered(ground, folder, user, how, 0)
    graph_client, graph_fields = _registered(ground, folder, user, how, 1)
    (folder / "ca.pem").write_text(ground.pki.ca.read_text())
    addresses = GROUND % {
        "mailbox": user.address, "imap": ground.oauth_dovecot.imaps,
        "pop3": ground.oauth_dovecot.pop3s, "smtp": ground.oauth_postfix.tokens_tls,
        "client": fields, "graph_client": graph_fields, "authority": ground.oauth.authority(),
        "graph": ground.oauth_graph.url,
    }  # fmt: skip
    return client, graph_client, lambda flow: _files(folder, flow, addresses)


def _files(folder: Path, flow: str, addresses: str) -> list[Path]:
    """Ours (the wires, and Graph where the addresses know of it), and theirs."""
    theirs = folder / "addresses.yaml"
    theirs.write_text(addresses)
    alone = flow == "oauth_client_credentials"
    person = ["offline_access", f"{OF_GRAPH}/Mail.ReadWrite", f"{OF_GRAPH}/Mail.Send"]
    scopes = ", ".join([f"{OF_GRAPH}/.default"] if alone else person)
    ours = []
    for name, text in (("room", ROOM), ("graph", GRAPH)):
        if name == "room" or "GRAPH_URL" in addresses:
            ours.append(folder / f"{name}.yaml")
            ours[-1].write_text(text % {"flow": flow, "scopes": scopes})
    return [*ours, theirs]


async def _signed_in(room: Room, ground: Ground, user: User, how: str, name: str) -> Any:
    """Somebody signs in for a connection, where the flow is a person's; what was done then."""
    if how not in ("device", "code"):
        return None
    visits: list[asyncio.Task[Any]] = []
    tell = approving if how == "device" else browsing
    more = () if how == "device" else (visits,)
    [done] = await room.signins.sign_in(name, tell(ground.oauth, user.address, *more))
    await asyncio.gather(*visits)
    return done


async def _sends(room: Room, user: User, service: str, count: int) -> None:
    """A message goes out and arrives: the mailbox then holds so many."""
    draft = Draft(from_=user.address, to=[user.address], subject="Hello", text="Text.\n")
    item = await room.email.send(service, draft, wait=20.0)
    assert item.state == "sent", item
    assert len(await asyncio.to_thread(arrived, user.maildir, count)) == count


async def _works(room: Room, user: User, count: int) -> None:
    """What is sent arrives, and the mailbox, which holds so many then, is opened by both protocols."""
    await _sends(room, user, "orders-out", count)
    for name in ("imap", "pop3"):
        store = await room.desk.opener.open_store(name)
        await store.open("INBOX", read_only=name == "imap")
        found = 0
        async for page in store.newer(""):
            found += len(page.summaries)
        await store.close()
        assert found == count


async def _works_by_graph(room: Room, user: User, count: int, folder: Path) -> None:
    """What is sent by Graph arrives, and is collected by Graph, once."""
    await _sends(room, user, "graph-out", count)
    tally = await room.collecting.run("graph-in")
    assert tally is not None
    assert (tally.delivered, tally.failed) == (1, 0)
    assert len(list(folder.glob("*/*.eml"))) == count


def _tokens(ground: Ground, client: Client, how: str) -> int:
    """How many tokens the app was given after the first sign-in; each asked for in the right way."""
    asked = "token:refresh_token" if how in ("device", "code") else "token:client_credentials"
    tokens = [one for one in ground.oauth.seen(client) if one["kind"] == asked]
    assert {(one["how"], one["status"]) for one in tokens} <= {(HOW[how], 200)}
    return len(tokens)


@pytest.mark.parametrize("how", FLOWS)
async def test_every_wire_works_and_survives_expiry_and_rotation(
    room: Room, ground: Ground, fresh_user: User, tmp_path: Path, how: str
) -> None:
    """T88, T89: {IMAP, POP3, SMTP} by each flow: open, send, and again with tokens that are over.

    The refresh token is good once (strict rotation); one sign-in serves both connections.
    """
    client, _, files = _at_the_ground(ground, tmp_path, fresh_user, how)
    if how == "secret as Basic":
        basic = {"token_endpoint_auth_methods_supported": ["client_secret_basic"]}
        ground.oauth.fault("discovery", replace=basic)
    plan = await room.roomfile.apply(files(FLOWS[how]))
    assert not plan.incomplete
    if done := await _signed_in(room, ground, fresh_user, how, "imap"):
        assert (done.identity, done.connections) == (fresh_user.address, ("imap", "pop3"))
    await _works(room, fresh_user, 1)
    before = _tokens(ground, client, how)
    for count in (2, 3):
        await expire(room)
        await _works(room, fresh_user, count)
    assert _tokens(ground, client, how) > before
    [row] = await room.signins.list()
    assert row["state"] == "signed in"


@pytest.mark.parametrize("how", [how for how in FLOWS if how != "secret as Basic"])
async def test_graph_works_and_survives_expiry_and_rotation(
    room: Room, ground: Ground, fresh_user: User, tmp_path: Path, how: str
) -> None:
    """T88, T89: Graph by each flow: collect and send, again with tokens that are over, twice, and with
    what is presented for them changed: the refresh token at each use, else the secret or certificate.
    """
    _, client, files = _at_the_ground(ground, tmp_path, fresh_user, how)
    ground.oauth_graph.mend()
    plan = await room.roomfile.apply(files(FLOWS[how]))
    assert not plan.incomplete
    if done := await _signed_in(room, ground, fresh_user, how, "graph"):
        assert (done.identity, done.connections) == (fresh_user.address, ("graph",))
    collected = tmp_path / "collected"
    await _works_by_graph(room, fresh_user, 1, collected)
    before = _tokens(ground, client, how)
    for count in (2, 3):
        await expire(room)
        await _works_by_graph(room, fresh_user, count, collected)
    assert _tokens(ground, client, how) >= before + 2
    await _rotated(room, ground, fresh_user, client, how)
    await expire(room)
    await _works_by_graph(room, fresh_user, 4, collected)
    [row] = await room.signins.list()
    assert row["state"] == "signed in"
    assert ground.oauth_graph.count("/send") == 4


async def _rotated(room: Room, ground: Ground, user: User, client: Client, how: str) -> None:
    """The app signs in by another secret or certificate, and the old one is refused from then on."""
    if how == "secret posted":
        second = "second-secret-of-graph-0123456789"
        ground.oauth.change(client, secrets=[client.secret, second])
        proof = await room.client_secrets.add("graph-app", Secret(second), "two")
        assert (proof.proven, proof.state) == (True, "current")
        ground.oauth.change(client, secrets=[second])
    elif how == "certificate":
        key, certificate = generate_pair("postroom tests, the second")
        registered = x509.load_pem_x509_certificate(certificate.encode())
        ground.oauth.client(client.id, mailbox=user.address, certificates=[registered])
        pair = {"private_key": key.reveal(), "certificate": certificate}
        await room.credentials.set("graph-app", details=pair)


@pytest.mark.parametrize(
    ("how", "addresses", "lines"),
    [
        *(
            (
                how,
                MICROSOFT,
                {
                    "imap://outlook.office365.com:993;security=tls",
                    "pop3://outlook.office365.com:995;security=tls",
                    "smtp://smtp.office365.com:587;security=starttls",
                    "https://graph.microsoft.com:443",
                    "https://login.microsoftonline.com:443",
                },
            )
            for how in FLOWS
        ),
        (
            "code",
            GOOGLE,
            {
                "imap://imap.gmail.com:993;security=tls",
                "pop3://pop.gmail.com:995;security=tls",
                "smtp://smtp.gmail.com:465;security=tls",
                "https://oauth2.googleapis.com:443",
            },
        ),
    ],
)
async def test_the_same_file_leads_to_the_real_providers_by_its_addresses_alone(
    room: Room, ground: Ground, fresh_user: User, tmp_path: Path,
    how: str, addresses: str, lines: set[str],
) -> None:  # fmt: skip
    """Nobody is dialled: it is planned and resolved, and every secret is bound to those places."""
    client, graph_client, files = _at_the_ground(ground, tmp_path, fresh_user, how)
    before = {path.name: path.read_text() for path in files(FLOWS[how])[:-1]}
    nobody = {
        name: _client(tmp_path, f"00000000-0000-4000-8000-00000000000{number}", how)[0]
        for number, name in enumerate(("client", "graph_client"), 1)
    }
    addresses = addresses.replace("%(client)s", nobody["client"])
    addresses = addresses.replace("%(graph_client)s", nobody["graph_client"])
    (tmp_path / "secret").write_text("a-secret-of-nobody-0123456789")
    there = _files(tmp_path, FLOWS[how], addresses)
    for path in there[:-1]:
        assert path.read_text() == before[path.name]
    planned = await room.roomfile.apply(there, dry_run=True)
    assert planned.changes
    assert await room.connections.list() == []
    await room.roomfile.apply(there)
    bound = await room.desk.db.read(_bound(room))
    shown = {line.removeprefix("bearer+").partition(";trust")[0] for line in bound}
    assert shown == lines
    assert ground.oauth.seen(client) == ground.oauth.seen(graph_client) == []


def _bound(room: Room) -> Callable[[Any], set[str]]:
    def body(tx: Any) -> set[str]:
        from postroom.connections.signins import sign_ins

        uses = sign_ins(room.desk.resolver(tx).all_sides())
        return {line for use in uses.values() for line in use.lines}

    return body
