"""The mailbox that a command names wins over the connection's, and that over the credential's."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from postroom.errors import InvalidValue, PostroomError, Refused
from postroom.library.room import AsyncRoom
from postroom.mail import Draft
from postroom.operations.mailboxes import open_mailbox
from tests.ground import User, arrived, read
from tests.journeys.conftest import Cli
from tests.journeys.incoming import letter
from tests.journeys.oauth import approving
from tests.journeys.test_microsoft365 import Tenant, tenant

__all__ = ["tenant"]


@pytest.fixture
async def other(tenant: Tenant) -> User:
    """Another mailbox, that the app may open too."""
    user = tenant.ground.user()
    tenant.ground.dovecot.fill(user, [letter("of the other")])
    tenant.ground.dovecot.fill(tenant.user, [letter("my own")])
    both = [tenant.user.address, user.address]
    await tenant.room.credentials.set("app", details={"mailboxes": both})
    return user


async def _subjects(tenant: Tenant, via: str, mailbox: str = "") -> list[str]:
    async with await open_mailbox(tenant.room.desk, via, mailbox) as box:
        return [line["subject"] for line in await box.lines()]


async def test_a_command_reads_another_mailbox(tenant: Tenant, other: User) -> None:
    await tenant.connect()
    assert await _subjects(tenant, "acme") == ["my own"]
    assert await _subjects(tenant, "acme", other.address) == ["of the other"]
    assert await _subjects(tenant, "connection:acme", other.address) == ["of the other"]
    library = AsyncRoom(tenant.room)
    folder = library.connection("acme", mailbox=other.address).folder()
    assert [message.subject async for message in folder.search()] == ["of the other"]
    log = await tenant.room.connections.log("acme")
    assert {event["event"] for event in log} == {"signed in"}


async def test_a_command_sends_from_another_mailbox(tenant: Tenant, other: User) -> None:
    """From that address, into its Sent Items; while it waits, it is a use of the connection."""
    await tenant.connect()
    draft = Draft(from_=None, to=[tenant.user.address], subject="Hello", text="Text.\n")
    stored = await tenant.room.email.store("acme", draft, mailbox=other.address)
    usage = await tenant.room.connections.usage("acme")
    assert ("outbox", "connection:acme") in {(use.noun, use.name) for use in usage.uses}
    item = await tenant.room.email.follow(stored, wait=20.0)
    assert (item.state, item.service) == ("sent", f"connection:acme/{other.address}")
    got = await asyncio.to_thread(arrived, tenant.user.maildir, 2)
    assert any(f"From: {other.address}".encode() in one for one in got)
    assert len(read(other.maildir, "Sent")) == 1
    assert read(tenant.user.maildir, "Sent") == []
    await tenant.room.services.add({"name": "orders-out", "connection": "acme"})
    with pytest.raises(Refused) as caught:
        await tenant.room.email.store("orders-out", draft, mailbox=other.address)
    assert f"--via acme --mailbox {other.address}" in caught.value.hint


@pytest.mark.parametrize("via", ["acme", "credential:app"])
async def test_what_the_credential_is_not_for_is_refused(tenant: Tenant, via: str) -> None:
    """Outside of the list, and without a list any but its own: nobody is dialled."""
    await tenant.connect()
    boss, draft = tenant.ground.user().address, Draft(from_=None, to=["a@ground.test"], text="x")
    tenant.graph.mend()
    for mailboxes, words in (
        ([tenant.user.address], "is not for"),
        ([], "lists no mailboxes"),
    ):
        await tenant.room.credentials.set("app", details={"mailboxes": mailboxes})
        for asked in (
            lambda: open_mailbox(tenant.room.desk, via, boss),
            lambda: tenant.room.email.store(via, draft, mailbox=boss),
        ):
            with pytest.raises(InvalidValue) as caught:
                await asked()
            assert words in str(caught.value)
    assert tenant.graph.seen == []
    for wrong in ("nobody", "a/b@ground.test", "x"):
        with pytest.raises(PostroomError):
            await open_mailbox(tenant.room.desk, via, wrong)


async def test_a_person_opens_a_shared_mailbox_by_the_same_sign_in(
    tenant: Tenant, other: User
) -> None:
    client = tenant.ground.oauth.client(public=True)
    details = {
        "authority": tenant.ground.oauth.issuer,
        "client_id": client.id,
        "trust": "ground-ca",
    }
    await tenant.room.credentials.create("people", "oauth_client", details=details)
    rights = ("Mail.ReadWrite", "Mail.Send", "Mail.ReadWrite.Shared", "Mail.Send.Shared")
    auth = {
        "type": "oauth_device_flow", "credential": "people",
        "scopes": ["offline_access", *(f"https://graph.microsoft.com/{one}" for one in rights)],
    }  # fmt: skip
    me = tenant.user.address
    await tenant.connect(auth=auth, mailbox=me, graph_url=tenant.graph.url)
    await tenant.room.signins.sign_in("acme", approving(tenant.ground.oauth, me))
    assert await _subjects(tenant, "acme") == ["my own"]
    assert await _subjects(tenant, "acme", other.address) == ["of the other"]


def test_other_wires_have_one_mailbox(wired: Any, cli: Cli) -> None:
    """A clear refusal, by the verb and by send; nothing is stored."""
    box = ("--mailbox", "other@ground.test")
    for words in (
        ("mail", "list", "--via", "acme", *box),
        ("send", "--via", "acme", "--to", "a@ground.test", "--text", "x", *box),
    ):
        told = cli(*words)
        assert told.status == 1, told.err
        assert "has one mailbox" in told.err
        assert "microsoft365" in told.err
    assert cli("outbox", "list", "--json").json["items"] == []
