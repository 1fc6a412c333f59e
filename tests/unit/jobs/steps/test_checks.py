"""What is told when a job with steps is saved, and whom its steps name."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.errors import InvalidValue, UnknownField, WrongUse
from postroom.fields import parse, shown
from postroom.jobs.checks import NameUsed, check_steps, names_used
from postroom.jobs.job import Job
from tests.unit.jobs.steps.commands import job_with, named, steps_of

LIST: dict[str, Any] = {"list": {"via": "acme"}, "name": "found"}
MOVE: dict[str, Any] = {
    "move-email": {"via": "acme", "ids": ["${item:id}"], "to": "Done"},
    "for_each": "${step:found.items}",
}
NOTE: dict[str, Any] = {"note": {"text": "x"}}


def deep(levels: int) -> dict[str, Any]:
    return NOTE if levels == 1 else {"for_each": [1], "steps": [deep(levels - 1)]}


@pytest.mark.parametrize(
    "steps",
    [
        [NOTE],
        [LIST, MOVE],
        [LIST, {**MOVE, "name": "moved"}, {"note": {"text": "${step:moved.count} ${step:moved.errors}"}}],
        [LIST, {"for_each": "${step:found.items}", "steps": [
            {"read": {"id": "${item:id}"}, "name": "one", "when": "${item:subject} contains 'x'"},
            {"note": {"text": "${step:one.subject} ${step:found.count}"}},
        ]}],
        [{**NOTE, "name": "a", "on_error": "continue"}, {"note": {"text": "${step:a.error.code}"}}],
        [{**NOTE, "name": "a", "on_error": {"steps": [{"note": {"text": "${step:a.error}"}}]}}],
        [{**NOTE, "on_error": {"retry": {"max": 2}}}],
        [{"note": {"text": "${run:id} ${message:subject} ${date:%Y} ${A} ${param:to}"}}],
        [{"list": {"via": "${ACME}"}}],
        [{"flag": {"ids": "${param:ids}", "with": "${param:to}"}}],
        [{"for_each": ["a", "b"], "steps": [{"for_each": "${item}", "steps": [NOTE]}]}],
        [deep(4)],
        [NOTE] * 200,
    ],
)  # fmt: skip
def test_what_is_right_is_taken(steps: list[Any]) -> None:
    job = job_with(*steps, parameters={"to": {}, "ids": {"type": "list"}})
    check_steps(job, named=named)
    again = parse(Job, shown(job))
    assert again == job
    check_steps(again, named=named)


@pytest.mark.parametrize(
    ("steps", "sentence"),
    [
        # commands and parameters
        ([{"moev-email": {}}], "steps.0: There is no command 'moev-email'. Did you mean move-email?"),
        ([NOTE, {"note": {}}], "steps.1.note.text: is needed and was not given"),
        ([{"note": {"text": "x", "txt": 1}}], "steps.0.note: there is no field 'txt'. Did you mean text?"),
        ([{"note": {"text": "x", "mroe": "${item}"}, "for_each": [1]}],
         "steps.0.note: there is no field 'mroe'. Did you mean more?"),
        ([{"list": {"via": "acme", "limit": "many"}}], "steps.0.list.limit: give a whole number"),
        ([{"list": {"limit": "x", "via": "${ACME}"}}], "steps.0.list.limit: give a whole"),
        ([{"flag": {"with": "${param:to}"}}], "steps.0.flag.ids: is needed and was not given"),
        # macros
        ([{"note": {"text": "${param:too}"}}],
         "steps.0.note.text: ${param:too}: there is no parameter of this job called 'too'; did you mean to?"),
        ([{"note": {"text": "${step:found.count}"}}],
         "${step:found.count}: there is no earlier step called 'found'; there is none."),
        ([LIST, {"note": {"text": "${step:fuond.count}"}}], "'fuond'; did you mean found?"),
        ([LIST, {"note": {"text": "${step:found.cuont}"}}],
         "steps.1.note.text: ${step:found.cuont}: there is no result of found called 'cuont'; did you mean"),
        ([LIST, {"note": {"text": "${step:found.error}"}}], "there is no result of found called 'error'"),
        ([LIST, {**MOVE, "name": "moved"}, {"note": {"text": "${step:moved.ids}"}}],
         "there is no result of moved called 'ids'; there is count, errors, failed, results"),
        ([{"note": {"text": "${item:id}"}}], "steps.0.note.text: ${item:id} stands only in a for_each"),
        ([{**NOTE, "when": "${item}"}], "steps.0.when: ${item} stands only in a for_each"),
        ([{**NOTE, "for_each": "${item}"}], "steps.0.for_each: ${item} stands only in a for_each"),
        ([{"note": {"text": "${run:jbo}"}}], "no fact of a run called 'jbo'; did you mean job?"),
        ([{"note": {"text": "${message:sbject}"}}], "a message called 'sbject'; did you mean subject?"),
        ([{"note": {"text": "${mail:subject}"}}], "may not stand in a step"),
        ([{"note": {"text": "${MISSING}"}}], "steps.0.note.text: there is no variable ${var:MISSING}"),
        ([{**NOTE, "when": "1 <"}], "steps.0.when: at character 4"),
        # results of the steps of a loop stay in it
        ([{"for_each": [1], "steps": [{**NOTE, "name": "in"}]}, {"note": {"text": "${step:in.said}"}}],
         "in is no earlier step whose result is seen here"),
        ([{"note": {"text": "${step:later.said}"}}, {**NOTE, "name": "later"}],
         "there is no earlier step called 'later'"),
        # names
        ([{**NOTE, "name": "a"}, {**NOTE, "name": "A"}], "steps.1.name: steps.0 is called A already"),
        ([{**NOTE, "name": "a.b"}], "steps.0.name: a step has no dot in its name"),
        ([{**NOTE, "name": "a b"}], "steps.0.name: has a space in it"),
        # shapes
        ([{"name": "a"}], "steps.0: say what it does: a command, or steps with for_each"),
        ([{"note": {"text": "x"}, "steps": [NOTE], "for_each": [1]}],
         "steps.0: it has note and steps; put note into the steps"),
        ([{"steps": [NOTE]}], "steps.0.steps: steps within a step are for a for_each"),
        ([{**NOTE, "for_each": "found"}], "steps.0.for_each: give a list, or one macro that has one"),
        ([{**NOTE, "for_each": []}], "steps.0.for_each: give a list"),
        ([{**NOTE, "for_each": "x ${param:to}"}], "steps.0.for_each: give a list"),
        ([{**NOTE, "on_error": {}}], "steps.0.on_error: say what follows"),
        ([{"for_each": [1], "steps": [NOTE], "on_error": {"retry": {}}}],
         "steps.0.on_error.retry: some of its steps are done by then"),
        ([deep(5)], "steps.0.steps.0.steps.0.steps.0.steps: steps stand in each other at most 4 deep"),
        ([NOTE] * 201, "steps: a job has at most 200 steps, and these are 201"),
        # who is used is not for strangers to say
        ([{"list": {"via": "${message:from}"}}],
         "steps.0.list.via: ${message:from} may not say which connection or credential is used"),
        ([{"list": {"via": "${param:to}"}}], "may not say which connection or credential is used"),
        ([{"list": {"via": "x${item}"}, "for_each": [1]}], "may not say which connection"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(steps: list[Any], sentence: str) -> None:
    job = job_with(*steps, parameters={"to": {}})

    def expand(text: str, where: str) -> str:
        if "MISSING" in text:
            raise InvalidValue(where, f"there is no variable {text}")
        return "acme"

    with pytest.raises(WrongUse) as error:
        check_steps(job, expand=expand, named=named)
    assert sentence in str(error.value)
    assert isinstance(error.value, InvalidValue | UnknownField)


def test_a_stranger_does_not_say_which_job_begins() -> None:
    """T40: neither by a subject nor by what a step read; and not whose mail is read either."""
    check_steps(job_with({"run-job": {"job": "${param:next}"}}, parameters={"next": {}}))
    with pytest.raises(InvalidValue, match="may not say which job begins"):
        check_steps(job_with({"run-job": {"job": "${message:subject}"}}))
    listed = {"list-email": {"via": "app", "mailbox": "${item}"}}
    check_steps(job_with({**listed, "for_each": ["a@example.com", "${BOX}"]}))
    found = {"list-email": {"via": "app"}, "name": "found"}
    received = {
        "for_each": "${step:found.items}",
        "steps": [{"for_each": "${item:to}", "steps": [listed]}],
    }
    with pytest.raises(InvalidValue, match=r"steps\.1\..*\.mailbox: .* may not say whose mailbox"):
        check_steps(job_with(found, received))


def test_without_the_variables_of_a_room_they_are_not_looked_up() -> None:
    job = job_with({"note": {"text": "${MISSING}"}})
    check_steps(job, named=named)

    def missing(text: str, where: str) -> str:
        raise InvalidValue(where, f"there is no variable {text}")

    with pytest.raises(WrongUse, match="MISSING"):
        check_steps(job, expand=missing, named=named)


def test_every_name_that_a_step_uses_is_known() -> None:
    """A name written in a step is granted by that: so it is found, at any depth."""
    steps = steps_of(
        {"list": {"via": "acme"}},
        {"for_each": [1], "steps": [{"move-email": {"via": "archive", "ids": ["1"], "to": "x"}}]},
        {**NOTE, "on_error": {"steps": [{"list": {"via": "credential:backup"}}]}},
        {"list": {"via": "${VIA}"}},
        NOTE,
    )
    literal = [
        NameUsed("steps.0.list.via", "acme"),
        NameUsed("steps.1.steps.0.move-email.via", "archive"),
        NameUsed("steps.2.on_error.steps.0.list.via", "credential:backup"),
    ]
    assert names_used(steps, named=named) == literal
    assert names_used(steps, expand=lambda text, where: "bravo", named=named) == [
        *literal,
        NameUsed("steps.3.list.via", "bravo"),
    ]
