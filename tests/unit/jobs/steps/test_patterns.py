"""Patterns answer as ``re.search`` does, and no text makes one slow."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.jobs.patterns import LONGEST, Pattern


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("", "", True),
        ("invoice", "Your INVOICE 4711", True),
        ("^invoice", "Your invoice", False),
        (r"^invoice \d{4}$", "Invoice 4711", True),
        (r"^invoice \d{4}$", "Invoice 47113", False),
        (r"\bpaid\b", "unpaid", False),
        (r"\bpaid\b", "it was paid.", True),
        ("(re|fwd?): ", "FW: order", True),
        ("(?:a|b)+c", "xabbac", True),
        ("(?P<year>20[0-9]{2})-[0-9]", "on 2026-01", True),
        (r"a{2,3}b", "ab", False),
        (r"[^\]a-c]", "abc]", False),
        ("stra.e", "Straße", True),
        ("x*?y", "y", True),
        (".", "\n", False),
        ("end$", "the end\n", True),
        (r"end\Z", "the end\n", False),
    ],
)
def test_a_pattern_matches(pattern: str, text: str, expected: bool) -> None:
    assert Pattern(pattern).search(text) is expected
    assert bool(re.search(pattern, text, re.IGNORECASE)) is expected


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        ("(", "is not a regular expression"),
        ("[a", "is not a regular expression"),
        ("a**", "is not a regular expression"),
        ("a(?=b)", "looking around, flags and the like cannot be had"),
        ("(?i)a", "looking around, flags and the like cannot be had"),
        (r"(a)\1", r"\1 cannot be had here"),
        ("a*+", "possessive"),
        ("a{1000}", "more than 300 parts"),
        ("((?:){60000}){60000}", "repeats too much"),
        ("(" * 30 + ")" * 30, "groups stand in each other"),
    ],
)
def test_what_cannot_be_had_is_said(pattern: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        Pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("(a+)+$", "a" * LONGEST + "b"),
        ("(a|a)*b", "a" * LONGEST),
        ("a?" * 100 + "a" * 100 + "$", "a" * LONGEST),
        (".*.*.*.*=x", "x" * LONGEST),
    ],
)
def test_no_text_makes_it_slow(pattern: str, text: str) -> None:
    """With ``re`` each of them takes longer than anyone waits: the time limit of the test shows it."""
    began = time.process_time()
    Pattern(pattern).search(text)
    assert time.process_time() - began < 30


ATOMS = st.sampled_from(
    [
        "a",
        "b",
        ".",
        r"\d",
        "[ab]",
        "[^a]",
        "^",
        "$",
        r"\b",
        r"\B",
        r"\A",
        r"\Z",
        " ",
        r"\w",
        "[]a]",
        "é",
    ]
)


def _more(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    counted = st.sampled_from(
        ["*", "+", "?", "{2}", "{1,3}", "{2,}", "{,2}", "{,}", "*?", "{", "{a}"]
    )
    return (
        st.lists(inner, max_size=3).map("".join)
        | st.tuples(inner, inner).map("|".join).map("({})".format)
        | st.tuples(inner, counted).map(lambda two: f"(?:{two[0]}){two[1]}")
    )


@given(
    pattern=st.recursive(ATOMS, _more, max_leaves=6),
    text=st.text(alphabet="abAB 1\n.é_kK\u212a", max_size=8),
)
def test_it_answers_as_re_does(pattern: str, text: str) -> None:
    assert Pattern(pattern).search(text) == bool(re.search(pattern, text, re.IGNORECASE)), pattern
