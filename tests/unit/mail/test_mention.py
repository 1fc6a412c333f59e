"""Which texts name an address: as a whole, in any case, its domain in both spellings."""

from __future__ import annotations

import pytest

from postroom.mail.addresses import parse_address
from postroom.mail.mention import Mention

NAMED = {
    "ann@example.com": {
        "ann@example.com": True,
        "Ann <ANN@Example.COM>": True,
        "550 5.1.1 <ann@example.com>: Recipient address rejected": True,
        "mailto:ann@example.com?subject=x": True,
        "Write to ann@example.com.": True,
        "/orders/ann@example.com/1-2.eml": True,
        "nann@example.com": False,
        "x.ann@example.com": False,
        "x+ann@example.com": False,
        "ann@example.com.au": False,
        "ann@example.community": False,
        "ann@example.com-pany.org": False,
        "ann at example.com": False,
        "": False,
    },
    "u@stra\u00dfe.example": {
        "u@stra\u00dfe.example": True,
        "u@xn--strae-oqa.example": True,
        "U@STRA\u00dfE.example": True,
        "u@strasse.example": False,
    },
}


@pytest.mark.parametrize(
    ("address", "text", "named"),
    [(who, text, named) for who, texts in NAMED.items() for text, named in texts.items()],
)
def test_what_names_an_address(address: str, text: str, *, named: bool) -> None:
    assert Mention(parse_address(address)).named_in(text) is named
