"""LOGIN on real servers, on every wire: where PLAIN is not offered, and IMAP's own command."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable

import pytest

from postroom.errors import SignInError
from postroom.protocols.base import SignIn, WireTarget
from postroom.protocols.imap import open_store as open_imap
from postroom.protocols.pop3 import open_store as open_pop3
from postroom.protocols.smtp import open_transport
from postroom.secret import Secret
from tests.ground import Ground, User
from tests.ground.faults import Replace, Rule
from tests.ground.proxy import FaultProxy
from tests.wire.outgoing import password, target

Open = Callable[[WireTarget, SignIn], Awaitable[object]]
HIDDEN = Rule("to_client", Replace(b"XUTH="), before=b"AUTH=", again=True)
"""Dovecot always tells its mechanisms; without them there is only the command."""


async def imap(there: WireTarget, who: SignIn) -> None:
    store = await open_imap(there, who)
    assert await store.open("INBOX")
    await store.close()


async def pop3(there: WireTarget, who: SignIn) -> None:
    store = await open_pop3(there, who)
    await store.check()
    await store.close()


async def smtp(there: WireTarget, who: SignIn) -> None:
    transport = await open_transport(there, who)
    await transport.check()
    await transport.close()


Way = tuple[Open, Callable[[Ground], int], bytes]
WAYS: dict[str, Way] = {
    "imap": (imap, lambda ground: ground.dovecot.loginonly.imap, b" AUTHENTICATE LOGIN"),
    "command": (imap, lambda ground: ground.dovecot.imap, b" LOGIN "),
    "pop3": (pop3, lambda ground: ground.dovecot.loginonly.pop3, b"AUTH LOGIN"),
    "smtp": (smtp, lambda ground: ground.postfix.loginonly, b"AUTH LOGIN"),
}
"""How it is opened, a port without TLS (the proxy reads along), and what must be sent."""


async def signed_in(ground: Ground, way: str, who: SignIn) -> bytes:
    """Sign in that way; gives what the client sent."""
    opening, port, said = WAYS[way]
    rules = [HIDDEN] if way == "command" else []
    async with FaultProxy(port(ground), rules=rules) as proxy:
        try:
            await opening(target(proxy.port, "none", cleartext=True), who)
        finally:
            sent = bytes(proxy.transcript.to_server)
            assert said in sent
            assert b"PLAIN" not in sent
    return sent


@pytest.mark.parametrize("way", WAYS)
async def test_any_password_signs_in_by_login(ground: Ground, way: str) -> None:
    """Spaces, quotes, backslashes, braces, percent signs and UTF-8, as they are."""
    weird: User = ground.dovecot.users.weird
    sent = await signed_in(ground, way, password(weird))
    coded = base64.b64encode(weird.password.encode())
    assert (coded in sent) == (way != "command")


@pytest.mark.parametrize("way", WAYS)
async def test_a_wrong_password_is_refused_by_login(
    ground: Ground, fresh_user: User, way: str
) -> None:
    wrong = SignIn("password", fresh_user.address, Secret("wr0ng-pa55"))
    with pytest.raises(SignInError) as caught:
        await signed_in(ground, way, wrong)
    error = caught.value
    assert (error.code, error.step, error.temporary) == ("sign_in_failed", "sign-in", False)
    told = repr(error.as_json())
    assert "wr0ng-pa55" not in told
    assert base64.b64encode(b"wr0ng-pa55").decode() not in told
