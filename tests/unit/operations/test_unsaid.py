"""What is hidden is not in figures, nor beside what is told, nor found by the beginning of an id; and
nobody has files looked at who may not."""

from __future__ import annotations

import functools
import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from postroom.app import Room
from postroom.clock import timestamp
from postroom.db import Tx
from postroom.errors import NotThere, PostroomError, Refused
from postroom.mail import Draft
from postroom.notices import rows
from postroom.notices.causes import Found
from postroom.secret import Secret
from tests.unit.operations.test_restricted import GOOD, hidden, person

__all__ = ["hidden"]


async def stored(room: Room, each: str) -> str:
    sender = f"{each}@example.com"
    return await room.email.store(
        f"{each}-out", Draft(from_=sender, to="a@example.com", subject=each, text="Hello")
    )


def _fail(item: str, tx: Tx) -> None:
    tx.execute("UPDATE outbox SET state = 'failed', finished_at = 1 WHERE id = :id", id=item)


async def test_figures_name_nothing_that_is_restricted(hidden: Room) -> None:
    """T48: whoever may view reads them; what rests on a restricted credential is in the sums alone."""
    for each in ("payroll", "orders"):
        await stored(hidden, each)
        failed = await stored(hidden, each)
        await hidden.desk.db.write(functools.partial(_fail, failed))
    text = (await hidden.health.metrics()).decode()
    assert "payroll" not in text
    for line in (
        'postroom_source_lag_seconds{source="orders-in"}',
        'postroom_service_waiting{service="orders-out"} 1.0',
        'postroom_service_unsettled{service="orders-out"} 1.0',
        'postroom_sources{state="idle"} 2.0',
        'postroom_outbox_messages{state="queued"} 2.0',
        "postroom_outbox_unsettled 2.0",
    ):
        assert line in text, line


async def test_a_notice_does_not_say_over_which_hidden_way_it_was_told(hidden: Room) -> None:
    """T48: not the way itself, nor that it stood in for one that is seen."""
    for each in ("payroll", "orders"):
        told = {"service": f"{each}-out", "to": ["a@example.com"]}
        await hidden.notify.add({"name": f"{each}-tell", **told})

    def body(tx: Tx) -> None:
        found = Found("source orders-in", "source", "source", "orders-in", "Broken.", "", "")
        rows.merge(tx, [found], [], now=timestamp())
        for name in ("payroll-tell", "orders-tell"):
            instead = rows.Told(ok=True, via="payroll-tell", why="by payroll-tell", at=1.0)
            rows.settle(tx, found.key, name, instead)

    await hidden.desk.db.write(body)
    eve = hidden.acting(await person(hidden, "eve", "viewer"))
    [notice] = await eve.notify.notices()
    assert [(one["notification"], one["over"], one["why"]) for one in notice["told"]] == [
        ("orders-tell", "", "")
    ]
    assert len((await hidden.notify.notices())[0]["told"]) == 2


async def test_the_beginning_of_an_id_is_not_several_by_what_is_hidden(hidden: Room) -> None:
    """T48: nor is one that is seen told as one of several."""
    eve = hidden.acting(await person(hidden, "eve", "operator"))
    own = await stored(hidden, "orders")
    theirs = [await stored(hidden, "payroll"), await stored(hidden, "payroll")]
    runs = [await hidden.runs.begin(f"{each}-job") for each in ("orders", "payroll", "payroll")]

    def alike(tx: Tx) -> None:  # as they are that were made in the same millisecond
        tx.execute("PRAGMA defer_foreign_keys = ON")
        for number, item in enumerate((own, *theirs)):
            new = f"{'ab' if item == own else 'ac'}{number:019x}"
            for table, column in (
                ("outbox_recipients", "item"), ("outbox_content", "item"), ("outbox", "id"),
            ):  # fmt: skip
                tx.execute(
                    f"UPDATE {table} SET {column} = :new WHERE {column} = :old", new=new, old=item
                )
        for number, run in enumerate(runs):
            new = f"{'ab' if run == runs[0] else 'ac'}{number:019x}"
            tx.execute("UPDATE runs SET id = :new WHERE id = :old", new=new, old=run)

    await hidden.desk.db.write(alike)
    for show in (eve.outbox.show, eve.runs.show):
        assert (await show("a")).id.startswith("ab")
        with pytest.raises(NotThere, match="There is no") as told:
            await show("ac")
        assert "Several" not in str(told.value)
    for show in (hidden.outbox.show, hidden.runs.show):
        with pytest.raises(NotThere, match="Several"):
            await show("ac")


async def test_who_may_not_run_code_has_no_file_looked_at(room: Room, tmp_path: Path) -> None:
    """T54: whether a file is there, may be read, or is of others: an editor is told the same of all."""
    await room.jobs.add({"name": "there", "command": ["/bin/true"]})
    eve = room.acting(await person(room, "eve"))
    good, open_to_all, away = (tmp_path / name for name in ("good.py", "open.py", "away.py"))
    for file, mode in ((good, 0o600), (open_to_all, 0o666)):
        file.write_text("print()")
        file.chmod(mode)
    os.mkfifo(tmp_path / "pipe.py")  # who opened that would wait for ever
    told = set()
    for file in (good, open_to_all, away, tmp_path, tmp_path / "pipe.py"):
        code = {"python": {"file": str(file)}}
        for ask in (
            lambda code=code: eve.jobs.add({"name": "sly", **code}),
            lambda code=code: eve.jobs.set("there", code),
        ):
            with pytest.raises(Refused) as refused:
                await ask()
            told.add(json.dumps(refused.value.as_json()).replace("there", "sly"))
    assert len(told) == 1, told
    assert "not_permitted" in told.pop()


async def test_a_script_is_read_while_nobody_waits_for_it(room: Room, tmp_path: Path) -> None:
    """What another process changes of the job meanwhile is written, and kept."""
    script = tmp_path / "do.py"
    script.write_text("print(1)")
    await room.jobs.add({"name": "do", "python": {"file": str(script)}})
    declared = room.jobs.declared
    looks: list[Any] = []

    def watched(data: Any, base: Path) -> Any:
        if not looks:
            with closing(sqlite3.connect(room.desk.db.path, timeout=1.0)) as other, other:
                other.execute("UPDATE jobs SET body = json_set(body, '$.description', 'meanwhile')")
        looks.append(data)
        return declared(data, base)

    room.jobs.declared = watched  # type: ignore[method-assign]
    shown = await room.jobs.set("do", {"worker_roles": ["x"]})
    assert (shown["worker_roles"], shown["description"], len(looks)) == (["x"], "meanwhile", 2)


async def test_a_notification_is_tried_as_who_asks(hidden: Room) -> None:
    """T27: what is opened for it, and that it was tried, is in the record under their name."""
    await hidden.credentials.create("sign", "secret", details={"value": Secret(GOOD)})
    await hidden.notify.add({"name": "hook", "url": "https://127.0.0.1:9/x", "signing": "sign"})
    eve = hidden.acting(await person(hidden, "eve", "operator"))
    await eve.notify.test("hook")
    found = await hidden.audit.list(actor="user:eve")
    assert {(one["action"], one["noun"], one["name"]) for one in found} == {
        ("test", "notification", "hook"), ("open", "credential", "sign"),
    }  # fmt: skip


async def test_a_variable_under_what_is_hidden_is_not_changed(hidden: Room) -> None:
    """T27, T40: not to what breaks it, nor to what makes it another; what is seen is named as before."""
    for name, value in (("HOST", "127.0.0.1"), ("BOTH", "127.0.0.1"), ("OWN", "127.0.0.1")):
        await hidden.variables.add(name, value)
    host = {"incoming": {"host": "${HOST}"}}
    await hidden.connections.set("payroll-mail", host, rebind=True)
    await hidden.connections.set("orders-mail", {"incoming": {"host": "${OWN}"}}, rebind=True)
    eve = hidden.acting(await person(hidden, "eve", "editor"))
    for value in ("not a host", "${NONE}", "127.0.0.2"):
        with pytest.raises(Refused) as refused:
            await eve.variables.set("HOST", value)
        assert "payroll" not in json.dumps(refused.value.as_json())
        assert await hidden.variables.get("HOST") == "127.0.0.1"
    with pytest.raises(PostroomError, match="orders-mail"):
        await eve.variables.set("OWN", "not a host")
    await eve.variables.set("BOTH", "127.0.0.3")
    await eve.variables.set("HOST", "127.0.0.1")  # as it is
