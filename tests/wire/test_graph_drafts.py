"""Drafts of the Graph transport: none that could be sent stays behind, whatever happens on the way."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import os

import pytest

from postroom.protocols.base import Submission
from postroom.protocols.graph import open_transport
from tests.ground import GraphServer, Ground, User, arrived, read
from tests.ground.graphfacts import complaints
from tests.journeys.incoming import soon
from tests.wire.graph import TAKEN, graph, graph_target, opened, user
from tests.wire.outgoing import send, states, submission

__all__ = ["graph", "user"]


def _message(user: User, size: int = 0) -> bytes:
    head = (
        f"From: {user.address}\r\nTo: {user.address}\r\nSubject: One\r\nMessage-ID: <1@ground.test>\r\n"
        "Content-Type: application/octet-stream; name=a.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    )
    return head.encode() + base64.encodebytes(os.urandom(size or 9)).replace(b"\n", b"\r\n")


def _again(user: User) -> Submission:
    one = submission(1, user.address, user.address, content=_message(user))
    return dataclasses.replace(one, again=True)


async def test_whoever_is_called_off_takes_the_draft_away(
    ground: Ground, graph: GraphServer, user: User
):
    transport = await opened(ground, user)
    one = submission(1, user.address, user.address, content=_message(user, 4_000_000))
    graph.fault("createUploadSession", delay=0.5)
    sending = asyncio.create_task(send(transport, one))
    await soon(lambda: graph.count("createUploadSession") == 1, seconds=10)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    await transport.close()
    assert read(user.maildir, "Drafts") == []
    assert graph.count("/send") == 0


async def test_a_draft_whose_answer_was_lost_is_taken_away(
    ground: Ground, graph: GraphServer, user: User
):
    """Made, and its id never heard of: it is found by its Message-ID."""
    transport = await opened(ground, user)
    graph.fault("/messages", lose=True)
    [outcome] = await send(
        transport, submission(1, user.address, user.address, content=_message(user))
    )
    assert outcome.state == "untouched"
    assert read(user.maildir, "Drafts") == []
    await transport.close()


async def test_what_a_killed_process_left_is_taken_away_by_the_next_try(
    ground: Ground, graph: GraphServer, user: User
):
    """Nothing of an earlier try can be sent any more; a first try asks no such question."""
    transport = await opened(ground, user)
    for _ in range(2):
        await transport._requests.ask(
            "POST", transport._requests.path("messages"), step="send",
            body={"subject": "One", "internetMessageId": "<1@ground.test>"},
        )  # fmt: skip
    other = {"subject": "Mine", "internetMessageId": "<2@ground.test>"}
    await transport._requests.post("messages", other, step="send")
    [outcome] = await send(transport, _again(user))
    assert states(outcome) == TAKEN
    left = read(user.maildir, "Drafts")
    assert len(left) == 1
    assert b"<2@ground.test>" in left[0]
    assert len(await asyncio.to_thread(arrived, user.maildir)) == 1
    graph.mend()
    first = submission(2, user.address, user.address, content=_message(user))
    assert states((await send(transport, first))[0]) == TAKEN
    assert graph.count("drafts/messages") == 0
    await transport.close()


async def test_a_draft_that_leaves_while_it_is_looked_at_makes_a_doubt(
    ground: Ground, graph: GraphServer, user: User
):
    """It was there, and is not there to be taken away: it may have gone, so nothing else is sent."""
    transport = await opened(ground, user)
    made = {"subject": "One", "internetMessageId": "<1@ground.test>"}
    await transport._requests.post("messages", made, step="send")
    graph.fault("drafts/messages")
    graph.fault(status=404, code="ErrorItemNotFound")
    [outcome] = await send(transport, _again(user))
    assert outcome.state == "ambiguous"
    assert graph.count("/send") == 0
    await transport.close()


async def test_a_draft_has_the_message_id_that_it_was_given(
    ground: Ground, graph: GraphServer, user: User, monkeypatch: pytest.MonkeyPatch
):
    """Where the server gives MIME an id of its own, ours is said beside it: what it is found by."""
    monkeypatch.setattr(graph.api, "own_ids", True)
    transport = await opened(ground, user)
    one = submission(1, user.address, user.address, content=_message(user))
    assert states((await send(transport, one))[0]) == TAKEN
    await transport.close()
    (got,) = await asyncio.to_thread(arrived, user.maildir)
    assert b"Message-ID: <1@ground.test>" in got


async def test_every_request_that_sends_is_one_that_microsoft_describes(
    ground: Ground, graph: GraphServer, user: User
):
    """MIME, another From, a file by itself and one in pieces, what was left, and Mail.Send alone."""
    team = ground.user().address
    graph.let_send_as(user.address, team)
    transport = await opened(ground, user)
    await transport.check()
    await transport.try_sender(user.address)
    other = _message(user).replace(f"From: {user.address}".encode(), f"From: T <{team}>".encode())
    for one in (
        _again(user),
        submission(2, team, user.address, team, content=other),
        submission(3, user.address, user.address, content=_files(user)),
    ):
        assert (await send(transport, one))[0].recipients[0].reply.state == "accepted"
    graph.fault("/send", status=400, code="ErrorInvalidRecipients")
    await send(transport, submission(4, user.address, user.address, content=_message(user)))
    await transport.close()
    alone = await open_transport(*graph_target(ground, user.address, rights=["Mail.Send"]))
    last = submission(5, user.address, user.address, content=_message(user))
    assert states((await send(alone, last))[0]) == TAKEN
    await alone.close()
    asked = [one for one in graph.seen if not one[1].startswith("/upload/")]
    for ending in ("/messages", "/attachments", "createUploadSession", "/send", "sendMail"):
        assert graph.count(ending), ending
    assert {"PATCH", "DELETE"} <= {method for method, *_ in asked}
    assert [odd for one in asked for odd in complaints(*one)] == []


def _files(user: User) -> bytes:
    """A body, a picture in it, a small file and one of 3.5 MB, and fields of every kind."""
    parts = [
        b"Content-Type: text/html\r\n\r\n<img src='cid:logo'>",
        b"Content-Type: image/png\r\nContent-ID: <logo>\r\n\r\npicture",
        b"Content-Type: text/csv; name=a.csv\r\n\r\n1;2",
        b"Content-Type: application/pdf; name=b.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(os.urandom(3_500_000)).replace(b"\n", b"\r\n"),
    ]
    head = (
        f"From: {user.address}\r\nTo: {user.address}\r\nReply-To: {user.address}\r\nSubject: x\r\n"
        "Message-ID: <3@ground.test>\r\nIn-Reply-To: <0@ground.test>\r\nReferences: <0@ground.test>\r\n"
        "X-Order: 17\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    ).encode()
    return head + b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"
