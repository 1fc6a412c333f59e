"""Whose mail an address is, and how one signs in there."""

from __future__ import annotations

import pytest

from postroom.connections.presets import PRESETS
from postroom.connections.recognising import recognise, ways_of


@pytest.mark.parametrize(
    ("address", "exchangers", "preset", "by"),
    [
        ("ann@gmail.com", (), "gmail", "its domain"),
        ("Ann@GMail.COM", (), "gmail", "its domain"),
        ("ann@hotmail.com", (), "outlook", "its domain"),
        (
            "a@firm.example",
            ("firm-example.mail.protection.outlook.com",),
            "microsoft365",
            "mail goes",
        ),
        ("a@firm.example", ("aspmx.l.google.com",), "gmail", "mail goes"),
        ("a@firm.example", ("in1-smtp.messagingengine.com",), "fastmail", "mail goes"),
        ("a@firm.example", ("notgoogle.com", "mail.firm.example"), "plain", ""),
        ("a@firm.example", (), "plain", ""),
    ],
)
def test_an_address_is_somebodys(
    address: str, exchangers: tuple[str, ...], preset: str, by: str
) -> None:
    found = recognise(address, exchangers)
    assert found.preset.key == preset
    assert by in found.by


def test_every_preset_says_how_and_why() -> None:
    for preset in PRESETS.values():
        ways = ways_of(preset)
        assert [way.type for way in ways] == list(preset.flows)
        for way in ways:
            assert way.why.endswith(".")
            assert way.label


def test_a_provider_without_passwords_says_so() -> None:
    assert "no passwords" in ways_of(PRESETS["microsoft365"])[0].why
    app = ways_of(PRESETS["icloud"])[0]
    assert (app.label, app.credential) == ("App password", "password")
    assert app.link.startswith("https://")
