"""What is kept of answers to requests with a key: no longer than a day, and of no person who was erased."""

from __future__ import annotations

import json

from postroom.app import Room
from postroom.db import Tx
from postroom.jobs.commands import COMMANDS
from postroom.operations.answers import KEEP_SECONDS, Answer
from postroom.operations.commands import only_reads


def _kept(tx: Tx) -> list[str]:
    return [row["body"] for row in tx.all("SELECT body FROM answers ORDER BY body")]


async def test_an_answer_goes_after_its_day_without_another_request(room: Room) -> None:
    """What the worker tidies: nobody has to ask with another key first."""
    for key in ("old", "new"):
        await room.answers.begin(key, b"x")
        await room.answers.end(key, Answer(200, json.dumps({"is": key})))
    await room.desk.db.write(
        lambda tx: tx.execute(
            "UPDATE answers SET at = at - :day WHERE body LIKE '%old%'", day=KEEP_SECONDS
        )
    )
    await room.answers.purge()
    assert await room.desk.db.read(_kept) == ['{"is": "new"}']


async def test_an_erased_person_is_in_no_answer(room: Room) -> None:
    """Also where JSON writes a letter as a number; the request stays done, once."""
    for key, body in (
        ("a", {"to": "ann@example.com"}), ("b", {"to": "Ann <ANN@example.com>", "s": "\u00fc"}),
        ("c", {"to": "joann@example.com"}), ("d", {"to": "\u00e4nn@example.com"}),
    ):  # fmt: skip
        await room.answers.begin(key, b"x")
        await room.answers.end(key, Answer(200, json.dumps(body)))
    await room.erasing.erase("ann@example.com")
    await room.erasing.erase("\u00e4nn@example.com")
    kept = await room.desk.db.read(_kept)
    assert [one for one in kept if "erased" not in one] == ['{"to": "joann@example.com"}']
    again = await room.answers.begin("a", b"x")
    assert again is not None
    assert json.loads(again.body)["erased"]
    assert not (await room.erasing.plan("ann@example.com")).traces


def test_commands_that_read_are_kept_nowhere() -> None:
    """A key says that something is done once; what only shows messages is asked again as it is."""
    found = {one.name for one in COMMANDS if only_reads(one.name)}
    assert {"list-email", "read-email", "list-folders"} <= found
    assert not found & {"send-email", "reply-email", "delete-email", "run-job", "move-email"}
