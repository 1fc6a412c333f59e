"""The Graph store against the stand-in: what faults make of it, and what it asks for."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from postroom.clock import monotonic
from postroom.errors import FolderError, ProtocolError, SignInError, WireError
from postroom.protocols.base import SignIn, Since
from postroom.protocols.graph import GraphStore, open_store
from postroom.secret import Secret
from tests.ground import GraphServer, Ground, User, messages
from tests.ground.graphfacts import complaints
from tests.wire.graph import graph, graph_target, user
from tests.wire.test_store_contract import Spooled, fetched, listed
from tests.wire.web import web_server

__all__ = ["graph", "user"]

SMALL = [messages.small(n) for n in range(12)]


async def _opened(ground: Ground, whose: User, **token: Any) -> GraphStore:
    there, sign_in = graph_target(ground, whose.address, **token)
    return await open_store(there, sign_in)


async def _known(ground: Ground, user: User, count: int) -> tuple[GraphStore, Since, list[str]]:
    """An open inbox that was listed to its end, the cursor then, and its ids."""
    ground.dovecot.fill(user, SMALL[:count])
    store = await _opened(ground, user)
    await store.open("INBOX", read_only=False)
    pages = [page async for page in store.newer("", page=3)]
    return store, Since(0, pages[-1].cursor), [s.id for page in pages for s in page.summaries]


async def test_a_poll_of_an_unchanged_folder_is_one_request(
    ground: Ground, graph: GraphServer, user: User
):
    store, since, _ = await _known(ground, user, 5)
    graph.mend()
    state = await store.open("INBOX", since={"INBOX": since})
    assert state.changes is not None
    assert (list(state.changes.gone or ()), dict(state.changes.flags)) == ([], {})
    assert [page async for page in store.newer(state.changes.cursor)] == []
    assert len(graph.seen) == 1
    await store.close()


async def test_a_forgotten_delta_token_lists_anew_with_the_same_ids(
    ground: Ground, graph: GraphServer, user: User
):
    """F14: 410 when the folder is opened, and 410 in the middle of a listing."""
    store, since, ids = await _known(ground, user, 7)
    graph.expire()
    state = await store.open("INBOX", since={"INBOX": since})
    assert state.changes is not None
    assert state.changes.lost
    assert [s.id for s in await listed(store, state.changes.cursor)] == ids
    graph.fault("delta")  # the first page as usual
    graph.fault("delta", status=410)
    again = [s.id for s in await listed(store, "")]
    assert sorted(again) == sorted(ids), "nothing twice, nothing missing"
    await store.close()


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("as_date", [False, True])
async def test_what_is_told_to_wait_waits_as_long_as_it_is_told(
    ground: Ground, graph: GraphServer, user: User, status: int, as_date: bool
):
    """F14: Retry-After in seconds and as a date."""
    store, since, ids = await _known(ground, user, 3)
    graph.fault("delta", status=status, retry_after=2, as_date=as_date)
    began = monotonic()
    await store.open("INBOX", since={"INBOX": since})
    assert 0.9 < monotonic() - began < 10  # a date has whole seconds
    graph.fault("$batch", status=status, retry_after=1, as_date=as_date)
    assert [s.id for s in await store.summaries(ids)] == ids
    await store.close()


async def test_throttled_for_ten_minutes_nobody_asks_meanwhile(
    ground: Ground, graph: GraphServer, user: User
):
    """F14: throttled for 10 minutes: the budget is kept."""
    there, sign_in = graph_target(ground, user.address)
    store, other = await open_store(there, sign_in), await open_store(there, sign_in)
    graph.mend()
    graph.fault("$batch", status=429, retry_after=600)
    for one in (store, store, other):
        with pytest.raises(WireError) as caught:
            await one.folders()
        assert caught.value.code == "deferred"
        assert caught.value.temporary
        assert 590 < caught.value.facts["retry_after"] <= 600
    assert len(graph.seen) == 1
    await store.close()
    await other.close()


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("mailFolders", {"value": [{"displayName": "x"}]}),
        ("mailFolders", {"value": "none"}),
        ("delta", {"value": [{"subject": "x"}], "@odata.deltaLink": "https://localhost/delta"}),
    ],
)
async def test_a_strange_answer_is_an_error_that_says_so(
    ground: Ground, graph: GraphServer, user: User, what: str, says: dict[str, Any]
):
    store, _, _ = await _known(ground, user, 1)
    graph.fault(what, says=says)
    asking = listed(store, "") if what == "delta" else store.folders()
    with pytest.raises(ProtocolError, match="as its description says"):
        await asking
    await store.close()


@pytest.mark.parametrize("what", ["$batch", "mailFolders"])
async def test_no_answer_shuts_a_mailbox_for_years(
    ground: Ground, graph: GraphServer, user: User, what: str
):
    """F14: a number that nobody meant; an hour later it is asked again."""
    there, sign_in = graph_target(ground, user.address)
    store = await open_store(there, sign_in)
    graph.fault(what, status=503, retry_after=999_999_999)
    for _ in range(2):
        with pytest.raises(WireError) as caught:
            await store.folders()
        assert caught.value.code == "deferred"
        assert 3500 < caught.value.facts["retry_after"] <= 3600
    await store.close()


async def test_a_refused_token_is_no_temporary_error_until_it_was_accepted(
    ground: Ground, graph: GraphServer, user: User
):
    there, sign_in = graph_target(ground, user.address)
    graph.fault("inbox", status=401)
    with pytest.raises(SignInError) as caught:
        await open_store(there, sign_in)
    assert not caught.value.temporary
    store = await open_store(there, sign_in)
    graph.fault("$batch", status=401)
    with pytest.raises(SignInError) as caught:
        await store.folders()
    assert caught.value.temporary
    await store.close()


async def test_a_link_to_the_same_page_is_not_followed_for_ever(
    ground: Ground, graph: GraphServer, user: User
):
    """F14: nextLink twice: the listing goes on, nothing comes twice; without end it is an error."""
    _, _, ids = await _known(ground, user, 7)
    store = await _opened(ground, user)
    await store.open("INBOX")
    graph.fault("delta", again=True)
    assert [s.id for s in await listed(store, "", page=3)] == ids
    graph.fault("delta", again=True, times=50)
    with pytest.raises(ProtocolError) as caught:
        await listed(store, "", page=3)
    assert caught.value.temporary
    assert len(graph.seen) < 40
    await store.close()


async def test_a_link_to_another_origin_is_an_error_and_nothing_is_sent_there(
    ground: Ground, graph: GraphServer, user: User
):
    """T58: the token goes to the origin of graph_url alone; a redirect is not followed either."""
    with web_server(ground.pki.server_context()) as other:
        store, _, _ = await _known(ground, user, 3)
        graph.fault("delta", next=f"https://127.0.0.1:{other.port}/v1.0/next?token=stolen")
        with pytest.raises(ProtocolError) as caught:
            await listed(store, "")
        assert "another place" in caught.value.sentence
        graph.fault("delta", status=302)
        with pytest.raises(ProtocolError):
            await listed(store, "")
        assert other.connections == 0
        await store.close()


async def test_what_was_moved_meanwhile_is_left_alone(
    ground: Ground, graph: GraphServer, user: User
):
    """F14: an item changes its folder: its id is the same, and it is no longer this folder's."""
    store, since, ids = await _known(ground, user, 4)
    other = await _opened(ground, user)
    await other.open("INBOX", read_only=False)
    await other.create("Private")
    assert await other.move([ids[1]], "Private") == {ids[1]: ids[1]}
    assert set(await store.move(ids[:2], "\\Archive")) == {ids[0]}
    await store.delete([ids[1]])
    got = await fetched(store, ids)
    assert [key for key, content in got.items() if content is None] == ids[:2]
    await other.open("Private")
    assert [s.id for s in await listed(other)] == [ids[1]]
    state = await store.open("INBOX", since={"INBOX": since})
    assert state.changes is not None
    assert set(state.changes.gone or ()) == set(ids[:2])
    await other.close()
    await store.close()


async def test_four_at_a_time_ask_about_one_mailbox(ground: Ground, graph: GraphServer, user: User):
    """However many connections share the gate of an app and mailbox."""
    ground.dovecot.fill(user, SMALL)
    there, sign_in = graph_target(ground, user.address)
    stores = [await open_store(there, sign_in) for _ in range(4)]
    for store in stores:
        await store.open("INBOX")
    ids = [s.id for s in await listed(stores[0])]
    graph.mend()
    graph.fault("$value", delay=0.05, times=48)
    found = await asyncio.gather(*(fetched(store, ids) for store in stores))
    assert all(content for got in found for content in got.values())
    assert 2 <= graph.most <= 4
    await asyncio.gather(*(store.close() for store in stores))


async def test_a_cut_connection_is_temporary(ground: Ground, graph: GraphServer, user: User):
    store, _, ids = await _known(ground, user, 2)
    graph.fault("$value", cut=True, times=3)
    with pytest.raises(WireError) as caught:
        await fetched(store, ids)
    assert caught.value.code == "connection_lost"
    assert caught.value.temporary
    await store.close()


async def test_refusals_say_what_to_do(ground: Ground, graph: GraphServer, user: User):
    there, sign_in = graph_target(ground, user.address, rights=["Mail.Send"])
    with pytest.raises(WireError) as caught:
        await open_store(there, sign_in)
    assert "Mail.ReadWrite" in caught.value.hint
    assert not caught.value.temporary
    there, sign_in = graph_target(ground, "nobody-here@ground.test")
    with pytest.raises(WireError) as caught:
        await open_store(there, sign_in)
    assert "no such mailbox" in caught.value.sentence
    graph.fault("inbox", status=404, code="MailboxNotEnabledForRESTAPI")
    with pytest.raises(WireError) as caught:
        await _opened(ground, user)
    assert "no mailbox in Exchange Online" in caught.value.sentence


async def test_a_shared_mailbox_needs_the_rights_of_shared_ones(
    ground: Ground, graph: GraphServer, user: User
):
    me = ground.user()
    with pytest.raises(WireError):
        await _opened(ground, user, user=me.address)
    shared = ["Mail.ReadWrite", "Mail.ReadWrite.Shared"]
    store = await _opened(ground, user, user=me.address, rights=shared)
    await store.close()


async def test_a_new_folder_of_the_same_name_is_listed_from_its_beginning(
    ground: Ground, graph: GraphServer, user: User
):
    store, since, ids = await _known(ground, user, 2)
    await store.create("Again")
    state = await store.open("Again", since={"Again": since})
    assert state.changes is not None
    assert state.changes.lost
    assert state.changes.cursor == ""
    with pytest.raises(FolderError):
        await store.open("Nowhere")
    assert ids
    await store.close()


async def test_a_large_message_goes_by_the_spool(ground: Ground, graph: GraphServer, user: User):
    large = b"Subject: large\r\n\r\n" + b"0123456789abcdef\r\n" * 60_000
    ground.dovecot.fill(user, [large])
    store = await _opened(ground, user)
    await store.open("INBOX")
    (one,) = await listed(store)
    batch = [each async for part in store.fetch([one.id], Spooled) for each in part]
    assert batch[0].content is not None
    assert batch[0].content.bytes() == large
    assert (await store.read_headers([one.id]))[one.id] == b"Subject: large\r\n\r\n"
    await store.close()


async def test_every_request_is_one_that_microsoft_describes(
    ground: Ground, graph: GraphServer, user: User
):
    """Method, path, options, names and bodies against a table of what Microsoft's description allows."""
    store, since, ids = await _known(ground, user, 4)
    await store.folders()
    await store.create("Described/Below")
    await store.flag(ids, add=["seen", "flagged", "Invoice"], remove=["flagged"])
    await store.copy(ids[:1], "Described")
    await store.move(ids[1:2], "\\Archive")
    await store.delete(ids[2:3])
    await store.search("UNSEEN SUBJECT apple SINCE 1-Jan-2020")
    await store.search("TEXT apple")
    await store.newest(2, headers=["from", "x-spam"])
    await fetched(store, ids)
    await store.open("INBOX", since={"INBOX": since})
    await store.close()
    assert len(graph.seen) > 15
    assert [odd for one in graph.seen for odd in complaints(*one)] == []


def test_the_table_of_what_is_described_refuses_what_is_not():
    prefer = {"prefer": 'IdType="ImmutableId"', "content-type": "application/json"}
    for method, target, body, words in (
        ("GET", "/v1.0/users/a/mailbox", {}, "no such request"),
        ("DELETE", "/v1.0/users/a/mailFolders/b", {}, "no such request"),
        ("GET", "/v1.0/users/a/messages/b?$top=1", {}, "$top of GET"),
        ("GET", "/v1.0/users/a/messages/b?$select=id,size", {}, "$select size"),
        ("POST", "/v1.0/users/a/messages/b/send", {"x": 1}, "a body of"),
        ("POST", "/v1.0/users/a/messages", {"to": []}, "no property to"),
        ("PATCH", "/v1.0/users/a/messages/b", {"isRead": "yes"}, "isRead: 'yes'"),
        ("PATCH", "/v1.0/users/a/messages/b", {"from": {"address": "x"}}, "no property address"),
    ):
        sent = json.dumps(body).encode() if body else b""
        assert any(words in odd for odd in complaints(method, target, prefer, sent)), target


async def test_the_stand_in_takes_the_tokens_of_the_authorization_server(
    ground: Ground, user: User
):
    server = ground.oauth_graph
    client = ground.oauth.client(mailbox=user.address)
    there, _ = graph_target(ground, user.address)
    token = ground.oauth.app_token(client, "https://graph.microsoft.com/.default")
    store = await open_store(there, SignIn("token", user.address, Secret(token)))
    await store.close()
    wrong = ground.oauth.app_token(client)
    with pytest.raises(SignInError):
        await open_store(there, SignIn("token", user.address, Secret(wrong)))
    assert server.count("inbox") >= 2
