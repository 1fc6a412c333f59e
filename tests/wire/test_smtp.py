"""Sending over real Postfix, and what no real server does over a script; faults by the proxy."""

from __future__ import annotations

import asyncio
import base64
import re
from pathlib import Path

import aiosmtplib
import pytest

from postroom.errors import InvalidValue, ProtocolError, Refused, SignInError, TlsError, WireError
from postroom.net.dial import Step
from postroom.protocols.base import Security, SignIn
from postroom.protocols.smtp import SmtpTransport, open_transport
from postroom.secret import Secret
from tests.ground import Ground, User, arrived
from tests.ground.faults import Cut, Insert, Replace, Rule, Stall
from tests.ground.maildir import read
from tests.ground.proxy import FaultProxy
from tests.ground.scripted import Answer, Close, Expect, Repeat, ScriptedServer, Send, Silence
from tests.memory import memory_growth
from tests.wire.outgoing import (
    FileContent,
    message,
    password,
    send,
    sink,
    states,
    submission,
    target,
)

__all__: list[str] = []

NOBODY = SignIn()
PORTS: list[tuple[str, Security]] = [
    ("submission", "starttls"), ("smtps", "tls"), ("plain", "none"),
]  # fmt: skip
UNKNOWN, RETRY, FULL = "unknown@ground.test", "retry@ground.test", "full@ground.test"


async def opened(ground: Ground, user: User, port: int | None = None) -> SmtpTransport:
    """Signed in without TLS, so that the proxy's rules can read along."""
    there = target(port or ground.postfix.plain, "none", cleartext=True)
    return await open_transport(there, password(user))


# ------------------------------------------------------------------------------- opening


@pytest.mark.parametrize(("port", "security"), PORTS)
async def test_every_security_sends_and_tells_its_steps(
    ground: Ground, fresh_user: User, port: str, security: Security
):
    steps: list[Step] = []
    there = target(getattr(ground.postfix, port), security, ground.pki, cleartext=True)
    transport = await open_transport(there, password(fresh_user), on_step=steps.append)
    assert transport.max_size == 1024 * 1024
    outcomes = await send(
        transport, submission(1, fresh_user.address, fresh_user.address, UNKNOWN, RETRY)
    )
    await transport.check()
    await transport.close()
    assert [o.state for o in outcomes] == ["answered"]
    assert states(outcomes[0]) == [
        ("accepted", 250, "end-of-data"),
        ("rejected", 550, "rcpt"),
        ("deferred", 450, "rcpt"),
    ]
    (got,) = await asyncio.to_thread(arrived, fresh_user.maildir)
    assert b"Subject: number 1" in got
    names = [step.name for step in steps]
    tls = {"none": ["greeting", "ehlo"], "tls": ["tls", "greeting", "ehlo"]}
    assert names == [
        "resolve", "connect", *tls.get(security, ["greeting", "ehlo", "tls", "ehlo"]), "sign-in",
    ]  # fmt: skip
    shown = "\n".join(transport.pump.transcript.lines())
    assert "AUTH PLAIN ****" in shown
    assert fresh_user.password not in shown
    assert base64.b64encode(fresh_user.password.encode()).decode().rstrip("=") not in shown


@pytest.mark.parametrize(("port", "security"), PORTS)
async def test_a_wrong_password_is_refused_and_not_repeated_by_the_error(
    ground: Ground, fresh_user: User, port: str, security: Security
):
    there = target(getattr(ground.postfix, port), security, ground.pki, cleartext=True)
    with pytest.raises(SignInError) as caught:
        await open_transport(there, SignIn("password", fresh_user.address, Secret("wr0ng-pa55")))
    error = caught.value
    assert (error.code, error.step, error.temporary) == ("sign_in_failed", "sign-in", False)
    assert error.said.startswith("535 5.7.8")
    assert "wr0ng-pa55" not in repr(error.as_json())


async def test_a_sign_in_that_fills_no_line_goes_as_a_continuation(ground: Ground):
    user = ground.user("x" * 600)
    transport = await opened(ground, user)
    await transport.close()
    assert "C: AUTH PLAIN" in transport.pump.transcript.lines()


@pytest.mark.parametrize("variant", ["wronghost", "expired", "selfsigned"])
@pytest.mark.parametrize(("port", "security"), [("submission", "starttls"), ("smtps", "tls")])
async def test_no_sign_in_behind_a_bad_certificate(
    ground: Ground, fresh_user: User, variant: str, port: str, security: Security
):
    """T60: wrong host, expired, self-signed."""
    there = target(getattr(ground.postfix, f"{variant}_{port}"), security, ground.pki)
    with pytest.raises(TlsError) as caught:
        await open_transport(there, password(fresh_user))
    assert caught.value.code.startswith("certificate_")


async def test_no_sign_in_without_tls_unless_it_was_permitted():
    async with ScriptedServer([Silence()]) as server:
        with pytest.raises(SignInError) as caught:
            await open_transport(target(server.port, "none"), SignIn("password", "u", Secret("p")))
        assert caught.value.code == "cleartext_sign_in"
        await asyncio.sleep(0.05)
        assert not server.sessions


@pytest.mark.parametrize("hello", ["a b", "a\r\nMAIL FROM:<x@y>", "a\0b", "-", "é"])
async def test_a_name_that_would_be_another_command_is_refused_before_dialling(hello: str):
    async with ScriptedServer([Silence()]) as server:
        with pytest.raises(InvalidValue):
            await open_transport(target(server.port, "none"), NOBODY, hello=hello)
        assert not server.sessions


@pytest.mark.parametrize(
    "rules",
    [
        [Rule("to_client", Replace(b"250-XTARTTLS"), before=b"250-STARTTLS")],
        [
            Rule(
                "to_client",
                Replace(b"454 4.7.0 not now\r\n"),
                before=b"220 2.0.0 Ready to start TLS\r\n",
            )
        ],
        [Rule("to_client", Cut(), before=b"220 2.0.0 Ready")],
        [Rule("to_client", Insert(b"250 more\r\n"), after=b"Ready to start TLS\r\n")],
        [Rule("to_client", Insert(b"250-STARTTLS"), after=b"Ready to start TLS\r\n")],
        [Rule("to_client", Insert(b"250 me\r\n"), before=b"220 2.0.0 Ready")],
    ],
    ids=["stripped", "454", "cut", "whole line behind", "half a line behind", "line before"],
)
async def test_whoever_meddles_with_starttls_gets_no_sign_in(
    ground: Ground, fresh_user: User, rules: list[Rule]
):
    """T62, T63: on the real server's words."""
    async with FaultProxy(ground.postfix.submission, rules=rules) as proxy:
        with pytest.raises(WireError) as caught:
            await open_transport(
                target(proxy.port, "starttls", ground.pki, reply_timeout=2), password(fresh_user)
            )
        assert caught.value.code in ("tls_unavailable", "connection_lost", "protocol_error")
        assert b"AUTH" not in proxy.transcript.to_server


async def test_what_was_offered_before_tls_is_forgotten(ground: Ground, fresh_user: User):
    insert = Rule("to_client", Insert(b"250-SIZE 1\r\n250-AUTH CRAM-MD5\r\n"), before=b"250-VRFY")
    async with FaultProxy(ground.postfix.submission, rules=[insert]) as proxy:
        there = target(proxy.port, "starttls", ground.pki)
        transport = await open_transport(there, password(fresh_user))
        assert transport.max_size == 1024 * 1024
        await transport.close()


@pytest.mark.parametrize(
    ("script", "code", "step", "temporary"),
    [
        ([Send(b"554 5.7.1 go away\r\n")], "rejected", "greeting", False),
        ([Send(b"421 4.3.2 too many\r\n")], "deferred", "greeting", True),
        ([Send(b"hello\r\n"), Silence()], "protocol_error", "greeting", False),
        ([Silence()], "timed_out", "greeting", True),
        ([Send(b"220-x\r\n" * 20_000), Silence()], "too_large", "greeting", False),
        ([Repeat(b"2", pause=0.05)], "timed_out", "greeting", True),
        ([Send(b"220 x\r\n"), Expect(b"EHLO .*"), Close()], "connection_lost", "ehlo", True),
        ([Send(b"220 x\r\n"), Expect(b"EHLO .*"), Send(b"450 x\r\n")], "deferred", "ehlo", True),
    ],
)
async def test_servers_that_do_not_let_us_in(script, code, step, temporary):
    async with ScriptedServer(script, record=False) as server:
        with pytest.raises(WireError) as caught:
            await open_transport(target(server.port, "none", reply_timeout=0.4), NOBODY)
        error = caught.value
        assert (error.code, error.step, error.temporary) == (code, step, temporary)


async def test_helo_will_do_where_nothing_is_wanted_and_only_there():
    old = [
        Send(b"220 old\r\n"),
        Answer({b"EHLO .*": b"500 what?\r\n", b"HELO .*": b"250 old\r\n", b"QUIT": b"221 x\r\n"}),
    ]
    async with ScriptedServer(old) as server:
        transport = await open_transport(target(server.port, "none"), NOBODY)
        await transport.close()
        signing = SignIn("password", "u", Secret("p"))
        for security in ("none", "starttls"):
            there = target(server.port, security, cleartext=True)
            with pytest.raises(WireError):
                await open_transport(there, signing if security == "none" else NOBODY)
        assert server.transcript.to_server.count(b"HELO") == 1


async def test_a_refused_token_is_answered_before_the_refusal_comes():
    challenge = base64.b64encode(b'{"status":"401","schemes":"bearer"}')
    script = [
        Send(b"220 x\r\n"),
        Expect(b"EHLO .*"),
        Send(b"250-x\r\n250 AUTH XOAUTH2\r\n"),
        Expect(b"AUTH XOAUTH2 .*"),
        Send(b"334 " + challenge + b"\r\n"),
        Expect(b""),
        Send(b"535 5.7.8 no\r\n"),
    ]
    async with ScriptedServer(script) as server:
        with pytest.raises(SignInError) as caught:
            await open_transport(
                target(server.port, "none", cleartext=True),
                SignIn("token", "u@x", Secret("t0ken-x")),
            )
        assert caught.value.facts["challenge"].startswith('{"status":"401"')


# ------------------------------------------------------------------------------- submitting


async def test_recipients_are_told_apart_and_the_next_message_is_not_hurt(
    ground: Ground, fresh_user: User
):
    me = fresh_user.address
    transport = await opened(ground, fresh_user)
    outcomes = await send(
        transport,
        submission(1, me, UNKNOWN, RETRY),
        submission(2, me, UNKNOWN, me, FULL),
        submission(3, "somebody-else@ground.test", me),
        submission(4, me, me, content=b"X-Ground: refuse\r\n\r\nx\r\n"),
        submission(5, me, me),
    )
    await transport.close()
    assert [o.id for o in outcomes] == ["1", "2", "3", "4", "5"]
    assert [states(o) for o in outcomes] == [
        [("rejected", 550, "rcpt"), ("deferred", 450, "rcpt")],
        [("rejected", 550, "rcpt"), ("accepted", 250, "end-of-data"), ("deferred", 452, "rcpt")],
        [("rejected", 553, "rcpt")],
        [("rejected", 550, "end-of-data")],
        [("accepted", 250, "end-of-data")],
    ]
    got = b"".join(await asyncio.to_thread(arrived, fresh_user.maildir, 2))
    assert sorted(re.findall(rb"number (\d)", got)) == [b"2", b"5"]


async def test_without_pipelining_the_outcomes_are_the_same(ground: Ground, fresh_user: User):
    me = fresh_user.address
    hide = Rule("to_client", Replace(b"250-XIPELINING"), before=b"250-PIPELINING")
    async with FaultProxy(ground.postfix.plain, rules=[hide]) as proxy:
        transport = await opened(ground, fresh_user, proxy.port)
        outcomes = await send(
            transport,
            submission(1, me, UNKNOWN, RETRY),
            submission(2, me, UNKNOWN, me, FULL),
            submission(3, me, me),
        )
        await transport.close()
        assert [states(o) for o in outcomes] == [
            [("rejected", 550, "rcpt"), ("deferred", 450, "rcpt")],
            [
                ("rejected", 550, "rcpt"),
                ("accepted", 250, "end-of-data"),
                ("deferred", 452, "rcpt"),
            ],
            [("accepted", 250, "end-of-data")],
        ]
        # lock-step: each command waited for the answer before it
        assert proxy.transcript.round_trips >= 12


async def test_pipelined_a_message_costs_one_round_trip(ground: Ground, fresh_user: User):
    me = fresh_user.address
    async with FaultProxy(ground.postfix.plain) as proxy:
        transport = await opened(ground, fresh_user, proxy.port)
        before = proxy.transcript.round_trips
        outcomes = await send(transport, *(submission(n, me, me) for n in range(10)))
        assert [states(o) for o in outcomes] == [[("accepted", 250, "end-of-data")]] * 10
        assert proxy.transcript.round_trips - before <= 12
        await transport.close()


async def test_too_large_a_message_is_refused_before_anything_is_sent(
    ground: Ground, fresh_user: User
):
    """T73: larger than SIZE."""
    me = fresh_user.address
    async with FaultProxy(ground.postfix.plain) as proxy:
        transport = await opened(ground, fresh_user, proxy.port)
        large = submission(1, me, me, content=b"x\r\n" * 400_000)
        first, second = await send(transport, large, submission(2, me, me))
        await transport.close()
        assert states(first) == [("rejected", 552, "mail")]
        assert first.recipients[0].reply.enhanced == "5.3.4"
        assert states(second) == [("accepted", 250, "end-of-data")]
        assert proxy.transcript.to_server.count(b"MAIL FROM") == 1


@pytest.mark.parametrize(
    "body",
    [
        b"a\r.\rb",
        b"a\n.\nb",
        b"a\r.\r\nb",
        b"a\r\n.\rb",
        b"\n.\r\nb",
        b".\r\n..\r\nb",
        b"a\r\n.\r\n",
    ],
)
async def test_nothing_in_a_message_makes_two(ground: Ground, fresh_user: User, body: bytes):
    """T70: raw bytes with every dot and line end, to a real server."""
    me = fresh_user.address
    smuggled = b"MAIL FROM:<x@ground.test>\r\nRCPT TO:<" + me.encode() + b">\r\nDATA\r\nhi\r\n.\r\n"
    transport = await opened(ground, fresh_user)
    content = b"Subject: one\r\n\r\n" + body + b"\r\n" + smuggled
    outcomes = await send(transport, submission(1, me, me, content=content), submission(2, me, me))
    await transport.close()
    assert [states(o) for o in outcomes] == [[("accepted", 250, "end-of-data")]] * 2
    await asyncio.to_thread(arrived, fresh_user.maildir, 2)
    await asyncio.sleep(0.2)
    got = read(fresh_user.maildir)
    assert len(got) == 2
    # dots and lines arrive as they were, with every kind of line end as one
    whole = re.sub(rb"\r\n|\r|\n", b"\n", content.partition(b"\r\n\r\n")[2])
    assert any(m.partition(b"\n\n")[2] == whole for m in got)


async def test_it_arrives_as_aiosmtplib_would_have_sent_it(ground: Ground, fresh_user: User):
    me = fresh_user.address
    content = b"Date: x\r\nMessage-ID: <1@x>\r\n" + message(
        "oracle", ".dots\r\n..\r\n\r\n.\r\nend without a line end"
    )
    oracle = aiosmtplib.SMTP(
        hostname="127.0.0.1", port=ground.postfix.relay, start_tls=False, use_tls=False
    )
    await oracle.connect()
    await oracle.sendmail(me, [me], content)
    await oracle.quit()
    transport = await open_transport(target(ground.postfix.relay, "none"), NOBODY)
    await send(transport, submission(1, me, me, content=content))
    await transport.close()
    bodies = {
        m.partition(b"From: a@")[2] for m in await asyncio.to_thread(arrived, fresh_user.maildir, 2)
    }
    assert len(bodies) == 1


async def test_sixty_megabytes_stream_through_little_memory(tmp_path: Path):
    path = tmp_path / "large.eml"
    with path.open("wb") as file:
        file.write(b"Subject: large\r\n\r\n")
        for _ in range(60):
            file.write((b".abcdefgh" * 8 + b"\r\n") * (1024 * 1024 // 74))
    with sink() as port:
        transport = await open_transport(target(port, "none"), NOBODY)
        with memory_growth() as growth:
            large = submission(1, "a@b.c", "d@e.f", content=FileContent(path))
            (outcome,) = await send(transport, large)
        await transport.close()
    assert states(outcome) == [("accepted", 250, "end-of-data")]
    assert growth() < 8 * 1024 * 1024


async def test_nothing_of_a_message_leaves_before_its_row_is_safe(ground: Ground, fresh_user: User):
    me = fresh_user.address
    seen: dict[str, int] = {}
    async with FaultProxy(ground.postfix.plain) as proxy:

        def guarded(number: int):
            made = submission(number, me, me)

            async def before_data() -> None:
                await asyncio.sleep(0.02)  # what was written would have arrived by then
                seen.setdefault(made.id, proxy.transcript.to_server.count(b"DATA\r\n"))
                if number == 2:
                    raise Refused("Another worker has it.", code="claim_lost", temporary=True)

            made.before_data = before_data
            return made

        transport = await opened(ground, fresh_user, proxy.port)
        outcomes = {o.id: o for o in await send(transport, *map(guarded, (1, 2, 3)))}
        await transport.close()
    assert seen == {"1": 0, "2": 1, "3": 1}
    assert outcomes["2"].state == "untouched"
    assert isinstance(outcomes["2"].error, Refused)
    assert [states(outcomes[n]) for n in "13"] == [[("accepted", 250, "end-of-data")]] * 2


@pytest.mark.parametrize("size", [10, 900_000])
@pytest.mark.parametrize("pipelined", [True, False])
async def test_a_claim_lost_after_data_leaves_the_message_without_its_final_dot(
    size: int, pipelined: bool
):
    """The server took its time and another worker has the row: the connection ends instead."""
    script = [
        Send(b"220 here\r\n"),
        Answer(
            {
                rb"EHLO .*": b"250-here\r\n250 " + (b"PIPELINING" if pipelined else b"X") + b"\r\n",
                rb"DATA": b"354 go\r\n",
                rb"(MAIL|RCPT) .*|\.": b"250 ok\r\n",
                rb".*": b"",
            }
        ),
    ]
    asked = 0

    async def before_data() -> None:
        nonlocal asked
        asked += 1
        if asked == 2:
            raise Refused("Another worker has it.", code="claim_lost", temporary=True)

    async with ScriptedServer(script) as server:
        transport = await open_transport(target(server.port, "none"), NOBODY)
        content = message("x", ("y" * 70 + "\r\n") * (size // 72))
        one, two = (submission(n, "a@x.example", "b@x.example", content=content) for n in (1, 2))
        one.before_data = before_data
        outcomes = await send(transport, one, two)
        await transport.close()
    assert [o.state for o in outcomes] == ["untouched", "untouched"]
    assert isinstance(outcomes[0].error, Refused)
    assert b"DATA\r\n" in server.transcript.to_server
    assert b"\r\n.\r\n" not in server.transcript.to_server


async def test_leaving_the_loop_early_ends_the_connection(ground: Ground, fresh_user: User):
    me = fresh_user.address
    transport = await opened(ground, fresh_user)
    run = transport.submit([submission(n, me, me) for n in range(3)])
    async for _ in run:
        break
    await run.aclose()
    with pytest.raises(WireError):
        await transport.check()
    assert [o.state for o in await send(transport, submission(9, me, me))] == ["untouched"]
    await transport.close()


async def test_a_sender_is_tried_without_sending(ground: Ground, fresh_user: User):
    transport = await opened(ground, fresh_user)
    await transport.try_sender(fresh_user.address)
    (outcome,) = await send(transport, submission(1, fresh_user.address, fresh_user.address))
    assert states(outcome) == [("accepted", 250, "end-of-data")]
    await transport.close()


# ------------------------------------------------------------------------------- lost connections

QUEUED = b"250 2.0.0 Ok: queued"


@pytest.mark.parametrize(
    ("before", "step"),
    [
        (b"220 ", "greeting"),
        (b"250-PIPELINING", "ehlo"),
        (b"235 ", "sign-in"),
    ],
)
@pytest.mark.parametrize("how", ["rst", "fin"])
async def test_a_cut_while_opening(ground: Ground, fresh_user: User, before, step, how):
    rules = [Rule("to_client", Cut(how), before=before)]
    async with FaultProxy(ground.postfix.plain, rules=rules) as proxy:
        with pytest.raises(WireError) as caught:
            await opened(ground, fresh_user, proxy.port)
    error = caught.value
    assert (error.code, error.step, error.temporary) == ("connection_lost", step, True)


@pytest.mark.parametrize("how", ["rst", "fin"])
@pytest.mark.parametrize("pipelined", [True, False])
@pytest.mark.parametrize(
    ("point", "expected"),
    [
        (b"250 2.1.0 Ok", ["untouched"] * 3),  # MAIL
        (b"250 2.1.5 Ok", ["untouched"] * 3),  # RCPT
        (b"354 ", ["untouched"] * 3),  # DATA
        (QUEUED, ["ambiguous", "untouched", "untouched"]),  # the final dot
    ],
)
async def test_a_cut_while_submitting(
    ground: Ground, fresh_user: User, point, expected, pipelined, how
):
    me = fresh_user.address
    rules = [Rule("to_client", Cut(how), before=point)]
    if not pipelined:
        rules.append(Rule("to_client", Replace(b"250-XIPELINING"), before=b"250-PIPELINING"))
    async with FaultProxy(ground.postfix.plain, rules=rules) as proxy:
        transport = await opened(ground, fresh_user, proxy.port)
        outcomes = await send(transport, *(submission(n, me, me, UNKNOWN) for n in range(3)))
        await transport.close()
    assert [o.state for o in outcomes] == expected
    for outcome in outcomes:
        assert isinstance(outcome.error, WireError)
        assert (outcome.error.code, outcome.error.temporary) == ("connection_lost", True)
    if "ambiguous" in expected:
        # what is known of the others is told; and this is why it is ambiguous: it did arrive
        assert states(outcomes[0]) == [("rejected", 550, "rcpt")]
        await asyncio.to_thread(arrived, fresh_user.maildir)
    else:
        await asyncio.sleep(0.1)
        assert read(fresh_user.maildir) == []


async def test_a_cut_behind_the_answer_leaves_that_message_accepted(
    ground: Ground, fresh_user: User
):
    me = fresh_user.address
    rules = [Rule("to_client", Cut(), before=b"250 2.1.0 Ok", nth=2)]
    async with FaultProxy(ground.postfix.plain, rules=rules) as proxy:
        transport = await opened(ground, fresh_user, proxy.port)
        outcomes = await send(transport, *(submission(n, me, me) for n in range(3)))
        await transport.close()
    assert [o.state for o in outcomes] == ["answered", "untouched", "untouched"]


@pytest.mark.parametrize("action", [Cut("rst"), Cut("fin")])
async def test_a_cut_in_the_middle_of_a_large_message_leaves_it_untouched(
    ground: Ground, tmp_path: Path, action: Cut
):
    path = tmp_path / "large.eml"
    path.write_bytes(b"Subject: large\r\n\r\n" + b"a line of a large message\r\n" * 1_000_000)
    rules = [Rule("to_server", action, after=2_000_000)]
    async with FaultProxy(ground.postfix.big, rules=rules, record=False) as proxy:
        transport = await open_transport(target(proxy.port, "none"), NOBODY)
        outcomes = await send(
            transport,
            submission(1, "a@ground.test", "b@discarded.test", content=FileContent(path)),
            submission(2, "a@ground.test", "b@discarded.test"),
        )
        await transport.close()
    assert [o.state for o in outcomes] == ["untouched", "untouched"]


async def test_a_server_that_reads_no_more_ends_in_a_time_out(ground: Ground, tmp_path: Path):
    path = tmp_path / "large.eml"
    path.write_bytes(b"Subject: large\r\n\r\n" + b"a line of a large message\r\n" * 1_000_000)
    rules = [Rule("to_server", Stall(), after=2_000_000)]
    async with FaultProxy(ground.postfix.big, rules=rules, record=False) as proxy:
        transport = await open_transport(target(proxy.port, "none", reply_timeout=0.5), NOBODY)
        large = submission(1, "a@ground.test", "b@discarded.test", content=FileContent(path))
        (outcome,) = await send(transport, large)
        await transport.close()
    assert outcome.state == "untouched"
    assert isinstance(outcome.error, WireError)
    assert outcome.error.code == "timed_out"


async def test_an_answer_that_does_not_come_is_ambiguous(ground: Ground, fresh_user: User):
    me = fresh_user.address
    rules = [Rule("to_client", Stall(), before=QUEUED)]
    async with FaultProxy(ground.postfix.plain, rules=rules) as proxy:
        there = target(proxy.port, "none", cleartext=True, reply_timeout=0.1)
        transport = await open_transport(there, password(fresh_user))
        outcomes = await send(transport, submission(1, me, me), submission(2, me, me))
        await transport.close()
    assert [o.state for o in outcomes] == ["ambiguous", "untouched"]


# ------------------------------------------------------------------------------- odd replies

EHLO = [Send(b"220 x\r\n"), Expect(b"EHLO .*")]


def dialogue(capabilities: bytes = b"250 x\r\n", **replies: bytes) -> list:
    """A server that speaks in lock-step or not; the content of DATA is read up to its dot."""
    table = {"mail": b"250 ok\r\n", "rcpt": b"250 ok\r\n", "data": b"354 go\r\n"} | replies
    return [
        *EHLO,
        Send(capabilities),
        Answer(
            {
                rb"MAIL .*": table["mail"],
                rb"RCPT .*": table["rcpt"],
                rb"RSET": table.get("rset", b"250 ok\r\n"),
                rb"DATA": table["data"],
                rb"\.": table.get("end", b"250 ok\r\n"),
                rb"QUIT": b"221 x\r\n",
                rb".*": b"",
            }
        ),
    ]


PIPELINING = b"250-x\r\n250 PIPELINING\r\n"


@pytest.mark.parametrize("capabilities", [b"250 x\r\n", PIPELINING])
@pytest.mark.parametrize(
    ("step", "reply", "state"),
    [
        (step, reply, state)
        for step, right in (("mail", b"250"), ("rcpt", b"250"), ("data", b"354"), ("end", b"250"))
        for reply, state in (
            (b"451 4.3.0 later\r\n", "deferred"),
            (b"550-5.7.1 no\r\n550 5.7.1 and again no\r\n", "rejected"),
            (b"421 4.3.2 going down\r\n", "deferred"),
            (b"what?\r\n", "broken"),
            (b"354 eh\r\n", "broken"),
            (b"250 ok\r\n", "broken"),
        )
        if not reply.startswith(right)
    ],
)
async def test_replies_at_every_step(capabilities, step, reply, state):
    async with ScriptedServer(dialogue(capabilities, **{step: reply})) as server:
        transport = await open_transport(target(server.port, "none", reply_timeout=1), NOBODY)
        outcomes = await send(
            transport, submission(1, "a@b.c", "d@e.f"), submission(2, "a@b.c", "g@h.i")
        )
        await transport.close()
    first, second = outcomes
    if state == "broken":
        assert first.state == ("ambiguous" if step == "end" else "untouched")
        assert isinstance(first.error, ProtocolError)
        assert second.state == "untouched"
    else:
        assert [r.reply.state for r in first.recipients] == [state]
        assert first.state == "answered"
        assert second.state == ("untouched" if reply.startswith(b"421") else "answered")


@pytest.mark.parametrize("capabilities", [b"250 x\r\n", PIPELINING])
async def test_a_reset_that_is_refused_is_a_goodbye(capabilities):
    script = dialogue(capabilities, rcpt=b"550 5.1.1 no\r\n", rset=b"554 Too many of these\r\n")
    async with ScriptedServer(script) as server:
        transport = await open_transport(target(server.port, "none"), NOBODY)
        first, second = await send(
            transport, submission(1, "a@b.c", "d@e.f"), submission(2, "a@b.c", "g@h.i")
        )
    assert states(first) == [("rejected", 550, "rcpt")]
    assert second.state == "untouched"
    assert isinstance(second.error, WireError)
    assert (second.error.code, second.error.temporary) == ("connection_lost", True)
    assert second.error.said == "554 Too many of these"


async def test_a_go_ahead_for_nobody_is_ended_with_a_dot_alone():
    script = dialogue(PIPELINING, rcpt=b"550 5.1.1 no\r\n", end=b"554 no recipients\r\n")
    async with ScriptedServer(script) as server:
        transport = await open_transport(target(server.port, "none"), NOBODY)
        (outcome,) = await send(transport, submission(1, "a@b.c", "d@e.f"))
        await transport.close()
        assert states(outcome) == [("rejected", 550, "rcpt")]
        assert b"DATA\r\n.\r\n" in server.transcript.to_server


async def test_a_server_that_said_goodbye_meanwhile_leaves_everything_untouched():
    script = [*EHLO, Send(b"250 x\r\n421 4.4.2 idle too long\r\n"), Silence()]
    async with ScriptedServer(script) as server:
        transport = await open_transport(target(server.port, "none"), NOBODY)
        await asyncio.sleep(0.05)
        (outcome,) = await send(transport, submission(1, "a@b.c", "d@e.f"))
        assert outcome.state == "untouched"
        assert isinstance(outcome.error, WireError)
        assert "idle too long" in outcome.error.said
        with pytest.raises(WireError):
            await transport.check()
        assert b"MAIL" not in server.transcript.to_server


async def test_an_answer_nobody_asked_for_is_not_believed():
    script = [*EHLO, Send(b"250 x\r\n250 ok\r\n"), Silence()]
    async with ScriptedServer(script) as server:
        transport = await open_transport(target(server.port, "none"), NOBODY)
        await asyncio.sleep(0.05)
        (outcome,) = await send(transport, submission(1, "a@b.c", "d@e.f"))
        assert outcome.state == "untouched"
        assert isinstance(outcome.error, ProtocolError)


async def test_the_servers_limit_of_messages_is_kept():
    script = dialogue(b"250-x\r\n250-PIPELINING\r\n250 LIMITS MAILMAX=2\r\n")
    async with ScriptedServer(script) as server:
        transport = await open_transport(target(server.port, "none"), NOBODY)
        assert transport.max_messages == 2
        outcomes = await send(transport, *(submission(n, "a@b.c", "d@e.f") for n in range(4)))
        assert {o.id: o.state for o in outcomes} == {
            "0": "answered", "1": "answered", "2": "untouched", "3": "untouched",
        }  # fmt: skip
        await transport.close()
        assert server.transcript.to_server.count(b"MAIL") == 2
