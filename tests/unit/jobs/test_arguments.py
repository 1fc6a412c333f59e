"""The parameters of a run, held against what its job declares."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.errors import InvalidValue, UnknownField
from postroom.jobs.arguments import arguments, check_defaults
from tests.unit.jobs.desk import job_of

DECLARED = {
    "day": {"type": "date"},
    "limit": {"type": "number", "default": 10},
    "all": {"type": "yes or no", "default": False},
    "to": {"type": "list", "default": []},
    "note": {"default": ""},
}


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, {}),
        ({"limit": "3"}, {"limit": 3}),
        ({"limit": "2.5"}, {"limit": 2.5}),
        ({"all": "yes"}, {"all": True}),
        ({"to": "a@x, b@x"}, {"to": ["a@x", "b@x"]}),
        ({"to": ["a"]}, {"to": ["a"]}),
        ({"note": "${env:HOME} {{7*7}}"}, {"note": "${env:HOME} {{7*7}}"}),
    ],
)
def test_texts_are_read_as_declared(given: dict[str, Any], found: dict[str, Any]) -> None:
    defaults = {"day": "2027-01-31", "limit": 10, "all": False, "to": [], "note": ""}
    values = arguments(job_of(parameters=DECLARED), {"day": "2027-01-31", **given})
    assert values == defaults | found


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "day: is needed"),
        ({"day": "yesterday"}, "give a date"),
        ({"day": "2027-01-31", "limit": "many"}, "give a number"),
        ({"day": "2027-01-31", "limit": "nan"}, "give a number"),
        ({"day": "2027-01-31", "all": "perhaps"}, "give yes or no"),
        ({"day": "2027-01-31", "note": ["x"]}, "give a text"),
        ({"day": "2027-01-31", "note": "x" * 70_000}, "larger than 64 KiB"),
    ],
)
def test_what_does_not_fit_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidValue, match=said):
        arguments(job_of(parameters=DECLARED), given)


def test_an_unknown_parameter_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownField, match=r"no parameter 'limits'.*Did you mean limit\?"):
        arguments(job_of(parameters=DECLARED), {"limits": 3})
    with pytest.raises(UnknownField, match="It has none"):
        arguments(job_of(), {"x": 1})


def test_a_schedule_asks_nobody_so_every_parameter_has_a_default() -> None:
    check_defaults(job_of(parameters=DECLARED))
    with pytest.raises(InvalidValue, match=r"parameters\.day\.default"):
        check_defaults(job_of(parameters=DECLARED, schedule={"every": "1h"}))
    with pytest.raises(InvalidValue, match="give a number"):
        check_defaults(job_of(parameters={"n": {"type": "number", "default": "x"}}))
