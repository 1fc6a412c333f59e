"""File names of strangers: always one short visible component that every system can store."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.mail import safe_name, unique
from postroom.mail.filenames import LIMIT, extension_of
from tests.fuzz.filenames import is_one_safe_component

__all__: list[str] = []


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("report.pdf", "report.pdf"),
        ("Ünïcode 日本.pdf", "Ünïcode 日本.pdf"),
        ("../../etc/cron.d/x", "_.._etc_cron.d_x"),
        ("C:\\x", "C_x"),
        ("/abs", "_abs"),
        ("a\0b", "a b"),
        ("a\r\nb", "a b"),
        ("CON", "_CON"),
        ("con.txt", "_con.txt"),
        ("LPT1 .x", "_LPT1 .x"),
        ("COM¹", "_COM¹"),
        (".bashrc", "bashrc"),
        ("...", "file"),
        ("", "file"),
        (" . ", "file"),
        ("~", "file"),
        ("/", "file"),
        ("x. ", "x"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("a\u200bb\ufeff", "ab"),
        ("a\u2028b", "a b"),
        ('a<b>|c?*"d', "a_b_c_d"),
        ("\ud800x", "x"),
    ],
)
def test_safe_name(text: str, name: str) -> None:
    assert safe_name(text) == name


def test_the_extension_survives_a_cut() -> None:
    for text in ("x" * 4000 + ".pdf", "日" * 4000 + ".tar.gz"):
        name = safe_name(text)
        assert name.endswith((".pdf", ".gz"))
        assert 150 < len(name.encode()) <= LIMIT
    assert len(safe_name("x." + "y" * 4000).encode()) <= LIMIT


def test_the_fallback_is_the_callers() -> None:
    assert safe_name("///", fallback="no-subject") == "no-subject"


@given(st.text(max_size=300) | st.text(st.sampled_from("./\\~ \0\u202eCON1:é")))
def test_any_text_is_one_safe_component(text: str) -> None:
    is_one_safe_component(safe_name(text))


def test_unique_numbers_what_came_before() -> None:
    assert unique(["a.txt", "A.TXT", "b", "a.txt", "b", "a-2.txt"]) == [
        "a.txt",
        "A-2.TXT",
        "b",
        "a-3.txt",
        "b-2",
        "a-2-2.txt",
    ]


@given(st.lists(st.text(max_size=5).map(safe_name) | st.just("x" * LIMIT), max_size=30))
def test_unique_names_differ_and_stay_short(names: list[str]) -> None:
    found = unique(names)
    assert len({unicodedata.normalize("NFKC", name).casefold() for name in found}) == len(names)
    assert all(len(name.encode()) <= LIMIT for name in found)


def test_ten_thousand_equal_names_take_linear_time() -> None:
    assert unique(["x"] * 10_000)[-1] == "x-10000"


def test_extensions() -> None:
    assert extension_of("application/pdf") == ".pdf"
    assert extension_of("message/delivery-status") == ".txt"
    assert extension_of("application/x-unknown") == ".bin"
