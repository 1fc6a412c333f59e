"""One person signs in by OAuth: with which flow, how the answer comes back, and that it works there."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, Literal, NamedTuple
from urllib.parse import urlsplit

from postroom.connections.presets import asks_of, of_authority
from postroom.connections.signins import SignInUse
from postroom.errors import InvalidValue, PostroomError, Refused, SignInError
from postroom.operations.desk import Desk

if TYPE_CHECKING:  # a worker that signs nobody in does not load them
    from postroom.credentials.tokens.signing_in import Done, Prove, SigningIn
    from postroom.oauth.client import Client
    from postroom.oauth.code import Pending
    from postroom.oauth.device import DeviceCode

__all__ = [
    "LINK_LIFETIME",
    "How",
    "Paste",
    "Tell",
    "Way",
    "answered",
    "sign_in_once",
    "sign_in_unsaved",
]

How = Literal["device", "browser", "link", "page"]
Tell = Callable[["DeviceCode | Pending"], None]
"""Shows a person what to do: an address and a code, or an address to open."""
Paste = Callable[["Pending"], Awaitable[str]]
"""Gives the address at which the owner's browser ended, as somebody pasted it."""

LINK_LIFETIME: Final = 1800.0
"""Seconds for which an address for the owner of a mailbox is good."""
_LOOPBACK: Final = "http://localhost"
_FORBIDDEN: Final = frozenset({50199, 53003, 530034, 530036, 70003, 7000218})
"""What Entra answers where a tenant, a policy or the app forbids the device flow (AADSTS...)."""
_NO_SUCH_FLOW: Final = frozenset({"unauthorized_client", "unsupported_grant_type"})


class Way(NamedTuple):
    """How a person is reached: what shows them what to do, the flow (None: the connection's own),
    and what gives the address at which a browser ended, for ``link`` and ``page``.

    ``page``: the answer comes to ``callback``, an address of the page that this person looks at.
    ``back``: where a browser on this machine is sent when it has brought the answer.
    """

    tell: Tell
    how: How | None = None
    paste: Paste | None = None
    callback: str = ""
    back: str = ""


async def sign_in_once(
    desk: Desk, use: SignInUse, way: Way, prove: Prove,
    *, device_flow: bool = True, always: bool = False,
) -> Done:  # fmt: skip
    """Sign one person in for everything that ``use`` serves; stored only when it is complete.

    ``prove`` uses the new token where it is meant for, before an earlier sign-in is given up
    (``always``: before anything is stored).  ``device_flow``: whether the room permits it.  Raises
    SignInError, WireError, InvalidValue, Refused.
    """
    return (await _signed_in(desk, use, way, prove, device_flow=device_flow, always=always))[1]


async def sign_in_unsaved(
    desk: Desk, use: SignInUse, way: Way, client: Client, *, device_flow: bool = True
) -> SigningIn:
    """The same for a client that stands in no room yet; ``keep`` of what it gives stores it."""
    return (await _signed_in(desk, use, way, None, device_flow=device_flow, client=client))[0]


async def _signed_in(
    desk: Desk, use: SignInUse, way: Way, prove: Prove | None,
    *, device_flow: bool, always: bool = False, client: Client | None = None,
) -> tuple[SigningIn, Done]:  # fmt: skip
    from postroom.credentials.tokens.signing_in import Asked, SigningIn

    grant = use.grant
    if way.how is not None:
        flow = "device_flow" if way.how == "device" else "authorization_code"
        grant = dataclasses.replace(grant, flow=flow)  # type: ignore[arg-type]  # one of FlowName
    name = next(iter(use.connections))
    lines, scopes = tuple(sorted(use.lines)), tuple(use.scopes)
    preset = of_authority(grant.authority)
    asked = Asked(grant, lines, scopes, desk.actor, openid=bool(preset and preset.openid))
    tokens = desk.tokens
    signing = SigningIn(
        desk.db, tokens.kept, tokens.renewal, asked, prove, always=always, client=client
    )
    if grant.flow == "device_flow":
        return signing, await _by_device(signing, way, name, permitted=device_flow)
    if way.how == "link":
        return signing, await _by_link(signing, use, way)
    if way.how == "page":
        return signing, await _by_page(signing, use, way)
    return signing, await _by_browser(signing, use, way)


async def _by_device(signing: SigningIn, way: Way, name: str, *, permitted: bool) -> Done:
    if not permitted:
        raise Refused(
            "The device flow is forbidden here (POSTROOM_DEVICE_FLOW).", hint=_other_ways(name)
        )
    try:
        return await signing.by_device(way.tell)
    except PostroomError as error:
        if _forbids(error):
            error.hint = f"{error.hint} {_other_ways(name)}".strip()
        raise


def _forbids(error: PostroomError) -> bool:
    """Whether the authorization server does not let anybody use the device flow."""
    if isinstance(error, InvalidValue):
        return error.field == "device_authorization_endpoint"
    codes = {*error.facts.get("provider_codes", ())}
    if codes:  # which say it better than the error beside them
        return bool(codes & _FORBIDDEN)
    return error.facts.get("oauth_error") in _NO_SUCH_FLOW


def _other_ways(name: str) -> str:
    return (
        f"Without it: postroom connection signin {name} --how browser on a machine with a browser, or "
        f"postroom connection signin {name} --link, an address for the owner. Both want the redirect "
        "URI http://localhost registered for the app (postroom guide microsoft --flow "
        "authorization_code)."
    )


async def _by_browser(signing: SigningIn, use: SignInUse, way: Way) -> Done:
    from postroom.net.loopback import Loopback
    from postroom.oauth.code import answers, loopback

    registered = use.grant.redirect_uri or _LOOPBACK
    async with Loopback(registered, back=way.back) as heard:
        redirect = loopback(registered, heard.port)

        async def answer(pending: Pending) -> str:
            way.tell(pending)
            return await heard.query(pending.lifetime, lambda query: answers(pending, query))

        return await signing.by_code(redirect, answer, extra=asks_of(use.grant.authority))


async def _by_page(signing: SigningIn, use: SignInUse, way: Way) -> Done:
    """The browser comes back to the page that it came from."""
    from postroom.oauth.code import LIFETIME

    if way.paste is None or not way.callback:
        raise InvalidValue("how", "page needs a page that the answer comes to")
    heard = way.paste

    async def answer(pending: Pending) -> str:
        way.tell(pending)
        try:
            async with asyncio.timeout(pending.lifetime):
                return answered(await heard(pending))
        except TimeoutError:
            raise SignInError(
                f"Nobody signed in within {LIFETIME / 60:.0f} minutes.",
                hint="Begin the sign-in again.",
            ) from None

    return await signing.by_code(way.callback, answer, extra=asks_of(use.grant.authority))


async def _by_link(signing: SigningIn, use: SignInUse, way: Way) -> Done:
    """The owner opens the address anywhere; where their browser ends comes back by hand."""
    if not use.grant.account:
        raise InvalidValue(
            "account",
            "is needed: an address for somebody else is bound to who is expected to sign in; set user "
            "or account of the connection",
        )
    if way.paste is None:
        raise InvalidValue("how", "link needs somebody who pastes where the browser ended")
    paste = way.paste

    async def answer(pending: Pending) -> str:
        way.tell(pending)
        return answered(await paste(pending))

    return await signing.by_code(
        use.grant.redirect_uri or _LOOPBACK, answer,
        extra=asks_of(use.grant.authority), lifetime=LINK_LIFETIME,
    )  # fmt: skip


def answered(pasted: str) -> str:
    """The query of a pasted address.  Raises InvalidValue for a text that is none of an answer."""
    text = "".join(pasted.split()).strip("<>\"'")
    try:
        query = urlsplit(text).query if "?" in text else text
    except ValueError:
        query = ""
    if "state=" not in query:
        raise InvalidValue(
            "address",
            "is not where a sign-in ends: copy the whole address from the address bar, it holds "
            "code=... and state=...",
        )
    return query
