"""Steps are done in order: conditions, results, errors and what follows them, and a dry run."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from postroom.db.claims import claim_lost
from postroom.errors import DialError, InvalidValue, NotThere, Refused
from postroom.jobs import results
from postroom.jobs.interpreter import WARNINGS
from postroom.jobs.plans import plan_steps
from postroom.jobs.results import shortened
from postroom.jobs.values import Scope
from tests.unit.jobs.steps.commands import Note, Work, named, steps_of

LIST: dict[str, Any] = {"list": {"via": "acme"}, "name": "found"}


def note(text: str, **more: Any) -> dict[str, Any]:
    return {"note": {"text": text}, **more}


def down() -> DialError:
    return DialError("The server does not answer.", temporary=True)


async def test_steps_are_done_in_order_and_see_what_came_before() -> None:
    work = Work(2, parameters={"who": "ann"})
    result = await work.run(
        LIST,
        note("${step:found.count} for ${param:who}", name="noted"),
        note("${step:noted.said}!", when="${step:found.count} > 1"),
        note("never", when="${step:found.count} > 2", name="passed"),
        note("${step:passed.said}|${step:found.items.1.subject}"),
    )
    assert work.noted == ["2 for ann", "2 for ann!", "|Subject 1"]
    assert (result["done"], result["passed"], result["failed"]) == (4, 1, 0)
    assert result["steps"]["noted"] == {"said": "2 for ann"}
    assert result["steps"]["passed"] == {}
    assert [level for level, _ in work.said] == ["info"] * 5
    assert work.said[0][1].startswith("steps.0 list: done, count 2, ")
    assert work.said[3][1] == "steps.3 note: passed by, ${step:found.count} > 2"


async def test_one_macro_reaches_a_command_as_the_value_it_is() -> None:
    work = Work(2)
    await work.run(LIST, {"note": {"text": "${step:found.count}", "more": "${step:found.items}"}})
    assert work.wire[1] == Note(text="2", more=[{"id": "0", "subject": "Subject 0"},
                                                {"id": "1", "subject": "Subject 1"}])  # fmt: skip


async def test_a_text_of_a_stranger_changes_no_step() -> None:
    """T39, T40, T41: it is not expanded, is no condition, and stands as it was received."""
    hostile = "${param:key} ${${A}} $${A} {{7*7}} {0.__class__} %(x)s' == '' or true or '"
    work = Work(1, parameters={"key": "4711"}, message={"subject": hostile})
    work.inbox["0"] = hostile
    await work.run(
        LIST,
        note("${message:subject}"),
        {"for_each": "${step:found.items}", "steps": [
            {"read": {"id": "${item:id}"}, "name": "one"},
            note("Re: ${step:one.subject}"),
            note("injected", when="${item:subject} == 'x'"),
        ]},
    )  # fmt: skip
    assert work.noted == [hostile, f"Re: {hostile}"]


async def test_a_run_without_a_message_says_so() -> None:
    with pytest.raises(InvalidValue, match="no message started this run"):
        await Work().run(note("${message:subject}"))


async def test_an_error_ends_the_job_and_says_where() -> None:
    work = Work(1)
    with pytest.raises(NotThere) as error:
        await work.run(note("first"), {"read": {"id": "9"}}, note("never"))
    assert work.noted == ["first"]
    assert error.value.facts["place"] == "steps.1.read"
    assert error.value.sentence == "steps.1.read: No longer there: 9"


async def test_a_job_goes_on_if_its_step_says_so() -> None:
    work = Work(1)
    result = await work.run(
        {"read": {"id": "9"}, "name": "one", "on_error": "continue"},
        note("${step:one.error.code}|${step:one.subject}"),
    )
    assert work.noted == ["not_found|"]
    assert result["failed"] == 1
    assert result["steps"]["one"]["error"]["code"] == "not_found"
    assert work.warnings == ["steps.0 read: failed, and the job goes on: No longer there: 9"]


async def test_other_steps_are_done_instead() -> None:
    work = Work(1)
    await work.run(
        {"read": {"id": "9"}, "name": "one",
         "on_error": {"steps": [note("failed: ${step:one.error.error}")]}},
        note("after"),
    )  # fmt: skip
    assert work.noted == ["failed: No longer there: 9", "after"]


async def test_a_condition_that_cannot_be_asked_is_an_error_of_its_step() -> None:
    work = Work(1)
    await work.run(note("x", when="'a' < 1", on_error="continue"), note("after"))
    assert work.noted == ["after"]


AGAIN: dict[str, Any] = {"retry": {"max": 5, "min": "2s", "max_wait": "10s"}}


class TestAgain:
    """``on_error: {retry: ...}``"""

    async def test_waits_double_up_to_the_longest(self) -> None:
        left = [down() for _ in range(5)]
        work = Work(fails=lambda command: left.pop() if left else None)
        await work.run(note("x", on_error=AGAIN))
        assert work.waited == [2, 4, 8, 10, 10]
        assert work.noted == ["x"]
        assert work.warnings[0] == (
            "steps.0 note: The server does not answer. Tried again in 2s, 1 of 5."
        )

    async def test_then_the_job_stops(self) -> None:
        work = Work(fails=lambda command: down())
        with pytest.raises(DialError):
            await work.run(note("x", on_error=AGAIN))
        assert len(work.wire) == 6

    async def test_then_other_steps_are_done(self) -> None:
        work = Work(fails=lambda command: down() if command == Note(text="x") else None)
        again = {**AGAIN, "steps": [note("instead")]}
        await work.run(note("x", on_error=again))
        assert work.noted == ["instead"]
        assert len(work.wire) == 7

    async def test_what_is_wrong_is_not_tried_again(self) -> None:
        work = Work(1)
        with pytest.raises(NotThere):
            await work.run({"read": {"id": "9"}, "on_error": AGAIN})
        assert len(work.wire) == 1
        assert work.waited == []


async def test_a_run_that_is_not_ours_any_more_ends_whatever_its_steps_say() -> None:
    """Another worker has it: nothing catches that, and nothing is tried again."""
    work = Work(3, fails=lambda command: claim_lost())
    retried = {"retry": {"max": 9}, "steps": [note("instead")]}
    loop = {"for_each": ["0", "1"], "on_error": "continue",
            "steps": [{"flag": {"ids": "${item}"}, "on_error": "continue"}]}  # fmt: skip
    for step in (note("x", on_error="continue"), note("x", on_error=retried), loop):
        work.wire.clear()
        with pytest.raises(Refused) as error:
            await work.run(step, note("after"))
        assert error.value.code == "claim_lost"
        assert len(work.wire) == 1
    assert work.waited == []


async def test_a_cancellation_passes_through() -> None:
    begun = asyncio.Event()

    class Slow(Work):
        async def execute(self, command: Any) -> Any:
            begun.set()
            await asyncio.Event().wait()

    work = Slow()
    task = asyncio.create_task(
        work.run(note("x", on_error={"retry": {}, "steps": [note("instead")]}), note("after"))
    )
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.noted == []


async def test_warnings_of_one_step_are_bounded() -> None:
    work = Work(0)
    await work.run(
        {"for_each": list(map(str, range(100))), "steps": [{"read": {"id": "${item}"}}],
         "on_error": "continue"},
    )  # fmt: skip
    assert len(work.warnings) == WARNINGS + 1
    assert work.warnings[-1] == "steps.0: further warnings of this step are not written"


class TestKept:
    """What a run holds, and what is kept with it."""

    async def test_results_are_cut_for_people_and_whole_for_steps(self) -> None:
        work = Work(1)
        long = "x" * 100_000
        result = await work.run(note(long, name="long"), note("${step:long.said}"))
        assert work.noted == [long, long]
        assert result["steps"]["long"]["said"] == "x" * 4096 + " (and 95904 more)"

    async def test_it_is_never_more_than_a_run_can_keep(self) -> None:
        work = Work(1)
        result = await work.run(*(note(str(at) * 4000, name=f"n{at}") for at in range(190)))
        assert len(json.dumps(result)) < 256 * 1024
        assert result["steps"]["n189"] == "(too large to be kept)"

    async def test_more_than_a_run_can_hold_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(results.Shelf.__init__, "__defaults__", (100_000,))
        with pytest.raises(Refused, match=r"steps\.1 note: what the steps of this run gave"):
            await Work().run(
                note("x" * 60_000, name="a"),
                note("y" * 60_000, name="b"),
                note("${step:a.said}${step:b.said}"),
            )
        await Work().run(note("x" * 60_000, name="a"), note("y" * 60_000, name="b"))  # nobody asks

    async def test_a_loop_lets_go_of_what_its_items_gave(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(results.Shelf.__init__, "__defaults__", (100_000,))
        work = Work()
        loop = {"for_each": list(range(10)), "steps": [
            note("x" * 60_000, name="a"), note("${step:a.said}"),
        ]}  # fmt: skip
        await work.run(loop)
        assert len(work.noted) == 20

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ({"count": 1, "none": None, "yes": True}, {"count": 1, "none": None, "yes": True}),
            (list(range(102)), [*range(100), "(and 2 more)"]),
            ({"a": float("nan"), "b": object}, {"a": "nan", "b": "<class 'object'>"}),
        ],
    )
    def test_shortened(self, value: Any, expected: Any) -> None:
        assert shortened(value) == expected

    def test_shortened_is_bounded_whatever_it_is(self) -> None:
        deep: Any = "x"
        for _ in range(3000):
            deep = {"in": deep}
        wide = {str(at): {str(one): "y" * 5000 for one in range(200)} for at in range(200)}
        for value in (deep, wide, [wide] * 100):
            assert len(json.dumps(shortened(value), ensure_ascii=False)) <= 64 * 1024


def test_a_dry_run_says_what_would_be_done() -> None:
    steps = steps_of(
        {"list": {"via": "${ACME}", "limit": "${param:most}"}, "name": "found"},
        {"for_each": "${step:found.items}", "when": "${item:subject} contains 'x'", "on_error": "continue",
         "steps": [
            {"move-email": {"via": "acme", "ids": ["${item:id}"], "to": "${param:to}"},
             "on_error": {"retry": {"max": 2}, "steps": [note("not moved:\n${item}")]}},
        ]},
        {"flag": {"ids": ["1", "2"]}, "for_each": [1, 2, 3]},
    )  # fmt: skip
    scope = Scope(parameters={"most": 7, "to": "Done"}, expand=lambda text, where: "acme")
    assert plan_steps(steps, scope, named=named) == [
        "steps.0: list up to 7 of acme",
        "steps.1: if ${item:subject} contains 'x': for each of ${step:found.items}: these steps; if that "
        "fails, go on",
        "  steps.1.steps.0: move-email with via: acme, ids: ${item:id}, to: Done; up to 2 times again",
        "    if that fails:",
        "    steps.1.steps.0.on_error.steps.0: note with text: not moved: ${item}",
        "steps.2: for each of 3 items: flag 2",
    ]
