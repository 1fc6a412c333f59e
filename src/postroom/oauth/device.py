"""The device flow (RFC 8628): a code for a person to type elsewhere, and patient polling."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from postroom.errors import PostroomError, ProtocolError, SignInError, WireError
from postroom.oauth.answers import seconds, text_of
from postroom.oauth.client import Client, request
from postroom.oauth.discovery import Endpoints, missing
from postroom.oauth.steps import Flow, Form, wait
from postroom.oauth.tokens import TokenGrant, granted
from postroom.secret import Secret

__all__ = ["DeviceCode", "device_authorization", "poll"]

GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:device_code"
INTERVAL: Final = 5.0
"""Seconds between polls when the server does not say (RFC 8628, 3.2)."""
SLOWER: Final = 5.0  # what slow_down adds, for good (3.5)
SLOWEST: Final = 60.0  # no wait grows beyond this by our own doubling
LONGEST: Final = 3600.0
_LONGEST_TEXT: Final = 2000


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """A device authorization; ``user_code`` and the addresses are for the person.

    ``expires_in`` and ``interval`` in seconds; ``received_at`` in seconds since 1970, our clock.
    ``verification_uri_complete`` holds the code already (for a QR code); empty where there is none.
    ``account`` is who is expected to sign in, if that is known.
    """

    user_code: str
    verification_uri: str
    interval: float
    expires_in: float
    received_at: float
    device_code: Secret = field(repr=False)
    verification_uri_complete: str = ""
    scopes: tuple[str, ...] = ()
    proof: str = ""
    account: str = ""

    @property
    def expires_at(self) -> float:
        """When the code ends, in seconds since 1970 on our clock."""
        return self.received_at + self.expires_in


def device_authorization(
    client: Client,
    endpoints: Endpoints,
    scopes: tuple[str, ...],
    *,
    at: float,
    prove: bool = False,
) -> Flow[DeviceCode]:
    """Ask for a code (3.1).  Raises InvalidValue where the server has no device flow."""
    if not endpoints.device_authorization_endpoint:
        unheard = ", so it has no device flow; use authorization code"
        raise missing(endpoints, "device_authorization_endpoint", unheard=unheard)
    form: Form = (("scope", " ".join(scopes)),) if scopes else ()
    proven = yield from request(
        client,
        endpoints,
        endpoints.device_authorization_endpoint,
        form,
        at=at,
        grant="device_code",
        prove=prove,
    )
    return _device_code(proven.found, scopes, proven.answer.at, proven.proof)


def _device_code(
    found: dict[str, Any], scopes: tuple[str, ...], at: float, proof: str
) -> DeviceCode:
    # Google says verification_url, from before the RFC
    address = _address(found, "verification_uri") or _address(found, "verification_url")
    user_code, device_code = text_of(found, "user_code"), text_of(found, "device_code")
    fit = _plain(user_code) and len(user_code) <= 100 and _plain(device_code)
    if not (fit and user_code and device_code and address):
        raise ProtocolError(
            "The authorization server gave no code that a person could type.",
            step="sign-in",
            temporary=True,
            hint="Try again. If it stays so, use the authorization code flow.",
        )
    lasts, pause = seconds(found.get("expires_in")), seconds(found.get("interval"))
    return DeviceCode(
        user_code=user_code,
        verification_uri=address,
        verification_uri_complete=_address(found, "verification_uri_complete"),
        interval=INTERVAL if not pause else min(max(pause, 1.0), SLOWEST),
        expires_in=min(lasts or 900.0, LONGEST),
        received_at=at,
        device_code=Secret(device_code),
        scopes=scopes,
        proof=proof,
    )


def poll(client: Client, endpoints: Endpoints, device: DeviceCode) -> Flow[TokenGrant]:
    """Wait for the person (3.4, 3.5): the grant, or SignInError when they refused or were too late.

    ``slow_down`` adds five seconds for good; a request that fails for the time being (thrown in by
    the pump, 429, 5xx, garbage) doubles the wait up to a minute, or keeps to Retry-After.
    """
    form: Form = (("grant_type", GRANT_TYPE), ("device_code", device.device_code))
    pause, now, told = device.interval, device.received_at, 0.0
    prove = bool(device.proof)
    while now + max(pause, told) < device.expires_at:
        yield from wait(max(pause, told))
        now, told = now + max(pause, told), 0.0
        try:
            proven = yield from request(
                client,
                endpoints,
                endpoints.token_endpoint,
                form,
                at=now,
                grant="device_code",
                prove=prove,
            )
        except WireError as error:
            if not error.temporary:
                raise
            if error.facts.get("oauth_error") == "slow_down":
                pause += SLOWER
            elif not _is_pending(error):
                pause = min(pause * 2, max(SLOWEST, pause))
            told = float(error.facts.get("retry_after") or 0.0)
            continue
        return granted(proven, client, endpoints, device.scopes)
    raise SignInError(
        "The code was not entered in time.",
        hint="Begin the sign-in again.",
        oauth_error="expired_token",
    )


def _is_pending(error: PostroomError) -> bool:
    codes = error.facts.get("provider_codes") or []
    return error.facts.get("oauth_error") == "authorization_pending" or 70016 in codes


def _plain(text: str) -> bool:
    """Whether a text can be shown on a terminal as it is."""
    return text.isascii() and text.isprintable()


def _address(found: dict[str, Any], name: str) -> str:
    """An https address that a person can be sent to; empty for anything else."""
    text = text_of(found, name)
    if len(text) > _LONGEST_TEXT or not _plain(text) or " " in text:
        return ""
    try:
        parts = urlsplit(text)
    except ValueError:
        return ""
    return text if parts.scheme == "https" and parts.hostname and "@" not in parts.netloc else ""
