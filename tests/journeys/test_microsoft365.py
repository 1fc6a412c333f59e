"""Microsoft 365 from end to end: an app of a real authorization server, and our stand-in for Graph."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from postroom.app import Room, open_room
from postroom.errors import InvalidValue, PostroomError, Refused, WireError
from postroom.mail import Draft, Message
from postroom.net import tls
from postroom.operations.mailboxes import open_mailbox
from postroom.protocols.base import Summary
from postroom.protocols.graph.changing import ChangeVerbs
from tests.ground import Client, GraphServer, Ground, User, arrived, read
from tests.journeys.incoming import Incoming, letter, soon
from tests.journeys.oauth import CA, approving

SCOPE = "https://graph.microsoft.com/.default"


@dataclasses.dataclass
class Tenant:
    """A room with the record ``app`` of an application that may open one mailbox."""

    room: Room
    ground: Ground
    graph: GraphServer
    client: Client
    user: User

    async def connect(self, name: str = "acme", **fields: Any) -> None:
        """A connection to the mailbox by client credentials."""
        auth = {"type": "oauth_client_credentials", "credential": "app", "scopes": [SCOPE]}
        whole = {"name": name, "type": "microsoft365", "trust": CA, "auth": auth, **fields}
        await self.room.connections.add({k: v for k, v in whole.items() if v is not None})


@pytest.fixture
async def tenant(room: Room, ground: Ground) -> Tenant:
    graph = ground.oauth_graph
    graph.mend()
    user = ground.user()
    client = ground.oauth.client(mailbox=user.address)
    await room.credentials.create(
        CA, "trusted_certificate", details={"certificate": ground.pki.ca.read_text()}
    )
    details = {
        "authority": ground.oauth.issuer, "client_id": client.id, "graph_url": graph.url,
        "client_secrets": {"one": {"value": client.secret}}, "mailbox": user.address,
    }  # fmt: skip
    await room.credentials.create("app", "msgraph", details=details)
    return Tenant(room, ground, graph, client, user)


async def test_a_source_collects_moves_and_polls_with_one_request(
    tenant: Tenant, tmp_path: Path
) -> None:
    """F14: collected once, moved, an unchanged folder polled by one request, 410 collects nothing twice."""
    await tenant.connect()
    box = Incoming(tenant.room, tenant.ground, tenant.user, tmp_path / "orders")
    box.fill(letter("one"), letter("two"), letter("spam"))
    await box.source(
        folders={"done": "Done/2026", "ignored": "Ignored"},
        ignore={"subject": {"deny": ["^spam"]}},
    )
    tally = await box.run()
    assert (tally.delivered, tally.ignored, tally.failed) == (2, 1, 0)
    assert box.there() == []
    assert sorted(box.there("Done/2026")) == ["one", "two"]
    assert box.there("Ignored") == ["spam"]
    assert (await box.run()).delivered == 0
    tenant.graph.expire()
    box.fill(letter("three"))
    assert (await box.run()).delivered == 1
    assert box.counts() == {"done": 3, "ignored": 1}
    assert tenant.ground.oauth.counts(tenant.client)["token:client_credentials"] == 1


async def test_what_is_too_large_is_held_once_it_was_read_and_delivered_when_released(
    tenant: Tenant, tmp_path: Path
) -> None:
    """Graph tells no size before."""
    await tenant.connect()
    box = Incoming(tenant.room, tenant.ground, tenant.user, tmp_path / "orders")
    box.fill(letter("small"), letter("large", size=50_000))
    await box.source(max_size="20KiB")
    tally = await box.run()
    assert (tally.delivered, tally.held, tally.failed) == (1, 1, 0)
    assert box.counts() == {"done": 1, "held": 1}
    [row] = await tenant.room.ledger.list("orders-in", states=["held"])
    assert row.reason.startswith("too large: 5")
    assert (await box.run()).delivered == 0
    await tenant.room.ledger.release("orders-in", [row.id])
    assert (await box.run()).delivered == 1
    assert box.counts() == {"done": 2}


async def test_faults_of_every_kind_converge_without_a_duplicate(
    tenant: Tenant, tmp_path: Path
) -> None:
    """F14: 410, 429, 503, nextLink twice, an item that changes its folder, a cut connection."""
    await tenant.connect()
    box = Incoming(tenant.room, tenant.ground, tenant.user, tmp_path / "orders")
    await box.source(after={"done": "seen"})
    graph, names = tenant.graph, [f"m{n}" for n in range(12)]
    faults: list[dict[str, Any]] = [
        {"what": "delta", "status": 410}, {"what": "delta", "status": 429, "retry_after": 1},
        {"what": "$value", "status": 503, "retry_after": 1}, {"what": "delta", "again": True},
        {"what": "$value", "cut": True}, {"what": "$batch", "status": 429, "retry_after": 1},
    ]  # fmt: skip
    for step, fault in enumerate(faults):
        box.fill(*(letter(name) for name in names[2 * step : 2 * step + 2]))
        graph.fault(**fault)
        with contextlib.suppress(WireError):  # the cut connection, and what comes later than now
            await box.run()
    mailbox = await open_mailbox(tenant.room.desk, "acme")
    async with mailbox:
        (one,) = await mailbox.search("subject:m3")
        await mailbox.move([one.id], "Elsewhere", create=True)
    for _ in range(3):
        graph.mend()
        await box.run()
    assert box.counts() == {"done": 12}
    found = sorted((tmp_path / "orders").glob("*/*.eml"))
    assert sorted(f.read_bytes().split(b"\r\n")[1] for f in found) == sorted(
        f"Subject: {name}".encode() for name in names
    )


async def test_what_is_sent_arrives_and_lies_in_sent_items(tenant: Tenant) -> None:
    await tenant.connect()
    other = tenant.ground.user()
    await tenant.room.services.add({"name": "orders-out", "connection": "acme"})
    for via in ("orders-out", "acme"):
        draft = Draft(from_=None, to=[other.address], subject=f"by {via}", text="Text.\n")
        item = await tenant.room.email.send(via, draft, wait=20.0)
        assert [one.state for one in item.recipients] == ["sent"]
    got = await asyncio.to_thread(arrived, other.maildir, 2)
    assert all(tenant.user.address.encode() in one for one in got)
    assert len(read(tenant.user.maildir, "Sent")) == 2


async def test_the_verbs_of_reading_work_on_it(tenant: Tenant, tmp_path: Path) -> None:
    await tenant.connect()
    tenant.ground.dovecot.fill(tenant.user, [letter("apples"), letter("Birnen")])
    async with await open_mailbox(tenant.room.desk, "acme") as mailbox:
        assert {"INBOX", "Archive", "Sent"} <= {f.name for f in await mailbox.folders()}
        assert [s.headers.count(b"Subject") for s in await mailbox.list()] == [1, 1]
        (one,) = await mailbox.search("unseen from:ada subject:apples")
        assert (await mailbox.read_message(one.id)).header("subject") == "apples"
        assert len(await mailbox.save([one.id], tmp_path)) == 1
        await mailbox.flag([one.id], add=["seen", "Invoice"])
        (two,) = await mailbox.search("unseen")
        assert two.id != one.id
        await mailbox.copy([one.id], "Archive")
        await mailbox.delete([two.id])
        with pytest.raises(Refused, match="Microsoft Graph would make a draft of it"):
            await mailbox.append(letter("copied"), "Archive")
        assert [s.id for s in await mailbox.list()] == [one.id]
    assert len(read(tenant.user.maildir, "Trash")) == 1


@pytest.mark.parametrize("read_only", [False, True])
async def test_a_list_is_one_request_for_the_newest(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch, read_only: bool
) -> None:
    """More than a page of a delta round: newest first all the same, and not all of it is read."""
    await tenant.connect(read_only=read_only)
    tenant.ground.dovecot.fill(tenant.user, [letter(f"m{n}") for n in range(12)])
    names = [f"m{n}" for n in range(12)][::-1]
    monkeypatch.setattr(tenant.graph.api, "newest_first", True)
    monkeypatch.setattr(tenant.graph.api, "largest_page", 4)
    async with await open_mailbox(tenant.room.desk, "acme") as mailbox:
        tenant.graph.mend()
        assert _subjects(await mailbox.list(limit=5)) == names[:5]
        asked = [path for _, path, _, _ in tenant.graph.seen if "delta" in path or "$top=5" in path]
        assert len(asked) == 1
        assert _subjects(await mailbox.list(limit=0)) == names


def _subjects(found: list[Summary]) -> list[str]:
    return [Message(each.headers).subject for each in found]


async def test_a_refused_token_is_replaced_once(tenant: Tenant) -> None:
    """401 once: the kept token is thrown away, and a new one opens the mailbox."""
    await tenant.connect()
    store = await tenant.room.desk.opener.open_store("acme")
    await store.close()
    tenant.graph.fault("inbox", status=401)
    store = await tenant.room.desk.opener.open_store("acme")
    await store.close()
    assert tenant.ground.oauth.counts(tenant.client)["token:client_credentials"] == 2
    tenant.graph.fault("inbox", status=401, times=2)
    with pytest.raises(PostroomError) as caught:
        await tenant.room.desk.opener.open_store("acme")
    assert caught.value.code == "sign_in_failed"
    assert tenant.ground.oauth.counts(tenant.client)["token:client_credentials"] == 3


async def test_the_connection_test_walks_both_sides(tenant: Tenant) -> None:
    await tenant.connect()
    report = await tenant.room.connections.test("acme")
    assert report.ok, report.as_json()
    steps = {(side.place, step.name) for side in report.sides for step in side.steps}
    for place, name in (("incoming", "folder"), ("outgoing", "send")):
        assert {(place, step) for step in ("connect", "tls", "sign-in", name)} <= steps
    assert read(tenant.user.maildir, "Sent") == []
    tenant.ground.oauth.change(tenant.client, roles=["Mail.ReadWrite"])
    report = await tenant.room.connections.test("acme")
    assert not report.ok
    assert report.error is not None
    outgoing = report.sides[1]
    assert outgoing.advice is not None
    assert "has no Mail.Send" in outgoing.advice.text
    # with RBAC for Applications the token names no role, and works: the call is the proof
    tenant.ground.oauth.change(tenant.client, roles=[])
    assert not (await tenant.room.connections.test("acme")).ok
    tenant.graph.let_in(tenant.client.id)
    assert (await tenant.room.connections.test("acme")).ok


async def test_a_person_signs_in_and_reads_a_shared_mailbox(
    room: Room, ground: Ground, tenant: Tenant
) -> None:
    person, shared = ground.user(), tenant.user
    client = ground.oauth.client(public=True)
    details = {"authority": ground.oauth.issuer, "client_id": client.id}
    await room.credentials.create("people", "oauth_client", details=details | {"trust": CA})
    rights = ("Mail.ReadWrite", "Mail.Send", "Mail.ReadWrite.Shared", "Mail.Send.Shared")
    auth = {
        "type": "oauth_device_flow", "credential": "people",
        "scopes": ["offline_access", *(f"https://graph.microsoft.com/{one}" for one in rights)],
    }  # fmt: skip
    await tenant.connect(
        auth=auth, mailbox=shared.address, account=person.address, graph_url=tenant.graph.url
    )
    await room.signins.sign_in("acme", approving(ground.oauth, person.address))
    ground.dovecot.fill(shared, [letter("for the team")])
    async with await open_mailbox(room.desk, "acme") as mailbox:
        assert len(await mailbox.list()) == 1


async def test_what_is_wrong_is_said_when_it_is_saved(tenant: Tenant) -> None:
    secret = {"type": "secret", "credential": "app"}
    for fields, words in (
        ({"incoming": {"protocol": "imap", "host": "a.example"}}, "no incoming and no outgoing"),
        ({"auth": secret}, "by OAuth, not by secret"),
        ({"auth": None}, "auth: is needed"),
        ({"graph_url": "http://graph.example"}, "graph_url"),
    ):
        with pytest.raises(PostroomError) as caught:
            await tenant.connect(**fields)
        assert words in str(caught.value), words
    with pytest.raises(PostroomError) as caught:
        await tenant.room.connections.add({"name": "b", "mailbox": "x@y.example"})
    assert "type standard has no mailbox" in str(caught.value)
    await tenant.room.credentials.set("app", details={"mailboxes": ["*@other.test"]})
    with pytest.raises(InvalidValue) as fenced:
        await tenant.connect(mailbox="boss@ground.test")
    assert "is not for boss@ground.test" in str(fenced.value)
    auth = {"type": "oauth_client_credentials", "credential": "app"}
    side = {"protocol": "imap", "host": "localhost", "user": "boss@ground.test", "auth": auth}
    with pytest.raises(InvalidValue) as fenced:
        await tenant.room.connections.add({"name": "wires", "incoming": side})
    assert "incoming.user: credential app is not for boss@ground.test" in str(fenced.value)


async def test_a_connection_inherits_and_says_where_it_goes(tenant: Tenant) -> None:
    await tenant.connect("parent")
    other = tenant.ground.user()
    await tenant.room.connections.add(
        {"name": "child", "type": "microsoft365", "extends": "parent", "mailbox": other.address}
    )
    found = await tenant.room.connections.show("child")
    sides = found["effective"]
    assert sides["incoming"]["user"] == sides["outgoing"]["user"] == other.address
    where = f"https://localhost:{tenant.graph.port};"
    assert sides["incoming"]["destination"].startswith(where)
    assert sides["inherited"]["auth"] == "parent"
    usage = await tenant.room.credentials.usage("app")
    assert ("connection", "parent", "auth") in {(u.noun, u.name, u.place) for u in usage.uses}
    store = await tenant.room.desk.opener.open_store("child")
    await store.close()
    shown = await tenant.room.credentials.show("app")
    assert f"bearer+{sides['incoming']['destination']}" in shown["destinations"]


async def test_a_read_only_connection_changes_nothing(tenant: Tenant) -> None:
    await tenant.connect(read_only=True)
    tenant.ground.dovecot.fill(tenant.user, [letter("one")])
    async with await open_mailbox(tenant.room.desk, "acme") as mailbox:
        (one,) = await mailbox.list()
        with pytest.raises(Refused):
            await mailbox.delete([one.id])


@pytest.fixture
def system_trusts(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The system's authorities are the ground's: an msgraph record names none."""
    monkeypatch.setenv("SSL_CERT_FILE", str(ground.pki.ca))
    tls._cached_context.cache_clear()
    yield
    tls._cached_context.cache_clear()


async def test_the_app_itself_reads_and_sends_without_a_connection(
    tenant: Tenant, tmp_path: Path, system_trusts: None
) -> None:
    """``credential:app``: a source collects by it, ``send --via`` and a service send by it."""
    room, other = tenant.room, tenant.ground.user()
    report = await room.credentials.test("app")
    assert report.ok, report.as_json()
    assert [side.place for side in report.sides] == ["incoming", "outgoing"]
    tenant.ground.dovecot.fill(tenant.user, [letter("one")])
    sink = {"type": "directory", "path": str(tmp_path / "in")}
    await room.sources.add({
        "name": "in", "connection": "credential:app", "sink": sink, "folders": {"done": "Done"},
    })  # fmt: skip
    tally = await room.collecting.run("in")
    assert tally is not None
    assert tally.delivered == 1
    assert len(read(tenant.user.maildir, "Done")) == 1
    await room.services.add({"name": "out", "connection": "credential:app"})
    for via in ("out", "credential:app", "app"):
        draft = Draft(from_=None, to=[other.address], subject=via, text="Text.\n")
        item = await room.email.send(via, draft, wait=20.0)
        assert [one.state for one in item.recipients] == ["sent"], via
    got = await asyncio.to_thread(arrived, other.maildir, 3)
    assert all(tenant.user.address.encode() in one for one in got)
    uses = {(use.noun, use.name) for use in (await room.credentials.usage("app")).uses}
    assert {("source", "in"), ("service", "out")} <= uses
    new = "second-secret-0123456789"
    tenant.ground.oauth.change(tenant.client, secrets=[tenant.client.secret, new])
    proof = await room.client_secrets.add("app", new, "two")
    assert (proof.proven, proof.state) == (True, "current"), proof
    with pytest.raises(Refused):
        await room.credentials.delete("app")


async def test_a_lost_answer_is_never_sent_again(tenant: Tenant) -> None:
    """F14: neither the 202 nor what became of the draft is heard of: in doubt, and nothing is resent."""
    await tenant.connect()
    other = tenant.ground.user()
    await tenant.room.services.add({"name": "orders-out", "connection": "acme"})
    tenant.graph.fault("/send", lose=True)
    draft = Draft(from_=None, to=[other.address], subject="once", text="Text.\n")
    item = await tenant.room.email.send("orders-out", draft, wait=20.0)
    assert [one.state for one in item.recipients] == ["sent"]
    tenant.graph.fault("/send", status=504)
    item = await tenant.room.email.send("orders-out", draft, wait=20.0)
    assert item.state == "ambiguous"
    assert tenant.graph.count("/send") == 2
    assert len(await asyncio.to_thread(arrived, other.maildir)) == 1


async def test_a_token_that_runs_out_meanwhile_is_no_failure(
    tenant: Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token lives for an hour, a watched connection for months; the same for one that sends."""
    monkeypatch.setattr(ChangeVerbs, "poll_seconds", 0.1)
    await tenant.connect()
    other = tenant.ground.user()
    box = Incoming(tenant.room, tenant.ground, tenant.user, tmp_path / "orders")
    await box.source(folders={"done": "Done"})
    async with box.watching():
        tenant.graph.fault("delta", status=401)
        await soon(lambda: not tenant.graph.faulty, seconds=10)
        box.fill(letter("one"))
        await soon(lambda: len(read(tenant.user.maildir, "Done")) == 1, seconds=10)
    assert box.row()["failures"] == 0
    await tenant.room.services.add({"name": "out", "connection": "acme"})
    drafts = [
        Draft(from_=None, to=[other.address], subject=f"{n}", text="Text.\n") for n in range(3)
    ]
    items = [await tenant.room.email.store("out", draft) for draft in drafts]
    tenant.graph.fault("messages")
    tenant.graph.fault("messages", status=401)
    done = await tenant.room.email.dispatch(["out"])
    assert done.sent == 3
    assert [(await tenant.room.outbox.show(item)).state for item in items] == ["sent"] * 3


async def test_all_processes_of_a_room_ask_four_at_a_time_together(
    tenant: Tenant, tmp_path: Path
) -> None:
    """Microsoft counts requests by app and mailbox, and does not care which process they are of."""
    await tenant.connect()
    tenant.ground.dovecot.fill(tenant.user, [letter(f"m{n}") for n in range(24)])
    rooms = [await open_room(tenant.room.settings) for _ in range(3)]
    graph = tenant.graph

    async def read_all(room: Room) -> int:
        async with await open_mailbox(room.desk, "acme") as mailbox:
            ids = [summary.id for summary in await mailbox.list()]
            paths = await mailbox.save(ids, tmp_path / uuid.uuid4().hex)
            return len(paths)

    try:
        graph.mend()
        graph.fault("$value", delay=0.05, times=72)
        assert await asyncio.gather(*map(read_all, rooms)) == [24, 24, 24]
        assert 2 <= graph.most <= 4
    finally:
        for room in rooms:
            await room.close()


async def test_what_one_process_is_told_the_others_of_the_room_heed(tenant: Tenant) -> None:
    """429 with Retry-After: no process asks about that mailbox before."""
    await tenant.connect()
    another = await open_room(tenant.room.settings)
    graph, began = tenant.graph, asyncio.get_running_loop().time()
    try:
        async with await open_mailbox(tenant.room.desk, "acme") as mailbox:
            graph.fault("messages", status=429, retry_after=2)
            listing = asyncio.create_task(mailbox.list())
            while graph.faulty:
                await asyncio.sleep(0.02)
            await asyncio.sleep(1)  # until what was told is written down; half of what it asks for
            store = await another.desk.opener.open_store("acme")
            assert asyncio.get_running_loop().time() - began >= 2
            await store.close()
            await listing
    finally:
        await another.close()
