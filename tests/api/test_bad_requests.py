"""Requests that are wrong on purpose: refused in words, nothing done, nothing echoed."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest

from postroom import web
from postroom.access import throttle
from postroom.api import make_app
from postroom.app import Room
from postroom.serving.border import Border, Limits
from tests.api.asking import Answer, Client
from tests.api.test_matrix import CANARY, furnish

pytestmark = pytest.mark.bares("file", "log", why="what was typed is searched for in answers")


FORM = "application/x-www-form-urlencoded"


def refused(answer: Answer, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told: dict[str, Any] = answer.json()
    assert (told["status"], told["code"]) == (status, code)
    assert told["title"].endswith(".")
    return told


# ------------------------------------------------------------------------------ who asks


@pytest.mark.parametrize(
    "said", ["", "Bearer", "Bearer pr_none", "Basic YTpi", "Bearer {half}", "Bearer {token}x"]
)
async def test_a_token_that_is_none_is_refused(client: Client, said: str) -> None:
    """T45: none, truncated, with a suffix: one answer for all."""
    token = client.tokens["admin"]
    said = said.format(half=token[:-4], token=token)
    answer = await client.get("/credentials", as_=None, headers={"Authorization": said})
    refused(answer, 401, "not_signed_in")
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("name", ["token", "access_token", "TOKEN"])
async def test_a_token_in_an_address_is_refused(client: Client, name: str) -> None:
    """T45: also beside a good one in the header, so that nobody gets used to it."""
    token = client.tokens["admin"]
    for as_ in (None, "admin"):
        answer = await client.get(f"/credentials?{name}={token}", as_=as_)
        refused(answer, 401, "not_signed_in")
        assert token not in answer.text


async def test_a_revoked_token_is_refused(client: Client, room: Room) -> None:
    """T45."""
    for one in await room.tokens.list():
        await room.tokens.revoke(one["id"])
    refused(await client.get("/credentials"), 401, "not_signed_in")


async def test_tokens_are_not_guessed_and_each_address_has_its_own_tries(client: Client) -> None:
    """T44, T45: thirty that are none, then 429; another address, and a good token, are answered."""
    wrong = {"Authorization": "Bearer pr_none"}
    for _ in range(throttle.TOKENS.most):
        refused(await client.get("/jobs", as_=None, headers=wrong), 401, "not_signed_in")
    told = await client.get("/jobs", as_=None, headers=wrong)
    refused(told, 429, "too_many")
    assert int(told.headers["retry-after"]) > 0
    there = await client.get("/jobs", as_=None, headers=wrong, peer="192.0.2.9")
    refused(there, 401, "not_signed_in")
    assert (await client.get("/jobs")).status_code == 200


# ------------------------------------------------------------------------------ bodies

BOMBS = {
    "not JSON": b"{",
    "an array": b"[]",
    "a name twice": b'{"name": "a", "name": "b"}',
    "a name twice inside": b'{"name": "a", "details": {"x": 1, "x": 2}}',
    "10,000 levels": b'{"details": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "100,000 names": b"{" + b",".join(b'"%d":1' % n for n in range(100_000)) + b"}",
    "half a character": b'{"name": "\\ud800"}',
    "a NUL": b'{"name": "a\\u0000"}',
    "no number": b'{"details": {"x": NaN}}',
    "no text": b"\xff\xfe{}",
}


@pytest.mark.parametrize("body", BOMBS.values(), ids=BOMBS.keys())
async def test_a_bomb_is_no_body(client: Client, room: Room, body: bytes) -> None:
    """T50: what two readers may read differently, and what is small and becomes large."""
    refused(await client.ask("POST", "/credentials", content=body), 400, "malformed")
    assert await room.credentials.list() == []


async def test_a_long_body_and_a_packed_one_are_not_read(client: Client) -> None:
    """T50: 100 MB; gzip."""
    long = await client.ask(
        "POST", "/credentials", content=b'{"name": "' + b"a" * (2 << 20) + b'"}'
    )
    refused(long, 413, "request_too_large")
    packed = await client.ask(
        "POST", "/credentials", content=b"\x1f\x8b", headers={"Content-Encoding": "gzip"}
    )
    refused(packed, 415, "media_type")


@pytest.mark.parametrize("command", ["send-email", "list-email", "no-such-command"])
async def test_what_they_may_not_do_is_refused_before_its_body_is_read(
    room: Room, people: dict[str, str], command: str
) -> None:
    """T50: forty megabytes of whoever may only look cost nothing."""
    read = []

    async def watched(scope: Any, receive: Any, send: Any) -> None:
        async def receiving() -> Any:
            read.append(1)
            return await receive()

        await make_app(room)(scope, receiving, send)

    answer = await Client(watched, people).ask(
        "POST", f"/commands/{command}", json={"parameters": {"text": "x" * 100}}, as_="viewer"
    )
    assert answer.status_code == (422 if command.startswith("no-") else 403)
    assert not read


@pytest.mark.parametrize("slow", [False, True], ids=["too large", "too slow"])
@pytest.mark.parametrize("door", ["api", "page"])
async def test_a_body_without_end_is_no_mistake_of_ours(
    client: Client,
    room: Room,
    door: str,
    slow: bool,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """T50: neither door takes the border's limit for an error of its own."""
    token = client.tokens["admin"]
    kind, path = ("application/json", "/credentials") if door == "api" else (FORM, "/sign-in")
    headers = {"host": "room", "content-type": kind, "origin": "http://room"}
    headers |= {"authorization": f"Bearer {token}"} if door == "api" else {}
    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "scheme": "http", "path": path,
        "raw_path": path.encode(), "root_path": "", "query_string": b"", "client": ("127.0.0.1", 1),
        "server": ("room", 80), "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
    }  # fmt: skip
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if slow:
            await asyncio.sleep(60)
        return {"type": "http.request", "body": b"x" * 100_000, "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    app: Any = client.app if door == "api" else web.make_app(room)
    monkeypatch.setattr("postroom.serving.border.BODY_SECONDS", 0.3 if slow else 60.0)
    limits = Limits(body=500_000)
    await Border(app, names=["room"], limits=limits)(scope, receive, send)
    assert sent[0]["status"] == (408 if slow else 413)
    assert [one for one in caplog.records if one.levelno >= logging.ERROR] == []


@pytest.mark.parametrize(
    "kind", ["text/plain", "multipart/form-data; boundary=x", "application/xml", ""]
)
async def test_another_kind_of_body_is_not_taken_for_json(client: Client, kind: str) -> None:
    """T54, T42: also JSON that calls itself text, as a form of another site can send it."""
    answer = await client.ask(
        "POST",
        "/credentials",
        content=b'{"name": "a", "type": "secret"}',
        headers={"Content-Type": kind},
    )
    refused(answer, 415, "media_type")


@pytest.mark.parametrize(
    "path",
    ["/credentials/..%2fkeys", "/credentials/%2e%2e", "//credentials", "/credentials;x", "/credentials/",
     "/credentials/..%2f..%2fkeys/status", "/openapi.json/.."],
)  # fmt: skip
async def test_no_path_leads_elsewhere(client: Client, path: str) -> None:
    """T52."""
    refused(await client.get(path), 404, "not_found")


async def test_methods_that_are_not_there_are_named(client: Client) -> None:
    answer = await client.ask("PUT", "/credentials")
    refused(answer, 405, "no_such_method")
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}


# ------------------------------------------------------------------------------ fields

WRONG: dict[str, dict[str, Any]] = {
    "a number": {"name": "x", "type": "password", "details": {"password": [CANARY]}},
    "another field": {"name": "x", "type": "password", "details": {"pasword": CANARY}},
    "a name that is none": {"name": f"{CANARY} !", "type": "password"},
    "another type": {"name": "x", "type": {"a": CANARY}},
    "a date that is none": {"name": "x", "type": "password", "expires_at": CANARY},
    "too much": {
        "name": "x",
        "type": "password",
        "details": {"user_name": "u", "password": CANARY, "x": 1},
    },
    "a flag that is none": {"name": "x", "type": "password", "programs": CANARY},
}


@pytest.mark.parametrize("body", WRONG.values(), ids=WRONG.keys())
async def test_what_is_refused_is_not_repeated(client: Client, body: dict[str, Any]) -> None:
    """T33: no refusal holds what was typed, whatever is wrong with it."""
    answer = await client.post("/credentials", body)
    assert answer.status_code == 422, answer.text
    assert CANARY not in answer.text + json.dumps(answer.headers)


@pytest.mark.parametrize(
    "more", ["version", "sealed", "owner", "is_admin", "actor", "id", "restricted"]
)
async def test_what_nobody_asks_for_is_refused(client: Client, room: Room, more: str) -> None:
    """T49: no field that the operation does not take reaches it."""
    await furnish(room)
    for method, path, body in (
        ("POST", "/credentials", {"name": "new", "type": "secret"}),
        ("PATCH", "/credentials/acme", {"description": "x"}),
        ("PATCH", "/credentials/acme/fields", {"details": {}}),
        ("PATCH", "/connections/acme", {"description": "x"}),
        ("POST", "/services", {"name": "new", "connection": "acme"}),
        ("POST", "/outbox/settle", {"items": []}),
        ("POST", "/users", {"name": "eve", "role": "viewer"}),
    ):
        refused(await client.ask(method, path, json={**body, more: 99}), 422, "unknown_field")
    assert len(await room.credentials.list()) == 4
    assert (await room.credentials.show("acme"))["description"] == ""


async def test_a_name_never_changes(client: Client, room: Room) -> None:
    """T29: a rename would be a copy that keeps the secret, or another record overwritten."""
    await furnish(room)
    for path in ("/connections/acme", "/services/acme"):
        refused(await client.patch(path, {"name": "other"}), 422, "unknown_field")


# ------------------------------------------------------------------------------ ways round


async def test_a_mask_is_no_secret(client: Client, room: Room) -> None:
    """T30: what was shown is sent back; the stored secret stays."""
    await furnish(room)
    shown = (await client.get("/credentials/acme")).json()
    version = shown["version"]
    for details in (shown["fields"], {"password": "****"}, {"password": "********wxyz"}):
        answer = await client.patch("/credentials/acme/fields", {"details": details})
        refused(answer, 422, "masked_value_submitted")
    whole = await client.patch("/credentials/acme", shown)
    assert whole.status_code == 422
    assert (await room.credentials.show("acme"))["version"] == version


@pytest.mark.parametrize(
    "change",
    [{"host": "127.0.0.2"}, {"port": "2"}, {"security": "starttls"}, {"proxy": "127.0.0.3:8080"}],
    ids=lambda one: next(iter(one)),
)
async def test_a_host_is_not_changed_under_a_stored_secret(
    client: Client, room: Room, change: dict[str, str]
) -> None:
    """T26: 422, by whoever may edit; with the right to rebind it takes a word of consent."""
    await furnish(room)
    answer = await client.patch("/connections/acme", {"incoming": change}, as_="editor")
    told = refused(answer, 422, "secret_reentry_required")
    assert told["facts"]["credential"] == "acme"
    consent = {"incoming": change, "rebind": True}
    refused(await client.patch("/connections/acme", consent, as_="editor"), 403, "not_permitted")
    lines = [["acme", line] for line in told["facts"]["lines"]]
    pairs = await client.patch("/connections/acme", {"incoming": change, "rebind": lines})
    assert pairs.status_code == 200, pairs.text


async def test_a_test_takes_no_place_of_its_own(client: Client, room: Room) -> None:
    """T28: a stored secret is tested where it is bound to."""
    await furnish(room)
    for more in ({"host": "127.0.0.2"}, {"proxy": "127.0.0.2:1"}, {"verify": False}):
        refused(await client.post("/connections/acme/test", more), 422, "unknown_field")
        refused(await client.post("/credentials/server/test", more), 422, "unknown_field")


async def test_a_restricted_credential_is_not_there(client: Client, room: Room) -> None:
    """T27, T48: for whoever has no grant the answer is the one for a name that does not exist."""
    await furnish(room)
    await room.grants.restrict("other")
    for method, path, body in (
        ("GET", "/credentials/{}", None),
        ("GET", "/credentials/{}/usage", None),
        ("POST", "/credentials/{}/test", {}),
        ("PATCH", "/credentials/{}", {"description": "x"}),
        ("DELETE", "/credentials/{}", None),
    ):
        told = []
        for name in ("other", "nobody"):
            answer = await client.ask(method, path.format(name), json=body, as_="editor")
            told.append(answer.text.replace(name, "NAME"))
            refused(answer, 404, "not_found")
        assert told[0] == told[1]
    side = {
        "protocol": "smtp",
        "host": "127.0.0.9",
        "auth": {"type": "secret", "credential": "other"},
    }
    named = await client.post(
        "/connections", {"name": "evil", "type": "standard", "outgoing": side}, as_="editor"
    )
    assert named.status_code in (404, 422), named.text
    assert {one["name"] for one in await room.connections.list()} == {"acme"}


async def test_a_copy_holds_no_secret_and_making_never_changes(client: Client, room: Room) -> None:
    """T29: clone, type change, create over."""
    await furnish(room)
    copied = await client.post("/credentials/acme/copy", {"new_name": "two"})
    assert copied.status_code == 201
    assert (await room.credentials.show("two"))["state"] == "incomplete"
    again = await client.post(
        "/credentials", {"name": "ACME", "type": "secret", "details": {"value": "x"}}
    )
    refused(again, 409, "name_taken")
    refused(await client.patch("/credentials/acme", {"type": "generic"}), 409, "in_use")


async def test_a_mistake_says_its_id_and_no_more(
    client: Client, room: Room, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """T33: no trace in the answer; the log has both."""
    from postroom.operations.variables import Variables

    async def broken(_self: Any) -> None:
        raise RuntimeError("the inside of it")

    monkeypatch.setattr(Variables, "list", broken)
    told = refused(await client.get("/variables"), 500, "mistake")
    assert told["facts"]["id"] in told["title"]
    assert "inside" not in json.dumps(told)
    assert told["facts"]["id"] in caplog.text
