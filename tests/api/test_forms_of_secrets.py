"""What is done with a credential by its own page: its versions, its secrets, its key pair, its server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from postroom.secret import Secret
from tests.api.reader import Reader
from tests.journeys.conftest import connect
from tests.journeys.oauth import connect as connect_app
from tests.journeys.oauth import register

if TYPE_CHECKING:
    from postroom.app import Room
    from tests.ground import Ground

WRONG = "a password that was never right"
ONE, TWO = "value-of-the-first-secret-0001", "value-of-the-second-secret-0002"
AGREED = "Save, and let it go there"


async def acts(room: Room, noun: str, name: str) -> list[str]:
    """What the audit record says was done to a record, oldest first; that it was opened is left out."""
    rows = await room.audit.list(noun=noun, name=name, limit=200)
    return [one["action"] for one in reversed(rows) if one["action"] != "open"]


async def test_a_wrong_password_is_undone_by_the_version_before_and_destroyed(
    reader: Reader, room: Room, ground: Ground
) -> None:
    """The old one signs in again; the wrong one cannot be brought back once it is destroyed."""
    await connect(room, ground, ground.user())
    await reader.go("/credentials/acme-login/details")
    await reader.press("Save", Password=WRONG)
    assert "acme-login is saved" in reader.text
    await reader.go("/connections/acme")
    await reader.press("Test")
    await reader.watched()
    assert "Incoming failed" in reader.text

    await reader.go("/credentials/acme-login")
    await reader.press("Bring back", row="2 kept")
    await reader.press("Bring it back")
    assert "Version 4 holds what version 2 held." in reader.text
    await reader.go("/connections/acme")
    await reader.press("Test")
    await reader.watched()
    assert "Everything works" in reader.text

    await reader.go("/credentials/acme-login")
    await reader.press("Destroy", row="3 kept")
    assert "cannot be brought back" in reader.text
    await reader.press("Destroy it")
    assert "Version 3 is destroyed." in reader.text
    versions = await room.versions.list("acme-login")
    assert [one["state"] for one in versions][:2] == ["current", "destroyed"]
    assert "kept" in [one["state"] for one in versions]
    told = [each for each in await acts(room, "credential", "acme-login") if each != "accepted"]
    assert told[-2:] == ["restore", "destroy"]
    await reader.go("/credentials/acme-login")
    assert not [one for one in reader.offered if one.row.startswith("3 ")]


async def test_a_client_secret_is_refused_proven_later_and_the_old_one_retired(
    reader: Reader, room: Room, ground: Ground
) -> None:
    """Every step asks the authorization server, and the page says what it answered."""
    user = ground.user()
    client = ground.oauth.client(secrets=[ONE], mailbox=user.address)
    await register(room, ground, client)
    await connect_app(room, ground, user, "oauth_client_credentials")
    await reader.go("/credentials/app")
    await reader.press("Prove", row="one ")
    await reader.watched()
    assert "Back to app" in reader.labels()
    await reader.press("Back to app")
    await reader.press("Add and prove", Value=TWO, Label="two", Description="of this year")
    await reader.watched()
    assert "wait" in reader.text
    states = {one["label"]: one["state"] for one in await room.client_secrets.list("app")}
    assert states == {"one": "current", "two": "refused"}

    ground.oauth.change(client, secrets=[ONE, TWO])
    await reader.press("Back to app")
    await reader.press("Prove", row="two of this year")
    await reader.watched()
    states = {one["label"]: one["state"] for one in await room.client_secrets.list("app")}
    assert states == {"two": "current", "one": "fallback"}
    await reader.press("Back to app")
    await reader.press("Retire", row="one ")
    await reader.press("Retire it")
    assert "Client secret one is out of use" in reader.text
    assert [one["label"] for one in await room.client_secrets.list("app")] == ["two"]
    assert (await acts(room, "credential", "app"))[-1] == "retire"
    ground.oauth.change(client, secrets=[TWO])
    await reader.go("/connections/acme")
    await reader.press("Test")
    await reader.watched()
    assert "Everything works" in reader.text


async def test_what_is_said_of_a_credential_and_its_copy(reader: Reader, room: Room) -> None:
    details = {"user_name": "ann", "password": Secret(WRONG)}
    await room.credentials.create("login", "password", details=details)
    await reader.go("/credentials/login")
    await reader.press("Change description, type or dates")
    await reader.press("Save", Description="Of the shop", Ends_on="2031-02-03", programs=True)
    assert reader.status == 422  # it would be handed to programs: somebody has to say so
    assert (await room.credentials.show("login"))["description"] == ""
    await reader.press(AGREED)
    assert "Saved." in reader.text, reader.text
    one = await room.credentials.show("login")
    assert (one["description"], one["expires_at"], one["programs"]) == (
        "Of the shop", "2031-02-03", True,
    )  # fmt: skip
    assert "may be handed it" in reader.text
    await reader.press("Change description, type or dates")
    await reader.press("Save", Ends_on="some day")
    assert reader.status == 422
    await reader.press("Save", Ends_on="", programs=False)
    one = await room.credentials.show("login")
    assert (one["description"], one["expires_at"], one["programs"]) == ("Of the shop", None, False)

    await reader.press("Copy", Name_of_the_copy="second")
    assert "no secret was carried over" in reader.text
    assert reader.path == "/credentials/second/details"
    copy = await room.credentials.show("second")
    assert (copy["type"], copy["fields"]["user_name"], copy["missing"]) == (
        "password", "ann", ["password"],
    )  # fmt: skip
    assert await acts(room, "credential", "second") == ["create", "set"]


async def test_a_key_pair_is_generated_and_its_certificate_shown(
    reader: Reader, room: Room
) -> None:
    """Only the certificate leaves; another pair takes its place where that is said, and not before."""
    await room.credentials.create("client", "certificate")
    await reader.go("/credentials/client")
    await reader.press("Generate a key pair")
    first = shown(reader)
    assert "PRIVATE KEY" not in reader.text
    await reader.press("Done")
    assert reader.path == "/credentials/client"
    await reader.press("Generate a key pair")
    assert reader.status == 409
    assert "has a private key already" in reader.text
    await reader.go("/credentials/client")
    await reader.press("Generate a key pair", replace=True)
    assert shown(reader) != first
    assert len(await room.versions.list("client")) == 2


def shown(reader: Reader) -> int:
    """The serial number of the certificate that is on the page."""
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    inner = reader.text.partition(begin)[2].partition(end)[0]
    pem = "\n".join([begin, *inner.split(), end])
    return x509.load_pem_x509_certificate(pem.encode()).serial_number


@pytest.mark.parametrize("right", [True, False])
async def test_a_credential_with_a_server_of_its_own_is_tested_and_its_certificate_trusted(
    reader: Reader, room: Room, ground: Ground, right: bool
) -> None:
    """The fingerprint on the page is that of the server; it is trusted for this credential alone."""
    user = ground.user()
    details = {
        "host": "127.0.0.1", "port": str(ground.postfix.submission), "tls": True,
        "user_name": user.address, "password": Secret(user.password if right else WRONG),
    }  # fmt: skip
    await room.credentials.create("relay", "smtp", description="x", details=details)
    await reader.go("/credentials/relay")
    await reader.press("Test")
    await reader.watched()
    assert "Outgoing failed" in reader.text
    await reader.press("It is right: Trust this certificate here")
    if AGREED in reader.labels():
        await reader.press(AGREED)
    assert "The certificate of its server is trusted for relay." in reader.text
    await reader.watched()
    assert ("Everything works" in reader.text) == right
    assert (await room.credentials.show("relay"))["fields"]["trust"]
