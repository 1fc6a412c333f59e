"""Values of steps: macros have values, one pass, and nothing received is ever looked into."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.errors import InvalidValue, WrongUse
from postroom.jobs.values import LONGEST, Missing, Scope, read_value
from postroom.macros import Scope as RoomScope
from postroom.macros import expand

HOSTILE = "${var:A} ${item:id} $${B} {{7*7}} {0.__class__} %(x)s"


def of_the_room(text: str, where: str) -> str:
    scope = RoomScope(
        variables={"A": "a", "SECOND": "${var:A}"},
        environment={"REGION": "eu"},
        environment_known={"PATH", "KEK", "DATABASE_URL", "AWS_SECRET_ACCESS_KEY"},
        host="here.example.com",
    )
    return expand(text, scope, name=where).text


SCOPE = Scope(
    parameters={"to": "ann@example.com", "limit": 20, "days": [1, 2], "dry": True, "by.the": "dot"},
    results={
        "found": {
            "count": 2,
            "items": [{"id": "7", "subject": HOSTILE}, {"id": "8"}],
            "none": None,
        },
        "skipped": Missing(),
        "failed": Missing(error={"code": "refused"}),
    },
    run={"id": "r1", "job": "tidy", "started": "2026-01-31T09:05:00Z", "attempt": 2},
    message={"folder": "INBOX", "from": "ann@example.com", "subject": HOSTILE, "received": None},
    item={"id": "7", "parts": [{"name": "a.pdf"}]},
    expand=of_the_room,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        # as it is
        ("", ""),
        ("plain", "plain"),
        (5, 5),
        (None, None),
        ({"a": ["b", 1, {"c": False}]}, {"a": ["b", 1, {"c": False}]}),
        # one macro is its value
        ("${param:limit}", 20),
        ("${param:dry}", True),
        ("${param:days}", [1, 2]),
        ("${param:by.the}", "dot"),
        ("${item}", {"id": "7", "parts": [{"name": "a.pdf"}]}),
        ("${item:parts.0.name}", "a.pdf"),
        ("${step:found.count}", 2),
        ("${step:found.items.1}", {"id": "8"}),
        ("${step:found.items.1.id}", "8"),
        ("${step:found.none}", None),
        ("${run:attempt}", 2),
        ("${message:received}", None),
        # of a step that was passed by or failed: null, and its error
        ("${step:skipped.count}", None),
        ("${step:skipped.items.0.id}", None),
        ("${step:failed.count}", None),
        ("${step:failed.error.code}", "refused"),
        ("${step:found.error}", None),
        # within a text they are written out
        ("to ${param:to}!", "to ann@example.com!"),
        ("${param:limit} of ${param:days}", "20 of [1, 2]"),
        ("${param:dry}${step:found.none}.", "true."),
        (" ${item}", ' {"id": "7", "parts": [{"name": "a.pdf"}]}'),
        # of the room
        ("${var:A}-${A}-${lay:A}", "a-a-a"),
        ("${env:REGION}.${localhost:canonical-name}", "eu.here.example.com"),
        # at any depth, but not in names
        ({"to": ["${param:to}", {"${A}": "${A}"}]}, {"to": ["ann@example.com", {"${A}": "a"}]}),
        # a literal
        ("$${param:to}", "${param:to}"),
    ],
)
def test_a_value_is_filled_in(value: Any, expected: Any) -> None:
    assert read_value(value, "steps.0.note.text").fill(SCOPE) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("${SECOND}", "${var:A}"),
        ("x${SECOND}", "x${var:A}"),
        ("${${A}}", "${${A}}"),
        ("$${A}", "${A}"),
        ("%24%7BA%7D", "%24%7BA%7D"),
        ("$\\{A}", "$\\{A}"),
    ],
)
def test_there_is_no_second_pass(value: str, expected: str) -> None:
    """T39: a macro in the value of a variable, nested or disguised, is text in a step too."""
    assert read_value(value, "").fill(SCOPE) == expected


@pytest.mark.parametrize("value", ["${message:subject}", "${step:found.items.0.subject}"])
def test_what_was_received_is_never_looked_into(value: str) -> None:
    """T40: macros in a received subject are text, alone and within a text."""
    assert read_value(value, "").fill(SCOPE) == HOSTILE
    assert read_value(f"Re: {value}", "").fill(SCOPE) == f"Re: {HOSTILE}"
    [inner] = read_value([value], "").fill(SCOPE)
    assert inner == HOSTILE


@pytest.mark.parametrize("text", ["{{7*7}}", "{0.__class__}", "%(x)s", "<%= 1 %>", "#{1}", "`id`"])
def test_other_languages_are_text(text: str) -> None:
    """T41: no template of another language means anything in a step."""
    assert read_value({"a": [text]}, "").fill(SCOPE) == {"a": [text]}


@pytest.mark.parametrize("name", ["KEK", "PATH", "DATABASE_URL", "AWS_SECRET_ACCESS_KEY"])
@pytest.mark.parametrize("form", ["${NAME}", "${env:NAME}", "x ${NAME}"])
def test_the_environment_does_not_leak(name: str, form: str) -> None:
    """T38: a step sees no variable of the process that the operator did not allow."""
    with pytest.raises(WrongUse) as error:
        read_value(form.replace("NAME", name), "steps.0.note.text").fill(SCOPE)
    assert error.value.code == "unknown_variable"
    assert "steps.0.note.text" in error.value.sentence


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (
            "${mail:subject}",
            "${mail:...} may not stand in a step; the message that started the run is",
        ),
        ("${sec:A}", "${sec:...} is no kind of macro: no secret is ever written into a text"),
        ("${itme:id}", "is no kind of macro; did you mean item:?"),
        ("${param:}", "has no valid name"),
        ("${A", "${ has no end"),
        (["${item:a b}"], "has no valid name"),
    ],
)
def test_what_is_no_macro_is_refused(value: Any, sentence: str) -> None:
    with pytest.raises(InvalidValue) as error:
        read_value(value, "steps.0.note.text")
    assert sentence in error.value.sentence
    assert error.value.field == "steps.0.note.text"


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("${param:limt}", "${param:limt}: there is no 'limt'; did you mean limit?"),
        ("${step:fond.count}", "there is no 'fond'; did you mean found?"),
        ("${step:found.cuont}", "there is no 'cuont'; did you mean count?"),
        ("${step:found.items.9}", "${step:found.items.9}: that list has 2 of them"),
        ("${step:found.items.first}", "there is no 'first' in it; a list takes a number"),
        ("${step:found.count.x}", "there is no 'x' in it; it has no parts"),
        ("${step:found.none.x}", "there is no 'x' in it; it has no parts"),
        ("${item:part}", "there is no 'part'; did you mean parts?"),
        ("${message:size}", "there is no 'size'"),
    ],
)
def test_what_is_not_there_is_said(value: str, sentence: str) -> None:
    with pytest.raises(InvalidValue) as error:
        read_value(value, "steps.0.note.text").fill(SCOPE)
    assert sentence in error.value.sentence
    assert error.value.sentence.startswith("steps.0.note.text: ")


def test_without_an_item_or_a_message_it_is_said() -> None:
    bare = Scope(expand=of_the_room)
    with pytest.raises(InvalidValue, match="stands only in a for_each"):
        read_value("${item:id}", "").fill(bare)
    with pytest.raises(InvalidValue, match="no message started this run"):
        read_value("${message:subject}", "").fill(bare)


def test_a_text_does_not_grow_without_end() -> None:
    scope = Scope(parameters={"x": "x" * (1 << 20)})
    with pytest.raises(InvalidValue, match="longer than"):
        read_value("${param:x}" * (LONGEST // (1 << 20) + 1), "text").fill(scope)
    nested: Any = "x"
    for _ in range(40):
        nested = [nested]
    with pytest.raises(InvalidValue, match="stand in each other"):
        read_value(nested, "text")


def test_before_a_run_macros_of_a_run_are_shown_as_they_are() -> None:
    value = read_value(["${param:to}", "${step:found.count} ${A}", "${item}", "$${A}"], "")
    assert value.shown(SCOPE) == ["ann@example.com", "${step:found.count} a", "${item}", "${A}"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
texts = st.text(alphabet="${}:abitemparstdv.0 \\", max_size=30)


@given(received=texts, text=texts)
def test_a_value_is_never_expanded_twice(received: str, text: str) -> None:
    """T39, T40: whatever a value is, it stands in the text as it is, and once."""
    scope = Scope(parameters={"p": received}, item=received, expand=lambda text, where: received)
    literal = text.replace("$", "%")
    for macro in ("${param:p}", "${item}", "${A}"):
        assert read_value(f"{literal}${{param:p}}|{macro}", "").fill(scope) == (
            f"{literal}{received}|{received}"
        )
        assert read_value(macro, "").fill(scope) == received


@given(value=json_values, item=json_values)
def test_any_value_is_read_and_filled_or_told(value: Any, item: Any) -> None:
    filled, told = "", ""
    try:
        filled = json.dumps(read_value(value, "text").fill(Scope(item=item)))
    except WrongUse as error:
        told = str(error)
    assert filled or "text" in told
