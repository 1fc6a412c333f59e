"""Hosts become canonical, or are refused with a sentence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.errors import InvalidValue
from postroom.net.names import address_of, canonical_host, host_and_port


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("imap.example.com", "imap.example.com"),
        ("IMAP.Example.COM.", "imap.example.com"),
        ("localhost", "localhost"),
        ("mail_server", "mail_server"),
        ("r3---sn-x.example.com", "r3---sn-x.example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("straße.example", "xn--strae-oqa.example"),  # IDNA 2003 would give "strasse"
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("imap。example。com", "imap.example.com"),
        ("127.0.0.1", "127.0.0.1"),
        ("①②⑦.0.0.1", "127.0.0.1"),
        ("127.0.0.1.", "127.0.0.1"),
        ("::1", "::1"),
        ("[2001:DB8::0:1]", "2001:db8::1"),
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("::FFFF:7f00:1", "127.0.0.1"),
    ],
)
def test_one_host_has_one_spelling(written: str, canonical: str) -> None:
    assert canonical_host(written) == canonical
    assert canonical_host(canonical) == canonical


@pytest.mark.parametrize(
    "written",
    [
        "", " ", "imap.example.com ", "imap example.com", "a..b", ".example.com", "-a.example",
        "a-.example", "imap.example.com:993", "imaps://imap.example.com", "user@example.com",
        "a/b", "host\r\nQUIT", "host\0", "a" * 64 + ".example", "a." * 130 + "example",
        "xn--zzzzzz99999.example", "\u200d.example", "*.example.com", "[imap.example.com]",
        "0", "127.1", "0x7f000001", "0x7f.1", "2130706433", "0177.0.0.1", "127.0.0.0x1",
        "1.2.3.4.5", "256.0.0.1", "example.123", "fe80::1%lo", "::1%1", "[::1", "1::2::3", "::①",
    ],
)  # fmt: skip
def test_what_is_no_host_is_refused_before_anything_is_asked(written: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        canonical_host(written, field="incoming.host")
    assert caught.value.field == "incoming.host"


@given(st.text(max_size=80))
def test_any_text_gives_a_stable_name_or_a_refusal(text: str) -> None:
    try:
        host = canonical_host(text)
    except InvalidValue:
        return
    assert host.isascii()
    assert host == host.lower()
    assert not set(host) & set("\r\n\0 /@")
    assert canonical_host(host) == host


def test_an_address_is_told_from_a_name_and_shown_with_its_port() -> None:
    assert address_of("imap.example.com") is None
    assert str(address_of("::1")) == "::1"
    assert host_and_port("::1", 993) == "[::1]:993"
    assert host_and_port("imap.example.com", 993) == "imap.example.com:993"
