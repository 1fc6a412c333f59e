"""Greeting, TLS and sign-in of IMAP: what works, and what must never be believed or sent."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from postroom.errors import PostroomError, ProtocolError, SignInError, TlsError, WireError
from postroom.net.dial import Route
from postroom.net.dial import Step as Told
from postroom.net.tls import Tls
from postroom.protocols.base import Limits, Security, SignIn, WireTarget
from postroom.protocols.imap import ImapStore, open_store
from postroom.secret import Secret
from tests.ground import Ground, Pki, User
from tests.ground.scripted import (
    Answer,
    Close,
    Expect,
    Repeat,
    ScriptedServer,
    Send,
    Silence,
    StartTls,
    Step,
)
from tests.wire.imap_ground import opened, sign_in, target

USER = SignIn("password", "user", Secret("pass-word-1"))
QUICK = Limits(reply_timeout=0.5, connect_timeout=2)
GREETING = Send(b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN STARTTLS UIDPLUS] ready\r\n")


# ------------------------------------------------------------------- Dovecot


@pytest.mark.parametrize(
    ("port", "security", "names"),
    [
        ("imaps", "tls", "resolve connect tls greeting capabilities sign-in"),
        ("imap", "starttls", "resolve connect greeting tls capabilities sign-in"),
        ("imap", "none", "resolve connect greeting capabilities sign-in"),
    ],
)
async def test_every_security_signs_in_and_tells_its_steps(
    ground: Ground, port: str, security: str, names: str
) -> None:
    steps: list[Told] = []
    user = ground.dovecot.users.weird
    async with opened(
        ground,
        user,
        port=getattr(ground.dovecot, port),
        security=security,  # type: ignore[arg-type]
        on_step=steps.append,
    ) as store:
        assert await store.open("INBOX")
        assert [step.name for step in steps] == names.split()
        assert all(step.seconds < 5 for step in steps)
        assert bool(store.pump.peer.tls_version) == (security != "none")
        said = "\n".join(store.pump.transcript.lines())
    assert user.password not in said
    assert "(the sign-in)" in said


async def test_a_wrong_password_is_refused_for_good(ground: Ground, fresh_user: User) -> None:
    wrong = SignIn("password", fresh_user.address, Secret("wrong-password"))
    with pytest.raises(WireError) as caught:
        await open_store(target(ground, ground.dovecot.imap), wrong)
    error = caught.value
    assert (error.code, error.step, error.temporary) == ("sign_in_failed", "sign-in", False)
    assert "wrong-password" not in repr(error.as_json())
    assert error.said


async def test_no_password_leaves_without_tls(ground: Ground) -> None:
    strict = ground.dovecot.strict
    user = ground.dovecot.users.alice
    plain = target(ground, strict.imap, host=strict.host)
    with pytest.raises(WireError, match="LOGINDISABLED") as caught:
        await open_store(plain, sign_in(user))
    assert caught.value.code == "sign_in_failed"
    refused = target(ground, strict.imap, host=strict.host, in_clear=False)
    with pytest.raises(WireError) as caught:
        await open_store(refused, sign_in(user))
    assert caught.value.code == "cleartext_sign_in"
    secure = target(ground, strict.imap, "starttls", host=strict.host, in_clear=False)
    await (await open_store(secure, sign_in(user))).close()


async def test_a_wrong_certificate_tells_the_steps_before_it(ground: Ground) -> None:
    steps: list[Told] = []
    bad = target(ground, ground.dovecot.wronghost.imaps, "tls")
    with pytest.raises(WireError) as caught:
        await open_store(bad, sign_in(ground.dovecot.users.alice), on_step=steps.append)
    assert caught.value.code == "certificate_name"
    assert [step.name for step in steps] == ["resolve", "connect"]


async def attempt(
    script: Sequence[Step],
    *,
    pki: Pki | None = None,
    security: Security = "none",
    who: SignIn = USER,
    limits: Limits = QUICK,
) -> tuple[ImapStore | PostroomError, ScriptedServer]:
    """Open a store on a scripted server: the store, or the error."""
    tls = None if pki is None else pki.server_context()
    trust = () if pki is None else (pki.ca.read_text(),)
    async with ScriptedServer(script, tls=tls, starttls=security == "starttls") as server:
        route = Route("127.0.0.1", server.port)
        where = WireTarget(route, security, Tls(trust), limits, sign_in_without_tls=True)
        try:
            store = await open_store(where, who)
        except PostroomError as error:
            return error, server
        store.abandon()
        return store, server


# ------------------------------------------------------------------- before and around TLS


@pytest.mark.parametrize(
    ("script", "kind", "code"),
    [
        (  # stripped
            [
                Send(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] x\r\n"),
            ],
            TlsError,
            "tls_unavailable",
        ),
        (
            [Send(b"* OK x\r\n"), Answer({rb"(?P<t>\w+) CAPABILITY": b"{t} OK none\r\n"})],
            TlsError,
            "tls_unavailable",
        ),
        (
            [GREETING, Expect(rb"(?P<t>\w+) STARTTLS"), Send(b"{t} NO [ALERT] call 555-1234\r\n")],
            TlsError,
            "tls_unavailable",
        ),
        (  # ahead of the command
            [Send(b"* OK [CAPABILITY IMAP4rev1 STARTTLS] x\r\nA1 OK begin\r\n")],
            ProtocolError,
            "protocol_error",
        ),
        (  # behind the reply
            [
                GREETING,
                Expect(rb"(?P<t>\w+) STARTTLS"),
                Send(b"{t} OK begin\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n"),
            ],
            ProtocolError,
            "protocol_error",
        ),
        (
            [GREETING, Expect(rb"(?P<t>\w+) STARTTLS"), Send(b"{t} OK begin\r\n* CAPA")],
            ProtocolError,
            "protocol_error",
        ),
        (
            [Send(b"* PREAUTH [CAPABILITY IMAP4rev1] you are in\r\n")],
            ProtocolError,
            "protocol_error",
        ),
        ([GREETING, Expect(rb"\w+ STARTTLS"), Close("rst")], WireError, "connection_lost"),
    ],
)
async def test_starttls_is_required(
    pki: Pki, script: list[Step], kind: type[WireError], code: str
) -> None:
    """T62, T63, T64: stripped, refused, answered too early or with more behind, signed in already."""
    error, server = await attempt([*script, Silence()], pki=pki, security="starttls")
    assert isinstance(error, kind)
    assert error.code == code
    assert b"AUTH" not in server.transcript.to_server.upper()
    assert b"LOGIN" not in server.transcript.to_server.upper()
    assert "555-1234" not in f"{error} {error.as_json()}"


async def test_what_was_said_before_tls_is_forgotten(pki: Pki) -> None:
    """T64: capabilities and an ALERT of before TLS."""
    script: list[Step] = [
        Send(
            b"* OK [CAPABILITY IMAP4rev1 STARTTLS LITERAL+ SASL-IR AUTH=PLAIN] x\r\n"
            b"* OK [ALERT] call 555-1234\r\n"
        ),
        Expect(rb"(?P<t>\w+) STARTTLS"),
        Send(b"{t} OK begin\r\n"),
        StartTls(),
        Expect(rb"(?P<t>\w+) CAPABILITY"),
        Send(b"* CAPABILITY IMAP4rev1 AUTH=LOGIN\r\n* NO [ALERT] read me\r\n{t} OK\r\n"),
        Expect(rb"(?P<t>\w+) AUTHENTICATE LOGIN"),
        Send(b"+ VXNlcg==\r\n"),
        Expect(rb"dXNlcg=="),
        Send(b"+ UGFzcw==\r\n"),
        Expect(rb"cGFzcy13b3JkLTE="),
        Send(b"{t} OK [CAPABILITY IMAP4rev1] in\r\n"),
        Silence(),
    ]
    store, _ = await attempt(script, pki=pki, security="starttls")
    assert isinstance(store, ImapStore)
    assert store.alerts == ["read me"]
    assert store.capabilities == {"IMAP4REV1"}


@pytest.mark.parametrize(
    ("security", "method", "fine"),
    [("tls", "password", True), ("none", "password", False), ("none", "none", True)],
)
async def test_preauth(pki: Pki, security: Security, method: str, fine: bool) -> None:
    """T64: believed over TLS only."""
    script = [Send(b"* PREAUTH [CAPABILITY IMAP4rev1] you are in\r\n"), Silence()]
    who = USER if method == "password" else SignIn()
    found, _ = await attempt(
        script, pki=pki if security == "tls" else None, security=security, who=who
    )
    assert isinstance(found, ImapStore if fine else ProtocolError)


# ------------------------------------------------------------------- signing in


@pytest.mark.parametrize(
    ("answer", "temporary", "said"),
    [
        (b"NO [AUTHENTICATIONFAILED] Bad", False, "Bad"),
        (b"NO Bad", False, "Bad"),
        (b"NO [AUTHORIZATIONFAILED] no IMAP", False, "no IMAP"),
        (b"NO [EXPIRED] old", False, "old"),
        (b"NO [REFERRAL imap://evil.example/] moved", False, "moved"),
        (b"NO [UNAVAILABLE] later", True, "later"),
        (b"NO [INUSE] later", True, "later"),
        (b"NO [LIMIT] too many", True, "too many"),
        (b"NO pass-word-1 is wrong", False, "**** is wrong"),
        (b"NO dXNlcgBwYXNzLXdvcmQtMQ== \x1b[31m", False, None),
    ],
)
async def test_refusals(answer: bytes, temporary: bool, said: str | None) -> None:
    script = [
        GREETING,
        Expect(rb"(?P<t>\w+) AUTHENTICATE PLAIN \S+"),
        Send(b"{t} " + answer + b"\r\n"),
        Silence(),
    ]
    error, server = await attempt(script)
    assert isinstance(error, SignInError)
    assert (error.code, error.temporary, error.step) == ("sign_in_failed", temporary, "sign-in")
    assert said is None or error.said == said
    shown = f"{error} {error.as_json()}"
    assert "pass-word-1" not in shown
    assert "dXNlcgBwYXNzLXdvcmQtMQ" not in shown
    assert "\x1b" not in shown
    assert len(server.sessions) == 1  # nothing was followed


async def test_bye_instead_of_an_answer_is_worth_another_try() -> None:
    error, _ = await attempt([GREETING, Expect(rb".*"), Send(b"* BYE too many\r\n"), Close()])
    assert isinstance(error, SignInError)
    assert error.temporary
    assert "too many" in error.said


async def test_bye_as_greeting() -> None:
    error, _ = await attempt([Send(b"* BYE [UNAVAILABLE] closed on Sundays\r\n"), Close()])
    assert isinstance(error, WireError)
    assert (error.step, error.temporary, error.said) == ("greeting", True, "closed on Sundays")


@pytest.mark.parametrize("bad", ["a\r\nX1 DELETE INBOX", "a\nb", "a\0b"])
@pytest.mark.parametrize("capability", [b"AUTH=PLAIN SASL-IR", b"AUTH=LOGIN", b"NOTHING"])
async def test_nothing_can_be_put_into_a_sign_in(bad: str, capability: bytes) -> None:
    for who in (SignIn("password", bad, Secret("x")), SignIn("password", "x", Secret(bad))):
        script = [Send(b"* OK [CAPABILITY IMAP4rev1 " + capability + b"] x\r\n"), Silence()]
        error, server = await attempt(script, who=who)
        assert isinstance(error, PostroomError)
        assert error.code == "invalid_value"
        assert server.transcript.to_server == b""


async def test_login_with_a_password_that_no_quotes_can_hold() -> None:
    who = SignIn("password", 'us"er', Secret("pä ss\\"))
    script: list[Step] = [
        Send(b"* OK [CAPABILITY IMAP4rev1] x\r\n"),
        Expect(rb'(?P<t>\w+) LOGIN "us\\"er" \{7\}'),
        Send(b"+ go\r\n"),
        Expect("pä ss\\\\".encode()),
        Send(b"{t} OK [CAPABILITY IMAP4rev1] in\r\n"),
        Silence(),
    ]
    store, _ = await attempt(script, who=who)
    assert isinstance(store, ImapStore)


async def test_an_endless_sign_in_ends() -> None:
    script = [
        GREETING,
        Expect(rb"(?P<t>\w+) AUTHENTICATE PLAIN \S+"),
        Repeat(b"+ bW9yZQ==\r\n", pause=0.001),
    ]
    error, _ = await attempt(script)
    assert isinstance(error, ProtocolError)
