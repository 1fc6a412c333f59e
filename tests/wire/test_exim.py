"""Sending over real Exim: what it does otherwise than Postfix."""

from __future__ import annotations

import asyncio

import pytest

from postroom.errors import SignInError, WireError
from postroom.protocols.base import Security, SignIn
from postroom.protocols.smtp import SmtpTransport, open_transport
from postroom.secret import Secret
from tests.ground import Ground, User, arrived
from tests.ground.exim import Exim
from tests.wire.outgoing import message, password, send, states, submission, target

__all__: list[str] = []

PORTS: list[tuple[str, Security]] = [
    ("submission", "starttls"), ("smtps", "tls"), ("plain", "none"),
]  # fmt: skip
UNKNOWN, RETRY, POLICY = "unknown@ground.test", "retry@ground.test", "policy@ground.test"


@pytest.fixture
def exim(ground: Ground) -> Exim:
    return ground.exim


@pytest.fixture
def user(exim: Exim) -> User:
    return exim.user()


async def opened(ground: Ground, user: User, port: str = "smtps") -> SmtpTransport:
    security = dict(PORTS)[port]
    there = target(getattr(ground.exim, port), security, ground.pki, cleartext=True)
    return await open_transport(there, password(user))


@pytest.mark.parametrize("port", [port for port, _ in PORTS])
async def test_every_security_sends_and_tells_the_recipients_apart(
    ground: Ground, user: User, port: str
):
    transport = await opened(ground, user, port)
    (outcome,) = await send(
        transport, submission(1, user.address, user.address, UNKNOWN, RETRY, POLICY)
    )
    await transport.close()
    assert states(outcome) == [
        ("accepted", 250, "end-of-data"),
        ("rejected", 550, "rcpt"),
        ("deferred", 450, "rcpt"),
        ("rejected", 550, "rcpt"),
    ]
    assert [r.reply.enhanced for r in outcome.recipients] == ["", "5.1.1", "4.2.0", "5.7.1"]
    assert outcome.recipients[0].reply.text.startswith("OK id=")
    (got,) = await asyncio.to_thread(arrived, user.maildir)
    assert b"Subject: number 1" in got


@pytest.mark.parametrize(("port", "security"), PORTS)
async def test_a_wrong_password_is_refused_without_an_enhanced_code(
    ground: Ground, user: User, port: str, security: Security
):
    there = target(getattr(ground.exim, port), security, ground.pki, cleartext=True)
    with pytest.raises(SignInError) as caught:
        await open_transport(there, SignIn("password", user.address, Secret("wr0ng-pa55")))
    assert (caught.value.code, caught.value.temporary) == ("sign_in_failed", False)
    assert caught.value.said == "535 Incorrect authentication data"


async def test_no_sign_in_is_offered_before_tls(ground: Ground, user: User):
    there = target(ground.exim.submission, "none", cleartext=True)
    with pytest.raises(SignInError) as caught:
        await open_transport(there, password(user))
    assert caught.value.code == "not_supported"


@pytest.mark.parametrize("secret", ['pä ss"w\\o{r}d%:&=+', "x" * 600, "y" * 5000])
async def test_strange_and_long_passwords_sign_in(ground: Ground, secret: str):
    transport = await opened(ground, ground.exim.user(secret))
    await transport.check()
    await transport.close()


async def test_each_refusal_is_told_at_its_step_and_the_next_message_goes(
    ground: Ground, user: User
):
    transport = await opened(ground, user)
    outcomes = await send(
        transport,
        submission("content", user.address, user.address, content=b"X-Ground: refuse\r\n\r\nx\r\n"),
        submission("sender", "somebody@ground.test", user.address),
        submission("many", user.address, *(f"x{n}@ground.test" for n in range(22))),
        submission("fine", user.address, user.address),
    )
    await transport.close()
    content, sender, many, fine = (states(outcome) for outcome in outcomes)
    assert content == [("rejected", 550, "end-of-data")]
    assert sender == [("rejected", 550, "mail")]
    assert many == [("accepted", 250, "end-of-data")] * 20 + [("deferred", 452, "rcpt")] * 2
    assert fine == [("accepted", 250, "end-of-data")]


async def test_the_content_arrives_as_it_was_written(ground: Ground, user: User):
    body = ".\r\n..\r\n.dot\r\n" + "ä" * 400 + "\r\n" + "z" * 990 + "\r\n\r\n. \r\n"
    transport = await opened(ground, user)
    await send(transport, submission(1, user.address, user.address, content=message("Größe", body)))
    await transport.close()
    (got,) = await asyncio.to_thread(arrived, user.maildir)
    _, _, arrived_body = got.partition(b"\n\n")
    assert arrived_body == body.replace("\r\n", "\n").encode()
    assert "Subject: Größe".encode() in got


@pytest.mark.parametrize("port", ["smtps", "plain"])
async def test_it_hangs_up_after_many_refused_messages_and_the_rest_is_untouched(
    ground: Ground, user: User, port: str
):
    """smtp_accept_max_nonmail: RSETs in a row count; over TLS it says why in the clear."""
    transport = await opened(ground, user, port)
    outcomes = await send(transport, *(submission(n, user.address, UNKNOWN) for n in range(20)))
    answered = [o for o in outcomes if o.state == "answered"]
    untouched = outcomes[len(answered) :]
    assert len(answered) > 10
    assert all(states(o) == [("rejected", 550, "rcpt")] for o in answered)
    assert untouched
    for outcome in untouched:
        assert outcome.state == "untouched"
        assert isinstance(outcome.error, WireError)
        assert (outcome.error.code, outcome.error.temporary) == ("connection_lost", True)
    again = await opened(ground, user, port)
    (outcome,) = await send(again, submission("again", user.address, user.address))
    await again.close()
    assert states(outcome) == [("accepted", 250, "end-of-data")]


@pytest.mark.parametrize("port", ["smtps", "plain"])
async def test_it_hangs_up_after_ten_checks_and_that_is_temporary(
    ground: Ground, user: User, port: str
):
    transport = await opened(ground, user, port)

    async def checks() -> None:
        for _ in range(20):
            await transport.check()

    with pytest.raises(WireError) as caught:
        await checks()
    assert (caught.value.code, caught.value.temporary) == ("connection_lost", True)


async def test_many_messages_over_one_connection(ground: Ground, user: User):
    transport = await opened(ground, user)
    outcomes = await send(
        transport, *(submission(n, user.address, user.address) for n in range(60))
    )
    await transport.close()
    assert {tuple(states(o)) for o in outcomes} == {(("accepted", 250, "end-of-data"),)}
    assert len(await asyncio.to_thread(arrived, user.maildir, 60)) == 60
