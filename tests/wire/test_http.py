"""The way out for HTTP on real sockets: what is asked, kept, refused, and what people are told."""

from __future__ import annotations

import asyncio
import dataclasses
import gzip
import hashlib
import io
import logging
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from postroom.errors import DialError, InvalidValue, ProtocolError, Refused, TlsError, WireError
from postroom.net.dial import Policy, Step
from postroom.net.http import HttpClient, HttpClients
from postroom.net.http_message import FORM, Exchange, HttpLimits, Sized, bearer, file_slice, form
from postroom.net.origin import Origin
from postroom.net.tls import Channel, ClientCertificate, Tls
from postroom.secret import Secret
from tests.ground.pki import Pki
from tests.ground.scripted import (
    Close,
    Expect,
    Repeat,
    ScriptedServer,
    Send,
    Silence,
    Take,
)
from tests.ground.scripted import Step as Scripted
from tests.memory import MIB, memory_growth
from tests.wire.lines import resolver
from tests.wire.web import LIMITS, WebServer, connect_proxy, origin, trusting, web_server

HEAD = Expect(rb".*", until=b"\r\n\r\n")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
TOKEN = "canary-token-0123456789"


@pytest.fixture
def web(pki: Pki) -> Iterator[WebServer]:
    with web_server(pki.server_context()) as server:
        yield server


@pytest.fixture
async def client(web: WebServer, pki: Pki) -> AsyncIterator[HttpClient]:
    async with HttpClient(origin(web, trusting(pki)), limits=LIMITS) as opened:
        yield opened


def at(client: HttpClient, path: str) -> str:
    return f"{client.origin.where}{path}"


async def failing(
    pki: Pki, *script: Scripted, limits: HttpLimits = LIMITS, method: str = "GET", **more: Any
) -> WireError:
    """What a client is told by a server that does this."""
    async with (
        ScriptedServer([HEAD, *script], tls=pki.server_context()) as server,
        HttpClient(origin(server, trusting(pki)), limits=limits) as client,
    ):
        with pytest.raises(WireError) as caught:
            await client.ask(method, at(client, "/x?code=canary-query"), **more)
    assert "canary" not in str(caught.value)
    assert "canary" not in str(caught.value.as_json())
    return caught.value


# --------------------------------------------------------------------------- asking


async def test_what_is_asked_arrives_and_is_answered(web: WebServer, client: HttpClient) -> None:
    answer = await client.ask(
        "POST",
        at(client, "/token?x=1"),
        headers={"Content-Type": FORM, "Authorization": bearer(Secret(TOKEN))},
        content=form([("client_secret", Secret("s3cret&"))]),
        line=client.origin.line,
    )
    body = b"client_secret=s3cret%26"
    assert answer.status == 200
    assert answer.body == f"{len(body)} {hashlib.sha256(body).hexdigest()}".encode()
    method, path, headers, kept = web.seen[0]
    assert (method, path, kept) == ("POST", "/token?x=1", body)
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert headers["Accept-Encoding"] == "identity"
    assert headers["Host"] == f"localhost:{web.port}"
    assert headers["Content-Length"] == str(len(body))


@pytest.mark.parametrize("status", [200, 201, 202, 204, 400, 401, 404, 410, 429, 500, 503])
async def test_every_status_but_a_redirect_is_an_answer(client: HttpClient, status: int) -> None:
    if status == 204:
        assert (await client.ask("DELETE", at(client, "/x"))).status == 200
        return
    answer = await client.ask("GET", at(client, f"/status/{status}"))
    assert (answer.status, answer.body) == (status, b"it is so")


async def test_a_connection_is_kept_and_shared(web: WebServer, client: HttpClient) -> None:
    for _ in range(20):
        await client.ask("GET", at(client, "/x"))
    assert web.connections == 1
    await asyncio.gather(*(client.ask("GET", at(client, "/bytes/70000")) for _ in range(30)))
    assert web.connections <= 10


async def test_no_more_connections_than_permitted(web: WebServer, pki: Pki) -> None:
    async with HttpClient(origin(web, trusting(pki)), limits=LIMITS, most=2) as client:
        await asyncio.gather(*(client.ask("GET", at(client, "/x")) for _ in range(20)))
    assert web.connections == 2


async def test_a_connection_that_the_server_closed_is_not_used_again(
    web: WebServer, client: HttpClient
) -> None:
    for closed in range(1, 4):
        assert (await client.ask("GET", at(client, "/hangup"))).body == b"the last one"
        async with asyncio.timeout(10):
            while web.closed < closed:  # before that it is a race, and a POST that loses it fails
                await asyncio.sleep(0.005)
        assert (await client.ask("POST", at(client, "/x"), content=b"")).status == 200


async def test_reading_is_asked_once_more_when_a_kept_connection_was_dead(pki: Pki) -> None:
    """A server may close a kept connection in the moment it is used; a POST is never repeated."""
    dies: list[Scripted] = [HEAD, Send(OK), HEAD, Close("rst")]
    lives: list[Scripted] = [HEAD, Send(OK), HEAD, Close("rst")]
    async with ScriptedServer(dies, lives, tls=pki.server_context()) as server:
        async with HttpClient(origin(server, trusting(pki)), limits=LIMITS) as client:
            assert (await client.ask("GET", at(client, "/1"))).body == b"hello"
            assert (await client.ask("GET", at(client, "/2"))).body == b"hello"
            with pytest.raises(WireError) as caught:
                await client.ask("POST", at(client, "/3"), content=b"once")
        assert caught.value.code == "connection_lost"
        assert caught.value.facts["sent"] is True
        assert len(server.sessions) == 2


async def test_cookies_are_not_kept(web: WebServer, client: HttpClient) -> None:
    answer = await client.ask("GET", at(client, "/cookie"))
    assert "canary-cookie" in answer.headers["set-cookie"]
    await client.ask("GET", at(client, "/x"))
    assert "Cookie" not in web.seen[1][2]


async def test_the_environment_turns_nothing(
    web: WebServer, client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert (await client.ask("GET", at(client, "/x"))).status == 200


async def test_by_a_proxy_as_the_wires_do_it(web: WebServer, pki: Pki) -> None:
    """The proxy sees a name and a port; TLS is with the server behind it, and so is the sign-in."""
    async with connect_proxy() as (port, told):
        by = origin(web, trusting(pki), proxy=("127.0.0.1", port))
        async with HttpClient(by, limits=LIMITS) as client:
            token = {"Authorization": bearer(Secret(TOKEN))}
            for _ in range(2):
                answer = await client.ask(
                    "GET", at(client, "/x"), headers=token, line=by.bearer_line
                )
                assert answer.body == b"hello"
    assert told == [
        b"CONNECT localhost:%d HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % (web.port, web.port)
    ]


async def test_a_proxy_that_refuses_is_told_as_such(web: WebServer, pki: Pki) -> None:
    async with ScriptedServer(
        [Expect(rb"CONNECT localhost:%d .*" % web.port, until=b"\r\n\r\n"),
         Send(b"HTTP/1.1 403 No\r\n\r\n"), Close()]
    ) as proxy:  # fmt: skip
        by = origin(web, trusting(pki), proxy=(proxy.host, proxy.port))
        async with HttpClient(by, limits=LIMITS) as client:
            with pytest.raises(DialError, match="answered 403") as caught:
                await client.ask("GET", at(client, "/x"))
    assert (caught.value.code, caught.value.step) == ("proxy_failed", "proxy")
    assert caught.value.facts["sent"] is False
    assert not web.seen


async def test_an_address_in_brackets_is_asked(pki: Pki) -> None:
    async with (
        ScriptedServer([HEAD, Send(OK)], tls=pki.server_context(), host="::1") as server,
        HttpClient(Origin("::1", server.port, trusting(pki)), limits=LIMITS) as client,
    ):
        assert (await client.ask("GET", at(client, "/"))).body == b"hello"
    assert b"\r\nHost: [::1]:%d\r\n" % server.port in server.transcript.to_server


async def test_one_client_for_one_origin(web: WebServer, pki: Pki) -> None:
    clients = HttpClients(limits=LIMITS)
    here = origin(web, trusting(pki))
    assert clients.to(here) is clients.to(origin(web, trusting(pki)))
    assert clients.to(here) is not clients.to(origin(web, Tls()))
    assert clients.to(here) is not clients.to(origin(web, trusting(pki), proxy=("p.test", 1)))
    assert (await clients.to(here).ask("GET", f"{here.where}/x")).status == 200
    await clients.close()


async def test_each_step_of_opening_is_told(web: WebServer, pki: Pki) -> None:
    steps: list[Step] = []
    here = origin(web, trusting(pki))
    async with HttpClient(here, limits=LIMITS, on_step=steps.append) as client:
        await client.ask("GET", at(client, "/x"))
        await client.ask("GET", at(client, "/x"))
    assert [step.name for step in steps] == ["resolve", "connect", "tls"]
    assert steps[2].certificate


# --------------------------------------------------------------------------- in the clear


async def test_this_machine_may_be_asked_in_the_clear_when_permitted() -> None:
    with web_server(None) as server:
        here = Origin("localhost", server.port, secure=False)
        async with HttpClient(here, limits=LIMITS) as client:
            assert (await client.ask("GET", at(client, "/x"))).body == b"hello"


async def test_a_name_of_this_machine_that_leads_elsewhere_is_not_asked_in_the_clear() -> None:
    async with ScriptedServer([HEAD, Send(OK)]) as server:
        here = Origin("a.localhost", server.port, secure=False)
        async with HttpClient(here, limits=LIMITS, resolve=resolver("127.0.0.1")) as client:
            assert (await client.ask("GET", at(client, "/"))).status == 200
    async with HttpClient(here, limits=LIMITS, resolve=resolver("192.0.2.1")) as client:
        with pytest.raises(DialError) as caught:
            await client.ask("GET", at(client, "/"))
    assert caught.value.code == "address_refused"


# --------------------------------------------------------------------------- destinations


async def test_a_secret_goes_only_where_it_was_opened_for(
    web: WebServer, client: HttpClient
) -> None:
    """T57, T86: the line that is dialled is named by whoever opened the secret; no socket else."""
    token = {"Authorization": bearer(Secret(TOKEN))}
    other = Origin("other.test").line
    for line in (
        "",
        other,
        client.origin.line.replace("sha256", "system"),
        f"{client.origin.line} ",
    ):
        with pytest.raises(Refused) as caught:
            await client.ask("GET", at(client, "/x"), headers=token, line=line)
        assert caught.value.code == "destination_not_bound"
    with pytest.raises(Refused):
        await client.ask("POST", at(client, "/x"), content=Secret("a=b"))
    with pytest.raises(Refused):
        await client.save(at(client, "/x"), io.BytesIO(), headers=token)
    assert web.connections == 0
    line = client.origin.bearer_line
    assert (await client.ask("GET", at(client, "/x"), headers=token, line=line)).status == 200


@pytest.mark.parametrize(
    "url", ["https://localhost/x", "https://other.test/x", "http://localhost/x", "/x", "//b.test/x"]
)
async def test_another_origin_is_not_asked(web: WebServer, client: HttpClient, url: str) -> None:
    """T86."""
    with pytest.raises((Refused, InvalidValue)):
        await client.ask("GET", url)
    assert web.connections == 0


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1"]
)
async def test_a_name_that_leads_inside_is_refused(pki: Pki, address: str) -> None:
    """T56, T57: over HTTP as on the wires."""
    async with ScriptedServer([Silence()]) as server:
        here = Origin("rebind.test", server.port, policy=Policy(public_only=True))
        async with HttpClient(here, limits=LIMITS, resolve=resolver(address)) as client:
            with pytest.raises(DialError) as caught:
                await client.ask("GET", at(client, "/"))
        assert caught.value.code == "address_refused"
        assert not server.sessions


async def test_a_name_that_changes_its_answer_is_checked_again(pki: Pki) -> None:
    """T57: each connection dials an address that was checked for it."""
    answers = iter(["127.0.0.1", "169.254.169.254"])

    async def rebinding(host: str, port: int, **hints: Any) -> Any:
        return await resolver(next(answers))(host, port, **hints)

    script: list[Scripted] = [HEAD, Send(OK.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n"))]
    async with (
        ScriptedServer(script, tls=pki.server_context()) as server,
        HttpClient(origin(server, trusting(pki)), limits=LIMITS, resolve=rebinding) as client,
    ):
        assert (await client.ask("GET", at(client, "/"))).status == 200
        with pytest.raises(DialError) as caught:
            await client.ask("GET", at(client, "/"))
    assert caught.value.code == "address_refused"


# --------------------------------------------------------------------------- certificates


@pytest.mark.parametrize(
    ("variant", "code"),
    [
        ("wronghost", "certificate_name"),
        ("expired", "certificate_expired"),
        ("selfsigned", "certificate_untrusted"),
    ],
)
async def test_a_bad_certificate_is_refused_before_a_byte_is_sent(
    pki: Pki, variant: str, code: str
) -> None:
    """T60: over HTTP too."""
    with web_server(pki.server_context(variant)) as server:
        async with HttpClient(origin(server, trusting(pki)), limits=LIMITS) as client:
            with pytest.raises(TlsError) as caught:
                await client.ask(
                    "POST", at(client, "/"), content=Secret("a=b"), line=client.origin.line
                )
        assert caught.value.code == code
        assert caught.value.step == "tls"
        assert caught.value.facts["sent"] is False
        assert [step["name"] for step in caught.value.facts["steps"]] == ["resolve", "connect"]
        assert "check_server_identity" not in str(caught.value)
        assert not server.seen


async def test_an_authority_unknown_here_is_refused_and_a_pin_is_believed(
    web: WebServer, pki: Pki
) -> None:
    """T60: the system's authorities do not know ours; the server's own certificate is a pin."""
    async with HttpClient(origin(web, Tls()), limits=LIMITS) as client:
        with pytest.raises(TlsError) as caught:
            await client.ask("GET", at(client, "/"))
    assert caught.value.code == "certificate_untrusted"
    pinned = Tls(trust=(pki.pairs["good"].cert.read_text(),))
    async with HttpClient(origin(web, pinned), limits=LIMITS) as client:
        assert (await client.ask("GET", at(client, "/"))).status == 200
    other = Tls(trust=(pki.pairs["selfsigned"].cert.read_text(),))
    async with HttpClient(origin(web, other), limits=LIMITS) as client:
        with pytest.raises(TlsError):
            await client.ask("GET", at(client, "/"))


async def test_a_port_in_plain_text_is_told_as_such() -> None:
    with web_server(None) as server:
        async with HttpClient(Origin("localhost", server.port), limits=LIMITS) as client:
            with pytest.raises(TlsError) as caught:
                await client.ask("GET", at(client, "/"))
    assert caught.value.code == "tls_failed"
    assert "IMAP" not in str(caught.value)


async def test_the_context_of_the_wires_is_left_as_it_is(web: WebServer, pki: Pki) -> None:
    """httpcore2 writes the name of HTTP into the context it is given; a mail server would see it."""
    tls = trusting(pki)
    async with HttpClient(origin(web, tls), limits=LIMITS) as client:
        await client.ask("GET", at(client, "/"))
    context = pki.server_context()
    context.set_alpn_protocols(["http/1.1"])
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(there, back, server_side=True)
    wire = Channel(tls, "localhost")
    wire.handshake()
    there.write(wire.outgoing())
    with pytest.raises(ssl.SSLWantReadError):
        server.do_handshake()
    assert server.selected_alpn_protocol() is None


async def test_a_client_certificate_is_shown_where_one_is_wanted(pki: Pki) -> None:
    context = pki.server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(str(pki.ca))
    shown = ClientCertificate(pki.client.cert.read_text(), Secret(pki.client.key.read_text()))
    with web_server(context) as server:
        with_one = dataclasses.replace(trusting(pki), client_certificate=shown)
        async with HttpClient(origin(server, with_one), limits=LIMITS) as client:
            assert (await client.ask("GET", at(client, "/"))).status == 200
        async with HttpClient(origin(server, trusting(pki)), limits=LIMITS) as client:
            with pytest.raises(WireError) as caught:
                await client.ask("GET", at(client, "/"))
    assert caught.value.code in ("tls_failed", "connection_lost")


# --------------------------------------------------------------------------- redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 300, 304])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_redirect_is_never_followed(pki: Pki, status: int, method: str) -> None:
    """T58: the target is not asked, and no header goes there."""
    async with ScriptedServer([Silence()]) as target:
        moved = (
            b"HTTP/1.1 %d Moved\r\nLocation: http://127.0.0.1:%d/canary-location\r\n"
            b"Content-Length: 0\r\n\r\n" % (status, target.port)
        )
        error = await failing(pki, Send(moved), method=method)
        assert not target.sessions
    assert error.code == "protocol_error"
    assert error.facts["status"] == status
    assert error.temporary  # a network's sign-in page answers so, and goes away


# --------------------------------------------------------------------------- bad answers


BEGUN = b"HTTP/1.1 200 OK\r\n"
TEN = BEGUN + b"Content-Length: 10\r\n\r\n"
CHUNKED = BEGUN + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "script",
    [
        [Close()],
        [Close("rst")],
        [Close("eof")],
        [Send(BEGUN + b"Content-Len"), Close()],
        [Send(TEN + b"half"), Close()],
        [Send(TEN + b"half"), Close("eof")],
        [Send(BEGUN + b"\r\nhalf"), Close("eof")],  # without a length, TLS alone says where it ends
        [Send(CHUNKED + b"5\r\nhel"), Close()],
    ],
    ids=range(8),
)
async def test_an_answer_that_is_cut_off_is_not_taken_for_whole(
    pki: Pki, script: list[Scripted]
) -> None:
    """T67, T89: and it may be tried again."""
    error = await failing(pki, *script)
    assert (error.code, error.temporary) == ("connection_lost", True)
    assert error.step == "request"
    assert error.facts["sent"] is True


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ([Send(b"* OK IMAP4rev1 canary ready\r\n\r\n")], "protocol_error"),
        ([Send(BEGUN + b"no colon canary\r\n\r\n")], "protocol_error"),
        ([Send(BEGUN + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n")], "protocol_error"),
        ([Send(BEGUN + b"Content-Length: -1\r\n\r\n")], "protocol_error"),
        ([Send(BEGUN + b"Transfer-Encoding: gzip\r\n\r\n")], "protocol_error"),
        ([Send(CHUNKED + b"ZZ\r\n")], "protocol_error"),
        ([Send(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n")], "protocol_error"),
        (
            [Send(BEGUN + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc")],
            "protocol_error",
        ),
        ([Send(BEGUN + b"Content-Length: 99999999\r\n\r\n")], "too_large"),
        ([Send(BEGUN + b"X: " + b"x" * 70_000 + b"\r\nContent-Length: 0\r\n\r\n")], "too_large"),
        ([Send(BEGUN + b"X: "), Repeat(b"x" * 10_000)], "too_large"),
        ([Send(BEGUN + b"\r\n"), Repeat(b"x" * 60_000)], "too_large"),
        ([Send(CHUNKED), Repeat((b"400\r\n" + b"x" * 1024 + b"\r\n") * 50)], "too_large"),
    ],
    ids=range(13),
)
async def test_a_bad_answer_is_an_error_with_its_code(
    pki: Pki, script: list[Scripted], code: str
) -> None:
    """T67, T89: endless, broken, compressed."""
    token = Secret("canary")  # in what a broken server says
    error = await failing(pki, *script)
    assert (error.code, error.temporary) == (code, False)
    assert error.step == "request"
    del token


async def test_a_compressed_bomb_is_not_unpacked(pki: Pki) -> None:
    """T67: ten megabytes of zeros in ten kilobytes; memory stays."""
    bomb = gzip.compress(b"\0" * 10_000_000)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    with memory_growth() as growth:
        error = await failing(pki, Send(head + bomb))
    assert "compressed" in error.sentence
    assert growth() < 9 * MIB  # less than what it unpacks to


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ([Silence()], "did not answer within 0.3 s"),
        ([Send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"), Silence()], "within 0.3 s"),
        ([Send(b"HTTP/1.1 200 OK\r\nX: "), Repeat(b"x", pause=0.1)], "did not finish"),
        ([Repeat(b"HTTP/1.1 100 Continue\r\n\r\n", pause=0.05)], "did not finish"),
    ],
)
async def test_a_slow_server_is_left_in_time(pki: Pki, script: list[Scripted], words: str) -> None:
    """T67: each wait and the whole have their time."""
    began = time.monotonic()
    limits = HttpLimits(connect_timeout=5, reply_timeout=0.3, total=1)
    error = await failing(pki, *script, limits=limits)
    assert words in error.sentence
    assert (error.code, error.temporary) == ("timed_out", True)
    assert time.monotonic() - began < 5


async def test_a_server_that_takes_nothing_is_left_in_time(pki: Pki) -> None:
    """T67: an upload that stalls."""
    async with ScriptedServer([HEAD, Silence(3)], tls=pki.server_context()) as server:
        limits = HttpLimits(reply_timeout=0.3)
        async with HttpClient(origin(server, trusting(pki)), limits=limits) as client:
            with pytest.raises(WireError) as caught:
                await client.ask("POST", at(client, "/"), content=bytes(20_000_000))
    assert caught.value.code == "timed_out"


async def test_a_silent_handshake_ends_in_time() -> None:
    async with ScriptedServer([Silence()]) as server:
        limits = HttpLimits(connect_timeout=0.3)
        async with HttpClient(Origin(server.host, server.port), limits=limits) as client:
            with pytest.raises(TlsError) as caught:
                await client.ask("GET", at(client, "/"))
    assert caught.value.code == "timed_out"
    assert "starttls" not in str(caught.value)


async def test_a_refused_port_is_told_in_words_of_the_web(pki: Pki) -> None:
    async with ScriptedServer([Silence()]) as server:
        port = server.port
    async with HttpClient(Origin("localhost", port), limits=LIMITS) as client:
        with pytest.raises(DialError) as caught:
            await client.ask("GET", at(client, "/"))
    assert caught.value.code == "connect_refused"
    assert "IMAP" not in str(caught.value)
    assert caught.value.facts["sent"] is False


async def test_who_gives_up_leaves_nothing_open(pki: Pki) -> None:
    async with (
        ScriptedServer([HEAD, Silence()], tls=pki.server_context()) as server,
        HttpClient(origin(server, trusting(pki)), limits=LIMITS) as client,
    ):
        task = asyncio.create_task(client.ask("GET", at(client, "/")))
        while not server.sessions or server.sessions[0].step < 1:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(5):
            while not server.sessions[0].finished and server.sessions[0].error is None:
                await asyncio.sleep(0.01)
                if server._tasks[1].done():
                    break


# --------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    "headers",
    [
        {"X": "a\r\nCanary: 1"}, {"X": "a\nb"}, {"X": "\0"}, {"X": "ü"}, {"X": " a"}, {"X": "a "},
        {"X\r\nY": "a"}, {"X:": "a"}, {"": "a"}, {"Hö": "a"},
        {"Host": "evil.test"}, {"content-length": "1"}, {"Transfer-Encoding": "chunked"},
        {"Connection": "x"}, {"Cookie": "x"}, {"Accept-Encoding": "gzip"},
        {"Authorization": Secret("Bearer canary\r\nX: 1")},
    ],
)  # fmt: skip
async def test_a_header_that_would_be_two_is_refused(
    web: WebServer, client: HttpClient, headers: dict[str, Any]
) -> None:
    """T66: nothing is written, and a secret is not repeated."""
    with pytest.raises(InvalidValue) as caught:
        await client.ask("GET", at(client, "/"), headers=headers, line=client.origin.line)
    assert "canary" not in str(caught.value).lower()
    assert web.connections == 0


@pytest.mark.parametrize("method", ["", "GET ", "G\r\nX", "GET /x HTTP/1.1\r\nA: b\r\n\r\nGET"])
async def test_a_method_that_is_none_is_refused(client: HttpClient, method: str) -> None:
    """T66."""
    with pytest.raises(InvalidValue):
        await client.ask(method, at(client, "/"))


# --------------------------------------------------------------------------- large ones


async def test_a_body_goes_into_a_file_and_a_refusal_does_not(client: HttpClient) -> None:
    into = io.BytesIO()
    answer = await client.save(
        at(client, "/bytes/5000000"), into, limits=HttpLimits(body=5_000_000)
    )
    assert (answer.status, answer.body) == (200, b"")
    assert into.getvalue() == (bytes(range(256)) * 20_000)[:5_000_000]
    refused = io.BytesIO()
    answer = await client.save(at(client, "/status/404"), refused)
    assert (answer.status, answer.body, refused.getvalue()) == (404, b"it is so", b"")


async def test_a_large_body_comes_in_small_pieces(client: HttpClient) -> None:
    """Memory stays the same, whatever its size."""
    pieces: list[int] = []

    class Counting:
        def write(self, data: bytes, /) -> None:
            pieces.append(len(data))

    large = HttpLimits(body=60_000_000)
    await client.save(at(client, "/bytes/60000000"), Counting(), limits=large)
    assert sum(pieces) == 60_000_000
    assert max(pieces) <= 256 * 1024


async def test_a_body_over_its_limit_is_not_written_to_the_end(client: HttpClient) -> None:
    into = io.BytesIO()
    with pytest.raises(ProtocolError) as caught:
        await client.save(at(client, "/bytes/5000000"), into, limits=HttpLimits(body=4_999_999))
    assert caught.value.code == "too_large"
    assert not into.getvalue()
    assert (await client.ask("GET", at(client, "/x"))).status == 200


async def test_a_slice_of_a_file_is_sent(web: WebServer, client: HttpClient, tmp_path: Any) -> None:
    path = tmp_path / "message"
    path.write_bytes(bytes(range(256)) * 40_000)
    with path.open("rb") as file:
        for start, length in ((0, 327_680), (9_000_000, 1_240_000), (5, 0)):
            answer = await client.ask(
                "PUT",
                at(client, "/upload"),
                headers={"Content-Range": f"bytes {start}-{start + length}/10240000"},
                content=file_slice(file, start, length),
            )
            part = path.read_bytes()[start : start + length]
            assert answer.body == f"{length} {hashlib.sha256(part).hexdigest()}".encode()
    assert web.connections == 1


@pytest.mark.parametrize("chunks", [[b"short"], [b"x" * 60, b"x" * 60]])
async def test_a_body_of_another_length_is_not_taken_for_whole(
    client: HttpClient, chunks: list[bytes]
) -> None:
    async def made() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    with pytest.raises(WireError) as caught:
        await client.ask("PUT", at(client, "/"), content=Sized(100, made()))
    assert caught.value.step == "send"
    assert (await client.ask("GET", at(client, "/x"))).status == 200


async def test_an_answer_that_comes_before_all_was_sent_is_heard(pki: Pki) -> None:
    """A server that refuses an upload says so at once and hangs up."""
    refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig"
    script: list[Scripted] = [HEAD, Take(100_000), Send(refusal), Close()]
    async with (
        ScriptedServer(script, tls=pki.server_context()) as server,
        HttpClient(origin(server, trusting(pki)), limits=LIMITS) as client,
    ):
        answer = await client.ask("POST", at(client, "/"), content=bytes(50_000_000))
        assert (answer.status, answer.body) == (413, b"big")


# --------------------------------------------------------------------------- what is told


async def test_logs_hold_one_line_and_no_secret_at_any_level(
    web: WebServer, pki: Pki, caplog: pytest.LogCaptureFixture
) -> None:
    """T91: at DEBUG too, httpcore2's own words included, and in repr."""
    heard: list[Exchange] = []
    caplog.set_level(logging.DEBUG)
    here = origin(web, trusting(pki))
    async with HttpClient(here, limits=LIMITS, on_exchange=heard.append) as client:
        await client.ask(
            "POST", at(client, "/token?code=canary-query"),
            headers={"Authorization": bearer(Secret(TOKEN))},
            content=form([("code", Secret("canary-code"))]), line=here.bearer_line,
        )  # fmt: skip
        await client.ask("GET", at(client, "/cookie"))
    lines = [record.getMessage() for record in caplog.records if "asyncio" not in record.name]
    assert len(lines) == 2, lines
    assert lines[0].startswith(f"POST https://localhost:{web.port}/token 200 (")
    assert "canary" not in caplog.text
    assert [(e.method, e.path, e.status) for e in heard] == [
        ("POST", "/token", 200),
        ("GET", "/cookie", 200),
    ]


async def test_a_failed_exchange_is_told_too(pki: Pki) -> None:
    heard: list[Exchange] = []
    async with ScriptedServer([HEAD, Close()], tls=pki.server_context()) as server:
        here = origin(server, trusting(pki))
        async with HttpClient(here, limits=LIMITS, on_exchange=heard.append) as client:
            with pytest.raises(WireError):
                await client.ask("GET", at(client, "/x?y"))
    assert [(e.path, e.status) for e in heard] == [("/x", 0)]


async def test_a_server_that_echoes_a_secret_in_a_broken_answer_is_scrubbed(pki: Pki) -> None:
    """T91: what was said goes into the error without it."""
    token = Secret(TOKEN)
    async with ScriptedServer(
        [HEAD, Send(f"HTTP/1.1 200 OK\r\nBearer {TOKEN}\r\n\r\n".encode())],
        tls=pki.server_context(),
    ) as server:
        here = origin(server, trusting(pki))
        async with HttpClient(here, limits=LIMITS) as client:
            with pytest.raises(ProtocolError) as caught:
                await client.ask(
                    "GET", at(client, "/"), headers={"Authorization": bearer(token)},
                    line=here.bearer_line,
                )  # fmt: skip
    assert caught.value.said
    assert TOKEN not in caught.value.said
    assert TOKEN not in repr(caught.value.as_json())
