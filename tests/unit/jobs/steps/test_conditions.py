"""Conditions: what holds, what is told, and that nothing received is read as a part of one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.errors import InvalidValue
from postroom.jobs.conditions import read_condition
from postroom.jobs.values import Missing, Scope

SCOPE = Scope(
    parameters={"n": 5, "half": 0.5, "text": "Hello", "yes": True, "list": ["a", "b"], "zero": 0},
    results={
        "found": {"count": 2, "items": [], "map": {"a": 1}, "none": None},
        "passed": Missing(),
    },
    item={"subject": 'x" or true or "', "from": "Ann <ann@example.com>"},
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # what holds by itself
        ("true", True),
        ("FALSE", False),
        ("null", False),
        ("0", False),
        ("1", True),
        ("''", False),
        ("'false'", True),
        ("${param:list}", True),
        ("${step:found.items}", False),
        ("${step:found.map}", True),
        ("${param:zero}", False),
        ("${step:passed.count}", False),
        # equality is of the same kind
        ("${param:n} == 5", True),
        ("${param:n} == 5.0", True),
        ("${param:n} == '5'", False),
        ("'${param:n}' == '5'", True),
        ("${param:n} != '5'", True),
        ("${param:yes} == 1", False),
        ("${param:yes} == true", True),
        ("${param:text} == 'hello'", False),
        ("${step:found.none} == null", True),
        ("${step:passed.count} == null", True),
        ("${param:zero} == false", False),
        ("${param:list} == ${param:list}", True),
        # order
        ("${param:n} > 4", True),
        ("${param:n} >= 5 and ${param:n} <= 5", True),
        ("-1 < ${param:half}", True),
        ("'2026-01-31' < '2026-02-01'", True),
        # contains
        ("${param:text} contains 'HELL'", True),
        ("${param:list} contains 'b'", True),
        ("${param:list} contains 1", False),
        ("${step:found.map} contains 'a'", True),
        # matches
        ("${item:from} matches '^ann .*@example\\.com>$'", True),
        ("${item:from} matches 'bob'", False),
        # not binds most, or least; brackets
        ("not true or true", True),
        ("not (true or true)", False),
        ("true or false and false", True),
        ("(true or false) and false", False),
        ("not ${param:n} == 4", True),
        ("not not 'a'", True),
        # only as much is asked as is needed
        ("false and ${param:text} < 1", False),
        ("true or ${param:text} < 1", True),
    ],
)
def test_a_condition_holds_or_not(text: str, expected: bool) -> None:
    assert read_condition(text, "when").holds(SCOPE) is expected


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "at character 1: a value is missing before the end"),
        ("true and", "at character 9: a value is missing before the end"),
        ("and true", "at character 1: a value is missing before and"),
        ("${param:n} = 5", "at character 12: write == to compare"),
        ("${param:n} == five", "at character 15: five is no value: texts stand in quotation marks"),
        ("${param:n} containz 'a'", "containz does not belong here; did you mean contains?"),
        (
            "tru",
            "tru is no value: texts stand in quotation marks, macros are ${...}; did you mean true?",
        ),
        ("(true", "at character 1: the bracket is not closed"),
        ("true)", "at character 5: ) does not belong here"),
        ("'a", "at character 1: a quotation mark has no partner"),
        ("1 < 2 < 3", "at character 7: join two comparisons by and"),
        ("1 2", "at character 3: 2 does not belong here"),
        ("a & b", "at character 3: & does not belong into a condition"),
        ("\x00", "at character 1: a control character does not belong"),
        ("${${param:n}}", "a macro cannot stand in a macro"),
        ("${mail:subject}", "may not stand in a step"),
        ("'a' matches ${param:text}", "matches takes a regular expression in quotation marks"),
        ("'a' matches '${param:text}'", "matches takes a regular expression in quotation marks"),
        ("'a' matches '('", "at character 13: '(' is not a regular expression"),
        ("(" * 30, "more than 20 brackets or nots"),
        ("not " * 30 + "1", "more than 20 brackets or nots"),
        ("1" * 5000, "at most 4096 characters"),
    ],
)
def test_what_is_no_condition_is_told_with_its_place(text: str, sentence: str) -> None:
    with pytest.raises(InvalidValue) as error:
        read_condition(text, "steps.2.when")
    assert sentence in error.value.sentence
    assert error.value.field == "steps.2.when"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("${param:n} < 'a'", "< compares two numbers or two texts, not a number and a text"),
        ("null > 1", "> compares two numbers or two texts, not null and a number"),
        ("true >= false", "not true or false and true or false"),
        ("${param:list} < ${param:list}", "not a list and a list"),
        ("${param:n} contains 'a'", "not for a text in a number"),
        ("${param:text} contains 5", "not for a number in a text"),
        ("${param:n} matches 'a'", "matches looks at a text, not at a number"),
    ],
)
def test_unlike_things_are_not_compared(text: str, sentence: str) -> None:
    with pytest.raises(InvalidValue) as error:
        read_condition(text, "steps.2.when").holds(SCOPE)
    assert sentence in error.value.sentence
    assert error.value.field == "steps.2.when"


@pytest.mark.parametrize(
    "text", ["${item:subject} == 'x'", "'${item:subject}' == 'x'", '"${item:subject}" == "y"']
)
def test_what_was_received_is_no_part_of_a_condition(text: str) -> None:
    """T40: a subject that looks like the rest of a condition is a text, and changes nothing."""
    assert not read_condition(text, "").holds(SCOPE)


words = st.lists(
    st.sampled_from(
        ["${item}", "${param:x}", "'a'", "1", "-2.5", "true", "null", "==", "<", ">=", "contains",
         "matches", "and", "or", "not", "(", ")", "'(a+)+'", "&", "=", '"', "$", "${", "}", "x"]
    ),
    max_size=12,
).map(" ".join)  # fmt: skip
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2)
    ),
    max_leaves=4,
)


@given(text=words | st.text(max_size=40), item=values, parameter=values)
def test_any_text_is_a_condition_or_told(text: str, item: Any, parameter: Any) -> None:
    held, told = None, ""
    try:
        held = read_condition(text, "when").holds(Scope(parameters={"x": parameter}, item=item))
    except InvalidValue as error:
        told = str(error)
    assert held in (True, False) or "when" in told
