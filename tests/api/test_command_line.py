"""The command line against a served room: the address and a token in the environment, and that is all."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.api.conftest import Served
from tests.api.test_matrix import furnish

pytestmark = pytest.mark.bares("file", why="the token of the test lies in a file of its own")


class Done(NamedTuple):
    status: int
    out: str
    err: str


class Terminal:
    """Runs ``postroom`` as somebody, with the token in a file."""

    def __init__(self, served: Served, folder: Path, role: str = "admin") -> None:
        (folder / "token").write_text(served.tokens[role] + "\n")
        self._env = {
            **{key: each for key, each in os.environ.items() if not key.startswith("POSTROOM_")},
            "POSTROOM_URL": served.url,
            "POSTROOM_TOKEN_FILE": str(folder / "token"),
        }

    async def __call__(self, *words: str, stdin: str = "") -> Done:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "postroom", *words, env=self._env,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate(stdin.encode())
        return Done(process.returncode or 0, out.decode(), err.decode())


async def test_verbs_work_on_a_served_room(served: Served, tmp_path: Path) -> None:
    await furnish(served.room)
    run = Terminal(served, tmp_path)
    listed = await run("credential", "list", "--json")
    assert listed.status == 0, listed.err
    assert {one["name"] for one in json.loads(listed.out)["items"]} == {
        "acme",
        "app",
        "other",
        "server",
    }
    shown = await run("connection", "show", "acme")
    assert "127.0.0.1" in shown.out, shown.err
    tested = await run("connection", "test", "acme", "--json")
    assert tested.status == 75  # nobody listens there: that may be so for a while
    assert [side["ok"] for side in json.loads(tested.out)["sides"]] == [False, False]
    made = await run(
        "credential", "add", "far", "--type", "password", "--description", "x", "--user-name", "ann",
        "--password-stdin", stdin="correct horse battery staple\n",
    )  # fmt: skip
    assert made.status == 0, made.err
    assert (await served.room.credentials.show("far"))["state"] == "complete"
    changed = await run("credential", "set", "far", "--user-name", "bob")
    assert changed.status == 0, changed.err
    sent = await run(
        "send",
        "--via",
        "service:acme",
        "--to",
        "bob@example.com",
        "--subject",
        "s",
        "--text",
        "t",
        "--forget",
    )
    assert sent.status == 0, sent.err
    items = await served.room.outbox.list()
    assert [one.subject for one in items] == ["s"]
    shown = await run("outbox", "show", items[0].id, "--json")
    assert json.loads(shown.out)["id"] == items[0].id
    gone = await run("credential", "delete", "far", "--yes")
    assert gone.status == 0, gone.err


async def test_what_is_refused_there_is_refused_here(served: Served, tmp_path: Path) -> None:
    run = Terminal(served, tmp_path, "viewer")
    none = await run("credential", "show", "none")
    assert (none.status, "no credential" in none.err) == (2, True)
    refused = await run("variable", "set", "a", "b")
    assert (refused.status, "may not" in refused.err) == (1, True)


@pytest.mark.parametrize(
    "words", [("backup", "create"), ("worker",), ("exec", "--credential", "acme", "--", "true")]
)
async def test_verbs_that_want_files_of_the_room_say_so(
    served: Served, tmp_path: Path, words: tuple[str, ...]
) -> None:
    refused = await Terminal(served, tmp_path)(*words)
    assert refused.status in (1, 78), refused
    assert "the room is" in refused.err or "from afar" in refused.err, refused.err
    assert "Traceback" not in refused.err


async def test_without_a_token_it_says_which_to_give(served: Served, tmp_path: Path) -> None:
    run: Any = Terminal(served, tmp_path)
    (tmp_path / "token").write_text("")
    done = await run("credential", "list")
    assert done.status == 78
    assert "POSTROOM_TOKEN_FILE" in done.err
