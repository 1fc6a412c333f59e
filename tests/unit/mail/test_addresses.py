"""Addresses: what we send to is exactly what was given; what we read is believed or flagged."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.errors import InvalidValue
from postroom.mail import Address, envelope, parse_address, parse_addresses, read_addresses

__all__: list[str] = []

A, B = Address("", "a@x.org"), Address("", "b@x.org")


@pytest.mark.parametrize(
    ("given_value", "expected"),
    [
        (None, []),
        ("", []),
        ("a@x.org", [A]),
        (" a@x.org ; b@x.org, ", [A, B]),
        ("a@x.org,b@x.org", [A, B]),
        (["a@x.org", "b@x.org"], [A, B]),
        (("a@x.org", {"address": "b@x.org"}), [A, B]),
        ({"address": "a@x.org", "name": "Jo"}, [Address("Jo", "a@x.org")]),
        ({"Address": "a@x.org", "PersonalName": "Jo"}, [Address("Jo", "a@x.org")]),
        ([{"Address": "a@x.org", "PersonalName": None}], [A]),
        (A, [A]),
        ("Jo <a@x.org>", [Address("Jo", "a@x.org")]),
        ('"Doe, Jane; x" <a@x.org>; b@x.org', [Address("Doe, Jane; x", "a@x.org"), B]),
        (r'"say \"hi\"" <a@x.org>', [Address('say "hi"', "a@x.org")]),
        ("<a@x.org>", [A]),
        ("o'neil+tag=1@x.org", [Address("", "o'neil+tag=1@x.org")]),
        ("a@[192.0.2.1]", [Address("", "a@[192.0.2.1]")]),
        ("root@localhost", [Address("", "root@localhost")]),
    ],
)
def test_accepted(given_value: Any, expected: list[Address]) -> None:
    assert parse_addresses(given_value) == expected


@pytest.mark.parametrize(
    "bad",
    [
        "a",
        "@x.org",
        "a@",
        "a@b@c",
        "a b@x.org",
        "a@x..org",
        "a@-x.org",
        "a@x.org.",
        "a@[x",
        ".a@x.org",
        "a.@x.org",
        "a..b@x.org",
        '"a@b"@c',
        '"a b"@x.org',
        "a(comment)@x.org",
        "a@x.org (comment)",
        "Friends: a@x.org;",
        "a@x.org>\r\nRCPT TO:<b@x.org>",
        "a@x.org\nb@x.org",
        "a\0@x.org",
        "a@x.org\x85",
        "a\u2028@x.org",
        "Doe, Jane <a@x.org>",
        "Jo <a@x.org> x",
        "Jo <a@x.org",
        "Jo <>",
        "a@exa mple.org",
        "a@x℀.org",
        "a@[300.1.1.1]",
        "a@[x]",
        "a@x/y.org",
        "a" * 250 + "@x.org",
        "\ud800@x.org",
        ["a@x.org,b@x.org"],
        ["a@x.org; b@x.org"],
        [["a@x.org"]],
        {"address": "a@x.org,b@x.org"},
        {"address": "Jo <a@x.org>"},
        {"address": ""},
        {"name": "x"},
        {"address": "a@x.org", "mail": "x"},
        {"address": "a@x.org", "name": "x\r\nBcc: b@x.org"},
        5,
        b"a@x.org",
        [Address("x\ny", "a@x.org")],
        [Address("", "a@x.org, b@x.org")],
        [""],
    ],
)
def test_refused_with_the_name_of_the_field(bad: Any) -> None:
    """T71: what would be another envelope, or another header."""
    with pytest.raises(InvalidValue) as error:
        parse_addresses(bad, "cc")
    assert error.value.field == "cc"
    assert error.value.sentence.startswith("cc: ")


def test_two_in_one_item_says_so() -> None:
    with pytest.raises(InvalidValue, match="several addresses"):
        parse_addresses(["a@b,c@d"])


def test_the_envelope_has_a_labels_and_no_duplicates() -> None:
    """T71: each recipient once."""
    found = parse_addresses("a@Bücher.Example; A@x.org; a@xn--bcher-kva.example; a@X.ORG; a@x.org")
    assert envelope(found) == ("a@xn--bcher-kva.example", "A@x.org", "a@x.org")
    assert envelope(found, found) == envelope(found)


def test_a_homograph_shows_its_a_label() -> None:
    """T71: what looks like another domain is dialled and shown as what it is."""
    assert parse_address("a@рaypal.com").envelope == "a@xn--aypal-uye.com"


def test_utf8_is_needed_for_the_local_part_only() -> None:
    assert not parse_address("jörg@x.org").envelope.isascii()
    assert parse_address("a@bücher.example").envelope.isascii()


def test_ten_thousand_recipients_are_exactly_these() -> None:
    """T71."""
    wanted = [f"user{n}@x.org" for n in range(10_000)]
    start = time.process_time()
    assert envelope(parse_addresses("; ".join(wanted))) == tuple(wanted)
    assert time.process_time() - start < 2


@given(st.text())
def test_any_text_is_addresses_or_refused(text: str) -> None:
    """T71: whatever the text."""
    try:
        found = parse_addresses(text)
    except InvalidValue:
        return
    for each in found:
        assert not set(each.envelope) & set("\r\n\0<>,; ")
        assert parse_addresses(str(each)) == [each]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"a@x.org", [A]),
        (b"<a@x.org>", [A]),
        (b"Jo Doe <a@x.org>, b@x.org", [Address("Jo Doe", "a@x.org"), B]),
        (b'"Doe, Jane" <a@x.org>', [Address("Doe, Jane", "a@x.org")]),
        (b"=?utf-8?q?J=C3=B6rg?= =?utf-8?q?_M=2C?= <a@x.org>", [Address("Jörg M,", "a@x.org")]),
        (b'"=?utf-8?q?J=C3=B6rg?=" <a@x.org>, b@x.org', [Address("Jörg", "a@x.org"), B]),
        ("Jörg <jörg@bücher.example>".encode(), [Address("Jörg", "jörg@bücher.example")]),
        (b"=?utf-8?q?Jo,_x@y:?= Doe <a@x.org>", [Address("Jo, x@y: Doe", "a@x.org")]),
        (b"a@x.org (Jo (the) Doe)", [Address("Jo (the) Doe", "a@x.org")]),
        (b'"a@x.org" <a@x.org>', [Address("a@x.org", "a@x.org")]),
        (b"a@x.org <A@x.org>", [Address("a@x.org", "A@x.org")]),
        (b'"Jane Doe"@x.org', [Address("", '"Jane Doe"@x.org')]),
        (b"Friends: a@x.org, b@x.org;", [A, B]),
        (b"undisclosed-recipients:;", []),
        (b"Undisclosed recipients:", []),
        (b"", []),
        (b" , ,a@x.org,", [A]),
        (b"a@x.org; b@x.org", [A, B]),
        (b"a@[IPv6:::1]", [Address("", "a@[IPv6:::1]")]),
        (b'"J \\"x\\" D" <a@x.org>', [Address('J "x" D', "a@x.org")]),
    ],
)
def test_read(header: bytes, expected: list[Address]) -> None:
    assert read_addresses(header) == expected


@pytest.mark.parametrize(
    "nonsense",
    [
        b"a@good.org(<b@evil.org>)",
        b"a@good.org <b@evil.org>",
        b"a@good.org<b@evil.org>",
        b"a@good.org)b@evil.org",
        b"a@good.org]<b@evil.org>",
        b"a@good.org[b@evil.org",
        b"a@good.org:b@evil.org",
        b"a@good.org\\<b@evil.org>",
        b"a@good.org>b@evil.org",
        b"a@b@c",
        b"<a@b@c>",
        b"Jo <a@x.org",
        b"Jo <a@x.org> <b@x.org>",
        b"<@r1,@r2:a@x.org>",
        b"<a@x.org> Jo",
        b"Mail Delivery Subsystem",
        b"root",
        b"a b@x.org",
        b"a\x1bb@x.org",
        b"Jo <a\0@x.org>",
        "Jo <a\u202e@x.org>".encode(),
        b"<>",
        b"=?utf-8?q?Jo_=3Ca=40x=2Eorg=3E?=",
        b"Friends: a@good.org, b@x.org",
        b"a@x.org (never ends",
        b'"never ends <a@x.org>',
        b"<bob@x.org>@c",
    ],
)
def test_nonsense_is_flagged_and_names_nobody(nonsense: bytes) -> None:
    """T84: CVE-2023-27043 and its kin: flagged, and never read as another address."""
    found = read_addresses(nonsense)
    assert found
    assert all(each.problem and not each.address for each in found)


def test_nonsense_does_not_hide_its_neighbours() -> None:
    """T84."""
    found = read_addresses(b"a@x.org, c@d@e, b@x.org")
    assert [each.address for each in found] == ["a@x.org", "", "b@x.org"]
    assert found[1].name == "c@d@e"


@given(st.text(alphabet=st.sampled_from('ab@.<>()[]",;:\\ \t=?é\r\n\0'), max_size=60))
def test_reading_never_raises_and_never_invents(text: str) -> None:
    """T84: any text."""
    for each in read_addresses(text):
        assert bool(each.address) != bool(each.problem)
        if each.address:
            assert each.address.count("@") == 1 or each.address.startswith('"')
            assert each.address.replace(" ", "") in text.replace(" ", "").replace("\t", "")


@pytest.mark.parametrize(
    "bomb",
    [
        b"a@x.org," * 4000,
        b"(" * 20_000,
        b'"' * 20_000,
        b"<" * 20_000,
        b" " * 20_000,
        b"a " * 10_000,
        b":" * 20_000,
        b"a(b)" * 5000,
        b"[" * 20_000,
        b"\\" * 20_000,
    ],
)
def test_a_bomb_costs_little(bomb: bytes) -> None:
    """T75: 4,000 addresses, 20,000 parens, quotes, brackets."""
    start = time.process_time()
    read_addresses(bomb)
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ('"a b"@x.org', "quoted local parts"),
        ("a(b)@x.org", "without a comment"),
        ("nobody", "needs an @"),
        ("a@x..org", "the domain after the @"),
        ("Doe, Jane <a@x.org>", "needs an @"),
    ],
)
def test_the_sentence_says_what_is_wrong(bad: str, sentence: str) -> None:
    with pytest.raises(InvalidValue, match=sentence):
        parse_addresses(bad)
