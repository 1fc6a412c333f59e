"""Requests that come twice or too late: keys of requests, tags of definitions."""

from __future__ import annotations

import asyncio

import pytest

from postroom.app import Room
from postroom.operations.answers import Answer, Answers
from tests.api.asking import Client
from tests.api.test_matrix import furnish
from tests.ground import Ground, User

pytestmark = pytest.mark.bares("file", why="tokens of the tests")


async def test_the_same_request_is_done_once(client: Client, room: Room) -> None:
    """F11: the same key and request: one record, one answer; another request: 409."""
    key = {"Idempotency-Key": "one"}
    body = {"name": "a", "value": "b"}
    first = await client.post("/variables", body, headers=key)
    assert first.status_code == 204
    again = await client.post("/variables", body, headers=key)
    assert (again.status_code, again.headers["idempotency-replayed"]) == (204, "true")
    other = await client.post("/variables", {"name": "c", "value": "d"}, headers=key)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    somebody = await client.post(
        "/variables", {"name": "c", "value": "d"}, headers=key, as_="editor"
    )
    assert somebody.status_code == 204
    assert await room.variables.list() == {"a": "b", "c": "d"}


async def test_50_at_once_with_one_key_make_one(client: Client, room: Room) -> None:
    """F11: whoever comes while it is being done is told so, and nothing is done twice."""
    await furnish(room)
    body = {"parameters": {"via": "service:acme", "to": "bob@example.com", "text": "x"}}
    asked = [
        client.post("/commands/send-email", body, headers={"Idempotency-Key": "k"})
        for _ in range(50)
    ]
    found = await asyncio.gather(*asked)
    assert {one.status_code for one in found} <= {200, 409}
    assert len({one.text for one in found if one.status_code == 200}) == 1
    assert len(await room.outbox.list()) == 1


async def test_what_was_refused_may_be_asked_again(client: Client, room: Room) -> None:
    key = {"Idempotency-Key": "one"}
    assert (await client.post("/jobs/none/runs", {}, headers=key)).status_code == 404
    assert (
        await client.post("/variables", {"name": "a", "value": "b"}, headers=key)
    ).status_code == 204
    refused = await client.post("/tokens", {"name": "t"}, headers={"Idempotency-Key": "two"})
    assert refused.status_code == 422, "a token is shown once, and no answer of it is kept"


@pytest.mark.parametrize("noun", ["credentials", "connections", "services", "variables"])
async def test_a_change_is_for_what_was_seen(client: Client, room: Room, noun: str) -> None:
    await furnish(room)
    path = f"/{noun}/acme"
    tag = (await client.get(path)).headers["etag"]
    assert (await client.get(path)).headers["etag"] == tag
    change = {"value": "x"} if noun == "variables" else {"description": "x"}
    if noun == "services":
        change = {"from": "ann@example.com", "queue_size": 7}  # type: ignore[dict-item]
    method = "PUT" if noun == "variables" else "PATCH"
    done = await client.ask(method, path, json=change, headers={"If-Match": tag})
    assert done.status_code == 200, done.text
    late = await client.ask(method, path, json=change, headers={"If-Match": tag})
    assert (late.status_code, late.json()["code"]) == (412, "changed_since")
    gone = await client.delete(path, headers={"If-Match": tag})
    assert gone.status_code == 412
    assert (await client.get(path)).status_code == 200
    weak = await client.ask(method, path, json=change, headers={"If-Match": f"W/{tag[:-2]}"})
    assert weak.status_code == 412


async def test_a_change_for_what_was_seen_that_comes_again_is_answered_as_before(
    client: Client, room: Room
) -> None:
    """F11: its own change is no other's; and what was refused leaves the key free."""
    await furnish(room)
    tag = (await client.get("/credentials/acme")).headers["etag"]
    asked = {"If-Match": tag, "Idempotency-Key": "one"}
    first = await client.post("/credentials/acme/restrict", {}, headers=asked)
    assert first.status_code == 200, first.text
    assert (await client.get("/credentials/acme")).headers["etag"] != tag
    again = await client.post("/credentials/acme/restrict", {}, headers=asked)
    assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")
    for _ in range(2):
        late = await client.post(
            "/credentials/acme/open", {}, headers={"If-Match": tag, "Idempotency-Key": "two"}
        )
        assert (late.status_code, late.json()["code"]) == (412, "changed_since")


async def test_what_somebody_changes_while_a_key_is_taken_is_not_overlooked(
    client: Client, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tag is compared in the transaction of the change, not in that of the key."""
    await furnish(room)
    tag = (await client.get("/services/acme")).headers["etag"]
    begin = Answers.begin

    async def begun(self: Answers, key: str, request: bytes) -> Answer | None:
        found = await begin(self, key, request)
        await room.services.set("acme", {"queue_size": 9})
        return found

    monkeypatch.setattr(Answers, "begin", begun)
    asked = {"If-Match": tag, "Idempotency-Key": "one"}
    late = await client.post("/services/acme/hold", {}, headers=asked)
    assert (late.status_code, late.json()["code"]) == (412, "changed_since")
    assert not (await room.services.show("acme"))["held"]


async def test_of_two_who_saw_the_same_one_changes_it(client: Client, room: Room) -> None:
    """It is compared by the writer, in the transaction of the change: there is no time in between."""
    await furnish(room)
    tag = (await client.get("/credentials/acme")).headers["etag"]
    done = await asyncio.gather(
        *(
            client.patch("/credentials/acme", {"description": f"of {n}"}, headers={"If-Match": tag})
            for n in range(10)
        )
    )
    assert sorted(one.status_code for one in done) == [200, *[412] * 9]


async def test_use_does_not_change_a_tag(client: Client, room: Room) -> None:
    await furnish(room)
    tag = (await client.get("/connections/acme")).headers["etag"]
    await client.post("/connections/acme/test", {})
    assert (await client.get("/connections/acme")).headers["etag"] == tag


async def test_a_command_that_reads_keeps_no_answer(
    client: Client, room: Room, ground: Ground, fresh_user: User
) -> None:
    """T48: messages that somebody read with a key lie nowhere for a day."""
    login = {"user_name": fresh_user.address, "password": fresh_user.password}
    await room.credentials.create("login", "password", details=login)
    await room.connections.add(
        {
            "name": "mail",
            "incoming": {
                "protocol": "imap", "host": "127.0.0.1", "port": str(ground.dovecot.imap),
                "security": "none", "cleartext_sign_in": True,
                "auth": {"type": "secret", "credential": "login"},
            },
        }
    )  # fmt: skip
    body = {"parameters": {"via": "mail"}}
    for _ in range(2):
        done = await client.post("/commands/list-email", body, headers={"Idempotency-Key": "one"})
        assert done.status_code == 200, done.text
        assert "idempotency-replayed" not in done.headers
    assert not await room.desk.db.read(lambda tx: tx.value("SELECT count(*) FROM answers"))


async def test_an_address_is_asked_for_in_a_body(
    client: Client, room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    """Whose mail it is, and who is erased, stands in no address that a log writes down."""
    caplog.set_level("INFO")
    asked = {"address": "ann@gmail.com"}
    for path in ("/accounts/recognise", "/erasures/plan", "/erasures"):
        done = await client.post(path, asked, headers={"Idempotency-Key": path[1:4]})
        assert done.status_code == 200, done.text
    assert "ann" not in caplog.text
    kept = await room.desk.db.read(lambda tx: tx.all("SELECT body FROM answers"))
    assert not [row["body"] for row in kept if "ann@" in row["body"]]


async def test_a_key_and_a_stream_do_not_go_together(client: Client, room: Room) -> None:
    """F11: a promise that is not kept for a stream is not made: what it does may be done twice."""
    await furnish(room)
    stream = {"Accept": "text/event-stream", "Idempotency-Key": "one"}
    told = await client.post("/connections/acme/test", headers=stream)
    assert (told.status_code, told.json()["code"]) == (422, "invalid_value"), told.text
