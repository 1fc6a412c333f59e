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
"""What is ours; the files below say where: addresses, and the app that is registered there."""

GROUND: Final = """
postroom: 1
variables: {MAILBOX: "%(mailbox)s", IMAP_HOST: localhost, IMAP_PORT: "%(imap)d",
            POP3_HOST: localhost, POP3_PORT: "%(pop3)d", SMTP_HOST: localhost, SMTP_PORT: "%(smtp)d"}
credentials:
  - {name: ground-ca, type: trusted_certificate, fields: {certificate: {from_file: ca.pem}}}
  - {name: app, type: msgraph, fields: {%(client)s, authority: "%(authority)s"}}
connections:
  - {name: imap, incoming: {trust: ground-ca}, outgoing: {trust: ground-ca}}
"""

MICROSOFT: Final = """
postroom: 1
variables: {MAILBOX: orders@example.com, IMAP_HOST: outlook.office365.com, IMAP_PORT: "993",
            POP3_HOST: outlook.office365.com, POP3_PORT: "995",
            SMTP_HOST: smtp.office365.com, SMTP_PORT: "587"}
credentials:
  - {name: app, type: msgraph, fields: {%(client)s}}
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
    """The fields of the app's record and, for a certificate, what is registered."""
    fields, registered = f'tenant_id: "{TENANT}", client_id: "{client_id}"', None
    if how == "certificate":
        key, certificate = generate_pair("postroom tests")
        (folder / "key.pem").write_text(key.reveal())
        (folder / "certificate.pem").write_text(certificate)
        registered = x509.load_pem_x509_certificate(certificate.encode())
        fields += ", private_key: {from_file: key.pem}, certificate: {from_file: certificate.pem}"
    else:
        fields += ", client_secrets: {one: {value: {from_file: secret}}}"
    return fields, registered


def _at_the_ground(
    ground: Ground, folder: Path, user: User, how: str
) -> tuple[Client, Callable[[str], list[Path]]]:
    """The app, registered; and what writes the two room files for one flow."""
    client_id = "00000000-0000-4000-8000-" + user.address.encode().hex()[:12].ljust(12, "0")
    fields, registered = _client(folder, client_id, how)
    client = ground.oauth.client(
        client_id, mailbox=user.address, rotation="strict", redirect_uris=["http://localhost"],
        public=how in ("device", "code"), certificates=[registered] if registered else [],
    )  # fmt: skip
    (folder / "secret").write_text(client.secret)
    (folder / "ca.pem").write_text(ground.pki.ca.read_text())
    addresses = GROUND % {
        "mailbox": user.address, "imap": ground.oauth_dovecot.imaps,
        "pop3": ground.oauth_dovecot.pop3s, "smtp": ground.oauth_postfix.tokens_tls,
        "client": fields, "authority": ground.oauth.authority(),
    }  # fmt: skip
    return client, lambda flow: _files(folder, flow, addresses)


def _files(folder: Path, flow: str, addresses: str) -> list[Path]:
    ours, theirs = folder / "room.yaml", folder / "addresses.yaml"
    ours.write_text(ROOM % {"flow": flow})
    theirs.write_text(addresses)
    return [ours, theirs]


async def _works(room: Room, user: User, count: int) -> None:
    """What is sent arrives, and the mailbox, which holds so many then, is opened by both protocols."""
    draft = Draft(from_=user.address, to=[user.address], subject="Hello", text="Text.\n")
    item = await room.email.send("orders-out", draft, wait=20.0)
    assert item.state == "sent", item
    assert len(await asyncio.to_thread(arrived, user.maildir, count)) == count
    for name in ("imap", "pop3"):
        store = await room.desk.opener.open_store(name)
        await store.open("INBOX", read_only=name == "imap")
        found = 0
        async for page in store.newer(""):
            found += len(page.summaries)
        await store.close()
        assert found == count


@pytest.mark.parametrize("how", FLOWS)
async def test_every_wire_works_and_survives_expiry_and_rotation(
    room: Room, ground: Ground, fresh_user: User, tmp_path: Path, how: str
) -> None:
    """T88, T89: {IMAP, POP3, SMTP} by each flow: open, send, and again with tokens that are over.

    The refresh token is good once (strict rotation); one sign-in serves both connections.
    """
    flow = FLOWS[how]
    client, files = _at_the_ground(ground, tmp_path, fresh_user, how)
    if how == "secret as Basic":
        basic = {"token_endpoint_auth_methods_supported": ["client_secret_basic"]}
        ground.oauth.fault("discovery", replace=basic)
    plan = await room.roomfile.apply(files(flow))
    assert not plan.incomplete
    if how in ("device", "code"):
        visits: list[asyncio.Task[Any]] = []
        tell = approving if how == "device" else browsing
        more = () if how == "device" else (visits,)
        [done] = await room.signins.sign_in("imap", tell(ground.oauth, fresh_user.address, *more))
        await asyncio.gather(*visits)
        assert (done.identity, done.connections) == (fresh_user.address, ("imap", "pop3"))
    asked = "token:refresh_token" if how in ("device", "code") else "token:client_credentials"
    await _works(room, fresh_user, 1)
    before = ground.oauth.counts(client).get(asked, 0)
    for count in (2, 3):
        await expire(room)
        await _works(room, fresh_user, count)
    after = ground.oauth.counts(client)[asked]
    assert after > before
    tokens = [one for one in ground.oauth.seen(client) if one["kind"] == asked]
    assert {(one["how"], one["status"]) for one in tokens} == {(HOW[how], 200)}
    [row] = await room.signins.list()
    assert row["state"] == "signed in"


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
    client, files = _at_the_ground(ground, tmp_path, fresh_user, how)
    [ours, _] = files(FLOWS[how])
    before = ours.read_text()
    fields, _ = _client(tmp_path, "00000000-0000-4000-8000-000000000001", how)
    (tmp_path / "secret").write_text("a-secret-of-nobody-0123456789")
    there = _files(tmp_path, FLOWS[how], addresses.replace("%(client)s", fields))
    assert ours.read_text() == before
    planned = await room.roomfile.apply(there, dry_run=True)
    assert planned.changes
    assert await room.connections.list() == []
    await room.roomfile.apply(there)
    bound = await room.desk.db.read(_bound(room))
    shown = {line.removeprefix("bearer+").partition(";trust")[0] for line in bound}
    assert shown == lines
    assert ground.oauth.seen(client) == []


def _bound(room: Room) -> Callable[[Any], set[str]]:
    def body(tx: Any) -> set[str]:
        from postroom.connections.signins import sign_ins

        uses = sign_ins(room.desk.resolver(tx).all_sides())
        return {line for use in uses.values() for line in use.lines}

    return body
