"""Presets of providers: what a connection or a client is filled with, so that little is left to give."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from postroom.connections.granting import CLIENT_TYPES
from postroom.connections.presets import PRESETS, SEEN, TENANT, Preset
from postroom.credentials.store import CredentialStore
from postroom.db import Tx
from postroom.errors import InvalidValue
from postroom.fields import nearest

__all__ = [
    "PRESETS",
    "FromPreset",
    "client_details",
    "filled",
    "preset_named",
    "presets",
    "shown_preset",
]

PROTOCOLS: Final = ("imap", "pop3", "smtp")


class FromPreset(NamedTuple):
    """What is given with a preset: its key, the address of the mailbox, and how it signs in.

    ``auth`` is a type of sign-in (empty: what the credential is for, else the best of the preset);
    ``client_id`` and ``tenant`` (the Directory ID) are for OAuth without a credential.
    """

    key: str
    user: str = ""
    auth: str = ""
    credential: str = ""
    client_id: str = ""
    tenant: str = ""


def presets() -> builtins.list[dict[str, Any]]:
    """Every preset as doors show it."""
    return [shown_preset(each) for each in PRESETS.values()]


def preset_named(key: str) -> Preset:
    """A preset by its key.  Raises InvalidValue with the nearest."""
    if key not in PRESETS:
        close = nearest(key, PRESETS)
        more = f"; did you mean {close}?" if close else f"; one of {', '.join(PRESETS)}"
        raise InvalidValue("preset", f"there is none called {key}{more}")
    return PRESETS[key]


def shown_preset(preset: Preset) -> dict[str, Any]:
    """A preset as doors show it: hosts, sign-ins, quirks, when it was seen, and where."""

    def at(protocol: str) -> str:
        wire = getattr(preset, protocol)
        return "" if wire is None else f"{wire.host}:{wire.port} {wire.security}"

    return {
        "preset": preset.key, "provider": preset.label,
        **{protocol: at(protocol) for protocol in PROTOCOLS},
        "sign_in": list(preset.flows), "authority": preset.authority,
        "endpoints": dict(preset.endpoints),
        "scopes": list(preset.scopes_of(PROTOCOLS)), "domains": list(preset.domains),
        "quirks": list(preset.quirks), "seen": SEEN, "sources": list(preset.sources),
    }  # fmt: skip


def filled(
    tx: Tx, store: CredentialStore, given: FromPreset, data: Mapping[str, Any]
) -> dict[str, Any]:
    """The fields of a connection from a preset, with what ``data`` says itself on top.

    Raises InvalidValue for a preset nobody knows, and for a sign-in that does not work there.
    """
    preset = preset_named(given.key)
    auth = _auth(tx, store, preset, given)
    sides = {"incoming": "imap", "outgoing": "smtp"}
    wires: dict[str, str] = {}
    for place, usual in sides.items():
        said = data.get(place) or {}
        wires[place] = str(said.get("protocol") or usual)
    used = [wire for wire in wires.values() if wire in PROTOCOLS]
    scopes = preset.scopes_of(used) if auth.get("type", "").startswith("oauth_") else ()
    if scopes:
        auth = auth | {"scopes": list(scopes)}
    made = dict(data)
    for place, protocol in wires.items():
        made[place] = _side(preset, place, protocol, given.user, auth) | dict(data.get(place) or {})
    return made


def client_details(key: str) -> dict[str, Any]:
    """The fields of an ``oauth_client`` that a preset knows: authority and endpoints.

    Raises InvalidValue where the provider has no OAuth for mail.
    """
    preset = preset_named(key)
    if not preset.authority:
        raise InvalidValue("preset", f"{preset.label} has no OAuth for mail that is known here")
    if TENANT in preset.authority:
        raise InvalidValue(
            "preset",
            f"{preset.label} has an authority for each tenant: make the credential of type msgraph "
            "with --tenant-id, which needs no preset",
        )
    return {"authority": preset.authority, **dict(preset.endpoints)}


# ------------------------------------------------------------------ inside


def _side(
    preset: Preset, place: str, protocol: str, user: str, auth: Mapping[str, Any]
) -> dict[str, Any]:
    if protocol == "none":
        return {"protocol": protocol}
    wire = getattr(preset, protocol, None) if protocol in PROTOCOLS else None
    if wire is None and preset.key != "plain":
        raise InvalidValue(f"{place}.protocol", f"{preset.label} has no {protocol}")
    side: dict[str, Any] = {"protocol": protocol, "auth": dict(auth)}
    if wire is not None:
        side |= {"host": wire.host, "port": str(wire.port), "security": wire.security}
    return side | ({"user": user} if user else {})


def _auth(tx: Tx, store: CredentialStore, preset: Preset, given: FromPreset) -> dict[str, Any]:
    """How both sides sign in."""
    of_client = False
    if given.credential:
        of_client = store.get(tx, given.credential).type in CLIENT_TYPES
    if not given.auth and not given.credential and not given.client_id:
        raise InvalidValue(
            "auth",
            f"how {preset.label} is signed in to is needed: --credential NAME, which is "
            f"{_fits(preset)}",
        )
    by_client = of_client or bool(given.client_id)
    kind = given.auth or (_first(preset) if by_client else "secret")
    if kind not in preset.flows:
        raise InvalidValue(
            "auth", f"{preset.label} has no {kind}; it has {', '.join(preset.flows)}"
        )
    auth: dict[str, Any] = {"type": kind}
    if given.credential:
        auth["credential"] = given.credential
    if given.client_id:
        auth |= {"client_id": given.client_id, "authority": preset.authority_of(given.tenant)}
    return auth


def _first(preset: Preset) -> str:
    if not preset.by_oauth:
        raise InvalidValue(
            "auth", f"{preset.label} has no OAuth for mail: name a credential of type password"
        )
    return preset.by_oauth[0]


def _fits(preset: Preset) -> str:
    kinds = ["password"] if "secret" in preset.flows else []
    kinds += ["oauth_client"] if preset.by_oauth else []
    kinds += ["msgraph"] if TENANT in preset.authority else []
    return f"of type {' or '.join(kinds)} (postroom explain {preset.key})"
