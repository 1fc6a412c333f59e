"""Tokens on our wires, over real servers: short and long ones, both mechanisms, and refused ones."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.errors import SignInError
from postroom.protocols import imap, pop3, sasl, smtp
from postroom.protocols.base import SignIn, WireTarget
from postroom.secret import Secret
from tests.ground import Client, Ground, User
from tests.wire.imap_ground import target

__all__: list[str] = []

WIRES = ("imap", "imap starttls", "pop3", "pop3 stls", "smtp", "smtp stock")
MECHANISMS = {"XOAUTH2": sasl.XOAuth2, "OAUTHBEARER": sasl.OAuthBearer}


def where(ground: Ground, wire: str) -> WireTarget:
    """``smtp stock`` is Postfix with the line limit that it comes with, after STARTTLS."""
    dovecot, postfix = ground.oauth_dovecot, ground.oauth_postfix
    port, security = {
        "imap": (dovecot.imaps, "tls"), "imap starttls": (dovecot.imap, "starttls"),
        "pop3": (dovecot.pop3s, "tls"), "pop3 stls": (dovecot.pop3, "starttls"),
        "smtp": (postfix.tokens_tls, "tls"), "smtp stock": (postfix.tokens, "starttls"),
    }[wire]  # fmt: skip
    return target(ground, port, security, in_clear=False)  # type: ignore[arg-type]


async def opens(ground: Ground, wire: str, sign_in: SignIn, steps: list[Any] | None = None) -> None:
    """Sign in and do one thing."""
    tell = None if steps is None else steps.append
    if wire.startswith("smtp"):
        transport = await smtp.open_transport(where(ground, wire), sign_in, on_step=tell)
        await transport.close()
        return
    opening = imap.open_store if wire.startswith("imap") else pop3.open_store
    store: Any = await opening(where(ground, wire), sign_in, on_step=tell)
    await store.open("INBOX", read_only=True)
    await store.close()


def length(sign_in: SignIn) -> int:
    assert sign_in.secret is not None
    return len(sign_in.secret.reveal())


def token_of(ground: Ground, client: Client, user: User, *, size: int = 0) -> SignIn:
    """A token of at least so many characters."""
    bare = len(ground.oauth.app_token(client))
    if size:
        ground.oauth.change(client, pad=max(0, (size - bare) * 3 // 4))
    return SignIn("token", user.address, Secret(ground.oauth.app_token(client)))


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("wire", WIRES)
async def test_both_mechanisms_open_every_wire(
    ground: Ground, fresh_user: User, wire: str, mechanism: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sasl._BY_METHOD, "token", (MECHANISMS[mechanism],))
    client = ground.oauth.client(mailbox=fresh_user.address)
    steps: list[Any] = []
    await opens(ground, wire, token_of(ground, client, fresh_user), steps)
    [sign_in] = [step for step in steps if step.name == "sign-in"]
    assert mechanism in sign_in.detail


@pytest.mark.parametrize("size", [40, 1_800, 3_500, 6_000])
@pytest.mark.parametrize("wire", WIRES)
async def test_a_token_of_any_length_arrives(
    ground: Ground, fresh_user: User, wire: str, size: int
) -> None:
    """With its command where that has room (POP3: 255 octets, RFC 2449, 4; stock Postfix: 2,048),
    else after the server's go-ahead."""
    client = ground.oauth.client(mailbox=fresh_user.address)
    if size == 40:
        sign_in = opaque_of(ground, client, fresh_user)
        assert length(sign_in) < 60
    else:
        sign_in = token_of(ground, client, fresh_user, size=size)
        assert size <= length(sign_in) < size + 60
    await opens(ground, wire, sign_in)


@pytest.mark.parametrize("wire", WIRES)
async def test_a_token_that_is_longer_than_the_server_takes_is_told(
    ground: Ground, fresh_user: User, wire: str
) -> None:
    """Dovecot hangs up, Postfix answers 500 5.5.6; trying again would change nothing."""
    client = ground.oauth.client(mailbox=fresh_user.address)
    sign_in = token_of(ground, client, fresh_user, size=9_500)
    with pytest.raises(SignInError, match="the token is too long") as caught:
        await opens(ground, wire, sign_in)
    assert not caught.value.temporary
    assert "claims" in caught.value.hint


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("which", ["broken", "of another"])
async def test_a_refused_token_says_so_with_the_challenge(
    ground: Ground, fresh_user: User, wire: str, mechanism: str, which: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """T91: the error challenge is answered (RFC 7628, 3.2.3), what it says is told without the token,
    and nobody is advised to check a password."""
    monkeypatch.setitem(sasl._BY_METHOD, "token", (MECHANISMS[mechanism],))
    other = ground.user()
    client = ground.oauth.client(mailbox=other.address)
    word = ground.oauth.app_token(client)
    if which == "broken":
        word = word[:-8] + "AAAAAAAA"
    with pytest.raises(SignInError) as caught:
        await opens(ground, wire, SignIn("token", fresh_user.address, Secret(word)))
    error = caught.value
    assert "refused the token" in error.sentence
    assert error.code == "sign_in_failed"
    assert not error.temporary
    assert '"status":"' in error.said
    assert "password" not in error.hint
    told = str(error.as_json()) + str(error)
    assert word not in told
    assert word[-40:] not in told


def opaque_of(ground: Ground, client: Client, user: User) -> SignIn:
    ground.oauth.change(client, format="opaque")
    return SignIn("token", user.address, Secret(ground.oauth.app_token(client)))


async def test_without_sasl_ir_the_token_waits_for_the_go_ahead(
    ground: Ground, fresh_user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 4959: an IMAP server that does not announce it takes no initial response."""
    from postroom.protocols.imap.session import Session

    can = Session.can
    monkeypatch.setattr(Session, "can", lambda self, name: name != "SASL-IR" and can(self, name))
    said: list[bytes] = []
    answer = Session.answer

    def answering(self: Session, line: bytes) -> None:
        said.append(line)
        answer(self, line)

    monkeypatch.setattr(Session, "answer", answering)
    client = ground.oauth.client(mailbox=fresh_user.address)
    await opens(ground, "imap", token_of(ground, client, fresh_user))
    assert len(said) == 1
