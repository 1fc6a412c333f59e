"""A room file from afar: its text goes up, what it names lies here, each step wants its right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import postroom
from postroom.access import ROLES
from postroom.app import Room
from postroom.errors import InvalidValue, PostroomError, Refused
from postroom.operations.documents import encoded
from postroom.operations.roomfile import rights_of
from postroom.operations.roomplan import Step
from tests.api.asking import Client
from tests.api.conftest import Served
from tests.api.test_command_line import Terminal
from tests.api.test_matrix import furnish

SECRET = "a secret that lies beside the file"
pytestmark = pytest.mark.bares(
    "file", why="what the references stand for lies in files of the test"
)
ROOM = """\
postroom: 1
variables: {MAIL_HOST: imap.example.com}
credentials:
  - {name: new-login, type: password, fields: {user_name: ann, password: {from_file: ./secret}}}
  - {name: acme, description: said anew}
connections:
  - name: new
    incoming: {protocol: imap, host: "${MAIL_HOST}", auth: {type: secret, credential: new-login}}
sources:
  - {name: new-in, connection: new, sink: {type: directory, path: /tmp/orders}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text(SECRET + "\n")
    path = tmp_path / "room.yaml"
    path.write_text(ROOM)
    return path


async def test_a_file_is_planned_and_applied_from_afar_as_it_is_here(
    served: Served, room: Room, file: Path
) -> None:
    await furnish(room)
    async with postroom.aopen(served.url, token=served.tokens["admin"]) as far:
        there = await far.roomfile.apply([file], dry_run=True)
        here = await room.roomfile.apply([file], dry_run=True)
        assert type(there) is type(here)
        assert (encoded(there), there.changes) == (encoded(here), here.changes)
        assert not any(one["name"] == "new-login" for one in await room.credentials.list())
        assert (await far.roomfile.apply([file])).changes == 5
        again = await far.roomfile.apply([file])
        assert (again.changes, again) == (0, await room.roomfile.apply([file]))
    shown = await room.credentials.show("new-login")
    assert shown["fields"]["password"] == "****file"
    assert (await room.credentials.show("acme"))["description"] == "said anew"


@pytest.mark.parametrize("role", sorted(ROLES))
async def test_each_step_wants_its_right(served: Served, room: Room, file: Path, role: str) -> None:
    """T25: whoever lacks one right of it changes nothing at all."""
    await furnish(room)
    before = await room.roomfile.export()
    async with postroom.aopen(served.url, token=served.tokens[role]) as far:
        if {"edit", "create"} <= ROLES[role] and role == "admin":
            await far.roomfile.apply([file], prune=["variables"])
            return
        for how in ({}, {"dry_run": True}, {"prune": ["credentials"]}, {"rebind": True}):
            with pytest.raises(Refused) as caught:
                await far.roomfile.apply([file], **how)
            assert caught.value.code == "not_permitted"
    assert await room.roomfile.export() == before


@pytest.mark.parametrize(
    ("text", "role"),
    [
        ("credentials: [{name: acme, fields: {password: {from_file: ./secret}}}]", "editor"),
        ("credentials: [{name: other, type: generic}]", "editor"),
        ("variables: {acme: changed}", "operator"),
    ],
)
async def test_a_step_without_its_right_is_refused(
    served: Served, room: Room, tmp_path: Path, file: Path, text: str, role: str
) -> None:
    await furnish(room)
    before = await room.roomfile.export()
    file.write_text(f"postroom: 1\n{text}\n")
    made = await room.tokens.add(
        "less", user=role, verbs=["view", "edit"] if role == "editor" else ["view"]
    )
    async with postroom.aopen(served.url, token=made["token"]) as far:
        with pytest.raises(Refused) as caught:
            await far.roomfile.apply([file])
        assert caught.value.code == "not_permitted"
    assert await room.roomfile.export() == before


def test_the_rights_of_steps() -> None:
    assert rights_of(Step("same", "credential", "a")) == set()
    assert rights_of(Step("add", "credential", "a")) == {"create"}
    assert rights_of(Step("remove", "credential", "a")) == {"destroy"}
    assert rights_of(Step("change", "credential", "a", ("secret",))) == {"replace"}
    assert rights_of(Step("change", "credential", "a", ("programs", "fields"))) == {
        "edit",
        "replace",
    }
    assert rights_of(Step("change", "credential", "a", ("type",))) == {"edit", "destroy"}
    assert rights_of(Step("remove", "source", "a")) == {"edit"}


async def test_no_file_and_no_variable_of_the_server_is_read(
    client: Client, room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T54: a text that comes from afar names nothing of the machine of the room."""
    (tmp_path / "private").write_text(SECRET)
    monkeypatch.setenv("PRIVATE", SECRET)
    for reference in (
        f"{{from_file: {tmp_path}/private}}",
        "{from_env: PRIVATE}",
        "{prompt: true}",
    ):
        text = (
            f"postroom: 1\ncredentials: [{{name: a, type: secret, fields: {{value: {reference}}}}}]"
        )
        answer = await client.post("/room-file", {"files": {"x.yaml": text}})
        assert answer.status_code == 422, answer.text
        assert "stands for is not there" in answer.json()["title"]
        assert SECRET not in answer.text
    sink = "sources: [{name: s, connection: c, sink: {type: directory, path: ./orders}}]"
    answer = await client.post("/room-file", {"files": {"x.yaml": f"postroom: 1\n{sink}"}})
    assert "Give the whole path" in answer.json()["hint"]
    assert await room.credentials.list() == []


async def test_what_is_wrong_is_said_with_file_and_line(
    served: Served, room: Room, file: Path
) -> None:
    async with postroom.aopen(served.url, token=served.tokens["admin"]) as far:
        for wrong in ("colour: red", "services: [{name: s, connection: none}]", "services: ["):
            file.write_text(f"postroom: 1\n{wrong}\n")
            told = []
            for one in (room, far):
                with pytest.raises(PostroomError) as caught:
                    await one.roomfile.apply([file])
                told.append(caught.value.as_json())
            assert told[0] == told[1]
            assert f"{file}, line 2" in told[0]["error"] or "line" in told[0]["error"]


async def test_on_the_command_line(served: Served, room: Room, file: Path, tmp_path: Path) -> None:
    await furnish(room)
    run = Terminal(served, tmp_path)
    planned = await run("apply", str(file), "--dry-run", "--json")
    assert planned.status == 0, planned.err
    assert json.loads(planned.out)["changes"] == 5
    done = await run("apply", str(file))
    assert (done.status, "5 changes made." in done.out) == (0, True), done.err
    assert SECRET not in done.out + done.err + planned.out


async def test_a_key_of_the_server_is_named_by_nobody_from_afar(served: Served) -> None:
    """What cannot be sent is refused, and never left out in silence."""
    async with postroom.aopen(served.url, token=served.tokens["admin"]) as far:
        with pytest.raises(Refused, match="names files where the room is"):
            await far.keys.rotate(also=["file:/etc/other.key"])
        with pytest.raises(InvalidValue):
            await far.roomfile.apply([], prune=["users"])


@pytest.mark.parametrize("name", ["files", "secrets"])
async def test_a_map_of_texts_has_texts_alone(client: Client, name: str) -> None:
    """T51: null for what a reference stands for was a mistake of ours, found by its fuzzing."""
    for value in (None, 1, ["x"], {"y": "z"}):
        answer = await client.post("/room-file", {"files": {}, name: {"x": value}})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_value"), answer.text
