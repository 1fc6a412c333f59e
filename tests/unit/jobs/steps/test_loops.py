"""``for_each``: every item has its steps in order, and many ids are one command on the wire."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.errors import DialError, FolderError, InvalidValue, NotThere, PostroomError
from postroom.jobs.commands import Command, MoveEmail
from postroom.jobs.loops import BATCH
from tests.unit.jobs.steps.commands import Flag, List, Note, Work

LIST: dict[str, Any] = {"list": {"via": "acme", "limit": 20_000}, "name": "found"}
EACH = {"for_each": "${step:found.items}"}


def move(to: str = "Done", ids: Any = "${item:id}", **more: Any) -> dict[str, Any]:
    return {"move-email": {"via": "acme", "ids": ids, "to": to}, **more}


def flag(**more: Any) -> dict[str, Any]:
    return {"flag": {"ids": ["${item:id}"]}, **more}


def note(text: str = "${item:id}", **more: Any) -> dict[str, Any]:
    return {"note": {"text": text}, **more}


def sizes(work: Work) -> list[int]:
    """How many ids each command that takes many had."""
    return [len(one.ids) for one in work.wire if isinstance(one, MoveEmail | Flag)]


# ------------------------------------------------------------------ the list


@pytest.mark.parametrize(
    ("listed", "noted"),
    [
        (["a", "b"], ["a", "b"]),
        ([], None),
        ("${param:names}", ["x", "y"]),
        ("${step:found.items}", ["0", "1"]),
        ("${step:passed.items}", []),
    ],
)
async def test_it_goes_through_a_list(listed: Any, noted: list[str] | None) -> None:
    work = Work(2, parameters={"names": ["x", "y"]})
    steps = [
        LIST,
        {"list": {"via": "acme"}, "name": "passed", "when": "false"},
        note("${item:id}" if "found" in str(listed) else "${item}", for_each=listed),
    ]
    if noted is None:
        with pytest.raises(InvalidValue, match="for_each: give a list"):
            await work.run(*steps)
        return
    await work.run(*steps)
    assert work.noted == noted


async def test_what_is_no_list_is_told() -> None:
    with pytest.raises(InvalidValue, match=r"steps\.1\.for_each: it goes through a list"):
        await Work().run(LIST, note("x", for_each="${step:found.count}"))


async def test_loops_stand_in_each_other() -> None:
    work = Work()
    inner = {"for_each": "${item}", "steps": [note("${item}")]}
    await work.run({"for_each": [["a", "b"], ["c"]], "steps": [inner, note("| ${item}")]})
    assert work.noted == ["a", "b", '| ["a", "b"]', "c", '| ["c"]']


async def test_a_loop_says_what_became_of_it() -> None:
    work = Work(3)
    result = await work.run(
        LIST,
        {"read": {"id": "${item}"}, "for_each": ["0", "9", "2"], "name": "read", "on_error": "continue"},
        note("${step:read.count} ${step:read.failed} ${step:read.errors.0.item}"),
        note("${step:read.results.0.subject}|${step:read.results.1.subject}|${step:read.results.2.subject}"),
    )  # fmt: skip
    assert work.noted == ["2 1 1", "Subject 0||Subject 2"]
    assert result["steps"]["read"]["count"] == 2
    assert work.said[-3][1].startswith("steps.1 read: 2 of 3 done, 1 failed, ")


async def test_when_is_asked_for_each_item() -> None:
    work = Work(4)
    await work.run(LIST, note(**EACH, when="${item:id} >= '2'"))
    assert work.noted == ["2", "3"]


# ------------------------------------------------------------------ in one go


@pytest.mark.parametrize("ids", ["${item:id}", ["${item:id}"]])
@pytest.mark.parametrize("nested", [False, True])
async def test_a_thousand_moves_are_two_commands(nested: bool, ids: Any) -> None:
    work = Work(1000)
    step = {**EACH, "steps": [move(ids=ids)]} if nested else move(ids=ids, **EACH)
    await work.run(LIST, step)
    assert sizes(work) == [BATCH, BATCH]
    assert work.moved["Done"] == [str(at) for at in range(1000)]
    assert work.inbox == {}


async def test_ten_thousand_items_work() -> None:
    work = Work(10_000)
    result = await work.run(LIST, {**move(**EACH), "name": "moved"}, note("${step:moved.count}"))
    assert sizes(work) == [BATCH] * 20
    assert work.noted == ["10000"]
    assert len(result["steps"]["found"]["items"]) < 200


async def test_the_last_steps_of_a_body_are_done_in_one_go_in_their_order() -> None:
    """The first ones are done for each; what differs in more than its ids is done apart."""
    work = Work(6)
    await work.run(
        LIST,
        {**EACH, "steps": [
            note(),
            flag(when="${item:id} != '5'"),
            move("Low", when="${item:id} < '3'"),
            move("High", when="${item:id} >= '3'"),
        ]},
    )  # fmt: skip
    assert work.noted == [str(at) for at in range(6)]
    assert sizes(work) == [5, 3, 3]
    assert work.flagged == ["0", "1", "2", "3", "4"]
    assert work.moved == {"Low": ["0", "1", "2"], "High": ["3", "4", "5"]}


@pytest.mark.parametrize(
    ("body", "wire"),
    [
        # what it gives is of one item: not in one go
        ([{**move(), "name": "moved"}, note("${step:moved.count}")], [1, 1, 1]),
        # a later step that is not done in one go comes behind it
        ([flag(), note()], [1, 1, 1]),
        # its error is asked for by its own steps, which is of one item too
        ([{**move(), "name": "m", "on_error": {"steps": [note("${step:m.error}")]}}], [1, 1, 1]),
        # a loop in a loop is for itself
        ([{"for_each": ["${item:id}"], "steps": [move(ids="${item}")]}], [1, 1, 1]),
        # a name that nobody uses changes nothing
        ([{**move(), "name": "moved"}], [3]),
    ],
)
async def test_when_it_is_not_done_in_one_go(body: list[Any], wire: list[int]) -> None:
    work = Work(3)
    await work.run(LIST, {**EACH, "steps": body})
    assert sizes(work) == wire


async def test_items_that_differ_in_more_than_their_ids_are_done_apart() -> None:
    work = Work(6)
    items = [{"id": str(at), "to": "Even" if at % 2 == 0 else "Odd"} for at in range(6)]
    await work.run(move("${item:to}", for_each=items))
    assert sizes(work) == [3, 3]
    assert work.moved == {"Even": ["0", "2", "4"], "Odd": ["1", "3", "5"]}


async def test_what_each_item_gave_is_had_where_it_is_asked_for() -> None:
    work = Work(3)
    await work.run(LIST, {**move(**EACH), "name": "moved"}, note("${step:moved.results.2.count}"))
    assert sizes(work) == [1, 1, 1]
    assert work.noted == ["1"]


async def test_an_id_that_comes_twice_is_done_twice() -> None:
    """And fails the second time, as it would one by one."""
    work = Work(2)
    step = move(ids="${item}", for_each=["0", "1", "0"], on_error="continue")
    result = await work.run({**step, "name": "moved"}, note("${step:moved.failed}"))
    assert work.noted == ["1"]
    assert work.moved["Done"] == ["0", "1"]
    assert result["steps"]["moved"]["errors"][0]["item"] == 2


# ------------------------------------------------------------------ what fails


async def test_only_what_is_not_there_fails_and_nothing_is_done_twice() -> None:
    work = Work(10)
    ids = [str(at) for at in range(12)]  # 10 and 11 are not there
    result = await work.run(
        {**move(ids="${item}", for_each=ids, on_error="continue"), "name": "moved"},
    )
    assert sizes(work) == [12, 10]
    assert work.moved["Done"] == ids[:10]
    assert result["steps"]["moved"]["count"] == 10
    assert [one["item"] for one in result["steps"]["moved"]["errors"]] == [10, 11]


async def test_an_error_that_ends_the_job_ends_it_there() -> None:
    """What comes before the missing one is done, what comes behind it is not: as one by one."""
    work = Work(10)
    ids = ["0", "1", "missing", "3", "gone"]
    with pytest.raises(NotThere) as error:
        await work.run(move(ids="${item}", for_each=ids), note("after"))
    assert work.moved["Done"] == ["0", "1"]
    assert "3" in work.inbox
    assert work.noted == []
    assert error.value.facts["item"] == 2
    assert error.value.sentence == "steps.0.move-email (item 2): No longer there: missing, gone"


@pytest.mark.parametrize("on_error", ["stop", "continue"])
async def test_any_other_error_of_a_batch_is_of_all_its_items(on_error: str) -> None:
    """What of it was done is not known: it is not done again."""
    work = Work(4)
    steps = [LIST, {**move("Nowhere", **EACH), "name": "moved", "on_error": on_error}]
    if on_error == "stop":
        with pytest.raises(FolderError):
            await work.run(*steps)
    else:
        result = await work.run(*steps)
        assert result["steps"]["moved"]["failed"] == 4
    assert sizes(work) == [4]


async def test_a_batch_is_tried_again_as_one() -> None:
    left: list[PostroomError] = [DialError("It does not answer.", temporary=True)]

    def fails(command: Command) -> PostroomError | None:
        return left.pop() if left and isinstance(command, MoveEmail) else None

    work = Work(4, fails=fails)
    await work.run(LIST, move(**EACH, on_error={"retry": {"max": 2, "min": "1s"}}))
    assert sizes(work) == [4, 4]
    assert work.waited == [1]
    assert len(work.moved["Done"]) == 4


async def test_an_item_that_fails_does_not_go_on_to_its_next_steps() -> None:
    work = Work(3)
    items = [{"id": "0"}, {"id": "9"}, {"id": "2"}]
    await work.run({"for_each": items, "steps": [flag(), move()], "on_error": "continue"})
    assert work.flagged == ["0", "2"]
    assert work.moved["Done"] == ["0", "2"]


async def test_a_step_that_goes_on_takes_its_item_along() -> None:
    work = Work(3, fails=lambda one: FolderError("No flags.") if isinstance(one, Flag) else None)
    await work.run(LIST, {**EACH, "steps": [flag(on_error="continue"), move()]})
    assert work.moved["Done"] == ["0", "1", "2"]
    assert (
        work.warnings[1] == "steps.1.steps.0 flag: item 1: failed, and the job goes on: No flags."
    )


async def test_other_steps_are_done_for_each_item_that_failed() -> None:
    work = Work(3)
    instead = {"steps": [note("lost ${item}")]}
    await work.run(move(ids="${item}", for_each=["0", "8", "9"], on_error=instead))
    assert work.noted == ["lost 8", "lost 9"]
    assert work.moved["Done"] == ["0"]


async def test_what_earlier_items_are_to_have_is_done_before_a_later_one_ends_the_job() -> None:
    """Items 0 and 1 went through the first step; item 2 fails there: they are moved all the same."""
    work = Work(4)
    with pytest.raises(InvalidValue, match="no 'subjetc'"):
        await work.run(
            LIST,
            {**EACH, "steps": [
                note("${item:subject}"),
                note("${item:subjetc}", when="${item:id} == '2'"),
                move(),
            ]},
        )  # fmt: skip
    assert work.moved["Done"] == ["0", "1"]
    assert work.noted == ["Subject 0", "Subject 1", "Subject 2"]


async def test_a_wrong_value_of_one_item_is_its_own_error() -> None:
    work = Work(3)
    items: list[Any] = ["0", 5, "2"]
    await work.run(move(ids=["${item}"], for_each=items, on_error="continue"))
    assert work.moved["Done"] == ["0", "2"]
    assert "steps.0.move-email.ids" in work.warnings[0]


async def test_what_steps_of_a_loop_gave_is_of_its_item() -> None:
    work = Work(2)
    await work.run(
        LIST,
        {**EACH, "steps": [
            {"read": {"id": "${item:id}"}, "name": "one", "when": "${item:id} == '0'"},
            note("${step:one.subject}."),
        ]},
    )  # fmt: skip
    assert work.noted == ["Subject 0.", "."]
    assert [type(one) for one in work.wire].count(Note) == 2
    assert isinstance(work.wire[0], List)
