"""The Graph transport against the stand-in: MIME or structured, large files, lost answers."""

from __future__ import annotations

import asyncio
import base64
import email
import email.policy
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from postroom.clock import monotonic
from postroom.errors import SignInError, WireError
from postroom.protocols.base import Outcome
from postroom.protocols.graph import GraphTransport, open_transport
from tests.ground import GraphServer, Ground, User, arrived, read
from tests.wire.graph import TAKEN, graph, graph_target, opened, user
from tests.wire.outgoing import FileContent, send, states, submission

__all__ = ["graph", "user"]


def _message(user: User, *, to: str = "", sender: str = "", more: str = "") -> bytes:
    return (
        f"From: Me <{sender or user.address}>\r\nTo: You <{to or user.address}>\r\n"
        f"Subject: Rechnung =?utf-8?q?=C3=A4?=\r\nMessage-ID: <one@ground.test>\r\n{more}"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nText.\r\n"
    ).encode()


def _with_file(user: User, data: bytes, *, name: str = "a.bin") -> bytes:
    return (
        (
            f"From: {user.address}\r\nTo: {user.address}\r\nSubject: large\r\n"
            "Message-ID: <large@ground.test>\r\nIn-Reply-To: <before@ground.test>\r\nX-Order: 17\r\n"
            'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="=_b"\r\n\r\n'
            '--=_b\r\nContent-Type: multipart/alternative; boundary="=_c"\r\n\r\n'
            "--=_c\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nText.\r\n"
            "--=_c\r\nContent-Type: text/html; charset=utf-8\r\n"
            "Content-Transfer-Encoding: quoted-printable\r\n\r\n<p>Gr=C3=B6=\r\n=C3=9Fe</p>\r\n--=_c--\r\n"
            f'--=_b\r\nContent-Type: application/pdf; name="{name}"\r\n'
            f'Content-Disposition: attachment; filename="{name}"\r\n'
            "Content-Transfer-Encoding: base64\r\n\r\n"
        ).encode()
        + base64.encodebytes(data).replace(b"\n", b"\r\n")
        + b"--=_b--\r\n"
    )


async def _one(transport: GraphTransport, *args: Any, **more: Any) -> Outcome:
    (outcome,) = await send(transport, submission(*args, **more))
    return outcome


async def test_a_small_message_goes_as_it_is_and_lies_in_sent_items(
    ground: Ground, graph: GraphServer, user: User
):
    transport, other = await opened(ground, user), ground.user()
    content = _message(user, to=other.address)
    hidden = ground.user()
    outcome = await _one(transport, 1, user.address, other.address, hidden.address, content=content)
    await transport.close()
    assert states(outcome) == TAKEN * 2
    for one in (other, hidden):
        (got,) = await asyncio.to_thread(arrived, one.maildir)
        assert b"<one@ground.test>" in got
        assert b"bcc" not in got.lower()
        assert hidden.address.encode() not in got.partition(b"\n\n")[0].partition(b"From: ")[2]
    assert len(read(user.maildir, "Sent")) == 1
    assert read(user.maildir, "Drafts") == []


async def test_another_from_needs_the_right_to_it(ground: Ground, graph: GraphServer, user: User):
    transport, team = await opened(ground, user), ground.user()
    content = _message(user, sender=team.address)
    refused = await _one(transport, 1, team.address, user.address, content=content)
    assert [(s, c) for s, c, _ in states(refused)] == [("rejected", 550)]
    assert refused.recipients[0].reply.enhanced == "5.7.60"
    assert read(user.maildir, "Drafts") == [], "no draft is left behind"
    graph.let_send_as(user.address, team.address)
    assert states(await _one(transport, 2, team.address, user.address, content=content)) == TAKEN
    await transport.close()
    (got,) = await asyncio.to_thread(arrived, user.maildir)
    assert f"From: Me <{team.address}>".encode() in got


async def test_some_of_the_recipients_alone_go_structured(
    ground: Ground, graph: GraphServer, user: User
):
    transport, other = await opened(ground, user), ground.user()
    content = _message(user, to=f"{user.address}>, <{other.address}")
    assert states(await _one(transport, 1, user.address, other.address, content=content)) == TAKEN
    await transport.close()
    (got,) = await asyncio.to_thread(arrived, other.maildir)
    assert email.message_from_bytes(got, policy=email.policy.default)["subject"] == "Rechnung ä"
    assert read(user.maildir) == []


async def test_a_file_of_20_mb_goes_by_upload_session(
    ground: Ground, graph: GraphServer, user: User
):
    data = os.urandom(20_000_000)
    transport = await opened(ground, user)
    graph.fault("/upload/", lose=True)  # one answer is lost on the way: it goes on from there
    outcome = await _one(transport, 1, user.address, user.address, content=_with_file(user, data))
    await transport.close()
    assert states(outcome) == TAKEN
    (got,) = await asyncio.to_thread(arrived, user.maildir, seconds=30)
    made = email.message_from_bytes(got, policy=email.policy.default)
    files = list(made.iter_attachments())
    assert [(f.get_filename(), f.get_content_type()) for f in files] == [
        ("a.bin", "application/pdf")
    ]
    assert files[0].get_payload(decode=True) == data
    assert made["message-id"] == "<large@ground.test>"
    assert (made["in-reply-to"], made["x-order"]) == ("<before@ground.test>", "17")
    body = made.get_body(("html",))
    assert body is not None
    assert "Größe" in body.get_content()
    puts = [headers for method, _, headers, _ in graph.seen if method == "PUT"]
    assert len(puts) >= 7
    assert not any("authorization" in headers for headers in puts)


@pytest.mark.parametrize("status", [429, 503])
async def test_a_piece_that_is_put_off_waits_as_long_as_it_is_told(
    ground: Ground, graph: GraphServer, user: User, status: int
):
    """F14: Retry-After of the server that takes the pieces, within what an attempt waits."""
    transport = await opened(ground, user)
    content = _with_file(user, os.urandom(4_000_000))
    graph.fault("/upload/", status=status, retry_after=2)
    began = monotonic()
    assert states(await _one(transport, 1, user.address, user.address, content=content)) == TAKEN
    assert monotonic() - began >= 2
    graph.mend()
    graph.fault("/upload/", status=status, retry_after=600)
    outcome = await _one(transport, 2, user.address, user.address, content=content)
    assert outcome.state == "untouched"
    assert isinstance(outcome.error, WireError)
    assert outcome.error.temporary
    assert outcome.error.facts["retry_after"] == 600
    assert sum(path.startswith("/upload/") for _, path, _, _ in graph.seen) == 1
    assert read(user.maildir, "Drafts") == []
    await transport.close()


async def test_a_large_file_needs_little_memory(
    ground: Ground, graph: GraphServer, user: User, tmp_path: Path
):
    """100 MB through an upload session with under 30 MB of extra memory, in a process of its own."""
    path = tmp_path / "message"
    path.write_bytes(_with_file(user, os.urandom(100_000_000)))
    there, sign_in = graph_target(ground, user.address)
    assert sign_in.secret is not None
    ca = tmp_path / "ca.pem"
    ca.write_text(there.tls.trust[0])
    graph.fault("/send", status=400, code="ErrorInvalidRecipients")  # Postfix takes 50 MB
    program = "from tests.wire.test_graph_sending import measured; measured()"
    words = [
        sys.executable,
        "-c",
        program,
        str(ground.graph.port),
        str(ca),
        user.address,
        str(path),
    ]
    environ = os.environ | {"GRAPH_TOKEN": sign_in.secret.reveal()}
    done = await asyncio.to_thread(
        subprocess.run, words, capture_output=True, text=True, env=environ, check=False
    )
    assert done.returncode == 0, done.stderr
    state, grown = done.stdout.split()
    assert state == "rejected"
    assert int(grown) < 30_000_000
    assert sum(path.startswith("/upload/") for _, path, _, _ in graph.seen) == 31


def measured() -> None:
    """One message through Graph; prints its state and by how many bytes this process grew."""
    import dataclasses

    from postroom.net.dial import Route
    from postroom.net.tls import Tls
    from postroom.protocols.base import Limits, SignIn, WireTarget
    from postroom.secret import Secret
    from tests.memory import memory_growth

    port, ca, mailbox, path = sys.argv[1:]
    target = WireTarget(
        Route("localhost", int(port)), "tls", Tls((Path(ca).read_text(),)), Limits()
    )
    target = dataclasses.replace(target, path="/v1.0")

    async def run() -> str:
        sign_in = SignIn("token", mailbox, Secret(os.environ["GRAPH_TOKEN"]))
        transport = await open_transport(target, sign_in)
        with memory_growth() as grown:
            content = FileContent(Path(path))
            outcome = await _one(transport, 1, mailbox, mailbox, content=content)
            print(states(outcome)[0][0], end=" ")
        print(grown())
        await transport.close()
        return ""

    asyncio.run(run())


@pytest.mark.parametrize("how", [{"lose": True}, {"status": 504}])
async def test_a_lost_answer_is_looked_up_and_nothing_is_sent_twice(
    ground: Ground, graph: GraphServer, user: User, how: dict[str, Any]
):
    """F14: a 202 that never came: what became of the draft says that it went."""
    transport = await opened(ground, user)
    graph.fault("/send", **how)
    outcome = await _one(transport, 1, user.address, user.address, content=_message(user))
    await transport.close()
    if "lose" in how:
        assert states(outcome) == TAKEN
        assert graph.count("/send") == 1
        assert len(await asyncio.to_thread(arrived, user.maildir)) == 1
    else:  # it may still be about to go: in doubt, as with SMTP
        assert outcome.state == "ambiguous"
        assert graph.count("/send") == 1


async def test_what_was_not_begun_is_untouched(ground: Ground, graph: GraphServer, user: User):
    transport = await opened(ground, user)
    graph.fault("messages", cut=True)
    outcomes = await send(
        transport,
        submission(1, user.address, user.address, content=_message(user)),
        submission(2, user.address, user.address, content=_message(user)),
    )
    assert [o.state for o in outcomes] == ["untouched", "untouched"]
    await transport.close()
    transport = await opened(ground, user)
    graph.fault("/send", status=429, retry_after=600)
    outcome = await _one(transport, 3, user.address, user.address, content=_message(user))
    assert outcome.state == "untouched"
    assert isinstance(outcome.error, WireError)
    assert outcome.error.facts["retry_after"] == 600
    await transport.close()
    assert read(user.maildir) == []


async def test_an_app_that_may_only_send_sends_without_a_draft(
    ground: Ground, graph: GraphServer, user: User
):
    transport = await opened(ground, user, rights=["Mail.Send"])
    await transport.check()
    await transport.try_sender(user.address)
    outcome = await _one(transport, 1, user.address, user.address, content=_message(user))
    assert states(outcome) == TAKEN
    content = _message(user, sender="a@ground.test")
    other = await _one(transport, 2, "a@ground.test", user.address, content=content)
    assert other.state == "untouched"
    assert "Mail.ReadWrite" in str(other.error)
    await transport.close()
    assert len(await asyncio.to_thread(arrived, user.maildir)) == 1


async def test_an_app_that_may_not_send_is_told_which_right_is_missing(
    ground: Ground, graph: GraphServer, user: User
):
    transport = await opened(ground, user, rights=["Mail.ReadWrite"])
    with pytest.raises(WireError) as caught:
        await transport.try_sender(user.address)
    assert "Mail.Send" in caught.value.hint
    await transport.close()
    there, sign_in = graph_target(ground, user.address)
    graph.fault("drafts", status=401)
    with pytest.raises(SignInError) as refused:
        await open_transport(there, sign_in)
    assert not refused.value.temporary


async def test_an_upload_address_without_tls_gets_nothing(
    ground: Ground, graph: GraphServer, user: User
):
    """T58: the address of an upload is another host's, and the way to it is verified all the same."""
    transport = await opened(ground, user)
    base, graph.api.base = graph.api.base, "http://127.0.0.1:9/v1.0"
    try:
        content = _with_file(user, os.urandom(4_000_000))
        outcome = await _one(transport, 1, user.address, user.address, content=content)
    finally:
        graph.api.base = base
    assert outcome.state == "untouched"
    assert "not https" in str(outcome.error)
    await transport.close()


async def test_no_log_and_no_error_holds_a_token(
    ground: Ground, graph: GraphServer, user: User, caplog: pytest.LogCaptureFixture
):
    """T91: neither the access token nor the key in an upload address, at DEBUG, on failing paths."""
    caplog.set_level("DEBUG")
    there, sign_in = graph_target(ground, user.address)
    assert sign_in.secret is not None
    token = sign_in.secret.reveal()
    transport = await open_transport(there, sign_in)
    graph.fault("/upload/", status=500, times=9)
    content = _with_file(user, os.urandom(4_000_000))
    outcomes = [await _one(transport, 1, user.address, user.address, content=content)]
    for how in (
        {"status": 401},
        {"status": 403},
        {"cut": True},
        {"status": 429, "retry_after": 99},
    ):
        again = await open_transport(there, sign_in)
        graph.fault("messages", **how)
        outcomes.append(await _one(again, 2, user.address, user.address, content=_message(user)))
        await again.close()
    await transport.close()
    errors = [outcome.error for outcome in outcomes]
    assert all(isinstance(error, WireError) for error in errors)
    told = "".join(f"{e!r} {e} {vars(e)}" for e in errors) + caplog.text
    assert token not in told
    assert "canary-upload-key" not in told
    assert base64.b64encode(token.encode()).decode() not in told
