"""Ways to what is hidden, and to more than a right is for: lists, counts, hints, names, jobs, notices."""

from __future__ import annotations

import json
from typing import Any

import pytest

from postroom.access import ROLES, Person
from postroom.app import Room
from postroom.errors import NotThere, PostroomError, Refused
from postroom.secret import Secret
from tests.unit.operations.test_restricted import GOOD, hidden, person, side

__all__ = ["hidden"]


async def stored(room: Room, via: str) -> str:
    """A message in the outbox, sent by the operator."""
    from postroom.mail import Draft

    sender = f"{via.rpartition(':')[2].partition('-')[0]}@example.com"
    draft = Draft(from_=sender, to="a@example.com", subject=f"By {via}", text="Hello")
    return await room.email.store(via, draft)


async def state_of(room: Room, item: str) -> tuple[str, bool]:
    found = await room.outbox.show(item)
    return found.state, found.settled is not None


async def said(asked: Any) -> str:
    """What somebody is told."""
    try:
        return repr(await asked)
    except PostroomError as error:
        return json.dumps([type(error).__name__, error.as_json()], default=str)


async def test_what_is_done_in_numbers_leaves_alone_what_is_hidden(hidden: Room) -> None:
    """T48: settle all, release and cancel what is held, of every service: of those that are there."""
    eve = hidden.acting(await person(hidden, "eve", "operator"))
    theirs, own = await stored(hidden, "payroll-out"), await stored(hidden, "orders-out")
    over = await stored(hidden, "connection:payroll-mail")
    for item in (theirs, own, over):
        await hidden.outbox.hold(item)
    assert await eve.outbox.release_held() == 1
    assert await state_of(hidden, own) == ("queued", False)
    await hidden.outbox.hold(own)
    assert await eve.outbox.cancel_held() == 1
    states = [(await state_of(hidden, item))[0] for item in (theirs, over, own)]
    assert states == ["held", "held", "cancelled"]
    await hidden.desk.db.write(
        lambda tx: tx.execute("UPDATE outbox SET state = 'failed', finished_at = 1")
    )
    assert await eve.outbox.settle_all() == 1
    assert [await state_of(hidden, item) for item in (theirs, over, own)] == [
        ("failed", False), ("failed", False), ("failed", True),
    ]  # fmt: skip


async def test_a_hidden_service_is_as_one_that_there_is_not(hidden: Room) -> None:
    """T48: asked for by its name, or nearly, before and after something was sent through it."""
    eve = hidden.acting(await person(hidden, "eve", "operator"))
    for _ in range(2):
        for there, near in (
            ("payroll-out", "payroll-ou"),
            ("connection:payroll-mail", "connection:payroll-mai"),
        ):
            for ask in (
                lambda name: eve.outbox.list(service=name),
                lambda name: eve.outbox.waiting(name),
                lambda name: eve.outbox.unattended(name),
                lambda name: eve.outbox.settle_all(service=name),
                lambda name: eve.outbox.cancel_held(service=name),
                lambda name: eve.outbox.release_held(service=name),
            ):
                missing = "zz" + there[2:] if ":" not in there else there.replace("pay", "zzz")
                told = await said(ask(there))
                assert told.replace(there, "NAME") == (await said(ask(missing))).replace(
                    missing, "NAME"
                )
                assert "payroll" not in told.replace(there, "")
                assert "Did you mean" not in await said(ask(near))
        await stored(hidden, "payroll-out")
        await stored(hidden, "connection:payroll-mail")


async def test_no_count_has_what_is_hidden(hidden: Room) -> None:
    """T48: totals of a page, what waits, what nobody attends to."""
    eve = hidden.acting(await person(hidden, "eve", "viewer"))
    for via in ("payroll-out", "connection:payroll-mail", "orders-out"):
        await stored(hidden, via)
    page = await eve.outbox.list(limit=1)
    assert ([one.service for one in page], page.total, page.next) == (["orders-out"], 1, None)
    assert (await eve.outbox.waiting(), await hidden.outbox.waiting()) == (1, 3)
    assert [one["service"] for one in await eve.outbox.unattended()] == ["orders-out"]
    await hidden.desk.db.write(
        lambda tx: tx.execute("UPDATE outbox SET state = 'failed', finished_at = 1")
    )
    assert (await eve.outbox.list()).unsettled == 1


async def test_runs_of_a_hidden_job_are_those_of_none(hidden: Room) -> None:
    """T48"""
    eve = hidden.acting(await person(hidden, "eve", "viewer"))
    for _ in range(2):
        told = await said(eve.runs.list("payroll-job"))
        assert told.replace("payroll", "NAME") == (
            await said(eve.runs.list("zzyroll-job"))
        ).replace("zzyroll", "NAME")
        await hidden.runs.begin("payroll-job")


@pytest.mark.parametrize("place", ["trust", "client_certificate", "auth", "extends"])
async def test_naming_what_is_hidden_is_naming_nothing(hidden: Room, place: str) -> None:
    """T27, T48: a connection that names it is refused as one that names what there is not."""
    eve = hidden.acting(await person(hidden, "eve", "editor"))

    def change(name: str) -> dict[str, Any]:
        if place == "extends":
            return {"extends": f"{name}-mail"}
        if place == "auth":
            return {"incoming": side(name)}
        return {"incoming": {place: name}}

    for ask in (
        lambda name: eve.connections.set("orders-mail", change(name)),
        lambda name: eve.connections.add({"name": "new", **change(name)}),
    ):
        told = await said(ask("payroll"))
        assert told.replace("payroll", "NAME") == (await said(ask("zzyroll"))).replace(
            "zzyroll", "NAME"
        )
    assert await eve.connections.show("orders-mail")


async def test_a_notification_over_what_is_hidden_is_hidden(hidden: Room) -> None:
    """T48: not listed, shown, changed, tried, deleted or exported; not that which stands in for one."""
    for each in ("payroll", "orders"):
        await hidden.notify.add(
            {"name": f"{each}-tell", "service": f"{each}-out", "to": ["a@example.com"]}
        )
    await hidden.notify.add(
        {
            "name": "payroll-too",
            "service": "payroll-out",
            "to": ["a@example.com"],
            "instead_of": "orders-tell",
        }
    )
    eve = hidden.acting(await person(hidden, "eve", "editor"))
    assert [one["name"] for one in await eve.notify.list()] == ["orders-tell"]
    assert "payroll" not in repr(await eve.roomfile.export())
    for ask in (
        lambda name: eve.notify.show(name),
        lambda name: eve.notify.set(name, {"description": "x"}),
        lambda name: eve.notify.copy(name, "mine"),
        lambda name: eve.notify.test(name),
        lambda name: eve.notify.delete(name),
    ):
        told = await said(ask("payroll-tell"))
        assert "NotThere" in told
        assert told.replace("payroll", "") == (await said(ask("zzyroll-tell"))).replace(
            "zzyroll", ""
        )
    refused = await said(eve.notify.delete("orders-tell"))
    assert "stands in" in refused
    assert "payroll" not in refused
    assert {one["name"] for one in await hidden.notify.list()} > {"payroll-tell", "payroll-too"}


async def test_a_hidden_secret_of_a_webhook_hides_it(room: Room) -> None:
    """T48: the credential in the address of a notification, and the one that signs it."""
    for name in ("part", "key"):
        await room.credentials.create(name, "secret", details={"value": Secret(GOOD + name)})
    url = "https://127.0.0.1:9/{secret}"
    await room.notify.add({"name": "one", "url": url, "credential": "part"})
    await room.notify.add({"name": "two", "url": "https://127.0.0.1:9/", "signing": "key"})
    eve = room.acting(await person(room, "eve", "viewer"))
    for name, left in (("part", ["two"]), ("key", [])):
        await room.grants.restrict(name)
        assert [one["name"] for one in await eve.notify.list()] == left


async def test_who_does_not_see_it_all_erases_nothing(hidden: Room) -> None:
    """T48: nor is told what there is of an address; half of an erasure would be none."""
    await stored(hidden, "payroll-out")
    eve = hidden.acting(await person(hidden, "eve", "editor"))
    for ask in (eve.erasing.plan, eve.erasing.erase):
        with pytest.raises(Refused, match="not there for you") as refused:
            await ask("a@example.com")
        assert "payroll" not in json.dumps(refused.value.as_json())
    await hidden.grants.open("payroll")
    assert (await eve.erasing.plan("a@example.com")).unfinished


async def test_nobody_learns_who_there_is_by_asking_for_tokens(hidden: Room) -> None:
    """T48: another's name, nearly one, and nobody's are one answer."""
    await hidden.users.add("cathrine", "admin")
    eve = hidden.acting(await person(hidden, "eve", "viewer"))
    for ask in (eve.tokens.list, lambda name: eve.tokens.add("x", user=name)):
        told = {await said(ask(name)) for name in ("cathrine", "cathrin", "nobody-at-all")}
        assert len(told) == 1, told
        assert "not_permitted" in told.pop()
    assert await eve.tokens.list("eve") == []


def holding(who: Person, *verbs: str) -> Person:
    """Somebody by a token that has these rights alone."""
    return Person("token:x of eve", who.role, frozenset(verbs), who.user, "0" * 16)


STEPS: dict[str, Any] = {
    "send": {"send-email": {"via": "orders-out", "to": ["a@example.com"], "text": "x"}},
    "read": {"read-email": {"via": "orders-mail", "id": "1"}},
    "use": {"delete-email": {"via": "orders-mail", "ids": ["1"]}},
}


@pytest.mark.parametrize("right", STEPS)
async def test_a_job_does_not_do_what_its_maker_may_not(hidden: Room, right: str) -> None:
    """T25: edit alone does not send, read or delete by a job that does, also where it goes wrong."""
    who = await person(hidden, "eve", "editor")
    step = STEPS[right]
    nested = {"test-connection": {"via": "orders-mail"}, "on_error": {"steps": [step]}}
    few = hidden.acting(holding(who, "view", "edit", *({"use"} if right != "use" else ())))
    for steps in ([step], [nested]):
        with pytest.raises(Refused) as refused:
            await few.jobs.add({"name": "sly", "schedule": {"every": "60s"}, "steps": steps})
        assert refused.value.code == "not_permitted"
    await hidden.jobs.add({"name": "there", "steps": [step]})
    with pytest.raises(Refused):
        await few.jobs.set("there", {"schedule": {"every": "60s"}})
    await hidden.acting(holding(who, "view", "edit", "use", right)).jobs.add(
        {"name": "fine", "steps": [step]}
    )


async def test_a_source_or_a_notification_does_not_do_what_its_maker_may_not(hidden: Room) -> None:
    """T25: a source hands messages on and begins runs; a notification sends; so does a test that sends."""
    who = await person(hidden, "eve", "editor")

    def acting(*verbs: str) -> Room:
        return hidden.acting(holding(who, "view", "edit", *verbs))

    made = {
        "name": "new", "connection": "orders-mail", "start": "new", "folders": {"input": "Other"},
        "sink": {"type": "job", "job": "orders-job"},
    }  # fmt: skip
    for few in (acting(), acting("read"), acting("use")):
        with pytest.raises(Refused) as refused:
            await few.sources.add(made)
        assert refused.value.code == "not_permitted"
    with pytest.raises(Refused):
        await acting().sources.set("orders-in", {"folders": {"input": "Other"}})
    await acting("read", "use").sources.add(made)
    told = {"name": "tell", "service": "orders-out", "to": ["a@example.com"]}
    with pytest.raises(Refused):
        await acting().notify.add(told)
    await acting("send").notify.add(told)
    with pytest.raises(Refused):
        await acting("use").connections.test("orders-mail", send_to="a@example.com")


async def test_roles_may_what_they_could(hidden: Room) -> None:
    """Whoever makes definitions has the rights of all that those do."""
    assert ROLES["editor"] >= {"edit", "use", "read", "send"}
    eve = hidden.acting(await person(hidden, "eve", "editor"))
    await eve.jobs.add({"name": "mine", "steps": [*STEPS.values()]})
    with pytest.raises(NotThere):
        await eve.jobs.add(
            {"name": "other", "steps": [{"read-email": {"via": "payroll-mail", "id": "1"}}]}
        )


FEEDS: dict[str, tuple[str, dict[str, Any]]] = {
    "send": ("jobs", {"steps": [
        {"send-email": {"via": "orders-out", "to": ["${var:WORD}"], "text": "x"}}
    ]}),
    "read": ("sources", {"connection": "orders-mail", "start": "new", "folders": {"input": "${WORD}"},
                         "sink": {"type": "job", "job": "orders-job"}}),
    "use": ("jobs", {"steps": [
        {"test-connection": {"via": "orders-mail"}, "on_error": {"steps": [
            {"delete-email": {"via": "orders-mail", "ids": ["${var:WORD}"]}}
        ]}}
    ]}),
    "files": ("jobs", {"steps": [
        {"save-email": {"via": "orders-mail", "ids": ["1"], "to": "/tmp/${WORD}"}}
    ]}),
    "path": ("sources", {"connection": "orders-mail", "start": "new", "folders": {"input": "Other"},
                         "sink": {"type": "directory", "path": "/tmp/elsewhere/${WORD}"}}),
    "code": ("jobs", {"command": ["/bin/sh", "-c", "${WORD}"]}),
}  # fmt: skip
"""Definitions that a variable feeds, by what they do with it that edit alone is not enough for."""


@pytest.mark.parametrize("by", ["variable", "room file"])
@pytest.mark.parametrize("what", FEEDS)
async def test_a_variable_is_not_changed_by_who_may_not_save_what_it_feeds(
    hidden: Room, what: str, by: str
) -> None:
    """T25, T40: to whom a job sends, which folder is read, the words of a program: by a variable or not."""
    noun, data = FEEDS[what]
    await hidden.variables.set("WORD", "fine")
    await getattr(hidden, noun).add({"name": "fed", **data})
    who = await person(hidden, "eve", "editor")

    async def change(room: Room, value: str) -> None:
        if by == "variable":
            await room.variables.set("WORD", value)
        else:
            await room.roomfile.apply_text(
                {"room.yaml": f"postroom: 1\nvariables: {{WORD: {value}}}"}
            )

    few = {"send", "read", "use"} - {what}
    with pytest.raises(Refused, match=r"Variable WORD stands in (job|source) fed\.") as refused:
        await change(hidden.acting(holding(who, "view", "edit", *few)), "evil")
    assert refused.value.code == "not_permitted"
    assert await hidden.variables.get("WORD") == "fine"
    assert [use.noun for use in (await hidden.variables.usage("WORD")).uses] == [noun[:-1]]
    if what in ("files", "path", "code"):  # whatever rights they have
        with pytest.raises(Refused):
            await change(hidden.acting(who), "evil")
        return
    await change(hidden.acting(who), "other")
    assert await hidden.variables.get("WORD") == "other"


async def test_what_has_a_grant_is_not_changed_by_a_variable(hidden: Room) -> None:
    """T27, T40: a job with a grant of its own does as its maker said, not as who may only use it says."""
    await hidden.variables.set("WORD", "fine")
    step = {"send-email": {"via": "payroll-mail", "to": ["a@example.com"], "text": "${var:WORD}"}}
    await hidden.jobs.set("payroll-job", {"steps": [step]})
    eve = hidden.acting(await person(hidden, "eve", "editor"))
    with pytest.raises(Refused, match="that is not there for you uses variable WORD"):
        await eve.variables.set("WORD", "evil")
    await hidden.grants.give("payroll", "job:payroll-job")
    with pytest.raises(Refused, match="you may use it, and not change it"):
        await eve.variables.set("WORD", "evil")
    assert await hidden.variables.get("WORD") == "fine"


async def test_a_variable_of_a_job_is_in_use(hidden: Room) -> None:
    """Nobody removes what a job would stop for in the night."""
    await hidden.variables.set("WORD", "fine")
    await hidden.jobs.add(
        {
            "name": "fed",
            "steps": [{"test-connection": {"via": "orders-mail"}, "when": "${WORD} == 'x'"}],
        }
    )
    with pytest.raises(Refused, match=r"job fed \(steps\.0\.when\)") as refused:
        await hidden.variables.delete("WORD")
    assert refused.value.code == "in_use"
