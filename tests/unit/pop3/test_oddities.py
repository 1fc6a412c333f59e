"""What real POP3 servers sent to somebody, with the public report (``owner/repository#number``)."""

from __future__ import annotations

import pytest

from postroom.errors import ProtocolError
from postroom.protocols.pop3.listing import Listed, join_listing
from postroom.protocols.pop3.session import parse_capabilities

__all__: list[str] = []

LISTINGS = [
    ("three spaces before the id", "thunderbird/thunderbird-android#323",
     b"1   a\r\n2   b\r\n", b"1 5\r\n2 6\r\n", {"a": Listed(1, 5), "b": Listed(2, 6)}),
    ("a size with words behind", "RFC 1939, 5, allows it", b"1 a\r\n", b"1 5 octets\r\n",
     {"a": Listed(1, 5)}),
    ("a number without its size", "getmail6/getmail6#277", b"1 a\r\n", b"1\r\n",
     {"a": Listed(1, 0)}),
    ("bare line feeds", "node-pop3/node-pop3#27", b"1 a\n2 b\n", b"1 5\n2 6\n",
     {"a": Listed(1, 5), "b": Listed(2, 6)}),
    ("an id of more than 70 characters", "RFC 1939, 7, forbids it", b"1 " + b"x" * 200 + b"\r\n",
     b"1 5\r\n", {"x" * 200: Listed(1, 5)}),
    ("a space behind the id", "RFC 1939, 7, forbids it", b"1 a \r\n", b"1 5\r\n",
     {"a": Listed(1, 5)}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("uidl", "sizes", "index"), [pytest.param(*rest, id=name) for name, _, *rest in LISTINGS]
)
def test_listings_of_real_servers_are_understood(
    uidl: bytes, sizes: bytes, index: dict[str, Listed]
) -> None:
    """Each stands for mailboxes that other clients could not read."""
    assert join_listing(uidl, sizes) == index


def test_a_line_that_is_none_ends_one_mailbox_and_says_so() -> None:
    """getmail6/getmail6#277: there it ended the run for all mailboxes."""
    with pytest.raises(ProtocolError) as caught:
        join_listing(b"abc def\r\n", b"1 5\r\n")
    assert caught.value.said == "abc def"


def test_capabilities_in_any_case_and_without_uidl() -> None:
    """neomutt/neomutt#1427: UIDL works there and is not announced, so nobody asks for it."""
    found = parse_capabilities(b"Implementation jpop-0.1\r\nTOP\r\nuser\r\nsasl LOGIN PLAIN\r\n")
    assert set(found) == {"IMPLEMENTATION", "TOP", "USER", "SASL"}
    assert found["SASL"] == ("LOGIN", "PLAIN")
