"""What discovery found of an authorization server, pinned: it is asked once, and kept."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from postroom.credentials.tokens.grant import Grant
from postroom.credentials.types.addresses import origin
from postroom.db import Tx
from postroom.net.destination import https_line
from postroom.oauth.discovery import Endpoints

__all__ = ["pinned", "remember"]


def pinned(tx: Tx, grant: Grant) -> Endpoints | None:
    """The endpoints of a grant's server; None before they were discovered.

    Those that the record names itself win, and a record that names its token endpoint needs no
    discovery.
    """
    named = dict(grant.named)
    text = tx.value(
        "SELECT endpoints FROM authorities WHERE authority = :authority AND way = :way",
        authority=grant.authority,
        way=_way(grant),
    )
    if text is None:
        return _with(Endpoints(), named) if "token_endpoint" in named else None
    found: dict[str, Any] = json.loads(text)
    lists = {key: tuple(value) for key, value in found.items() if isinstance(value, list)}
    left_out = tuple((name, url) for name, url in found["left_out"])
    return _with(Endpoints(**{**found, **lists, "left_out": left_out}), named)


def remember(tx: Tx, grant: Grant, endpoints: Endpoints, *, now: float, anew: bool = False) -> None:
    """Pin what discovery found; what was pinned before stays, unless somebody has just signed in
    there (``anew``).
    """
    if anew:
        tx.execute(
            "DELETE FROM authorities WHERE authority = :authority AND way = :way",
            authority=grant.authority,
            way=_way(grant),
        )
    tx.execute(
        "INSERT INTO authorities (authority, way, endpoints, discovered_at) VALUES (:authority, "
        ":way, :endpoints, :now) ON CONFLICT (authority, way) DO NOTHING",
        authority=grant.authority,
        way=_way(grant),
        endpoints=json.dumps(dataclasses.asdict(endpoints)),
        now=now,
    )


def _with(endpoints: Endpoints, named: Mapping[str, Any]) -> Endpoints:
    return dataclasses.replace(endpoints, **named)


def _way(grant: Grant) -> str:
    """How the server was asked, and which endpoints the record named: others do not share those."""
    line = https_line(*origin(grant.authority), grant.tls, grant.proxy)
    return f"{line} {json.dumps(sorted(grant.named))}" if grant.named else line
