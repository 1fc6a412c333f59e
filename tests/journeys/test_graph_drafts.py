"""A message over Graph whose sender dies or hears nothing: the draft is taken away, or tells what was."""

from __future__ import annotations

import asyncio

import pytest

from postroom.mail import Attachment
from postroom.services.outbox import Item
from tests.child import Child
from tests.ground import arrived, read
from tests.journeys.incoming import soon
from tests.journeys.outgoing import Outgoing
from tests.journeys.test_microsoft365 import Tenant, tenant

__all__ = ["tenant"]


@pytest.fixture
async def post(tenant: Tenant) -> Outgoing:
    await tenant.connect()
    return Outgoing(tenant.room, tenant.ground, tenant.user, tenant.ground.user())


async def test_a_process_killed_while_it_makes_the_draft_leaves_none(
    tenant: Tenant, post: Outgoing
) -> None:
    """F14: kill -9 before the send is begun: sent once by the next process, and no draft is left."""
    await post.service()
    item = await post.store(attachments=[Attachment("large.bin", "image/png", b"x" * 4_000_000)])
    settings = tenant.room.settings
    tenant.graph.fault("createUploadSession", delay=0.5)
    where = ("--room", str(settings.room), "--kek", str(settings.kek))
    with Child("-m", "postroom", "outbox", "drain", *where) as child:
        await soon(lambda: tenant.graph.count("createUploadSession") == 1, seconds=30)
        child.kill()
    assert len(read(tenant.user.maildir, "Drafts")) == 1
    done = await post.drain()
    assert (done.sent, done.ambiguous) == (1, 0)
    assert (await post.show(item)).state == "sent"
    assert read(tenant.user.maildir, "Drafts") == []
    assert tenant.graph.count("/send") == 1
    assert len(await asyncio.to_thread(arrived, post.other.maildir)) == 1


async def _in_doubt(tenant: Tenant, post: Outgoing) -> Item:
    """The answer to the send was none, and it was not done."""
    await post.service(on_ambiguous="resend")
    tenant.graph.fault("/send", status=504)
    item = await post.send()
    assert (item.state, item.finished) == ("ambiguous", False)
    await post.due(item.id)
    return item


async def test_a_draft_that_still_is_one_was_not_sent(tenant: Tenant, post: Outgoing) -> None:
    """F14: evidence for a message in doubt: it is sent again, and what was left is taken away."""
    item = await _in_doubt(tenant, post)
    assert len(read(tenant.user.maildir, "Drafts")) == 1
    assert (await post.drain()).sent == 1
    assert (await post.show(item.id)).state == "sent"
    assert read(tenant.user.maildir, "Drafts") == []
    assert len(await asyncio.to_thread(arrived, post.other.maildir)) == 1


async def test_what_lies_nowhere_may_be_on_its_way(tenant: Tenant, post: Outgoing) -> None:
    """F14: neither a draft nor in Sent Items: nothing is sent again before something is known."""
    item = await _in_doubt(tenant, post)
    drafts = tenant.user.maildir / ".Drafts" / "cur"
    [draft] = list(drafts.iterdir())
    draft.rename(tenant.user.maildir / ".Archive" / "cur" / draft.name)
    assert (await post.drain()).sent == 0
    found = await post.show(item.id)
    assert (found.state, found.finished) == ("ambiguous", False)
    assert "neither in the Sent folder nor among the drafts" in found.reason
    tenant.ground.dovecot.fill(
        tenant.user, [await tenant.room.outbox.content(item.id)], folder="Sent"
    )
    await post.due(item.id)
    assert (await post.drain()).sent == 1
    assert tenant.graph.count("/send") == 1
