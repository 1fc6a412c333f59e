"""Presets and the end of passwords: the form of the data, and that it fits the rules it meets."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import urlsplit

import pytest

from postroom.connections import ending, presets
from postroom.connections.defaults import PORTS
from postroom.connections.ending import ENDING, Ending, ending_of
from postroom.connections.presets import PRESETS, TENANT, Preset
from postroom.connections.providers import provider_of
from postroom.net.names import canonical_host
from postroom.oauth.scopes import check_sign_in, default_scopes

__all__: list[str] = []

TODAY = dt.date(2026, 11, 29)
EVERY = list(PRESETS.values())


def names(preset: Preset) -> str:
    return preset.key


@pytest.mark.parametrize("preset", EVERY, ids=names)
def test_hosts_and_ports_are_those_a_connection_takes(preset: Preset) -> None:
    for protocol in ("imap", "pop3", "smtp"):
        wire = getattr(preset, protocol)
        if wire is not None:
            assert wire.host == canonical_host(wire.host)
            assert wire.port == PORTS[protocol][wire.security]
            assert wire.security in ("tls", "starttls")


@pytest.mark.parametrize("preset", EVERY, ids=names)
def test_addresses_are_https_and_sources_are_named(preset: Preset) -> None:
    urls = [preset.authority, preset.graph_url, *(url for _, url in preset.endpoints)]
    for url in (*filter(None, urls), *preset.sources):
        parts = urlsplit(url)
        assert parts.scheme == "https"
        assert parts.hostname
    assert preset.sources or preset.key == "plain"
    assert preset.quirks
    assert all(quirk.endswith(".") for quirk in preset.quirks)


@pytest.mark.parametrize("preset", EVERY, ids=names)
def test_who_names_the_token_endpoint_names_what_the_flows_begin_with(preset: Preset) -> None:
    """A server whose token endpoint is named is asked for no other."""
    wanted = {
        "oauth_authorization_code": "authorization_endpoint",
        "oauth_device_flow": "device_authorization_endpoint",
    }
    named = dict(preset.endpoints)
    if "token_endpoint" in named:
        assert {name for flow, name in wanted.items() if flow in preset.flows} <= named.keys()


@pytest.mark.parametrize("preset", EVERY, ids=names)
def test_every_sign_in_of_a_preset_passes_the_check_made_when_it_is_saved(preset: Preset) -> None:
    authority = preset.authority or "https://login.example.com"
    by_wire = dict(preset.scopes)
    flow: Any
    for flow in preset.flows:
        if flow != "secret":
            for wire in ("imap", "smtp", "graph"):
                scopes = by_wire.get(wire) or default_scopes(flow, [wire], authority=authority)
                check_sign_in(flow, authority.replace(TENANT, "contoso.example"), scopes)
    assert bool(preset.authority) == any(each != "secret" for each in preset.flows) or (
        preset.key == "plain"
    )


def test_the_device_flow_is_not_offered_for_google() -> None:
    assert "oauth_device_flow" not in PRESETS["gmail"].flows
    assert ("access_type", "offline") in PRESETS["gmail"].asks


def test_no_domain_belongs_to_two() -> None:
    domains = [domain for preset in EVERY for domain in preset.domains]
    assert len(domains) == len(set(domains))


@pytest.mark.parametrize("preset", EVERY, ids=names)
def test_a_host_of_a_preset_is_a_known_provider(preset: Preset) -> None:
    """What ``connection test`` says after a refused password names the same provider."""
    for wire in (preset.imap, preset.pop3, preset.smtp):
        if wire is not None:
            assert provider_of(wire.host) is not None, wire.host


@pytest.mark.parametrize("row", ENDING, ids=lambda row: f"{row.provider} {row.protocols}")
def test_a_row_of_endings_is_dated_and_has_its_source(row: Ending) -> None:
    assert dt.date(2020, 1, 1) < row.since < dt.date(2028, 1, 1)
    assert row.source.startswith("https://")
    assert row.sentence.endswith(".")
    assert all(host == canonical_host(host) for host in row.hosts)
    assert set(row.protocols) <= {"imap", "pop3", "smtp"}


def test_both_tables_say_when_they_were_seen() -> None:
    for seen in (presets.SEEN, ending.SEEN):
        assert dt.date.fromisoformat(seen) <= TODAY


@pytest.mark.parametrize(
    ("protocol", "host", "user", "provider", "ended"),
    [
        ("imap", "imap.gmail.com", "a@x.org", "Google", True),
        ("smtp", "smtp.gmail.com", "", "Google", True),
        ("imap", "outlook.office365.com", "a@contoso.example", "Exchange Online", True),
        ("smtp", "smtp.office365.com", "a@contoso.example", "Exchange Online", False),
        ("smtp", "smtp.office365.com", "a@HOTMAIL.com", "Outlook.com", True),
        ("imap", "outlook.office365.com", "a@live.com", "Outlook.com", True),
        ("smtp", "smtp-mail.outlook.com", "", "Outlook.com", True),
        ("imap", "imap.fastmail.com", "", None, None),
        ("imap", "mail.example.com", "a@gmail.com", None, None),
    ],
)
def test_which_row_a_connection_meets(
    protocol: str, host: str, user: str, provider: str | None, ended: bool | None
) -> None:
    row = ending_of(protocol, host, user)
    assert (row.provider if row else None) == provider
    assert (row.ended(TODAY) if row else None) == ended


def test_smtp_of_exchange_ends_by_default_with_the_year() -> None:
    row = ending_of("smtp", "smtp.office365.com")
    assert row is not None
    assert row.by_default
    assert row.ended(dt.date(2027, 1, 1))
