"""Whose mail an address is: the preset of its provider, and how one signs in there today (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from postroom.connections.presets import PRESETS, Preset
from postroom.connections.providers import provider_of

__all__ = ["Recognised", "SignInWay", "recognise", "ways_of"]

_BY_MX: Final = {
    "mail.protection.outlook.com": "microsoft365",
    "mx.microsoft": "microsoft365",
    "google.com": "gmail",
    "googlemail.com": "gmail",
    "yahoodns.net": "yahoo",
    "mail.icloud.com": "icloud",
    "messagingengine.com": "fastmail",
}
"""The ends of the hosts that take a provider's mail (seen 2026-11-29 in their set-up pages)."""

_WHY: Final = {
    "oauth_client_credentials": "The app signs in by itself: no person, no password that ends, and it "
    "goes on when somebody leaves. An administrator registers it once.",
    "oauth_authorization_code": "You sign in once in a browser, with your second factor, and nobody "
    "here ever sees your password.",
    "oauth_device_flow": "You sign in once on another device, by a code; good where this machine has "
    "no browser.",
}
_NO_PASSWORDS: Final = "{label} takes no passwords any more. "


class SignInWay(NamedTuple):
    """One way to sign in: the type of ``auth``, what it is called, and why one takes it there.

    ``credential`` is the type of the record that it needs; ``link`` is where a person gets what is
    asked for; ``registered``: the app has to be registered first.
    """

    type: str
    label: str
    why: str
    credential: str
    link: str = ""
    registered: bool = False


class Recognised(NamedTuple):
    """What is known of an address: the preset, by what it was found, and the ways, the best first."""

    address: str
    preset: Preset
    by: str
    ways: tuple[SignInWay, ...]


def recognise(address: str, exchangers: Sequence[str] = ()) -> Recognised:
    """By the domain of the address, else by who takes its mail; ``plain`` where neither is known."""
    domain = address.rpartition("@")[2].casefold()
    for preset in PRESETS.values():
        if domain in preset.domains:
            return Recognised(address, preset, "its domain", ways_of(preset))
    for host in exchangers:
        for end, key in _BY_MX.items():
            if f".{host}".endswith(f".{end}"):
                preset = PRESETS[key]
                return Recognised(address, preset, "where its mail goes", ways_of(preset))
    return Recognised(address, PRESETS["plain"], "", ways_of(PRESETS["plain"]))


def ways_of(preset: Preset) -> tuple[SignInWay, ...]:
    """How one signs in there, the best first."""
    return tuple(_way(preset, flow) for flow in preset.flows)


_LABELS: Final = {
    "oauth_client_credentials": "As an app, without a person",
    "oauth_authorization_code": "In a browser",
    "oauth_device_flow": "With a code on another device",
}


def _way(preset: Preset, flow: str) -> SignInWay:
    if flow == "secret":
        return _password(preset)
    takes_none = "secret" not in preset.flows
    why = (_NO_PASSWORDS.format(label=preset.label) if takes_none else "") + _WHY[flow]
    kind = "msgraph" if preset.graph_url else "oauth_client"
    return SignInWay(flow, _LABELS[flow], why, kind, registered=True)


def _password(preset: Preset) -> SignInWay:
    wire = preset.imap or preset.smtp
    provider = None if wire is None else provider_of(wire.host)
    if provider is None:
        why = "Most servers of one's own, and many providers, take the password of the account."
        return SignInWay("secret", "User name and password", why, "password")
    return SignInWay("secret", "App password", provider.wants, "password", provider.link)
