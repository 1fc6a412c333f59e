"""The border of a served room: what it lets in, and what every answer carries."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from postroom.errors import InvalidValue
from postroom.serving.border import LARGE_AT_ONCE, App, Border, Limits, networks

NAME = "room.example.com"


class Call:
    """One request to a border, and what came of it."""

    def __init__(self, app: App, **how: Any) -> None:
        how.setdefault("names", (NAME,))
        self.border = Border(app, **how)
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""

    def __call__(
        self,
        path: str = "/",
        *,
        method: str = "GET",
        peer: str = "192.0.2.7",
        body: list[bytes] | None = None,
        raw: str = "",
        **headers: str,
    ) -> Call:
        scope = _scope(path, method, peer, raw, headers)
        self.status = asyncio.run(self._done(scope, list(body or [])))
        return self

    async def begun(self, path: str, body: list[bytes]) -> int:
        """The status of one of several requests at the same time."""
        return await self._done(_scope(path, "POST", "192.0.2.7", "", {}), list(body))

    async def _done(self, scope: dict[str, Any], parts: list[bytes]) -> int:
        status = 0

        async def receive() -> MutableMapping[str, Any]:
            await asyncio.sleep(0.001)
            part = parts.pop(0) if parts else b""
            return {"type": "http.request", "body": part, "more_body": bool(parts)}

        async def send(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self.headers = {k.decode(): v.decode() for k, v in message["headers"]}
            else:
                self.body += message.get("body", b"")

        await self.border(scope, receive, send)
        return status


def _scope(path: str, method: str, peer: str, raw: str, headers: dict[str, str]) -> dict[str, Any]:
    given = {"host": NAME} | {name.replace("_", "-"): text for name, text in headers.items()}
    return {
        "type": "http", "method": method, "path": path, "raw_path": (raw or path).encode(),
        "query_string": b"", "scheme": "http", "client": (peer, 4711),
        "headers": [(name.encode(), text.encode()) for name, text in given.items()],
    }  # fmt: skip


seen: list[MutableMapping[str, Any]] = []


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Reads the whole body, says how long it was."""
    seen[:] = [scope]
    length, more = 0, True
    while more:
        message = await receive()
        length += len(message["body"])
        more = message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(length).encode()})


def test_every_answer_carries_the_headers_that_protect_a_page() -> None:
    """T46: exact, and of refusals too."""
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "font-src 'self'; connect-src 'self'; form-action 'self'; frame-src 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    )
    for call in (Call(echo)(), Call(echo)(host="evil.example.com")):
        assert call.headers["content-security-policy"] == policy
        assert call.headers["x-content-type-options"] == "nosniff"
        assert call.headers["cache-control"] == "no-store"
        assert call.headers["x-frame-options"] == "DENY"
        assert call.headers["referrer-policy"] == "same-origin"
        assert "strict-transport-security" not in call.headers


async def own_policy(scope: Any, receive: Any, send: Any) -> None:
    headers = [(b"Content-Security-Policy", b"sandbox"), (b"Cache-Control", b"max-age=60")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def test_an_answer_with_a_policy_of_its_own_keeps_it() -> None:
    call = Call(own_policy)()
    assert call.headers["content-security-policy"] == "sandbox"
    assert call.headers["cache-control"] == "max-age=60"
    assert call.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("host", ["evil.example.com", f"{NAME}:8080", "", f"{NAME}.evil.com"])
def test_another_name_is_not_answered(host: str) -> None:
    """T53: a page of another site that made its name point here reaches nothing."""
    seen.clear()
    assert Call(echo)(host=host).status == 421
    assert seen == []
    assert Call(echo)("/healthz", host=host).status == 200


def test_forwarding_headers_of_anybody_are_not_believed() -> None:
    """T53: and nobody behind the border sees them."""
    call = Call(echo, proxies=networks(["10.0.0.0/8"]))
    call(
        peer="192.0.2.7",
        x_forwarded_for="127.0.0.1",
        x_forwarded_proto="https",
        forwarded="for=::1",
    )
    assert seen[0]["client"][0] == "192.0.2.7"
    assert seen[0]["scheme"] == "http"
    assert [name for name, _ in seen[0]["headers"]] == [b"host"]


def test_a_trusted_proxy_says_who_asks() -> None:
    """T53: the nearest that is no proxy of ours; what stands before it, they wrote themselves."""
    call = Call(echo, proxies=networks(["10.0.0.0/8"]))
    call(
        peer="10.1.1.1",
        x_forwarded_for="127.0.0.1, 198.51.100.9, 10.2.2.2",
        x_forwarded_proto="https",
    )
    assert seen[0]["client"][0] == "198.51.100.9"
    assert seen[0]["scheme"] == "https"
    assert call.headers["strict-transport-security"].startswith("max-age=")
    call(peer="10.1.1.1", x_forwarded_for="198.51.100.9, no address")
    assert seen[0]["client"][0] == "10.1.1.1"


def test_a_body_that_says_that_it_is_too_large_is_not_read() -> None:
    """T50"""
    seen.clear()
    call = Call(echo)("/api/v1/connections", method="POST", content_length=str(100 * 1024 * 1024))
    assert (call.status, seen) == (413, [])
    assert call.headers["content-type"] == "application/problem+json"


def test_a_body_that_does_not_say_so_is_read_to_its_limit() -> None:
    """T50"""
    limits = Limits(body=1000, message=5000)
    body = [b"x" * 400] * 5
    assert Call(echo, limits=limits)(method="POST", body=list(body)).status == 413
    assert Call(echo, limits=limits)(method="POST", body=body[:2]).body == b"800"
    send = Call(echo, limits=limits)("/api/v1/commands/send-email", method="POST", body=list(body))
    assert send.body == b"2000"


def test_a_packed_body_is_not_taken() -> None:
    """T50: a few bytes can unpack to gigabytes."""
    assert Call(echo)(method="POST", content_encoding="gzip").status == 415


@pytest.mark.parametrize(
    ("path", "raw"),
    [
        ("/a/../b", ""), ("/a/b", "/a%2fb"), ("/a/../b", "/a/%2e%2e/b"), ("//a", ""), ("/a;x=1", ""),
        ("/a\\b", "/a%5cb"), ("/.", ""),
    ],
)  # fmt: skip
def test_a_path_that_is_another_than_it_looks_is_not_there(path: str, raw: str) -> None:
    """T52"""
    assert Call(echo)(path, raw=raw).status == 404


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(InvalidValue, match="neither an address nor a network"):
        networks(["proxy.example.com"])


@pytest.mark.parametrize("status", [413, 408])
def test_whoever_answers_every_exception_does_not_answer_for_the_border(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T50: API and page make a mistake of theirs of every exception; too much is told as that."""

    async def answers_all(scope: Any, receive: Any, send: Any) -> None:
        try:
            await echo(scope, receive, send)
        except Exception:  # noqa: BLE001  # as they do
            await send({"type": "http.response.start", "status": 500, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    if status == 408:
        monkeypatch.setattr("postroom.serving.border.BODY_SECONDS", 0.0)
    call = Call(answers_all, limits=Limits(body=10))
    assert call(method="POST", body=[b"x" * 8, b"x" * 8]).status == status


def test_large_bodies_have_their_turn_and_small_ones_do_not_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """T50: what many send at once is not held at once; who waits for a turn is not refused."""
    monkeypatch.setattr("postroom.serving.border.BODY_BYTES", 10)
    held, most, small = 0, 0, asyncio.Event()

    async def holds(scope: Any, receive: Any, send: Any) -> None:
        nonlocal held, most
        while (await receive())["more_body"]:
            pass
        if scope["path"] != "/compose":
            small.set()
        else:
            held, most = held + 1, max(most, held + 1)
            await asyncio.wait_for(small.wait(), 5)  # a small one is answered meanwhile
            held -= 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def all_at_once() -> list[int]:
        call = Call(holds)
        large = [call.begun("/compose", [b"x" * 8] * 4) for _ in range(7)]
        return await asyncio.gather(*large, call.begun("/sign-in", [b"x" * 8]))

    assert asyncio.run(all_at_once()) == [200] * 8
    assert most == LARGE_AT_ONCE


def test_who_waits_for_others_is_told_when_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """T50: not that they were slow; and waiting takes nothing from the time that a body has."""
    monkeypatch.setattr("postroom.serving.border.BODY_BYTES", 16)
    monkeypatch.setattr("postroom.serving.border.TURN_SECONDS", 0.2)
    done = asyncio.Event()

    async def holds(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["more_body"]:
            pass
        await done.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def all_at_once() -> list[int]:
        call = Call(holds)
        tasks = [
            asyncio.create_task(call.begun("/compose", [b"x" * 8] * 4))
            for _ in range(LARGE_AT_ONCE + 1)
        ]
        # whoever came last to their turn
        late, others = await asyncio.wait(tasks, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        assert call.headers["retry-after"] == "0"
        done.set()
        return [*(one.result() for one in late), *await asyncio.gather(*others)]

    assert asyncio.run(all_at_once()) == [503, 200, 200]


def test_a_body_with_two_ends_is_refused() -> None:
    """T50: a length and chunks: a proxy and we could find two requests in it."""
    seen.clear()
    call = Call(echo)(method="POST", content_length="3", transfer_encoding="chunked")
    assert (call.status, call.headers["connection"], seen) == (400, "close", [])


def test_a_mistake_is_answered_and_written_down_here(caplog: pytest.LogCaptureFixture) -> None:
    """T31: the web server would print it as it is; here it goes through the scrubber."""

    async def broken(scope: Any, receive: Any, send: Any) -> None:
        inside = scope["path"].upper()
        raise RuntimeError(inside)

    call = Call(broken)("/sources")
    assert (call.status, b"SOURCES" in call.body) == (500, False)
    assert "mistake: GET /sources: RuntimeError" in caplog.text
    assert "in broken" in caplog.text
    assert "SOURCES" not in caplog.text  # the text of an error may hold what somebody typed
